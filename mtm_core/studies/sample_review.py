"""A user's samples looked at before anything is predicted from them.

Every gene of their table is used, not the model's alone. What a table does not hold the genes for
is not computed, and is said.

Shapes: N samples, G genes, K components.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.data.notes import Note, counted, name_some
from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.data.tables.expression import ExpressionTable
from mtm_core.data.units import UNIT_TABLE, Unit, UnitChoice
from mtm_core.inference.batch_levels import without_batches
from mtm_core.inference.marker_genes import Markers, find_markers
from mtm_core.inference.measured import linear_levels
from mtm_core.inference.predictor import Predictor
from mtm_core.inference.prepared import Prepared
from mtm_core.methods.protocol import tissue_index
from mtm_core.statistics.robust import outlier_z, robust_distance, robust_z
from mtm_core.studies.sample_components import (
    FEWEST_SAMPLES,
    Components,
    component_tests,
    sample_components,
)
from mtm_core.studies.sample_sex import BOTH, sex_disagreements, sex_of_samples
from mtm_core.studies.tissue_profile import log2_as_they_are, nearest_tissues, tissue_likeness

Array = NDArray[np.float64]

FEWEST_GENES = 5_000
"""Genes of a table from which detected genes and shares of all RNA mean something."""
FEWEST_MARKERS = {"haemoglobin": 2, "ribosomal": 20, "mitochondrial": 5}
"""Genes of a kind below which its share is not given."""
FAR_P = 0.01
"""P-value of the distance over the first components, times the samples."""
_LEAST_DROP = 0.1
"""Correlation and detected genes below the others by less than this share are no reason."""
_DISTANCE_COMPONENTS = 5
_CLEARLY_NEARER = 0.05
"""Difference of rho from which another tissue is a reason to look at a sample."""


@dataclass(frozen=True)
class SampleReview:
    """Findings in a user's samples.

    Attributes
    ----------
    samples
        By sample: ``library_size`` (of counts), ``genes_detected``, ``haemoglobin``, ``ribosomal``
        and ``mitochondrial`` (shares of the RNA), ``median_correlation`` with the other samples,
        ``robust_distance`` over the first components and its ``distance_p``, ``distance`` from the
        reference and ``beyond_reference`` (more than 99 % of its donors), ``nearest_tissue`` and
        its figures, ``sex_by_genes`` and ``sex_stated``, ``is_outlier`` and ``reasons``. A column
        that cannot be computed is missing.
    components
        ``None`` below ``FEWEST_SAMPLES`` samples.
    tests
        Result of :func:`mtm_core.studies.sample_components.component_tests`; empty without
        metadata.
    likeness
        (N, tissues) of :func:`mtm_core.studies.tissue_profile.tissue_likeness`.
    notes
        Findings, and what could not be computed, in words.
    source
        Tissue that the samples are said to be of.
    n_genes
        Genes of the table.
    """

    samples: pd.DataFrame
    components: Components | None
    tests: pd.DataFrame
    likeness: pd.DataFrame
    notes: tuple[Note, ...]
    source: str
    n_genes: int

    @property
    def outliers(self) -> pd.DataFrame:
        """Samples with a reason to look at them."""
        return self.samples[self.samples["is_outlier"]]


def review_samples(
    table: ExpressionTable | pd.DataFrame,
    predictor: Predictor,
    *,
    source: str = "Whole Blood",
    unit: UnitChoice = "auto",
    metadata: SampleMetadata | None = None,
    batches: Sequence[str] | None = None,
) -> SampleReview:
    """Look at samples before a prediction: outliers, sex, tissue, components and what they go with.

    Parameters
    ----------
    table, source, unit
        As in :meth:`mtm_core.inference.predictor.Predictor.prepare`.
    metadata
        Metadata of the samples.
    batches
        Batch of each sample: samples are then compared with others after differences between
        batches are removed, so that none is flagged for its batch. Components show them still.

    Raises
    ------
    ExpressionError, SelectionError
        As :meth:`mtm_core.inference.predictor.Predictor.prepare`.

    Examples
    --------
    >>> from mtm_core import SAMPLES, Predictor, read_expression, review_samples
    >>> predictor = Predictor.load("gtex_v8_acmg59_stack")
    >>> table = read_expression(SAMPLES / "blood_tpm.tsv", known_genes=predictor.genes)
    >>> review = review_samples(table, predictor)
    >>> len(review.samples), review.source
    (40, 'Whole Blood')
    """
    prepared = predictor.prepare(table, source=source, unit=unit, alignment="none")
    values = table.values if isinstance(table, ExpressionTable) else table
    linear = linear_levels(values, prepared.unit, prepared.match)
    log2_own = log2_levels(linear, prepared.unit)
    on_genes = log2_as_they_are(prepared, predictor.artefact)
    components = sample_components(on_genes, predictor.artefact, source)
    likeness = tissue_likeness(on_genes, predictor.artefact)
    markers = find_markers([str(name) for name in linear.columns])
    figures, notes = _figures(linear, prepared.unit, markers)
    compared, within = log2_own, components
    if batches is not None:
        compared = without_batches(log2_own, batches)
        own_genes = without_batches(on_genes, batches)
        within = sample_components(own_genes, predictor.artefact, source)
        figures["batch"] = list(batches)
    parts = [figures, pd.DataFrame({"median_correlation": _median_correlation(compared)})]
    if within is not None:
        n = min(_DISTANCE_COMPONENTS, max(1, len(values) // 5))
        distance, p = robust_distance(within.scores.iloc[:, :n].to_numpy())
        parts.append(pd.DataFrame({"robust_distance": distance, "distance_p": p}))
    else:
        notes.append(
            Note(
                "info",
                f"{counted(len(values), 'sample is', 'samples are')} fewer than the"
                f" {FEWEST_SAMPLES} that components need.",
                "Components, and distances over them, are not computed.",
            )
        )
    parts += [_reference_distance(prepared, predictor), nearest_tissues(likeness, source)]
    named = [part.set_axis(figures.index) for part in parts]
    samples = pd.concat(named, axis=1)
    samples, sex_notes = _with_sex(samples, log2_own.set_axis(figures.index), markers, metadata)
    reasons = _reasons(samples)
    samples["is_outlier"], samples["reasons"] = reasons != "", reasons
    notes += [*sex_notes, *_describe(samples, likeness, source, components)]
    tests = pd.DataFrame()
    if components is not None and metadata is not None:
        tests = component_tests(components.scores, metadata)
    return SampleReview(samples, components, tests, likeness, tuple(notes), source, linear.shape[1])


def log2_levels(linear: pd.DataFrame, unit: Unit) -> pd.DataFrame:
    """Return log2(1 + x), of CPM where ``unit`` is counts."""
    x = linear.to_numpy()
    if unit == "counts":
        x = x * (1e6 / np.maximum(x.sum(axis=1), 1e-300))[:, None]
    return pd.DataFrame(np.log2(1 + x), linear.index, linear.columns)


def _figures(linear: pd.DataFrame, unit: Unit, markers: Markers) -> tuple[pd.DataFrame, list[Note]]:
    """Return what can be said of each sample by itself, and what cannot."""
    x = linear.to_numpy()
    table = pd.DataFrame(index=pd.Index([str(name) for name in linear.index], name="sample"))
    notes = []
    if unit == "counts":
        table["library_size"] = x.sum(axis=1)
    else:
        notes.append(
            Note(
                "info",
                f"Library size needs counts, and the values are {UNIT_TABLE[unit].label}.",
                "Library size is not computed.",
            )
        )
    if linear.shape[1] < FEWEST_GENES:
        notes.append(
            Note(
                "info",
                f"The table has {linear.shape[1]:,} genes, fewer than {FEWEST_GENES:,}.",
                "Genes detected, and shares of haemoglobin, ribosomal and mitochondrial RNA, are "
                "not computed: they need all genes.",
                "Use the table from before genes were filtered out.",
            )
        )
        return table, notes
    table["genes_detected"] = (x > 0).sum(axis=1)
    totals = np.maximum(x.sum(axis=1), 1e-300)
    for kind, least in FEWEST_MARKERS.items():
        own = markers[kind]  # type: ignore[index]
        if len(own) >= least:
            table[kind] = x[:, own].sum(axis=1) / totals
        else:
            notes.append(
                Note(
                    "info",
                    f"{counted(len(own), f'{kind} gene is', f'{kind} genes are')} in the table, "
                    f"of {least} needed.",
                    f"The {kind} share is not computed.",
                )
            )
    return table, notes


def _median_correlation(log2: pd.DataFrame) -> Array:
    """Return the median of each sample's Pearson's rho with all others; NaN of fewer than three."""
    n = len(log2)
    if n < 3:
        return np.full(n, np.nan)
    values = log2.to_numpy()
    with np.errstate(invalid="ignore", divide="ignore"):
        rho = np.corrcoef(values)
    np.fill_diagonal(rho, np.nan)
    median = np.full(n, np.nan)
    varies = np.isfinite(rho).any(axis=1)  # a sample of one value everywhere has no rho
    median[varies] = np.nanmedian(rho[varies], axis=1)
    return median


def _reference_distance(prepared: Prepared, predictor: Predictor) -> pd.DataFrame:
    """Return the distance from the reference, and whether 99 % of its donors are nearer."""
    artefact = predictor.artefact
    quantiles = artefact.reference.distance[:, tissue_index(predictor.tissues, prepared.source)]
    distance = prepared.aligned.distance["distance_before"].to_numpy()
    return pd.DataFrame({"distance": distance, "beyond_reference": distance > float(quantiles[-1])})


def _with_sex(
    samples: pd.DataFrame,
    log2: pd.DataFrame,
    markers: Markers,
    metadata: SampleMetadata | None,
) -> tuple[pd.DataFrame, list[Note]]:
    sexes = sex_of_samples(log2, markers)
    if sexes is None:
        return samples, [
            Note(
                "info",
                "Neither XIST nor genes of the Y chromosome are in the table.",
                "Sex by expression is not computed.",
                "Use the table from before genes were filtered out.",
            )
        ]
    samples = pd.concat([samples, sexes], axis=1)
    notes = []
    if sexes[["xist", "y"]].isna().all().any():
        known = "XIST" if sexes["y"].isna().all() else "genes of the Y chromosome"
        notes.append(
            Note(
                "info",
                f"Of the genes that differ between the sexes, the table has only {known}.",
                "A mixture of two people cannot be detected.",
            )
        )
    if metadata is not None and metadata.sex_column is not None:
        stated = metadata.phenotypes()["sex"].reindex(samples.index)
        samples["sex_stated"] = stated
        wrong = samples.index[sex_disagreements(samples["sex_by_genes"], stated)]
        if len(wrong):
            notes.append(
                Note(
                    "warning",
                    f"The genes of {counted(len(wrong), 'sample', 'samples')} show another sex "
                    f"than the metadata: {name_some(wrong)}.",
                    "Nothing was changed.",
                    "Samples may be swapped, or the metadata wrong.",
                )
            )
    return samples, notes


def _reasons(samples: pd.DataFrame) -> pd.Series:
    """Say in words why a sample should be looked at; empty if there is no reason."""
    reasons: dict[str, list[str]] = {str(name): [] for name in samples.index}

    def say(chosen: NDArray[np.bool_], words: pd.Series | str) -> None:
        for place in np.flatnonzero(chosen):
            text = words if isinstance(words, str) else str(words.iloc[place])
            reasons[str(samples.index[place])].append(text)

    if "robust_distance" in samples:
        far = samples["distance_p"].to_numpy() * len(samples) < FAR_P
        say(far, samples["robust_distance"].map("{:.1f} robust SD from the other samples".format))
    far_z = outlier_z(len(samples))
    rho = samples["median_correlation"].to_numpy()
    if np.isfinite(rho).any():
        usual_rho = np.nanmedian(rho)
        low = (robust_z(rho) < -far_z) & (1 - rho > (1 + _LEAST_DROP) * (1 - usual_rho))
        say(low, samples["median_correlation"].map("correlates {:.2f} with the others".format))
    if "library_size" in samples:
        size = np.log2(np.maximum(samples["library_size"].to_numpy(np.float64), 1))
        say(
            (robust_z(size) < -far_z) & (size < np.median(size) - 1),
            samples["library_size"].map("a small library of {:,.0f}".format),
        )
    if "genes_detected" in samples:
        genes = samples["genes_detected"].to_numpy(np.float64)
        few = (robust_z(genes) < -far_z) & (genes < (1 - _LEAST_DROP) * np.median(genes))
        say(few, samples["genes_detected"].map("{:,} genes detected".format))
    for kind in FEWEST_MARKERS:
        if kind in samples:
            share = samples[kind].to_numpy(np.float64)
            much = (robust_z(np.log2(share + 1e-4)) > far_z) & (share > 0.05)
            say(much, samples[kind].map((f"{kind} share of " + "{:.0%}").format))
    distance = samples["distance"].to_numpy(np.float64)
    beyond = samples["beyond_reference"].to_numpy() & (robust_z(distance) > far_z)
    say(beyond, samples["distance"].map("{:.1f} SD from the reference".format))
    other = (samples["nearest_rho"] - samples["source_rho"] > _CLEARLY_NEARER).to_numpy()
    usual = float(np.mean(~other)) >= 0.5
    say(other & usual, "most like " + samples["nearest_tissue"].astype(str))
    if "sex_by_genes" in samples:
        say((samples["sex_by_genes"] == BOTH).to_numpy(), "genes of both sexes")
        if "sex_stated" in samples:
            wrong = sex_disagreements(samples["sex_by_genes"], samples["sex_stated"]).to_numpy()
            say(wrong, "sex by genes is " + samples["sex_by_genes"].astype(str))
    return pd.Series({name: "; ".join(words) for name, words in reasons.items()}, dtype=object)


def _describe(
    samples: pd.DataFrame, likeness: pd.DataFrame, source: str, components: Components | None
) -> list[Note]:
    notes = []
    other = samples["nearest_tissue"] != source
    n, n_other = len(samples), int(other.sum())
    if n_other > n / 2:
        most = samples.loc[other, "nearest_tissue"].value_counts().index[0]
        notes.append(
            Note(
                "warning",
                f"{n_other} of {n} samples are more like another tissue of the reference than like"
                f" {source}, most of them like {most}.",
                "Predictions start from the tissue that was chosen.",
                "Check the tissue of the samples, and the unit.",
            )
        )
    else:
        notes.append(
            Note("info", f"{n - n_other} of {n} samples are most like {source}, of"
                 f" {likeness.shape[1]} tissues.", "")
        )  # fmt: skip
    beyond = int(samples["beyond_reference"].sum())
    if beyond:
        notes.append(
            Note(
                "info",
                f"{beyond} of {n} samples are further from the reference's mean than 99 % of its"
                " donors, before alignment.",
                "A different protocol does that to all samples; alignment removes it.",
            )
        )
    if components is not None and components.covariance is None:
        notes.append(
            Note(
                "info",
                "This model does not contain the correlations of genes in the reference.",
                "Only the reference mean is shown among the samples' components.",
            )
        )
    return notes
