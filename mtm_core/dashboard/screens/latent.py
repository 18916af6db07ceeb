"""Latent codes and decoding, cut to what their screen shows."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from mtm_core.artefact import Artefact
from mtm_core.dashboard.state.resources import ServedModel
from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.escaping import plain
from mtm_core.evaluation.predictability import matrix_of
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.figures.shared.maps import MOST_GROUPS
from mtm_core.inference.prepared import Prepared
from mtm_core.statistics.outcome import TESTED
from mtm_core.statistics.similarity import N_PERMUTATIONS, SimilarityAgreement
from mtm_core.workflows.latent_codes import (
    LatentModel,
    Likeness,
    Map,
    compare_likeness,
    decoded_mean,
    map_of,
    mean_profiles,
)
from mtm_core.workflows.model_tables import StudyTables

SIMILARITY = {
    "same_donor": "of the same donor",
    "matched_donor": "of two donors with the same sex and Hardy scale",
    "other_donor": "of two donors",
}
"""Whose codes are held against each other, in the order to draw."""
TRAINED, HELD_OUT = "donors used in training", "donors not seen in training"


def code_pairs(studies: StudyTables) -> pd.DataFrame:
    """Join the pairs of tissues of both studies of codes; ``donors`` says whose codes."""
    return pd.concat(
        [
            shipped.study.pairs.assign(donors=name)
            for name, shipped in ((TRAINED, studies.latent), (HELD_OUT, studies.latent_held_out))
            if shipped is not None
        ],
        ignore_index=True,
    )


def codes_in_words(studies: StudyTables) -> list[str]:
    """Say of each study of codes how much closer one donor's are than two donors'."""
    lines = []
    for name, shipped in ((TRAINED, studies.latent), (HELD_OUT, studies.latent_held_out)):
        if shipped is None:
            lines.append(f"**{name.capitalize()}**: not studied.")
            continue
        codes = shipped.study.codes
        lines.append(
            f"**{name.capitalize()}** ({codes['n_donors']:.0f};"
            f" {plain(shipped.settings.get('model', 'unknown model'))}): mean rho"
            f" {codes['same_donor']:.2f} between two tissues of the same donor, "
            f"{codes['other_donor']:.2f}"
            f" of two donors, {codes['matched_donor']:.2f} of two donors with the same sex and "
            f"Hardy scale."
            f" The same donor's tissues are more alike than two donors' in {codes['auc']:.0%} of "
            f"pairs of samples, and more alike than those of matched donors in "
            f"{codes['matched_auc']:.0%}. {codes['share_higher']:.0%} of the donors are more "
            f"like themselves than like matched donors (p = {codes['donor_p']:.1g},"
            " Wilcoxon's signed-rank test by donor)."
        )
    return lines


@st.cache_resource(show_spinner="Decoding…", max_entries=4)
def decoding_of(
    model_sha256: str, source: str, _artefact: Artefact, _fitted: LatentModel
) -> dict[str, tuple[Likeness, Map]]:
    """Decode the mean profile of ``source`` to every tissue: likeness and map of each layer."""
    profiles = mean_profiles(_artefact)
    layers = {}
    for name, activations in decoded_mean(_fitted, source).items():
        values = pd.DataFrame(activations, index=profiles.index)
        layers[name] = (compare_likeness(profiles, values), map_of(values))
    return layers


@st.cache_resource(show_spinner="Comparing tissues…", max_entries=4)
def _predictability(
    model_sha256: str, settings: str, method: str, _artefact: Artefact, _tables: EvaluationTables
) -> Likeness:
    rho = matrix_of(_tables, method, "rho_pooled")
    known = [name for name in rho.index if name in _artefact.tissues.index]
    return compare_likeness(mean_profiles(_artefact), rho.loc[known])


def predictability_of(model: ServedModel) -> tuple[Likeness, str] | None:
    """Hold the likeness of tissues against that of their genes' pooled rho.

    Of the model's own method, which is given with it; ``None`` if it was not evaluated.
    """
    artefact, tables = model.predictor.artefact, model.evaluation
    method = artefact.method.name
    if tables is None or method not in tables.methods:
        return None
    settings = str(sorted(tables.settings.items(), key=str))
    return _predictability(artefact.sha256, settings, method, artefact, tables), method


def agreement_in_words(agreement: SimilarityAgreement) -> str:
    """Return how far two likenesses of tissues agree."""
    if agreement.outcome != TESTED:
        return (
            f"The agreement cannot be computed: {agreement.outcome} ({agreement.n_items} tissues)."
        )
    return (
        f"Spearman's rho {agreement.spearman:.2f} over {agreement.n_pairs:,} pairs of"
        f" {agreement.n_items} tissues, p = {agreement.p:.2g} (Mantel's test, which counts "
        f"tissues rather than pairs; p cannot be lower than {1 / (1 + N_PERMUTATIONS):g})."
    )


def layer_table(studies: StudyTables) -> pd.DataFrame:
    """Join the layers of both studies, whose figures are means over many donors' codes."""
    parts = [
        shipped.study.layers.assign(donors=name)
        for name, shipped in ((TRAINED, studies.latent), (HELD_OUT, studies.latent_held_out))
        if shipped is not None
    ]
    table = pd.concat(parts, ignore_index=True)
    return table[["donors", "layer", "n_units", "n_codes", "n_tissues", "spearman", "p"]]


def sample_map_of(fitted: LatentModel, prepared: Prepared) -> Map:
    """Map the latent codes of a user's own samples.

    Raises
    ------
    SelectionError
        As :func:`mtm_core.studies.likeness.map_of`.
    """
    codes = fitted.codes({prepared.source: prepared.aligned.z})
    return map_of(pd.DataFrame(codes, index=pd.Index(prepared.samples, name="sample")))


def colour_columns(metadata: SampleMetadata | None) -> list[str]:
    """Name the columns of the metadata that samples can be coloured by."""
    if metadata is None:
        return []
    return [
        column.name
        for column in metadata.columns
        if column.kind == "number" or (column.has_groups and len(column.levels) <= MOST_GROUPS)
    ]


def colour_values(
    metadata: SampleMetadata | None, name: str | None, samples: pd.Index
) -> dict[str, pd.Series]:
    """Return ``numbers`` or ``groups`` of the samples, in their order; nothing without a column."""
    if metadata is None or name is None:
        return {}
    if metadata.column(name).kind == "number":
        return {"numbers": metadata.numbers(name).reindex(samples)}
    return {"groups": metadata.groups(name).reindex(samples)}
