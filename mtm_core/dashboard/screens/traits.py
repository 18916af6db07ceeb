"""Associations with traits cut to what their screens show."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mtm_core.dashboard.state.gene_names import GeneNames
from mtm_core.dashboard.widgets.views import MOST_COLUMNS
from mtm_core.escaping import plain

TRAIT_COLUMNS = [
    *("tissue", "gene", "rho", "fdr", "p", "slope", "n", "rho_by_fold", "rho_pooled"),
    *("predictable", "outcome", "origin", "scale", "gene_id", "trait", "trait_is"),
]


@dataclass(frozen=True)
class TraitOverview:
    """What a trait goes with in every tissue, as a page shows it.

    Attributes
    ----------
    rho, pale
        (tissues, genes by label): correlations, NaN where not tested, and whether the gene cannot
        be predicted there. Genes are in the order of their mean rho; of more than ``MOST_COLUMNS``
        those with the largest rho anywhere are shown.
    summary
        A line a tissue: how many genes go with the trait, and the largest correlation.
    """

    rho: pd.DataFrame
    pale: pd.DataFrame
    summary: list[str]

    @classmethod
    def of(
        cls, tables: Iterable[pd.DataFrame], genes: pd.Index, names: GeneNames, fdr: float
    ) -> TraitOverview:
        """Go through ``tables`` of associations, of one tissue each; none of them is held.

        Parameters
        ----------
        genes
            Ids of the genes to show: those of the model. Others, such as those measured alone,
            count in the summary.
        """
        tissues, lines = [], []
        values, pale = [], []
        for table in tables:
            places = genes.get_indexer(table["gene_id"])
            found = places >= 0
            rho, cells = np.full(len(genes), np.nan), np.zeros(len(genes), dtype=bool)
            rho[places[found]] = table["rho"].to_numpy()[found]
            cells[places[found]] = (table["predictable"] == "no").to_numpy()[found]
            tissues.append(str(table["tissue"].iloc[0]))
            values.append(rho)
            pale.append(cells)
            lines.append(summary_line(table, fdr))
        size = np.max([np.where(np.isnan(rho), -1, np.abs(rho)) for rho in values], axis=0)
        strongest = np.sort(np.argsort(-size, kind="stable")[:MOST_COLUMNS])
        columns = [names.label_of(genes[i]) for i in strongest]
        shown, faded = (
            pd.DataFrame([row[strongest] for row in rows], tissues, columns).rename_axis(
                index="tissue", columns="label"
            )
            for rows in (values, pale)
        )
        order = shown.mean().sort_values(ascending=False, kind="stable").index
        return cls(shown[order], faded[order], lines)


def rho_rows(table: pd.DataFrame, trait: str, meaning: str) -> pd.DataFrame:
    """Return the rows of a table of associations, the surest first, with what the trait is."""
    said = {
        name: pd.Categorical.from_codes(np.zeros(len(table), dtype=np.int8), [text])
        for name, text in (("trait", trait), ("trait_is", meaning))
    }
    rows = table.assign(**said)[TRAIT_COLUMNS]
    return rows.sort_values("p", kind="stable").reset_index(drop=True)


def summary_line(table: pd.DataFrame, fdr: float) -> str:
    """Say of one tissue how many genes go with the trait, and the largest correlation."""
    tissue, origin = (str(table[name].iloc[0]) for name in ("tissue", "origin"))
    rho, n = table["rho"].to_numpy(), table["n"].iloc[0]
    counted = (table["predictable"] != "no").to_numpy() & ~np.isnan(rho)
    if not counted.any():
        return f"**{plain(tissue)}** ({origin}): no gene was tested."
    largest = int(np.where(counted, np.abs(rho), -1).argmax())
    return (
        f"**{plain(tissue)}** ({origin}, n = {n:.0f}):"
        f" {int((table['fdr'].to_numpy()[counted] <= fdr).sum())} of {counted.sum():,} genes at"
        f" FDR {fdr:g}; the largest correlation is {rho[largest]:.2f}, of"
        f" {plain(table['gene'].iloc[largest])}."
    )
