"""Associations with traits cut to what their screens show."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mtm_core.dashboard.state.gene_names import GeneNames
from mtm_core.dashboard.widgets.views import MOST_COLUMNS
from mtm_core.escaping import plain

TRAIT_COLUMNS = [
    *("tissue", "gene", "rho", "fdr", "p", "slope", "n", "rho_by_fold", "rho_pooled"),
    *("predictable", "outcome", "origin", "scale", "gene_id"),
]


def rho_matrix(table: pd.DataFrame, names: GeneNames) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Turn a table of associations into (tissues, genes by label), and which cells are pale.

    Genes that are not in ``names`` (for example, measured alone) are left out.
    Genes are in the order of their mean rho; of more than ``MOST_COLUMNS`` those with the largest
    rho anywhere are shown.
    """
    table = table[table["gene_id"].isin(list(names.by_id))]
    tissue, tissues = pd.factorize(table["tissue"].astype(object))
    gene, genes = pd.factorize(table["gene_id"].astype(object))
    values = np.full((len(tissues), len(genes)), np.nan)
    pale = np.zeros(values.shape, dtype=bool)
    values[tissue, gene] = table["rho"]
    pale[tissue, gene] = table["predictable"] == "no"
    size = np.where(np.isnan(values), -1, np.abs(values)).max(axis=0, initial=-1)
    strongest = np.sort(np.argsort(-size, kind="stable")[:MOST_COLUMNS])
    columns = [names.label_of(genes[i]) for i in strongest]
    rho, cells = (
        pd.DataFrame(part[:, strongest], list(tissues), columns).rename_axis(
            index="tissue", columns="label"
        )
        for part in (values, pale)
    )
    order = rho.mean().sort_values(ascending=False, kind="stable").index
    return rho[order], cells[order]


def rho_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a table of associations, the surest first."""
    return table[TRAIT_COLUMNS].sort_values("p", kind="stable").reset_index(drop=True)


def trait_summary(table: pd.DataFrame, fdr: float) -> list[str]:
    """Say of each tissue how many genes go with the trait, and the largest correlation."""
    lines = []
    for (tissue, origin), part in table.groupby(["tissue", "origin"], sort=False, observed=True):
        counted = part[(part["predictable"] != "no") & part["rho"].notna()]
        if counted.empty:
            lines.append(f"**{plain(tissue)}** ({origin}): no gene was tested.")
            continue
        foremost = counted.loc[counted["rho"].abs().idxmax()]
        lines.append(
            f"**{plain(tissue)}** ({origin}, n = {foremost['n']:.0f}):"
            f" {int((counted['fdr'] <= fdr).sum())} of {len(counted):,} genes at FDR {fdr:g};"
            f" the largest correlation is {foremost['rho']:.2f}, of {plain(foremost['gene'])}."
        )
    return lines


def agreement_in_words(row: pd.Series) -> str:
    """Say how far the own changes in one tissue go with the reference's, and what that is worth."""
    if pd.isna(row["pearson"]):
        return f"The correlation cannot be computed: {row['outcome']} (n = {row['n']} genes)."
    return (
        f"rho {row['pearson']:.2f} over n = {row['n']} genes, {row['low']:.2f} to {row['high']:.2f}"
        f" in 95 % of resamples of your samples. With shuffled labels 95 % of rho lie between"
        f" {row['chance_low']:.2f} and {row['chance_high']:.2f} (p = {row['p']:.3f}): genes are "
        f"correlated, so that lists of genes agree easily by chance."
        f" {row['same_sign']:.0%} of the genes have the same sign. Reference values come from up "
        f"to {row['n_reference']} donors."
    )


def regressed_out(adjusted_for: str) -> list[str]:
    """Name what is regressed out: ``["age", "Hardy scale"]`` of ``"age+hardy"``, none of ``""``."""
    return adjusted_for.replace("hardy", "Hardy scale").split("+") if adjusted_for else []


def contrast_in_words(trait: str, description: dict[str, str]) -> str:
    """Say what a trait of the reference compares."""
    if description["kind"] == "two groups":
        return f"{description['case']} against {description['control']}"
    return f"change of log2(1 + x) for a {'year of age' if trait == 'age' else f'unit of {trait}'}"
