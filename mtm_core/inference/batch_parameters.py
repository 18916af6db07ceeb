"""Parameters that align the samples of one batch to the reference: estimated once, then fixed.

Three methods, each gene by itself, on the scale of the model's z-scores:

``cohort``
    Mean and SD of the samples become those of the reference (paper, section 2.8).
``robust``
    The same with median and interquartile range, which a few deviating samples move little. The
    interquartile range, not the MAD, because the reference's is known. Where either range is 0, or
    the reference has the gene's SD at 1, mean and SD are used.
``quantiles``
    The samples' quantiles at ``QUANTILE_LEVELS`` become the reference's, straight lines between
    them; beyond the outermost, values are shifted as these are.

A batch of fewer than ``ENOUGH_SAMPLES`` samples gets its own centre (mean or median) and the
spread that all batches have together within themselves; one of fewer than ``LEAST_OF_BATCH`` is
read with all samples together.

Shapes: N samples, G genes of the model, Q levels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mtm_core.data.cohort.scaling import CONSTANT_SD, TissueScaler, to_scale
from mtm_core.inference.gene_moments import GeneMoments
from mtm_core.model_reference import QUANTILE_LEVELS

AlignmentHow = Literal["cohort", "robust", "quantiles", "none"]
"""How samples were aligned."""
Basis = Literal["own", "centre", "together"]
"""Samples that parameters come from: the batch's; its centre, with the spread within batches; or
all samples together."""
Floats = NDArray[np.float32]

LEAST_SAMPLES = {"cohort": 3, "robust": 5, "quantiles": 10}
"""Samples that each method needs."""
ENOUGH_SAMPLES = 20
"""Samples whose own centre and spread are used: by ``"auto"`` for a table, and for each batch.

