"""Methods compared: what each part of the screen shows."""

from __future__ import annotations

from typing import Literal

import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from mtm_core.dashboard.state.page_end import end_page
from mtm_core.dashboard.widgets.evaluated import Evaluated, best_first, in_order, rank_in_words
from mtm_core.dashboard.widgets.layout import download_table, show_figure
from mtm_core.dashboard.widgets.p_column import p_column
from mtm_core.escaping import plain, plain_message
from mtm_core.evaluation.comparison import size_correlation
from mtm_core.evaluation.overlaps import predictable_by_tissue, set_sizes, shared_sets
from mtm_core.evaluation.predictability import RHO_FIGURES
from mtm_core.evaluation.standings import standings, standings_by_tissue, strata_of_methods
from mtm_core.figures.accuracy.method_accuracy import accuracy_by_method, wins_and_losses
from mtm_core.figures.accuracy.predictable_genes import (
    fold_change_over_size,
    predictable_scatter,
    upset,
)
from mtm_core.figures.accuracy.tissue_accuracy import tissue_accuracy

ALL_TISSUES = "All tissues"
RhoKind = Literal["gene", "sample"]
KINDS: dict[RhoKind, str] = {"gene": "gene-wise", "sample": "sample-wise"}
_MOST_SETS, _MOST_COMBINATIONS, _FIRST_SETS = 6, 24, 4
_COLUMNS = {
    "gene_rho_by_fold_mean": "rho, by fold",
    "gene_rho_by_fold_low": "95 % from",
    "gene_rho_by_fold_high": "95 % to",
    "gene_adjusted_rho_by_fold_mean": "adjusted rho, by fold",
    "gene_rho_pooled_mean": "rho, pooled",
    "sample_rho_mean": "sample-wise rho",
    "n_predictable_mean": "predictable genes",
    "n_predictable_fdr_mean": "with FDR ≤ 5 %",
    "mse_ratio_mean": "squared error / mean's",
    "coverage_90": "inside 90 % interval",
}
"""Figures of a summary that are shown, where they were made."""


def show_accuracy(evaluated: Evaluated, first: str, other: str, figure_of_merit: str) -> None:
    """Show one figure of merit of every method, two of them against each other, and in tissues."""
    tables, methods = evaluated.tables, evaluated.methods
    st.header("Accuracy over tissues")
    title = RHO_FIGURES[figure_of_merit]
    ranked = in_order(tables.tissues, best_first(tables.tissues, figure_of_merit))
    interval = tables.intervals if figure_of_merit == "gene_rho_by_fold" else None
    has_interval = interval is not None and not interval.empty
    drawn = ranked[["method", "tissue", "n", figure_of_merit]]
    adjusted = (
        f" Adjusted: {evaluated.adjusted_for} are regressed out of both sides."
        if "adjusted" in figure_of_merit
        else ""
    )
    show_figure(
        accuracy_by_method(
            ranked,
            figure_of_merit,
            title=title,
            first=first,
            interval=interval if has_interval else None,
        ),
        key="accuracy_by_method",
        name=f"methods_{figure_of_merit}",
        caption=f"{title} of each method, best first. Each point is a tissue; the box holds half "
        f"of the tissues. The diamond is the mean over tissues"
        + (", its line the 95 % interval from a donor bootstrap." if has_interval else ".")
        + f"{adjusted} 0 is chance, 1 is perfect.",
        data=drawn.join(interval, on="method") if has_interval else drawn,
        index=False,
    )
    st.subheader(f"{plain(first)} against {plain(other)}")
    st.markdown(
        "\n".join(f"- {plain_message(sentence)}" for sentence in evaluated.compared(first, other))
    )
    st.subheader("Means over tissues")
    summary = tables.summary().loc[methods]
    summary = summary[[name for name in _COLUMNS if name in summary]].reset_index()
    st.dataframe(
        summary,
        hide_index=True,
        key="method_means",
        column_config=_numbers(_COLUMNS),
        height="content",
    )
    download_table(summary, key="method_means", label="These rows")
    st.header("In each tissue")
    pair = in_order(tables.tissues, [first, other])
    show_figure(
        tissue_accuracy(pair, first, figure_of_merit, title=title),
        key="accuracy_by_tissue",
        name=f"{first}_and_{other}_{figure_of_merit}",
        caption=f"{title} in each tissue, one mark per method. Tissues are ordered by {first}.",
        data=pair[["method", "tissue", "n", figure_of_merit, "n_predictable"]],
        index=False,
    )


