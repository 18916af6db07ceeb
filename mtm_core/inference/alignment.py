"""Bring a user's cohort to the reference (paper, section 2.8).

The paper "aligned the mean and standard deviation of each gene in each tissue to those of the GTEx
data". That needs a cohort: with few samples their own mean and SD are too uncertain, and the
samples are compared with the reference as they are.

Shapes: N samples, G genes of the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.data.cohort.normalise import Normalisation
from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.data.notes import Note, counted, name_some
from mtm_core.data.units import Unit
from mtm_core.errors import ExpressionError, SelectionError
from mtm_core.inference.alignment_notes import (
    BASIS_IN_WORDS,
    describe_aligned,
    describe_as_before,
    describe_batches,
    describe_far,
    describe_none,
)
from mtm_core.inference.batch_parameters import (
    ENOUGH_SAMPLES,
    LEAST_SAMPLES,
    AlignmentHow,
    BatchParameters,
    ReferenceTissue,
    parameters_by_batch,
    parameters_of,
    parameters_of_batch_moments,
    parameters_of_moments,
)
from mtm_core.inference.gene_moments import GeneMoments
from mtm_core.inference.genes_found import check_coverage, on_genes_found

AlignmentMethod = Literal["auto", "cohort", "robust", "quantiles", "none"]


@dataclass(frozen=True)
class Aligned:
    """Samples as the model reads them.

    Attributes
    ----------
    z
        (N, G) float32 z-scores; 0, the reference mean, where a gene is missing.
    found
        (G,) bool.
    how
        ``"cohort"``, ``"robust"``, ``"quantiles"`` or ``"none"``: what was done.
    distance
        ``distance_before``, ``distance_after`` by sample: root mean square of the z-scores over the
        genes found, against the reference as it is and after alignment.
    notes
        Notes on what was done.
    batches
        (N,) name of each sample's batch; empty if there are none.
    parameters
        Parameters of each batch, by which :func:`align_as_before` aligns later samples.
    """

    z: NDArray[np.float32]
    found: NDArray[np.bool_]
    how: AlignmentHow
    distance: pd.DataFrame
    notes: tuple[Note, ...]
    batches: tuple[str, ...]
    parameters: tuple[BatchParameters, ...]

    @property
    def has_batches(self) -> bool:
        """Whether the samples were aligned batch by batch."""
        return any(self.batches)

    def batch_variable(self, rows: NDArray[np.intp]) -> dict[str, tuple[str, NDArray[np.str_]]]:
        """Return the batch of each person by ``rows`` (-1 for none), where there are batches."""
        if not self.has_batches:
            return {}
        return {"batch": ("sample", np.array([*self.batches, ""])[rows])}

    def by_batch(self) -> pd.DataFrame:
        """Return the distance from the reference of each batch, before and after.

        Columns: ``batch``, ``n_samples``, ``alignment`` and ``parameters_of`` in words, and the
        median over the batch's samples of ``distance_before`` and ``distance_after``.
        """
        return distance_by_batch(self.parameters, self.distance, self.batches)


def distance_by_batch(
    parameters: Sequence[BatchParameters], distance: pd.DataFrame, batches: Sequence[str]
) -> pd.DataFrame:
    """Return the table of :meth:`Aligned.by_batch`; ``batches`` are of each row of ``distance``."""
    figures = distance[["distance_before", "distance_after"]]
    medians = figures.groupby(np.asarray(batches)).agg(["size", "median"])
    rows = [
        {
            "batch": one.batch,
            "n_samples": int(medians.loc[one.batch, ("distance_before", "size")]),
            "alignment": one.how,
            "parameters_of": BASIS_IN_WORDS[one.basis] if one.how != "none" else "",
            "distance_before": float(medians.loc[one.batch, ("distance_before", "median")]),
            "distance_after": float(medians.loc[one.batch, ("distance_after", "median")]),
        }
        for one in parameters
    ]
    return pd.DataFrame(rows)


def align(
    linear: pd.DataFrame,
    found: NDArray[np.bool_],
    source: int,
    scaler: TissueScaler,
    how: AlignmentMethod = "auto",
    *,
    unit: Unit | None = None,
    normalisation: Normalisation = "panel-cpm",
    minimum_samples: int = ENOUGH_SAMPLES,
    whole: Mapping[str, GeneMoments] | None = None,
    quantiles: NDArray[np.float32] | None = None,
    batch: pd.Series | None = None,
) -> Aligned:
    """Return z-scores of samples of one tissue against the reference.

    Parameters
    ----------
    linear
        (N, G), normalised (:func:`mtm_core.inference.genes_found.panel_normalise`), NaN where a
        gene is missing.
    found
        (G,) bool.
    source
        Code of the samples' tissue in ``scaler``.
    scaler
        Mean and SD of the reference.
    how
        ``"cohort"``: each gene's mean and SD in the samples are brought to the reference's, so z
        is taken against the samples themselves and depends on which samples come together;
        ``"robust"`` and ``"quantiles"`` likewise (:mod:`mtm_core.inference.batch_parameters`).
        ``"none"``: z is taken against the reference, sample by sample. ``"auto"``: ``"cohort"``
        from ``minimum_samples`` samples on.
    unit, normalisation
        Unit of the table and normalisation of the model's cohort; only for the warning that they
        may not fit.
    minimum_samples
        For ``"auto"``.
    whole
        Moments of all samples by batch (``""`` without batches), if ``linear`` is a part of them:
        the part is then aligned as it would be among them all, by ``"cohort"``.
    quantiles
        (Q, G) of the reference's samples of the tissue, at the levels of
        :data:`mtm_core.model_reference.QUANTILE_LEVELS`; needed by ``"robust"`` and
        ``"quantiles"``.
    batch
        Name of each sample's batch, by sample: each batch is aligned by itself. ``None`` takes all
        samples as one.

    Raises
    ------
    ExpressionError
        If fewer than half of the genes are found, or alignment is asked of fewer samples than the
        method needs.
    SelectionError
        If the batch of a sample is not known, or part of a table is to be aligned otherwise than
        by ``"cohort"``.
    """
    check_coverage(linear.columns, found)
    reference = ReferenceTissue(scaler, source, quantiles)
    labels = batch_labels(linear.index, batch)
    n_samples = len(linear) if whole is None else sum(one.n for one in whole.values())
    done = _method(how, n_samples, minimum_samples)
    if whole is not None and done not in ("cohort", "none"):
        raise SelectionError(
            "a table that is predicted in chunks is aligned by mean and SD: medians and quantiles "
            "of a gene need all its values at once."
        )
    expression = on_genes_found(linear, found)
    names = tuple(dict.fromkeys(labels))
    if done == "none":
        parameters = tuple(BatchParameters(name, "none", labels.count(name)) for name in names)
        notes = describe_none(how, n_samples, minimum_samples, unit, normalisation)
    elif batch is None:
        one = (
            parameters_of_moments(whole[""], reference)
            if whole is not None
            else parameters_of(expression, done, reference)
        )
        parameters = (one,)
        notes = describe_aligned(one, minimum_samples, linear.columns, found)
    else:
        parameters = (
            parameters_of_batch_moments(whole, reference)
            if whole is not None
            else parameters_by_batch(expression, labels, done, reference)
        )
        notes = describe_batches(parameters, str(batch.name or "batch"), linear.columns, found)
    return _applied(linear.index, expression, found, labels, parameters, reference, notes)


def align_as_before(
    linear: pd.DataFrame,
    found: NDArray[np.bool_],
    reference: ReferenceTissue,
    parameters: Sequence[BatchParameters],
    *,
    batch: pd.Series | None = None,
) -> Aligned:
    """Return z-scores of later samples, by the parameters of an earlier alignment.

    Each sample is read by itself, as it would have been among the earlier ones.

    Parameters
    ----------
    linear, found
        As in :func:`align`; genes without parameters must not be among those found.
    reference
        The samples' tissue in the reference.
    parameters
        Parameters of each batch, as in :attr:`Aligned.parameters`.
    batch
        Name of each sample's batch; needed where there are several.

    Raises
    ------
    ExpressionError
        If fewer than half of the genes are found.
    SelectionError
        If the batch of a sample is not among those of ``parameters``.
    """
    check_coverage(linear.columns, found)
    known = [one.batch for one in parameters]
    if batch is None and len(known) > 1:
        raise SelectionError(
            f"the saved alignment is of {len(known)} batches ({name_some(known)}). Say which of"
            " them each sample is of: --batch COLUMN of --metadata, or --as-batch NAME for all."
        )
    labels = known * len(linear) if batch is None else batch_labels(linear.index, batch)
    check_batches(labels, known)
    used = tuple(one for one in parameters if one.batch in labels)
    notes = describe_as_before(used, len(linear))
    expression = on_genes_found(linear, found)
    return _applied(linear.index, expression, found, labels, used, reference, notes)


def check_batches(labels: Sequence[str], known: Sequence[str]) -> None:
    """Refuse samples of other batches than those ``known`` to a saved alignment.

    Raises
    ------
    SelectionError
        If there are some.
    """
    others = sorted(set(labels) - set(known))
    if others:
        there = "has no batches" if known == [""] else f"is of {name_some(known)}"
        raise SelectionError(
            f"the saved alignment {there}, and samples are of batch {name_some(others)}. Samples of"
            " a new batch are aligned by themselves (without the saved alignment), or read as a"
            " known one (--as-batch NAME)."
        )


def _method(how: AlignmentMethod, n_samples: int, minimum_samples: int) -> AlignmentHow:
    """Return what is to be done."""
    if how == "none":
        return "none"
    if how == "auto":
        return "none" if n_samples < minimum_samples else "cohort"
    if n_samples < LEAST_SAMPLES[how]:
        what = "aligning a cohort" if how == "cohort" else f"alignment by {how} values"
        raise ExpressionError(
            f"{what} needs {LEAST_SAMPLES[how]} samples or more, got {n_samples}. Add samples, "
            f"or do not align: --alignment none, or 'Leave as they are' on the"
            " Upload page."
        )
    return how


def batch_labels(samples: pd.Index, batch: pd.Series | None) -> list[str]:
    """Return the name of each sample's batch.

    Raises
    ------
    SelectionError
        If that of a sample is not known.
    """
    if batch is None:
        return [""] * len(samples)
    labels = batch.reindex(samples)
    unknown = samples[labels.isna()]
    if len(unknown):
        raise SelectionError(
            f"the batch of {counted(len(unknown), 'sample', 'samples')} is not known:"
            f" {name_some(unknown)}. Fill in the column {str(batch.name or 'batch')!r}, or leave"
            " these samples out."
        )
    return [str(label) for label in labels]


def _applied(
    samples: pd.Index,
    expression: NDArray[np.float32],
    found: NDArray[np.bool_],
    labels: Sequence[str],
    parameters: tuple[BatchParameters, ...],
    reference: ReferenceTissue,
    notes: Sequence[Note],
) -> Aligned:
    before = _as_they_are(expression, found, reference.code, reference.scaler)
    if len(parameters) == 1:
        how = parameters[0].how
        z = before if how == "none" else parameters[0].z(expression, reference)
    else:
        z, of_batch = np.empty_like(before), np.asarray(labels)
        for one in parameters:
            rows = of_batch == one.batch
            z[rows] = one.z(expression[rows], reference)
    z[:, ~found] = 0
    distance = pd.DataFrame(
        {"distance_before": _distance(before, found), "distance_after": _distance(z, found)},
        index=samples,
    )
    all_notes = (*notes, *describe_far(distance))
    return Aligned(
        z, found, parameters[0].how, distance, all_notes, tuple(labels), tuple(parameters)
    )


def distance_before(
    linear: pd.DataFrame, found: NDArray[np.bool_], source: int, scaler: TissueScaler
) -> NDArray[np.float64]:
    """Return the distance (N,) of samples from the reference as they are, as in :func:`align`."""
    return _distance(_as_they_are(on_genes_found(linear, found), found, source, scaler), found)


def _as_they_are(
    expression: NDArray[np.float32], found: NDArray[np.bool_], source: int, scaler: TissueScaler
) -> NDArray[np.float32]:
    z = scaler.transform(expression, np.full(len(expression), source))
    z[:, ~found] = 0
    return z


def _distance(z: NDArray[np.float32], found: NDArray[np.bool_]) -> NDArray[np.float64]:
    distance: NDArray[np.float64] = np.sqrt(np.mean(z[:, found].astype(np.float64) ** 2, axis=1))
    return distance