The standard error of a mean of n values is SD / sqrt(n), that of an SD about SD / sqrt(2n): at 20
samples 0.22 and 0.16 of the SD, small beside the spread of z-scores, which is 1.
"""
LEAST_OF_BATCH = 3
_FIRST, _MIDDLE, _THIRD = (QUANTILE_LEVELS.index(level) for level in (0.25, 0.5, 0.75))
_VALUES_AT_ONCE = 2**18


@dataclass(frozen=True)
class ReferenceTissue:
    """The reference's samples of one tissue.

    Attributes
    ----------
    scaler
        Scaler of all tissues.
    code
        Code of the tissue in ``scaler``.
    quantiles
        (Q, G) on the scaler's scale; ``None`` if they are not known.
    """

    scaler: TissueScaler
    code: int
    quantiles: Floats | None = None


@dataclass(frozen=True)
class BatchParameters:
    """How samples of one batch become z-scores against the reference.

    Attributes
    ----------
    batch
        Its name; empty if there are no batches.
    how, basis
        Method, and what the parameters are of.
    n_samples
        Samples of the batch when they were estimated.
    centre, spread
        (G,) z is (value - centre) / spread; ``None`` under ``quantiles`` and ``none``.
    knots
        (Q, G) quantiles of the samples; ``None`` but under ``quantiles``.
    constant
        (G,) genes that do not vary in what the parameters are of; ``None`` if that is not known.
    """

    batch: str
    how: AlignmentHow
    n_samples: int
    basis: Basis = "own"
    centre: Floats | None = None
    spread: Floats | None = None
    knots: Floats | None = None
    constant: NDArray[np.bool_] | None = None

    def z(self, expression: Floats, reference: ReferenceTissue) -> Floats:
        """Return z-scores (N, G) of ``expression`` (N, G), linear: each sample by itself."""
        scaler = reference.scaler
        if self.knots is not None:
            return _mapped(expression, self.knots, reference)
        if self.centre is None or self.spread is None:
            return scaler.transform(expression, np.full(len(expression), reference.code))
        own = TissueScaler(self.centre[None], self.spread[None], scaler.scale)
        return own.transform(expression, np.zeros(len(expression), dtype=np.int64))

    def levels(self, reference: ReferenceTissue) -> NDArray[np.float64] | None:
        """Return linear expression (G,) about the middle of the batch; ``None`` under ``none``."""
        middle = self.centre if self.knots is None else self.knots[_MIDDLE]
        if middle is None:
            return None
        wide = middle.astype(np.float64)
        return np.maximum(np.exp2(wide) - 1 if reference.scaler.scale == "log2" else wide, 0)

    def of_genes(self, found: NDArray[np.bool_]) -> BatchParameters:
        """Cut it to the genes (G,) that are ``found``."""
        return replace(
            self,
            centre=None if self.centre is None else self.centre[found],
            spread=None if self.spread is None else self.spread[found],
            knots=None if self.knots is None else self.knots[:, found],
            constant=None,
        )

    def spread_over(self, places: NDArray[np.intp], n_genes: int) -> BatchParameters:
        """Put its genes in their places among ``n_genes``; others get 0, and a spread of 1."""

        def put(values: Floats | None, fill: float) -> Floats | None:
            if values is None:
                return None
            whole = np.full((*values.shape[:-1], n_genes), fill, dtype=np.float32)
            whole[..., places] = values
            return whole

        return replace(
            self, centre=put(self.centre, 0), spread=put(self.spread, 1), knots=put(self.knots, 0)
        )


def parameters_of_moments(moments: GeneMoments, reference: ReferenceTissue) -> BatchParameters:
    """Return what brings mean and SD of samples to those of the reference.

    Where the reference has a gene's SD at 1 (a gene that is off), its z-scores spread less than 1
    in the reference too: there an SD below 1 is not stretched to 1.
    """
    sd = np.where(moments.sd < CONSTANT_SD, 1, moments.sd).astype(np.float32)
    sd = np.where(reference.scaler.sd[reference.code] == 1, np.maximum(sd, 1), sd)
    return BatchParameters(
        "",
        "cohort",
        moments.n,
        centre=moments.mean.astype(np.float32),
        spread=sd,
        constant=moments.high == moments.low,
    )


def parameters_of(
    expression: Floats, how: Literal["cohort", "robust", "quantiles"], reference: ReferenceTissue
) -> BatchParameters:
    """Estimate the parameters of ``how`` from all samples of ``expression`` (N, G), linear."""
    return _estimate(to_scale(expression, reference.scaler.scale), how, reference)


def parameters_by_batch(
    expression: Floats,
    batch: Sequence[str],
    how: Literal["cohort", "robust", "quantiles"],
    reference: ReferenceTissue,
) -> tuple[BatchParameters, ...]:
    """Estimate the parameters of each batch.

    Parameters
    ----------
    expression
        (N, G) linear.
    batch
        (N,) name of each sample's batch.
    how, reference
        As in :func:`parameters_of`.

    Returns
    -------
    tuple
        By the batches' names.
    """
    values = to_scale(expression, reference.scaler.scale)
    names = np.asarray([str(name) for name in batch])
    rows = {str(name): np.flatnonzero(names == name) for name in np.unique(names)}
    within: BatchParameters | None = None
    if any(LEAST_OF_BATCH <= len(own) < ENOUGH_SAMPLES for own in rows.values()):
        within = _estimate(_within(values, list(rows.values()), how), how, reference)
    result = []
    for name, own in rows.items():
        n_samples = len(own)
        if n_samples >= ENOUGH_SAMPLES:
            one = _estimate(values[own], how, reference)
        elif n_samples >= LEAST_OF_BATCH and within is not None:
            one = _moved(within, _centre(values[own], how))
        else:
            one = replace(_estimate(values, how, reference), basis="together")
        result.append(replace(one, batch=name, n_samples=n_samples))
    return tuple(result)


def parameters_of_batch_moments(
    moments: Mapping[str, GeneMoments], reference: ReferenceTissue
) -> tuple[BatchParameters, ...]:
    """Estimate ``cohort`` parameters of each batch from its moments, as from its samples.

    Parameters
    ----------
    moments
        By the batches' names.
    reference
        As in :func:`parameters_of`.

    Returns
    -------
    tuple
        By the batches' names.
    """
    ordered = {name: moments[name] for name in sorted(moments)}
    together = parameters_of_moments(reduce(GeneMoments.joined, ordered.values()), reference)
    small = any(LEAST_OF_BATCH <= own.n < ENOUGH_SAMPLES for own in ordered.values())
    within = (
        parameters_of_moments(_within_batches(list(ordered.values())), reference) if small else None
    )
    result = []
    for name, own in ordered.items():
        if own.n >= ENOUGH_SAMPLES:
            one = parameters_of_moments(own, reference)
        elif own.n >= LEAST_OF_BATCH and within is not None:
            one = _moved(within, own.mean.astype(np.float32))
        else:
            one = replace(together, basis="together")
        result.append(replace(one, batch=name, n_samples=own.n))
    return tuple(result)


def _within_batches(batches: Sequence[GeneMoments]) -> GeneMoments:
    """Return the moments of what :func:`_within` gives, from those of each batch."""
    several = [(one, np.sqrt(one.n / (one.n - 1))) for one in batches if one.n > 1]
    return GeneMoments(
        sum(one.n for one, _ in several),
        np.zeros_like(batches[0].mean),
        np.sum([one.squares * scale**2 for one, scale in several], axis=0),
        np.min([(one.low - one.mean) * scale for one, scale in several], axis=0).astype(np.float32),
        np.max([(one.high - one.mean) * scale for one, scale in several], axis=0).astype(
            np.float32
        ),
    )


def _centre(values: Floats, how: str) -> Floats:
    if how == "cohort":
        centre: Floats = values.mean(axis=0, dtype=np.float64).astype(np.float32)
        return centre
    return np.asarray(np.median(values, axis=0), dtype=np.float32)


def _within(values: Floats, batches: Sequence[NDArray[np.intp]], how: str) -> Floats:
    """Return how samples differ within their batches, of all batches together around 0.

    From the mean of n samples a sample lies ``sqrt((n - 1) / n)`` SD away, not 1: without this,
    and with batches of one, which lie 0 away from their own mean, the spread would be too small.
    """
    parts = [
        (values[own] - values[own].mean(axis=0, dtype=np.float64)) * np.sqrt(n / (n - 1))
        for own in batches
        if (n := len(own)) > 1
    ]
    found = np.concatenate(parts).astype(np.float32)
    return found - _centre(found, how)


def _moved(within: BatchParameters, centre: Floats) -> BatchParameters:
    """Put the centre of a batch into what was estimated around zero."""
    return replace(
        within,
        basis="centre",
        centre=None if within.centre is None else within.centre + centre,
        knots=None if within.knots is None else within.knots + centre,
    )


def _estimate(
    values: Floats, how: Literal["cohort", "robust", "quantiles"], reference: ReferenceTissue
) -> BatchParameters:
    by_moments = parameters_of_moments(GeneMoments.of_values(values), reference)
    if how == "cohort":
        return by_moments
    knots = np.quantile(values, QUANTILE_LEVELS, axis=0).astype(np.float32)
    if how == "quantiles":
        return replace(by_moments, how=how, centre=None, spread=None, knots=knots)
    return _robust(by_moments, knots, reference)


def _robust(
    by_moments: BatchParameters, knots: Floats, reference: ReferenceTissue
) -> BatchParameters:
    """Bring median and interquartile range to the reference's; mean and SD where a range is 0."""
    known = reference.quantiles
    assert known is not None
    assert by_moments.centre is not None
    assert by_moments.spread is not None
    mean, sd = (part[reference.code] for part in (reference.scaler.mean, reference.scaler.sd))
    own, theirs = (quantiles[_THIRD] - quantiles[_FIRST] for quantiles in (knots, known))
    usable = (own > CONSTANT_SD) & (theirs > CONSTANT_SD) & (sd != 1)
    ratio = np.divide(own, theirs, out=np.ones_like(own), where=usable)
    centre = knots[_MIDDLE] - (known[_MIDDLE] - mean) * ratio
    return replace(
        by_moments,
        how="robust",
        centre=np.where(usable, centre, by_moments.centre).astype(np.float32),
        spread=np.where(usable, sd * ratio, by_moments.spread).astype(np.float32),
    )


