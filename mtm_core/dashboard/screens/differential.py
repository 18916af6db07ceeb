"""Comparisons of groups cut to what their screen shows, and what is chosen there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from mtm_core.dashboard.state.gene_names import GeneNames
from mtm_core.dashboard.state.resources import ServedModel
from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.widgets.cohort_view import choose_tissue
from mtm_core.dashboard.widgets.gene_choice import choose_gene
from mtm_core.dashboard.widgets.paged_table import MOST_WHOLE
from mtm_core.escaping import plain
from mtm_core.workflows.comparisons import (
    HIGHER,
    LOWER,
    UNPREDICTABLE,
    UNTESTED,
    OwnCohort,
    category_of_change,
)

RANK_SUM, LINEAR = "Rank-sum test, two groups", "Linear model"
COUNTS = "Measured counts (PyDESeq2)"
RANK_SUM_IGNORES_ERROR = (
    ":material/info: The rank-sum test ignores prediction error: in predicted tissues its p-values "
    "and FDR treat predictions as measurements, and a gene that is hardly predicted can come out as"
    f" sure as any other. To allow for prediction error, choose the test **{LINEAR}** and, there, "
    "*The tissue's expression*."
)
MOST_BESIDE = 7
"""Number of further tissues to compare, if each has many genes."""
FDRS = [0.001, 0.01, 0.05, 0.1, 0.25, 1.0]

TABLE_COLUMNS = [
    *("tissue", "gene", "log2_fold_change", "fdr", "p", "auc", "kind", "rho_by_fold"),
    *("rho_pooled", "predictable", "mean_case", "mean_control", "n_case", "n_control"),
    *("outcome", "origin", "scale", "gene_id"),
]


@dataclass(frozen=True)
class Thresholds:
    """What counts as changed, and what is named in the figure.

    Attributes
    ----------
    fold_change, fdr
        Least absolute log2 fold change, and greatest FDR.
    n_labels
        Genes to name.
    label, gene
        The gene that all screens share, and its id.
    """

    fold_change: float
    fdr: float
    n_labels: int
    label: str
    gene: str


def choose_test() -> str:
    """Let the user choose how groups are compared."""
    return str(
        st.segmented_control(
            "Test",
            [RANK_SUM, LINEAR, COUNTS],
            default=RANK_SUM,
            required=True,
            key="differential_test",
            persist_state="session",
            help="The rank-sum test assumes least and ignores prediction error. A linear model can"
            " include covariates, batches, repeated samples, numbers and interactions, and allows "
            "for prediction error. PyDESeq2 models the measured counts of your table.",
        )
    )


def choose_shown_tissues(
    cohort: OwnCohort, session: Session, model: ServedModel
) -> tuple[str, list[str]]:
    """Let the user choose a tissue, and others beside it; return it, and all of them."""
    tissue_column, beside_column = st.columns([1, 2])
    with tissue_column:
        tissue = choose_tissue(cohort.predicted_tissues)
    with beside_column:
        others = [other for other in cohort.tissues if other != tissue]
        beside = st.multiselect(
            "Beside it",
            others,
            default=[others[0]],
            key=f"beside_{session.source}",
            persist_state="session",
            max_selections=MOST_BESIDE if len(model.genes) > MOST_WHOLE else None,
            help=f"{plain(session.source)} is measured; all others are predicted.",
        )
    return tissue, [tissue, *(other for other in beside if other in others)]


def choose_thresholds(names: GeneNames, fdr_help: str, *, sized: bool = True) -> Thresholds:
    """Let the user choose what counts as changed, and what is named.

    Parameters
    ----------
    sized
        Whether changes are differences, which have a least size; else any size counts.
    """
    change_column, fdr_column, label_column, gene_column = st.columns(4)
    with change_column:
        fold_change = st.slider(
            "|log2 fold change| at least",
            0.0,
            2.0,
            0.1,
            0.05,
            key="fold_change",
            persist_state="session",
            disabled=not sized,
            help="Predictions shrink towards the mean, so that fold changes in predicted tissues"
            " are smaller than measured ones would be.",
        )
    with fdr_column:
        fdr = st.select_slider(
            "FDR at most", FDRS, 0.05, key="fdr", persist_state="session", help=fdr_help
        )
    with label_column:
        n_labels = st.slider(
            "Genes to label",
            0,
            30,
            8,
            key="n_labels",
            persist_state="session",
            help="In each tissue, the changed genes with the smallest FDR.",
        )
    with gene_column:
        label, gene = choose_gene(names, help="Ringed in the figure.")
    return Thresholds(fold_change if sized else 0.0, fdr, n_labels, label, gene)


def stacked(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put the tables of several tissues below each other.

    What is one text in all rows of a tissue becomes a category: of eight tissues of 19,291 genes
    texts are compared, cut and sorted for a tenth of a second.
    """
    sizes, columns = [len(part) for part in parts], dict[str, pd.Series]()
    for name in parts[0]:
        own = [part[name] for part in parts]
        if name in ("tissue", "origin", "scale"):
            words = [str(column.iloc[0]) for column in own]
            known = sorted(set(words))
            codes = np.repeat([known.index(word) for word in words], sizes)
            columns[name] = pd.Series(pd.Categorical.from_codes(codes, known))
        else:
            columns[name] = pd.concat(own, ignore_index=True)
    return pd.DataFrame(columns, copy=False)


def changes(table: pd.DataFrame, *, fold_change: float, fdr: float) -> pd.DataFrame:
    """Add to a table of :func:`with_accuracy` what changed."""
    changed = table.copy(deep=False)
    changed["kind"] = category_of_change(table, fold_change=fold_change, fdr=fdr)
    return changed


def by_number(table: pd.DataFrame, name: str, columns: Sequence[str]) -> pd.DataFrame:
    """Return some columns of a table, the smallest ``name`` first; NaN last, and ties as they are.

    A column at a time: a table is otherwise copied whole three times on the way.
    """
    order = np.argsort(table[name].to_numpy(), kind="stable")
    return pd.DataFrame({one: table[one].array.take(order) for one in columns}, copy=False)


def summary_in_words(
    table: pd.DataFrame, higher_is: str = "higher", lower_is: str = "lower in cases"
) -> list[str]:
    """Say of each tissue how many genes changed, how many are not predictable or not tested."""
    lines = []
    counted = table[["tissue", "origin", "kind", "outcome"]]
    for (tissue, origin), part in counted.groupby(["tissue", "origin"], sort=False, observed=True):
        n = part["kind"].value_counts()
        higher, lower = n.get(HIGHER, 0), n.get(LOWER, 0)
        line = (
            f"**{plain(tissue)}** ({origin}): {higher + lower:,} of {len(part):,} genes pass the"
            f" thresholds, {higher:,} {higher_is} and {lower:,} {lower_is}"
        )
        if n.get(UNPREDICTABLE):
            line += f"; {n[UNPREDICTABLE]:,} are not predictable and are not counted"
        if n.get(UNTESTED):
            untested = part.loc[part["kind"] == UNTESTED, "outcome"].mode().iloc[0]
            line += f"; {n[UNTESTED]:,} were not tested ({plain(untested)})"
        lines.append(line + ".")
    return lines
