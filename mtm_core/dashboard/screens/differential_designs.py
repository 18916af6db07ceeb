"""Linear models on the screen Differential expression: design, volcano, table, words."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from mtm_core.dashboard.screens.differential import (
    COUNTS,
    Thresholds,
    by_number,
    changes,
    choose_shown_tissues,
    choose_thresholds,
    summary_in_words,
)
from mtm_core.dashboard.screens.differential_volcano import rerun_for_another_gene, show_volcano
from mtm_core.dashboard.state.background import remember
from mtm_core.dashboard.state.gene_names import GeneNames
from mtm_core.dashboard.state.page_end import end_page
from mtm_core.dashboard.state.resources import ServedModel
from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.widgets.cohort_genes import selected_rows, show_gene_rows
from mtm_core.dashboard.widgets.cohort_view import (
    compared_people,
    comparison_commands,
    show_comparison,
)
from mtm_core.dashboard.widgets.design_choice import DesignChoice, choose_design
from mtm_core.dashboard.widgets.gene_accuracy import GeneAccuracy
from mtm_core.dashboard.widgets.group_choice import offer_shuffle
from mtm_core.dashboard.widgets.layout import download_table, show_figure
from mtm_core.dashboard.widgets.p_column import p_column
from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.escaping import plain, plain_message
from mtm_core.figures.samples.group_strips import group_strips
from mtm_core.figures.samples.number_scatter import MOST_PANELS, number_scatter
from mtm_core.figures.shared.thinning import drawn_in_words
from mtm_core.reporting.design_record import DesignRecord
from mtm_core.reporting.design_text import describe_test
from mtm_core.workflows.compare_designs import design_settings
from mtm_core.workflows.comparisons import (
    HIGHER,
    LOWER,
    MIXED,
    UNTESTED,
    OwnCohort,
    compare_by_design,
    groups_of,
    model_genes,
    traits_of,
    with_accuracy,
)

_OF_PREDICTION, _OF_TISSUE = ("fdr", "p"), ("fdr_tissue", "p_tissue")
_ASKED = (*_OF_PREDICTION, "standard_error")


def show_linear_models(
    session: Session,
    model: ServedModel,
    metadata: SampleMetadata,
    cohort: OwnCohort,
    names: GeneNames,
) -> None:
    """Show the widgets of a design, and what is found by it."""
    compared = list(dict.fromkeys([*groups_of(metadata), *traits_of(metadata)]))
    every = [column.name for column in metadata.columns]
    choice = choose_design(metadata, compared, every, offer_shuffle())
    _, shown = choose_shown_tissues(cohort, session, model)
    thresholds = choose_thresholds(
        names,
        "Moderated test; FDR after Benjamini and Hochberg over the genes of a tissue.",
        sized=choice.is_difference,
    )
    fold_change, fdr = thresholds.fold_change, thresholds.fdr
    label, gene = thresholds.label, thresholds.gene
    key = ("design", *choice.key, compared_people(session), tuple(shown))
    compared_by = remember(
        session,
        key,
        lambda tell: compare_by_design(cohort.cut(shown), choice.design, on_progress=tell),
        slot="groups",
        words="Fitting linear models",
    )
    table = session.remember(
        ("design changes", *key, choice.with_error, fold_change, fdr),
        lambda: _changes_asked(compared_by, choice, session, model, fold_change, fdr),
    )
    tested = table[table["kind"] != UNTESTED]
    if tested.empty:
        st.warning(
            "No gene was tested: "
            + (
                "this model has no intervals, so the tissue's expression cannot be tested. Test "
                "the predicted expression instead."
                if choice.with_error and (table["outcome"] == "tested").any()
                else plain(table["outcome"].iloc[0])
            ),
            icon=":material/warning:",
        )
        end_page()
    written = table.assign(**{name: compared_by[name] for name in _ASKED})
    _show_volcano_and_rows(session, model, cohort, names, choice, table, written, key, thresholds)
    _show_samples(cohort.cut(shown), choice, table, label, gene, session)
    _show_gene_model(cohort.cut(shown), choice, label, gene, session, key)
    methods = describe_test(choice.design, with_error=choice.with_error)
    session.design = DesignRecord(
        {
            **{k: v for k, v in design_settings(choice.design).items() if k != "dropped"},
            "n_left_out": len(choice.design.dropped),
            "metadata": {
                "file": metadata.file,
                "sha256": metadata.sha256,
                "columns": [str(name) for name in choice.design.values],
            },
            "question": "tissue" if choice.with_error else "prediction",
            "shuffled_with_seed": choice.seed,
        },
        methods,
        tuple(map(tuple, comparison_commands(session, model, choice.comparison))),
    )
    with st.expander("Methods text for a paper"):
        st.markdown(plain_message(methods))
        st.caption("The bundle (*Report and downloads*) includes this model and its command.")
    with st.expander("The same from the command line"):
        show_comparison(session, model, choice.comparison)
        st.caption(
            f"If your table holds counts, `--counts` tests them as well; here, the test {COUNTS}."
        )


def _changes_asked(
    compared: pd.DataFrame,
    choice: DesignChoice,
    session: Session,
    model: ServedModel,
    fold_change: float,
    fdr: float,
) -> pd.DataFrame:
    """Take p, FDR and standard error of the question asked, and what changed by these."""
    own = compared
    if choice.with_error:
        own = own.assign(**{name: own[f"{name}_tissue"] for name in _ASKED})
    held_out = GeneAccuracy.of(model, session.sources)
    known = held_out.of_tissues([str(name) for name in own["tissue"].unique()])
    return changes(with_accuracy(own, known), fold_change=fold_change, fdr=fdr)


def columns_of(*, with_error: bool) -> list[str]:
    """List the columns of the table of genes, those of the question asked first."""
    asked = (_OF_TISSUE, _OF_PREDICTION) if with_error else (_OF_PREDICTION, _OF_TISSUE)
    return [
        *("tissue", "gene", "log2_fold_change", *asked[0], "kind", "rho_by_fold", "rho_pooled"),
        *("predictable", *asked[1], "standard_error", "standard_error_tissue", "statistic", "df"),
        *("n", "within_block", "outcome", "origin", "scale", "contrast", "gene_id"),
    ]


def _show_volcano_and_rows(
    session: Session,
    model: ServedModel,
    cohort: OwnCohort,
    names: GeneNames,
    choice: DesignChoice,
    table: pd.DataFrame,
    written: pd.DataFrame,
    key: tuple[object, ...],
    thresholds: Thresholds,
) -> None:
    """Show both; ``table`` has the question asked in p and FDR, ``written`` what is downloaded."""
    tested = table[table["kind"] != UNTESTED]
    kinds = choice.kinds
    prefix = f"{session.file_stem}{'shuffled_' if choice.seed is not None else ''}"
    question = "the tissue, allowing for prediction error" if choice.with_error else "predictions"

    @st.fragment
    def figure_and_rows() -> None:
        rerun_for_another_gene(thresholds)
        show_volcano(
            session,
            tested,
            names,
            thresholds,
            chart="design_volcano",
            store="design_genes",
            key=("design volcano", *key, choice.with_error, thresholds.fold_change, thresholds.fdr),
            name=f"{prefix}volcano_{choice.contrast.name}",
            caption=f"{choice.contrast.meaning}, of {question}: linear model"
            f" {choice.design.formula}, n = {len(choice.design.samples)},"
            f" {model.predictor.artefact.name}. Effect"
            f" {choice.contrast.unit or 'in log2 expression'}, moderated tests. Measured"
            f" {session.source}: {cohort.measured.meaning} Each panel has its own scales.",
            kinds=kinds,
            data=written.loc[tested.index],
        )
        for line in summary_in_words(table, kinds.get(HIGHER, HIGHER), kinds.get(LOWER, LOWER)):
            st.markdown(f"- {line}")
        st.header("Genes")
        rows = selected_rows(
            written,
            "design_genes",
            clear="clear_design_points",
            every="All genes. Select a row to circle its gene in the figure.",
        )
        by = "fdr_tissue" if choice.with_error else "fdr"
        rows = by_number(rows, by, columns_of(with_error=choice.with_error))
        if kinds:
            rows["kind"] = rows["kind"].cat.rename_categories(kinds)
        listed = "FDR (tissue)" if choice.with_error else "FDR"
        rows = show_gene_rows(rows, names, key="design_rows", height=380, listed=listed)
        st.caption(
            "*p* and *FDR* test whether the predictions differ; *p (tissue)* and *FDR (tissue)* "
            "whether the tissue differs, allowing for prediction error. In the measured tissue "
            "they are the same."
        )
        download_table(rows, key="design_rows", name=f"{prefix}linear_models", label="These rows")

    figure_and_rows()


def _show_against_number(
    cohort: OwnCohort,
    choice: DesignChoice,
    table: pd.DataFrame,
    label: str,
    gene: str,
    session: Session,
) -> None:
    """Show one gene against the number whose slope is tested; nothing for groups together."""
    term = choice.contrast.text.term
    if len(term) > 1 or term[0] in choice.design.levels:
        return
    st.header(f"{plain(label)} in every sample")
    column = term[0].column
    values = cohort.gene(gene).dropna(axis=1, how="all").reindex(choice.design.samples)
    number = choice.design.values[column].reindex(values.index)
    own = table[table["gene_id"] == gene]
    slopes = dict(zip(own["tissue"].astype(str), own["log2_fold_change"], strict=True))
    show_figure(
        number_scatter(values, number, slopes, name=column, scale="log2 expression"),
        key="design_scatter",
        name=f"{session.file_stem}scatter_{label}",
        caption=f"{label} against {column}: each point is a sample. The line has the slope of the"
        f" model ({choice.design.formula}), adjusted for its other columns, and passes through the"
        f" means. Predicted tissues: log2(1 + {cohort.unit}). {session.source},"
        f" measured: {cohort.measured.meaning}"
        + (
            f" The first {MOST_PANELS} of {values.shape[1]} tissues are drawn."
            if values.shape[1] > MOST_PANELS
            else ""
        ),
        data=values.assign(**{f"{column} (metadata)": number}),
    )


def _show_samples(
    cohort: OwnCohort,
    choice: DesignChoice,
    table: pd.DataFrame,
    label: str,
    gene: str,
    session: Session,
) -> None:
    """Show one gene in the samples: of the two groups, or against the number, that is compared."""
    groups = choice.contrast.text.groups
    if groups is None:
        _show_against_number(cohort, choice, table, label, gene, session)
        return
    st.header(f"{plain(label)} in every sample")
    values = cohort.gene(gene).dropna(axis=1, how="all")
    labels = choice.design.values[choice.contrast.columns[0]].reindex(values.index)
    show_figure(
        group_strips(values, labels, case=groups[0], control=groups[1], scale="log2 expression"),
        key="design_strips",
        name=f"{session.file_stem}strips_{label}",
        caption=f"{label}: each point is a sample; the bar is the mean of its group, without "
        f"adjustment. Predicted tissues: log2(1 + {cohort.unit}). {session.source},"
        f" measured: {cohort.measured.meaning}"
        + drawn_in_words(int(labels.isin(groups).sum()), values.shape[1]),
        data=values.assign(group=labels),
    )


def _show_gene_model(
    cohort: OwnCohort,
    choice: DesignChoice,
    label: str,
    gene: str,
    session: Session,
    key: tuple[object, ...],
) -> None:
    """Show all coefficients of one gene, from a model of its own, if asked."""
    asked = st.toggle(
        f"All coefficients of {plain(label)}",
        key="design_gene_model",
        persist_state="session",
        help="Fits the design to this gene alone, by statsmodels: with its own variance and, where "
        "samples are repeated or paired, its own correlation.",
    )
    if not asked:
        return
    table = session.remember(
        ("gene model", *key, gene), lambda: model_genes(cohort, choice.design, [gene])
    )
    st.dataframe(
        table.drop(columns=["gene_id", "gene", "origin"]),
        hide_index=True,
        column_config={
            name: st.column_config.NumberColumn(format=form)
            for name, form in (
                *((name, "%.3f") for name in ("estimate", "standard_error", "lower", "upper")),
                *((name, "%.2f") for name in ("statistic", "within_block")),
            )
        }
        | {"df": p_column("df", digits=4), "p": p_column("p", digits=3)},
    )
    mixed = (table["model"] == MIXED).any()
    st.caption(
        f"{plain(label)} alone, in log2 expression: "
        + (
            "a mixed model with a random intercept, by restricted maximum likelihood; z tests"
            if mixed
            else "ordinary least squares; t tests"
        )
        + ", 95 % confidence intervals, nothing moderated. Predicted tissues: of the predictions, "
        "without their error. On the command line: `--gene`."
    )
    download_table(
        table, key="design_gene_model", name=f"{session.file_stem}model_{label}", label="This table"
    )
