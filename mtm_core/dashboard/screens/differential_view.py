"""Comparisons of groups cut to what their screen shows."""

from __future__ import annotations

import pandas as pd

from mtm_core.dashboard.widgets.gene_accuracy import GeneAccuracy
from mtm_core.escaping import plain
from mtm_core.studies.own_cohort import (
    HIGHER,
    LOWER,
    UNPREDICTABLE,
    UNTESTED,
    kind_of_change,
    with_accuracy,
)

TABLE_COLUMNS = [
    *("tissue", "gene", "log2_fold_change", "fdr", "p", "auc", "kind", "rho_by_fold"),
    *("rho_pooled", "predictable", "mean_case", "mean_control", "n_case", "n_control"),
    *("outcome", "origin", "scale", "gene_id"),
]


def changes(
    compared: pd.DataFrame, held_out: GeneAccuracy, *, fold_change: float, fdr: float
) -> pd.DataFrame:
    """Add to a comparison of groups the held-out accuracy, its words, and what changed."""
    table = with_accuracy(
        compared, held_out.of_tissues([str(name) for name in compared["tissue"].unique()])
    )
    return table.assign(
        kind=kind_of_change(table, fold_change=fold_change, fdr=fdr), accuracy=accuracy_words(table)
    )


def accuracy_words(table: pd.DataFrame) -> pd.Series:
    """Say the accuracy of each row of :func:`with_accuracy` in a few words."""
    words = "held-out rho " + table["rho_by_fold"].map("{:.2f}".format)
    words = words.mask(table["rho_by_fold"].isna(), "held-out rho undefined")
    return words.mask(
        table["predictable"].isin(["measured", "not evaluated"]), table["predictable"]
    )


def summary_in_words(table: pd.DataFrame) -> list[str]:
    """Say of each tissue how many genes changed."""
    lines = []
    for (tissue, origin), part in table.groupby(["tissue", "origin"], sort=False, observed=True):
        n = part["kind"].value_counts()
        higher, lower = n.get(HIGHER, 0), n.get(LOWER, 0)
        line = (
            f"**{plain(tissue)}** ({origin}): {higher + lower:,} of {len(part):,} genes pass the"
            " thresholds,"
            f" {higher:,} higher and {lower:,} lower in cases"
        )
        if n.get(UNPREDICTABLE):
            line += f"; {n[UNPREDICTABLE]:,} are not predictable and not counted"
        if n.get(UNTESTED):
            untested = part.loc[part["kind"] == UNTESTED, "outcome"].mode().iloc[0]
            line += f"; {n[UNTESTED]:,} were not tested ({plain(untested)})"
        lines.append(line + ".")
    return lines
