"""Studies of associations that predictions preserve, cut to what their screen shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mtm_core.dashboard.widgets.association_words import contrast_in_words, regressed_out
from mtm_core.data.gtex.dbgap import medical_history
from mtm_core.escaping import in_figure, plain
from mtm_core.figures.associations.preserved_changes import BOTH, MEASURED, NEITHER, PREDICTED
from mtm_core.grouped_table import GroupedTable, as_grouped
from mtm_core.statistics.outcome import TESTED
from mtm_core.workflows.comparisons import ReferenceAssociations
from mtm_core.workflows.study_predictions import FDR, GENE_KEYS, INFORMATIVE_AUROC

STARS = (0.05, 1e-10, 1e-100)
"""Levels of one, two and three stars (paper, Figure 3b)."""
PROFILES = {
    "observed": "measured tissue",
    "predicted": "predicted tissue",
    "source": "measured {source}",
    "covariates": "covariates only",
}
"""Kinds of data that classify two groups, in the order to draw."""
SUMMARY = {
    "trait": "trait",
    "adjusted_for": "adjusted",
    "n_tissues": "tissues tested",
    "median_rho": "median rho",
    "median_shuffled": "median rho, shuffled",
    "n_preserved": "rho > 0.3, p < 0.05",
    "n_beyond_shuffled": "beyond shuffled (5 %)",
    "median_genes": "median genes",
    "n_with_degs": "with changed genes",
    "n_preserved_changes": "preserved changes",
    "n_with_up": "with genes up",
    "n_up_overlap": "genes up found again",
    "median_up_f1": "median F1, up",
    "n_with_down": "with genes down",
    "n_down_overlap": "genes down found again",
    "median_down_f1": "median F1, down",
}
"""Names of the columns of both summaries."""


def trait_in_words(trait: str, associations: ReferenceAssociations | None) -> str:
    """Say what two groups a trait compares, where it does and the model's reference tells."""
    known = associations.traits.get(trait) if associations is not None else None
    if known is None or known["kind"] != "two groups":
        return trait
    return f"{trait}: {contrast_in_words(trait, known)}"


def adjusted_words(adjusted_for: str) -> str:
    """Say what is regressed out: ``"age+hardy"`` as "adjusted for age, Hardy scale"."""
    names = regressed_out(adjusted_for)
    return f"adjusted for {', '.join(names)}" if names else "not adjusted"


def diseases_among(traits: Sequence[str]) -> tuple[str, ...]:
    """Name those of ``traits`` that are items of the donors' medical history."""
    return medical_history(pd.DataFrame(columns=list(traits), dtype=bool))


def adjustments_of(table: pd.DataFrame, trait: str) -> list[str]:
    """Name the adjustments of ``trait``, raw first."""
    return [str(name) for name in table.loc[table["trait"] == trait, "adjusted_for"].unique()]


def genes_of_tissue(
    genes: pd.DataFrame | GroupedTable,
    trait: str,
    tissue: str,
    adjustments: Sequence[str],
    labels: Mapping[str, str],
    *,
    value: str,
) -> pd.DataFrame:
    """Return the tested genes of a trait and tissue, as the scatter draws them.

    Parameters
    ----------
    genes
        Table of a study: one row a (``trait``, ``adjusted_for``, ``tissue``, ``gene_id``).
    labels
        Name of each gene id.
    value
        Quantity that is compared: ``"effect"`` or ``"rho"``.
    """
    where = {"trait": trait, "tissue": tissue, "adjusted_for": list(adjustments)}
    rows = as_grouped(genes, GENE_KEYS).read(where)
    rows = rows[(rows["outcome_observed"] == TESTED) & (rows["outcome_predicted"] == TESTED)]
    measured, predicted = (rows[f"fdr_{side}"] <= FDR for side in ("observed", "predicted"))
    significant = np.select(
        [measured & predicted, measured, predicted], [BOTH, MEASURED, PREDICTED], NEITHER
    )
    return pd.DataFrame(
        {
            "panel": rows["adjusted_for"].astype(str),
            "gene": rows["gene_id"].map(labels).fillna(rows["gene_id"]),
            "gene_id": rows["gene_id"].astype(str),
            "observed": rows[f"{value}_observed"],
            "p_observed": rows["p_observed"],
            "fdr_observed": rows["fdr_observed"],
            "predicted": rows[f"{value}_predicted"],
            "p_predicted": rows["p_predicted"],
            "fdr_predicted": rows["fdr_predicted"],
            "significant": significant,
        }
    ).reset_index(drop=True)


