"""Choices of the screen of gene sets: a result, the sets, and the test."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import streamlit as st

from mtm_core.dashboard.state.page_end import end_page
from mtm_core.dashboard.state.resources import ServedModel
from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.widgets.cohort_view import (
    compared_people,
    need_metadata,
    need_samples,
    own_cohort,
    say_where_it_comes_from,
)
from mtm_core.dashboard.widgets.gene_accuracy import GeneAccuracy
from mtm_core.dashboard.widgets.group_choice import choose_groups, choose_reference, offer_shuffle
from mtm_core.dashboard.widgets.set_upload import read_uploaded
from mtm_core.data.gene_sets.gmt import BUNDLED_FROM, BUNDLED_SETS, GeneSets, bundled_sets
from mtm_core.data.isolation.isolated import read_sets_isolated
from mtm_core.escaping import plain
from mtm_core.grouped_table import as_grouped
from mtm_core.reporting.command_line import Comparison
from mtm_core.workflows.comparisons import (
    groups_in_tissue,
    groups_of,
    sets_in_tissue,
    shuffled,
    trait_in_tissue,
    trait_numbers,
    traits_of,
)
from mtm_core.workflows.enrich import EITHER, HIGHER, LOWER, Background, EnrichmentOptions
from mtm_core.workflows.study_predictions import GENE_KEYS

GROUPS, TRAIT = "Your groups", "A trait of your samples"
PRESERVED, REFERENCE, PREDICTABLE = (
    "Preserved associations",
    "Associations in GTEx",
    "Predictability",
)
OWN_SETS = "Your own (GMT file)"
RANKED, OVER = "Pre-ranked (GSEA)", "Over-representation"
CORRELATED = "Sample-based, allowing for correlated genes (CAMERA)"
BACKGROUNDS: dict[Background, str] = {
    "predictable": "Predictable genes",
    "tested": "All tested genes",
}
MOST_TISSUES = 8


@dataclass(frozen=True)
class Result:
    """A result that sets are looked for in.

    Attributes
    ----------
    name
        Name of the result, in a few words.
    key
        Key of the result within the session.
    tissues
        Tissues that it has.
    of_tissue
        Its table of genes in one tissue.
    is_shuffled
        Whether its labels were shuffled.
    table
        Table of ``mtm compare`` that ``mtm enrich`` reads; empty if no command makes the same.
    comparison
        What ``mtm compare`` makes that table from.
    test_samples
        Tests sets in one tissue by the samples themselves, where they are two groups.
    is_predictability
        Whether it says which genes are predictable: their background is all tested genes.
    """

    name: str
    key: Hashable
    tissues: tuple[str, ...]
    of_tissue: Callable[[str], pd.DataFrame]
    is_shuffled: bool = False
    table: str = ""
    comparison: Comparison | None = None
    test_samples: Callable[[str, GeneSets, EnrichmentOptions], pd.DataFrame] | None = None
    is_predictability: bool = False


@dataclass(frozen=True)
class Asked:
    """Tissues, sets and test that are chosen for a result.

    Attributes
    ----------
    tissues
        Tissues to test sets in, one or more.
    sets
        The sets.
    test
        ``RANKED``, ``OVER`` or ``CORRELATED``.
    options
        Background, and genes a set needs.
    direction
        Direction of the sets to show.
    """

    tissues: list[str]
    sets: GeneSets
    test: str
    options: EnrichmentOptions
    direction: str


def with_sets(comparison: Comparison, asked: Asked) -> Comparison:
    """Add to a comparison the gene sets that are tested in it."""
    return replace(
        comparison,
        gene_sets=asked.sets.given,
        background=asked.options.background,
        minimum_size=asked.options.minimum_size,
    )


def choose_kind(model: ServedModel) -> str:
    """Let the user choose the kind of result, of those that there are."""
    kinds = _kinds_of(model)
    return st.segmented_control(
        "Result",
        kinds,
        default=kinds[0],
        required=True,
        key="set_result",
        persist_state="session",
        help="The results to test: from your samples, or from the studies beside the model.",
    )


def _kinds_of(model: ServedModel) -> list[str]:
    """List the kinds of results that there are, or may be once samples are there."""
    kinds = [GROUPS, TRAIT]
    kinds += [PRESERVED] if model.studies.traits is not None else []
    kinds += [REFERENCE] if model.associations is not None else []
    kinds += [PREDICTABLE] if model.evaluation is not None else []
    return kinds


def choose_result(kind: str, session: Session, model: ServedModel) -> Result:
    """Show the widgets of one kind of result, and return what is chosen; or end the page."""
    if kind in (GROUPS, TRAIT):
        return _own(kind, session, model)
    if kind == PREDICTABLE:
        return _predictability(model)
    return _of_model(kind, model)


def _own(kind: str, session: Session, model: ServedModel) -> Result:
    need_samples(session, model)
    usable, what = (
        (groups_of, "two groups or more")
        if kind == GROUPS
        else (traits_of, "numbers, or two groups,")
    )
    metadata, columns = need_metadata(session, usable, what)
    cohort = own_cohort(session, model)
    held_out = GeneAccuracy.of(model, session.sources)
    say_where_it_comes_from(session, model)
    if kind == GROUPS:
        choice = choose_groups(metadata, columns)
        choice = choice.shuffled(offer_shuffle())

        def compare(tissue: str) -> pd.DataFrame:
            return groups_in_tissue(
                cohort,
                tissue,
                choice.groups,
                case=choice.case,
                control=choice.control,
                accuracy=held_out.of_tissues([tissue]),
            )

        def test_samples(tissue: str, sets: GeneSets, options: EnrichmentOptions) -> pd.DataFrame:
            return sets_in_tissue(
                cohort,
                tissue,
                choice.groups,
                [sets],
                case=choice.case,
                control=choice.control,
                accuracy=held_out.of_tissues([tissue]),
                options=options,
            )

        return Result(
            f"{choice.case} against {choice.control}",
            ("groups", choice.key, compared_people(session)),
            cohort.tissues,
            compare,
            choice.seed is not None,
            "compared/differential_expression.csv",
            Comparison(groups=(choice.column, choice.case, choice.control), shuffle=choice.seed),
            test_samples,
        )
    first = metadata.age_column if metadata.age_column in columns else columns[0]
    trait = st.selectbox(
        "Trait",
        columns,
        index=columns.index(first),
        key="trait",
        persist_state="session",
        help="A column of your metadata that genes are correlated with.",
    )
    reference = choose_reference(metadata, trait)
    seed = offer_shuffle()
    values, meaning = trait_numbers(metadata, trait, reference)
    values = values if seed is None else shuffled(values, seed)

    def correlate(tissue: str) -> pd.DataFrame:
        return trait_in_tissue(cohort, tissue, values, accuracy=held_out.of_tissues([tissue]))

    return Result(
        f"{trait} ({meaning})" if reference else trait,
        ("trait", trait, reference, seed, compared_people(session)),
        cohort.tissues,
        correlate,
        seed is not None,
        "compared/trait_associations.csv",
        Comparison(
            traits=(trait,),
            shuffle=seed,
            references=((trait, reference),) if reference else (),
        ),
    )


def _predictability(model: ServedModel) -> Result:
    evaluation = model.evaluation
    assert evaluation is not None
    method = model.predictor.artefact.method.name
    if method not in evaluation.methods:
        st.info(f"{plain(method)} was not evaluated.", icon=":material/info:")
        end_page()
    rows = evaluation.tissues
    tissues = tuple(str(name) for name in rows.loc[rows["method"] == method, "tissue"])
    return Result(
        "predictable genes",
        ("predictability", method),
        tissues,
        lambda tissue: evaluation.genes_of(
            method, tissue, columns=["rho_by_fold", "rho_pooled", "p", "fdr"]
        ),
        is_predictability=True,
    )


def _of_model(kind: str, model: ServedModel) -> Result:
    """Choose a trait and an adjustment of what lies beside the model."""
    if kind == PRESERVED:
        shipped = model.studies.traits
        assert shipped is not None
        grouped = as_grouped(shipped.study.genes, GENE_KEYS)
    else:
        assert model.associations is not None
        grouped = model.associations.by_group
    groups = grouped.groups()
    trait_column, adjusted_column = st.columns(2)
    trait = trait_column.selectbox(
        "Trait",
        sorted(groups["trait"].astype(str).unique()),
        key=f"set_trait_{kind}",
        help="A trait of the GTEx donors.",
    )
    groups = groups[groups["trait"] == trait]
    adjusted = adjusted_column.selectbox(
        "Adjusted for",
        sorted(groups["adjusted_for"].astype(str).unique()),
        format_func=lambda name: name.replace("+", ", ") or "nothing",
        key=f"set_adjusted_{kind}_{trait}",
        help="What was regressed out of both sides.",
    )
    tissues = groups.loc[groups["adjusted_for"] == adjusted, "tissue"].astype(str)
    where = {"trait": str(trait), "adjusted_for": str(adjusted)}
    held_out = GeneAccuracy.of(model, _source_of(model))

    def read(tissue: str) -> pd.DataFrame:
        rows = grouped.read({**where, "tissue": tissue})
        if kind == PRESERVED:
            return rows
        known = held_out.of_tissues([tissue])["rho_pooled"]
        if known.empty:  # the source tissue: nothing is predicted there
            return rows.assign(predictable="measured")
        pairs = pd.MultiIndex.from_arrays([[tissue] * len(rows), rows["gene_id"].astype(str)])
        return rows.assign(rho_pooled=known.reindex(pairs).to_numpy(dtype=np.float64))

    return Result(str(trait), (kind, trait, adjusted), tuple(sorted(tissues.unique())), read)


def _source_of(model: ServedModel) -> str:
    evaluation = model.evaluation
    return "" if evaluation is None else str(evaluation.settings.get("source", ""))


def choose_sets(session: Session) -> GeneSets:
    """Let the user choose a bundled collection, or give one; end the page without."""
    chosen = st.selectbox(
        "Gene sets",
        [*BUNDLED_SETS, OWN_SETS],
        format_func=lambda name: BUNDLED_SETS.get(name, name),
        key="gene_sets",
        persist_state="session",
        help=f"The bundled sets have 5 to 500 genes. {BUNDLED_FROM}",
    )
    if chosen != OWN_SETS:
        return bundled_sets(chosen)
    given = st.file_uploader(
        "GMT file",
        key="gmt",
        help="One set per line: its name, a description, and its genes (symbols, Ensembl or "
        "Entrez ids), separated by tabs; may be gzipped.",
    )
    if given is None:
        st.info("Upload a GMT file, or choose bundled sets.", icon=":material/info:")
        end_page()
    return read_uploaded(session, given, read_sets_isolated, command="mtm enrich")


def choose_test(session: Session, kind: str, result: Result) -> Asked:
    """Let the user choose tissues, sets and a test; end the page without a tissue."""
    first = st.columns([3, 2])
    with first[0]:
        tissues = st.multiselect(
            "Tissues",
            result.tissues,
            default=result.tissues[:2],
            key=f"set_tissues_{kind}",
            max_selections=MOST_TISSUES,
            help="Each tissue is tested separately.",
        )
    with first[1]:
        sets = choose_sets(session)
    second = st.columns(4)
    test = second[0].selectbox(
        "Test",
        [RANKED, OVER, CORRELATED],
        key="set_test",
        persist_state="session",
        help="Pre-ranked uses the order of all genes; over-representation, the genes at an FDR."
        " Both treat genes as independent. The sample-based test does not, and is recommended for"
        " predicted tissues; it needs two groups of your samples.",
    )
    background = second[1].selectbox(
        "Background",
        list(BACKGROUNDS),
        format_func=lambda name: BACKGROUNDS[name],
        key="set_background",
        persist_state="session",
        disabled=result.is_predictability,
        help="Only predictable genes (out-of-fold rho above 0.3) can come out of predictions."
        " Against all genes, every result looks enriched for the functions of predictable genes.",
    )
    direction = second[2].selectbox(
        "Direction",
        [EITHER, HIGHER, LOWER],
        key="set_direction",
        persist_state="session",
        help="Direction of the change, or of the correlation with the trait.",
    )
    least = second[3].select_slider(
        "Minimum genes per set",
        [3, 5, 10, 15, 25, 50],
        10,
        key="set_size",
        persist_state="session",
        help="Genes in the background; sets have at most 500.",
    )
    if not tissues:
        st.info("Choose a tissue.", icon=":material/info:")
        end_page()
    options = EnrichmentOptions(background, minimum_size=least)
    return Asked(tissues, sets, test, options, direction)
