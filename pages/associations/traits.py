"""Traits: which genes are correlated with age, sex, or any other variable of the samples."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, cast

import pandas as pd
import streamlit as st

from mtm_core.dashboard.screens.traits import TraitOverview, rho_rows
from mtm_core.dashboard.screens.traits_tables import table_of_tissues
from mtm_core.dashboard.state.background import is_done, remember
from mtm_core.dashboard.state.jobs import Progress
from mtm_core.dashboard.state.page_end import end_page
from mtm_core.dashboard.widgets.agreement_view import (
    MOST_AT_ONCE,
    choose_adjustment,
    say_no_associations,
    show_agreement,
)
from mtm_core.dashboard.widgets.cohort_view import (
    begin_with_samples,
    choose_tissue,
    compared_people,
    genes_of_cohort,
    need_metadata,
    own_cohort,
    say_where_it_comes_from,
    show_comparison,
    show_gene_rows,
)
from mtm_core.dashboard.widgets.gene_accuracy import GeneAccuracy
from mtm_core.dashboard.widgets.gene_choice import choose_gene
from mtm_core.dashboard.widgets.group_choice import offer_shuffle
from mtm_core.dashboard.widgets.layout import download_table, show_figure
from mtm_core.escaping import plain
from mtm_core.figures.accuracy.rho_heatmap import rho_heatmap
from mtm_core.reporting.command_line import Comparison
from mtm_core.workflows.comparisons import (
    TraitEffects,
    beside_reference,
    correlate_trait,
    covariate_numbers,
    reference_trait,
    shuffled,
    trait_in_tissue,
    trait_numbers,
    traits_of,
)

FDR = 0.05
MOST_LINES = 8
"""Tissues that are summed up on the page; more are in an expander."""

session, model = begin_with_samples(
    "Traits",
    lambda session, _model: (
        "Which genes are correlated with age, sex or another trait of your samples: measured in"
        f" {plain(session.source_in_words)}, and"
        " predicted in other tissues.  \nExpression rises with the trait in red cells, and falls "
        "in blue ones."
    ),
)
artefact = model.predictor.artefact
metadata, columns = need_metadata(session, traits_of, "numbers, or two groups,")
cohort = own_cohort(session, model)
held_out = GeneAccuracy.of(model, session.sources)
names = genes_of_cohort(session, model, cohort)
say_where_it_comes_from(session, model)

trait_column, covariate_column = st.columns(2)
with trait_column:
    first = metadata.age_column if metadata.age_column in columns else columns[0]
    trait = st.selectbox(
        "Trait",
        columns,
        index=columns.index(first),
        key="trait",
        persist_state="session",
        help="A column of numbers, or of two groups, which are coded 1 and 0.",
    )
with covariate_column:
    possible = [
        column.name
        for column in metadata.columns
        if column.name != trait and (column.has_groups or column.name in columns)
    ]
    covariates = st.multiselect(
        "Adjust for",
        possible,
        key="covariates",
        persist_state="session",
        help="These columns are regressed out of both expression and trait (partial correlation).",
    )
    covariates = [name for name in covariates if name in possible]
seed = offer_shuffle()
values, meaning = trait_numbers(metadata, trait)
if seed is not None:
    values = shuffled(values, seed)
others = covariate_numbers(metadata, covariates)
key = ("trait", trait, tuple(covariates), seed, compared_people(session))


def correlated(name: str) -> pd.DataFrame:
    """Correlate every gene of one tissue, also in a thread of its own."""
    return trait_in_tissue(cohort, name, values, others, accuracy=held_out.of_tissues([name]))


def correlated_once(name: str) -> pd.DataFrame:
    """Return the same, made once, behind the page: of 1,000 samples it takes a second."""
    return remember(
        session,
        (*key, name),
        lambda _: correlated(name),
        slot="trait of a tissue",
        words=f"Correlating {name} with {trait}",
    )


prefix = f"{session.file_stem}{'shuffled_' if seed is not None else ''}"
without = f", adjusted for {' and '.join(covariates)}" if covariates else ""
measured = correlated_once(session.source)
if measured["rho"].isna().all():
    st.warning(
        f"No gene was tested: {plain(measured['outcome'].iloc[0])} (n = {measured['n'].iloc[0]}).",
        icon=":material/warning:",
    )
    end_page()


def go_through(tell: Progress) -> TraitOverview:
    """Correlate every tissue, one after the other."""

    def tables() -> Iterator[pd.DataFrame]:
        for i, name in enumerate(cohort.tissues):
            tell(i, len(cohort.tissues))
            yield correlated(name)

    return TraitOverview.of(tables(), cohort.predicted_genes, model.genes, FDR)


overview_key = ("overview", *key)
is_wide = len(cohort.tissues) * len(model.genes) > MOST_AT_ONCE
task = session.remembering(
    overview_key,
    go_through,
    slot="trait",
    words=f"Correlating every tissue with {trait}",
    is_long=is_wide,
)
if is_done(session, task, patience=0 if is_wide else None):
    overview = cast("TraitOverview", session.recall(overview_key))
    rho = overview.rho
    show_figure(
        rho_heatmap(rho, overview.pale, trait=trait),
        key="trait_rho",
        name=f"{prefix}rho_with_{trait}",
        caption=f"Pearson correlation of log2 expression with {trait} ({meaning}){without}, over"
        f" n = {measured['n'].max()} samples. Genes of the model are ordered by their mean."
        f" Measured {session.source}: {cohort.measured.meaning} The table below has its other"
        " genes too."
        + (" Faded cells: the model cannot predict that gene there." if held_out.exists else "")
        + (
            f" Shown: the {rho.shape[1]} of {len(model.genes):,} genes with the largest rho in any"
            " tissue."
            if len(model.genes) > rho.shape[1]
            else ""
        ),
        data=rho,
    )
    n_tissues = len(overview.summary)
    many = n_tissues > MOST_LINES
    with st.expander(f"All {n_tissues} tissues in words") if many else st.container():
        for line in overview.summary:
            st.markdown(f"- {line}")

st.header("Genes")
tissue_column, gene_column, toggle_column = st.columns(3, vertical_alignment="bottom")
with tissue_column:
    tissue = choose_tissue(cohort.predicted_tissues)
with gene_column:
    label, gene = choose_gene(names, help="Circled in the figure below.")
with toggle_column:
    everywhere = st.toggle(
        "All tissues",
        key="traits_everywhere",
        help=f"List every predicted tissue, not only the chosen one and "
        f"{plain(session.source_in_words)}.",
        persist_state="session",
    )
shown = correlated_once(tissue)
if everywhere:
    table = remember(
        session,
        ("every row", *key),
        lambda tell: rho_rows(  # in order: a million rows are not sorted anew at each look
            table_of_tissues(
                cohort, lambda one: correlate_trait(one, values, others), held_out, tell
            )
        ),
        slot="trait rows",
        words=f"Listing every tissue's correlations with {trait}",
        is_long=is_wide,
    )
else:
    table = rho_rows(pd.concat([measured, shown], ignore_index=True))
rows = show_gene_rows(table, names, key="trait_rows", height=320, listed="p")
download_table(rows, key="trait_table", name=f"{prefix}{trait}_associations", label="These rows")


def _points_of(of_tissue: str, **columns: Any) -> pd.DataFrame:  # noqa: ANN401
    """Set the genes of one tissue beside the reference."""
    own = {tissue: shown, session.source: measured}.get(of_tissue)
    return beside_reference(correlated(of_tissue) if own is None else own, **columns)


st.header("Against the GTEx reference")
known = reference_trait(metadata, trait)
if known is None:
    st.info(
        f"The reference has only age and sex of its donors, not {plain(repr(trait))}. Choose the "
        f"columns of age and sex on the page Metadata.",
        icon=":material/info:",
    )
elif model.associations is None:
    say_no_associations()
else:
    adjusted_for = choose_adjustment(model.associations, known)
    show_agreement(
        session,
        cohort.tissues,
        partial(
            _points_of,
            reference=model.associations,
            trait=known,
            adjusted_for=adjusted_for,
            own_column="rho",
            reference_column="rho",
        ),
        TraitEffects(cohort, values, others),
        n_genes=len(artefact.genes),
        key=(*key, adjusted_for),
        tissue=tissue,
        gene=gene,
        own=f"rho with {trait}, your samples",
        reference=f"rho with {known}, GTEx donors",
        name=f"{prefix}{trait}_against_reference",
        equal=True,
        caption=f"Each point is a gene: x, its correlation with {known} in {tissue} of GTEx "
        f"donors; y, its correlation with {trait} in your samples, predicted for {tissue}.",
    )

with st.expander("The same from the command line"):
    show_comparison(
        session, model, Comparison(traits=(trait,), covariates=tuple(covariates), shuffle=seed)
    )