def tissue_rows(table: pd.DataFrame, trait: str, adjustments: Sequence[str]) -> pd.DataFrame:
    """Return the tested tissues of a trait, the highest raw agreement first, panel by panel.

    With ``panel`` (the adjustment) and ``people``, how many were compared, in words.
    """
    tested = table[(table["trait"] == trait) & (table["outcome"] == TESTED)]
    parts = [tested[tested["adjusted_for"] == name] for name in adjustments]
    if not parts:
        return tested.assign(panel="", people="")
    order = parts[0].sort_values("rho", ascending=False, kind="stable")["tissue"].tolist()
    rank = {tissue: i for i, tissue in enumerate(order)}
    rows = pd.concat(
        [part.sort_values("tissue", key=lambda name: name.map(rank)) for part in parts]
    )
    return rows.assign(
        panel=rows["adjusted_for"], people=[_people(row) for _, row in rows.iterrows()]
    )


def panel_titles(rows: pd.DataFrame, adjustments: Sequence[str]) -> dict[str, str]:
    """Return the heading of each adjustment's panel: what it adjusts for, rho, and rho by chance.

    ``rows`` are those of one trait and tissue.
    """
    own = rows.set_index("adjusted_for")
    return {
        name: f"<b>{in_figure(adjusted_words(name))}</b><br>"
        + (
            f"rho {own.loc[name, 'rho']:.2f}, shuffled {own.loc[name, 'shuffled']:.2f}"
            if own.loc[name, "outcome"] == TESTED
            else in_figure(own.loc[name, "outcome"])
        )
        for name in adjustments
    }


def tissue_in_words(row: pd.Series) -> str:
    """Say how far predicted and measured agree in one tissue, and what chance gives."""
    text = (
        f"**{plain(adjusted_words(row['adjusted_for']))}**: rho {row['rho']:.2f}"
        f" ({row['rho_low']:.2f} to {row['rho_high']:.2f}) over {row['n_genes']} predictable genes,"
        f" {_people(row)}."
        f" With the labels shuffled the median rho is {row['shuffled']:.2f}"
        f" (p = {row['shuffle_p']:.3f})."
    )
    if pd.notna(row.get("sign_consistency")):
        text += f" Same sign: {row['sign_consistency']:.0%} of the genes"
        if pd.notna(row.get("deg_sign_consistency")):
            text += (
                f", {row['deg_sign_consistency']:.0%} of those changed in measured tissue"
                f" ({row['n_up_observed']:.0f} up, {row['n_down_observed']:.0f} down)"
            )
        text += "."
    return text