def show_numbers(evaluated: Evaluated, first: str, other: str) -> None:
    """Show how many predictable genes two methods have in each tissue."""
    tables = evaluated.tables
    counts = predictable_by_tissue(tables.tissues, first, other)
    number_part, change_part = st.columns(2)
    with number_part:
        st.header("Predictable genes by tissue")
        show_figure(
            predictable_scatter(counts, first, other, evaluated.colours, evaluated.abbreviations),
            key="predictable_scatter",
            name=f"predictable_genes_{first}_{other}",
            caption=f"Predictable genes (pooled rho above 0.3) of {len(evaluated.genes):,} in "
            f"each tissue. Above the dashed line {first} predicts more genes than {other}.",
            data=counts,
        )
    with change_part:
        st.header("Fold change and sample size")
        size = size_correlation(counts["fold_change"], counts["n"])
        absent = [str(name) for name in counts.index[~(counts["fold_change"] > 0)]]
        show_figure(
            fold_change_over_size(counts, first, other, evaluated.colours, evaluated.abbreviations),
            key="fold_change_over_size",
            name=f"fold_change_{first}_{other}",
            caption=f"Predictable genes of {first} divided by those of {other}, against the "
            f"number of donors of the tissue: {rank_in_words(size)}. A negative rho means that "
            f"{first} gains most where there are few donors. Ratios of small counts vary widely."
            + (
                f" Not drawn, because one of the two has no predictable gene: {', '.join(absent)}."
                if absent
                else ""
            ),
            data=counts,
        )


def show_shared(evaluated: Evaluated, where: str) -> None:
    """Show which predictable genes methods share, in one tissue or in ``ALL_TISSUES``."""
    tables, methods = evaluated.tables, evaluated.methods
    st.header("Predictable genes that methods share")
    chosen = st.multiselect(
        f"2 to {_MOST_SETS} methods",
        methods,
        default=methods[:_FIRST_SETS],
        max_selections=_MOST_SETS,
        key="set_methods",
        help="Counts the genes that each method predicts, alone and together with others.",
        persist_state="session",
    )
    if len(chosen) < 2:
        st.info("Choose two methods or more.", icon=":material/arrow_upward:")
        end_page()
    sets = shared_sets(tables.gene_rows, chosen, None if where == ALL_TISSUES else where)
    if sets.empty:
        st.info(f"{plain(where)}: none of these methods has a predictable gene.")
        end_page()
    hidden = sets.iloc[_MOST_COMBINATIONS:]
    show_figure(
        upset(sets.head(_MOST_COMBINATIONS), set_sizes(sets)),
        key="shared_genes",
        name=f"shared_genes_{where}",
        caption=f"{where}: predictable genes (pooled rho above 0.3) of {', '.join(chosen)}. Each "
        f"bar counts the genes predicted by exactly the methods with a filled dot below it; the "
        f"bars at the left count all genes of each method."
        + (
            " A gene is counted once for each tissue where it is predictable."
            if where == ALL_TISSUES
            else ""
        )
        + (
            f" {len(hidden)} smaller combinations with {hidden['n'].sum():,} genes are not drawn."
            if len(hidden)
            else ""
        ),
        data=sets,
        index=False,
    )