def _mapped(expression: Floats, knots: Floats, reference: ReferenceTissue) -> Floats:
    """Map quantiles to the reference's, and take z-scores against it."""
    known = reference.quantiles
    assert known is not None
    mean, sd = (part[reference.code] for part in (reference.scaler.mean, reference.scaler.sd))
    # Levels that have one value in the samples stand for their mean level in the reference.
    same = knots[:, None] == knots[None]
    targets = (same * known[None]).sum(axis=1) / same.sum(axis=1)
    targets = np.where(knots[0] == knots[-1], mean, targets)
    z = np.empty(expression.shape, dtype=np.float32)
    step = max(1, _VALUES_AT_ONCE // max(1, expression.shape[1]))
    for start in range(0, len(z), step):
        rows = slice(start, start + step)
        values = to_scale(expression[rows], reference.scaler.scale)
        mapped = values + (targets[0] - knots[0])
        for low, high, at, to in zip(knots[:-1], knots[1:], targets[:-1], targets[1:], strict=True):
            width = high - low
            slope = np.divide(to - at, width, out=np.zeros_like(width), where=width > 0)
            mapped = np.where(values >= low, at + slope * (values - low), mapped)
        beyond = values > knots[-1]
        mapped = np.where(beyond, values + (targets[-1] - knots[-1]), mapped)
        z[rows] = (mapped - mean) / sd
    return z