def overlap_cells(
    pairs: pd.DataFrame, minimum: int
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return the grid of F1 scores: scores, stars and notes (tissues, contrasts), and all rows.

    Only where at least ``minimum`` measured genes changed that way; a tissue or contrast without
    any is left out. Where no gene is predicted to change, F1 is 0.
    """
    tested = pairs[pairs["outcome"] == TESTED]
    parts = []
    for way, arrow in (("up", "↑"), ("down", "↓")):
        n = tested[[f"n_{way}_observed", f"n_{way}_predicted", f"n_{way}_shared"]]
        parts.append(
            pd.DataFrame(
                {
                    "trait": tested["trait"],
                    "adjusted_for": tested["adjusted_for"],
                    "way": way,
                    "tissue": tested["tissue"],
                    "column": [
                        f"{trait}, {adjusted_words(name)} {arrow}" if name else f"{trait} {arrow}"
                        for trait, name in zip(tested["trait"], tested["adjusted_for"], strict=True)
                    ],
                    "f1": tested[f"{way}_f1"].fillna(0.0),
                    "p": tested[f"{way}_p"],
                    "n_observed": n.iloc[:, 0],
                    "n_predicted": n.iloc[:, 1],
                    "n_shared": n.iloc[:, 2],
                }
            )
        )
    rows = pd.concat(parts, ignore_index=True)
    rows = rows[rows["n_observed"] >= minimum]
    rows = rows.assign(
        stars=["*" * sum(p < level for level in STARS) for p in rows["p"]],
        note=[
            f"{observed:.0f} measured, {predicted:.0f} predicted, {shared:.0f} shared; p = {p:.2g}"
            for observed, predicted, shared, p in zip(
                rows["n_observed"], rows["n_predicted"], rows["n_shared"], rows["p"], strict=True
            )
        ],
    ).sort_values(["trait", "adjusted_for", "way"], ascending=[True, True, False], kind="stable")
    columns = list(dict.fromkeys(rows["column"]))
    f1, stars, notes = (
        rows.pivot(index="tissue", columns="column", values=value).reindex(columns=columns)
        for value in ("f1", "stars", "note")
    )
    data = rows.drop(columns=["column", "note"]).reset_index(drop=True)
    return f1, stars.fillna(""), notes.fillna(""), data


def areas_of(status: pd.DataFrame, trait: str) -> pd.DataFrame:
    """Return the tested areas under the ROC curve of a trait, the best measured tissue first."""
    tested = status[(status["trait"] == trait) & (status["outcome"] == TESTED)]
    measured = tested[tested["profile"] == "observed"].sort_values("auroc", ascending=False)
    rank = {tissue: i for i, tissue in enumerate(measured["tissue"])}
    ranked = tested[tested["tissue"].isin(rank)]
    return ranked.sort_values("tissue", key=lambda name: name.map(rank), kind="stable")


def curves_of(curves: pd.DataFrame, trait: str, tissue: str) -> pd.DataFrame:
    """Return the ROC curves of one trait in one tissue; none where the study stored none."""
    if curves.empty:
        return curves
    return curves[(curves["trait"] == trait) & (curves["tissue"] == tissue)]


def areas_in_words(row: pd.Series, source: str) -> str:
    """Compare the mean areas over the tissues that tell more than the source."""
    text = (
        f"Measured tissue separates the groups better than {source}, with an area under the "
        f"curve of at least {INFORMATIVE_AUROC:g}, in {row['n_informative']:.0f} of "
        f"{row['n_tissues']:.0f} tissues."
    )
    if not row["n_informative"]:
        return text
    means = ", ".join(
        f"{words.format(source=source)} {row[name]:.2f}" for name, words in PROFILES.items()
    )
    text += f" Mean areas over these tissues: {means}."
    if pd.isna(row["p"]):
        return f"{text} These are too few tissues to test predicted tissue against {source}."
    better = "higher" if row["predicted"] > row["source"] else "lower"
    return (
        f"{text} Predicted tissue is {better} than {source} (Wilcoxon's paired test, p ="
        f" {row['p']:.2g}): it is computed from that donor's {source}, and cannot contain more "
        f"information."
    )


def summary_rows(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the summary of a study with its columns in words."""
    table = summary.reset_index()
    table["adjusted_for"] = [adjusted_words(str(name)) for name in table["adjusted_for"]]
    return table.rename(columns=SUMMARY)


def settings_in_words(settings: Mapping[str, Any]) -> str:
    """Say in a line how a study was made."""
    simulated = "**a simulated cohort** · " if settings.get("simulated") else ""
    return (
        f"{simulated}method {plain(settings.get('method', '?'))} · from"
        f" {plain(settings.get('source', '?'))} ·"
        f" {settings.get('n_pairs', 0):,} samples of donors not seen in training · genes"
        f" {plain(settings.get('genes', '?'))} · {settings.get('shuffles', '?')} shuffles"
    )


def _people(row: pd.Series) -> str:
    if "n_case" in row:
        return f"{row['n_case']} cases, {row['n_control']} controls"
    return f"{row['n']} donors"