def show_wins(evaluated: Evaluated, first: str, other: str, kind: RhoKind) -> None:
    """Show in how many tissues a method is above and below each other one."""
    tables = evaluated.tables
    st.header("Wins and losses over tissues")
    seen = standings(tables.comparisons, first)
    if seen.empty:
        st.info(
            "This evaluation has no comparison of methods. Run `mtm evaluate` again with several "
            "methods.",
            icon=":material/help:",
        )
        end_page()
    show_figure(
        wins_and_losses(seen, kind, first=first),
        key="wins",
        name=f"wins_{first}_{kind}",
        caption=f"Number of tissues in which the {KINDS[kind]} rho of {first} is above (right) "
        f"or below (left) that of each other method, by Wilcoxon's rank-sum test in each tissue; "
        f"dark where the FDR over tissues is at most 5 %. The test takes the"
        f" {'genes' if kind == 'gene' else 'donors'} of a tissue as independent, which they are "
        f"not; the donor bootstrap (Accuracy) is the safer test overall.",
        data=seen[[name for name in seen if name.startswith(kind)]],
    )
    st.subheader(f"{plain(first)} against {plain(other)}, tissue by tissue")
    rows = standings_by_tissue(tables.comparisons_by_tissue, first)
    if not rows.empty:
        rows = rows[rows["other"] == other]
        rows = rows[["tissue", "n", *(c for c in rows if c.startswith(kind))]]
        st.dataframe(
            rows,
            hide_index=True,
            key="by_tissue",
            height=420,
            column_config=_numbers(
                {
                    f"{kind}_difference": "difference of means",
                    f"{kind}_superiority": f"chance that {first} is higher",
                }
            )
            | {f"{kind}_p": p_column("p"), f"{kind}_fdr": p_column("FDR")},
        )
        st.caption(
            f"Difference of the mean {KINDS[kind]} rho of {plain(first)} and {plain(other)};"
            " how often a"
            f" {'gene' if kind == 'gene' else 'donor'} of the first has a higher rho than one of"
            " the second, 50 % if both are equal; two-sided p, and FDR over tissues."
        )
        download_table(
            rows, key="by_tissue", name=f"{first}_{other}_{kind}_by_tissue", label="These rows"
        )


def show_strata(evaluated: Evaluated) -> None:
    """Show one figure of each method within groups of donors."""
    tables, methods = evaluated.tables, evaluated.methods
    st.header("Within groups of donors")
    if tables.strata.empty:
        st.info(
            "This evaluation has no scores within groups of donors. Run `mtm evaluate` again to "
            "add them.",
            icon=":material/help:",
        )
        end_page()
    figure_of_merit = st.selectbox(
        "Figure",
        [name for name in _COLUMNS if name in tables.strata],
        format_func=_COLUMNS.__getitem__,
        key="figure_in_groups",
        help="The figure of merit shown for each group of donors.",
        persist_state="session",
        width=320,
    )
    groups = strata_of_methods(tables.strata, figure_of_merit).loc[methods]
    if figure_of_merit in (summary := tables.summary()):
        groups.insert(0, "all donors", summary[figure_of_merit])
    st.dataframe(
        groups,
        key="strata",
        height="content",
        column_config=_numbers({name: name for name in groups}),
    )
    sizes = tables.strata.drop_duplicates("stratum")
    st.caption(
        f"{_COLUMNS[figure_of_merit]}, mean over tissues, within each group of donors. Shows "
        f"what accuracy remains among donors who died in the same way. Compare methods, not "
        f"groups: groups differ in tissues and size ("
        + "; ".join(
            f"{plain(row['stratum'])}: {row['n_tissues']} tissues, {row['n_samples']:,} samples"
            for row in sizes.to_dict("records")
        )
        + "). With donors shuffled within a tissue, every rho must be about 0; otherwise "
        "information leaks."
    )
    download_table(
        groups, key="strata", name=f"groups_{figure_of_merit}", label="These rows", index=True
    )


def _numbers(names: dict[str, str]) -> dict[str, ColumnConfig | str | None]:
    """Head each column with its name."""
    return {
        column: st.column_config.NumberColumn(name, format="%.3f") for column, name in names.items()
    }
