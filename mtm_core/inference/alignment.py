"""Bring a user's cohort to the reference (paper, section 2.8).

The paper "aligned the mean and standard deviation of each gene in each tissue to those of the GTEx
data". That needs a cohort: with few samples their own mean and SD are too uncertain, and the
samples are compared with the reference as they are.

Shapes: N samples, G genes of the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from mtm_core.config import ExpressionScale
from mtm_core.data.cohort.normalise import Normalisation
from mtm_core.data.cohort.scaling import CONSTANT_SD, TissueScaler, to_scale
from mtm_core.data.notes import Note, counted, name_some, they_were
from mtm_core.data.units import UNIT_TABLE, Unit, check_totals
from mtm_core.errors import ExpressionError

AlignmentMethod = Literal["auto", "cohort", "none"]

MINIMUM_FOR_ALIGNMENT = 20
"""Samples that ``"auto"`` aligns from.

The standard error of a mean of n values is SD / sqrt(n), that of an SD about SD / sqrt(2n): at 20
samples 0.22 and 0.16 of the SD, small beside the spread of z-scores, which is 1.
"""
_LEAST_SAMPLES = 3
_LEAST_SHARE = 0.5
_MAY_BE_BY_LENGTH: tuple[Unit, ...] = (
    *("tpm", "fpkm", "log2", "ln", "log10", "log2-0.001", "log2-0.01", "log2-0"),
)
_FAR = 3.0
"""RMS of z-scores from which a sample is called far: reference samples lie about 1 away."""


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
        ``"cohort"`` or ``"none"``: what was done.
    distance
        ``distance_before``, ``distance_after`` by sample: root mean square of the z-scores over the
        genes found, against the reference as it is and after alignment.
    notes
        What was done, in words.
    """

    z: NDArray[np.float32]
    found: NDArray[np.bool_]
    how: Literal["cohort", "none"]
    distance: pd.DataFrame
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class GeneMoments:
    """Mean and spread of each gene over samples, which can be joined part by part.

    Attributes
    ----------
    n
        Samples.
    mean, squares
        (G,) float64: mean, and sum of squared differences from it, on the scaler's scale.
    low, high
        (G,) least and greatest value.
    """

    n: int
    mean: NDArray[np.float64]
    squares: NDArray[np.float64]
    low: NDArray[np.float32]
    high: NDArray[np.float32]

    @classmethod
    def of(cls, expression: NDArray[np.float32], scale: ExpressionScale) -> GeneMoments:
        """Take the moments of ``expression`` (N, G), linear, on ``scale``."""
        values = to_scale(expression, scale)
        low, high = values.min(axis=0), values.max(axis=0)
        exact = values.astype(np.float64)
        mean = exact.mean(axis=0)
        return cls(len(values), mean, ((exact - mean) ** 2).sum(axis=0), low, high)

    def joined(self, other: GeneMoments) -> GeneMoments:
        """Return the moments of the samples of both (Chan, Golub and LeVeque 1983)."""
        n, away = self.n + other.n, other.mean - self.mean
        return GeneMoments(
            n,
            self.mean + away * (other.n / n),
            self.squares + other.squares + away**2 * (self.n * other.n / n),
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
        )

    @property
    def sd(self) -> NDArray[np.float64]:
        """Population SD (G,)."""
        return np.asarray(np.sqrt(self.squares / self.n))


def on_genes_found(linear: pd.DataFrame, found: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return ``linear`` (N, G) as an array, 0 where a gene is missing."""
    expression: NDArray[np.float32] = linear.to_numpy(dtype=np.float32, copy=True)
    expression[:, ~found] = 0
    return expression


def panel_normalise(
    linear: pd.DataFrame,
    found: NDArray[np.bool_],
    reference_mean: ArrayLike,
    normalisation: Normalisation,
) -> pd.DataFrame:
    """Scale samples as the model's reference was scaled, whatever genes are missing.

    For ``"panel-cpm"`` each sample is scaled so that its genes found sum to what they make up of a
    million in the reference; so a missing gene does not raise the others. With all genes found this
    is :func:`mtm_core.data.cohort.normalise.normalise`. For ``"none"`` (TPM) nothing is changed.

    Parameters
    ----------
    linear
        (N, G), 0 or more, NaN where a gene is missing.
    found
        (G,) bool.
    reference_mean
        (G,) mean linear expression of the reference in the source tissue.
    normalisation
        Of the model's cohort.

    Raises
    ------
    ExpressionError
        If fewer than half of the genes are found, or a sample has no expression in them.
    """
    check_coverage(linear.columns, found)
    if normalisation == "none":
        return linear
    reference = np.asarray(reference_mean, dtype=np.float64)
    total = 1e6 * reference[found].sum() / reference.sum()
    # In one order of summation whatever the number of rows: a sample's sum is its own, to the bit.
    values = np.ascontiguousarray(linear.to_numpy(dtype=np.float64)[:, found])
    totals = pd.Series(values.sum(axis=1), index=linear.index)
    check_totals(totals)
    return linear.mul(total / totals, axis=0)


def align(
    linear: pd.DataFrame,
    found: NDArray[np.bool_],
    source: int,
    scaler: TissueScaler,
    how: AlignmentMethod = "auto",
    *,
    unit: Unit | None = None,
    normalisation: Normalisation = "panel-cpm",
    minimum_samples: int = MINIMUM_FOR_ALIGNMENT,
    whole: GeneMoments | None = None,
) -> Aligned:
    """Return z-scores of samples of one tissue against the reference.

    Parameters
    ----------
    linear
        (N, G), normalised (:func:`panel_normalise`), NaN where a gene is missing.
    found
        (G,) bool.
    source
        Code of the samples' tissue in ``scaler``.
    scaler
        Mean and SD of the reference.
    how
        ``"cohort"``: each gene's mean and SD in the samples are brought to the reference's, so z
        is taken against the samples themselves and depends on which samples come together.
        ``"none"``: z is taken against the reference, sample by sample. ``"auto"``: ``"cohort"``
        from ``minimum_samples`` samples on.
    unit, normalisation
        Of the table and of the model's cohort; only for the warning that they may not fit.
    minimum_samples
        For ``"auto"``.
    whole
        Of all samples, where ``linear`` is a part of them: the part is then aligned as it would be
        among them all.

    Raises
    ------
    ExpressionError
        If fewer than half of the genes are found, or ``"cohort"`` is asked of fewer than 3 samples.
    """
    check_coverage(linear.columns, found)
    n_samples = len(linear) if whole is None else whole.n
    if how == "cohort" and n_samples < _LEAST_SAMPLES:
        raise ExpressionError(
            f"aligning a cohort needs {_LEAST_SAMPLES} samples or more, got {n_samples}. Give"
            " more, or leave them as they are: --alignment none, or 'Leave as they are' on the"
            " Upload page."
        )
    expression = on_genes_found(linear, found)
    before = _as_they_are(expression, found, source, scaler)
    done: Literal["cohort", "none"]
    if how == "none" or (how == "auto" and n_samples < minimum_samples):
        z, done = before, "none"
        notes = _describe_none(how, n_samples, minimum_samples, unit, normalisation)
    else:
        moments = whole or GeneMoments.of(expression, scaler.scale)
        own, constant = _own_scaler(moments, source, scaler)
        z = own.transform(expression, np.zeros(len(linear), dtype=np.int64))
        z[:, ~found] = 0
        done = "cohort"
        notes = _describe_cohort(n_samples, minimum_samples, linear.columns[constant & found])
    distance = pd.DataFrame(
        {"distance_before": _distance(before, found), "distance_after": _distance(z, found)},
        index=linear.index,
    )
    return Aligned(z, found, done, distance, (*notes, *describe_far(distance)))


def _own_scaler(
    moments: GeneMoments, source: int, scaler: TissueScaler
) -> tuple[TissueScaler, NDArray[np.bool_]]:
    """Return the samples' own mean and SD, as a scaler of one tissue, and which genes are constant.

    Where the reference has a gene's SD at 1 (a gene that is off), its z-scores spread less than 1
    in the reference too: there an SD below 1 is not stretched to 1.
    """
    sd = np.where(moments.sd < CONSTANT_SD, 1, moments.sd).astype(np.float32)
    sd = np.where(scaler.sd[source] == 1, np.maximum(sd, 1), sd)
    own = TissueScaler(moments.mean[None].astype(np.float32), sd[None], scaler.scale)
    return own, moments.high == moments.low


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


def is_covered(found: NDArray[np.bool_]) -> bool:
    """Tell whether enough of the model's genes are found (G,)."""
    return bool(found.mean() >= _LEAST_SHARE)


def check_coverage(genes: pd.Index, found: NDArray[np.bool_]) -> None:
    """Refuse a table that has too few of the model's ``genes`` (G,).

    Raises
    ------
    ExpressionError
        If fewer than half of them are found.
    """
    if not is_covered(found):
        raise ExpressionError(
            f"{int(found.sum())} of the model's {len(found)} genes are in the table; at least half"
            f" are needed. Missing are, for example, {name_some(genes[~found], 3)}. Give"
            " the table before genes were filtered out, with Ensembl ids, symbols or Entrez ids of"
            " human genes."
        )


def _describe_none(
    how: AlignmentMethod,
    n_samples: int,
    minimum_samples: int,
    unit: Unit | None,
    normalisation: Normalisation,
) -> list[Note]:
    reason = "No alignment was asked for."
    if how == "auto":
        reason = (
            f"{counted(n_samples, 'sample is', 'samples are')} fewer than the {minimum_samples}"
            " that alignment needs."
        )
    notes = [
        Note(
            "info" if how == "none" else "warning",
            reason,
            "Each sample was compared with the reference as it is; differences of protocol between"
            " the two remain.",
        )
    ]
    if normalisation == "panel-cpm" and unit in _MAY_BE_BY_LENGTH:
        notes.append(
            Note(
                "warning",
                f"{_by_length(unit)} divided by gene length, and the counts that the model was"
                " trained on are not.",
                "Without alignment, levels of long genes look too low and of short ones too high.",
                f"Give counts, or {minimum_samples} samples or more.",
            )
        )
    return notes


def _by_length(unit: Unit) -> str:
    if UNIT_TABLE[unit].is_log:
        return "The values may be logarithms of TPM or FPKM, which are"
    return f"{UNIT_TABLE[unit].label} is"


def _describe_cohort(n_samples: int, minimum_samples: int, constant: pd.Index) -> list[Note]:
    notes = [
        Note(
            "info",
            f"The {n_samples:,} samples were aligned to the reference.",
            "Each gene's mean and SD were brought to those of the reference: z-scores say how a"
            " sample differs from the others of this table; a difference from the reference that"
            " all of them share is gone.",
        )
    ]
    if n_samples < minimum_samples:
        notes.append(
            Note(
                "warning",
                f"{n_samples} samples are few to align: the standard error of a gene's mean is"
                f" {n_samples**-0.5:.2f} SD.",
                "They were aligned, as asked.",
                f"{minimum_samples} samples or more are better.",
            )
        )
    if len(constant):
        notes.append(
            Note(
                "warning",
                f"{counted(len(constant), 'gene does', 'genes do')} not vary among the samples:"
                f" {name_some(constant)}.",
                they_were(len(constant), "set to the reference mean"),
            )
        )
    return notes


def describe_far(distance: pd.DataFrame) -> list[Note]:
    """Name the samples that lie far from the reference, by ``distance`` of :class:`Aligned`."""
    far = distance.index[distance["distance_after"] > _FAR]
    if far.empty:
        return []
    return [
        Note(
            "warning",
            f"{len(far)} of {len(distance)} samples {'lies' if len(far) == 1 else 'lie'} more than"
            f" {_FAR:g} SD from the reference: {name_some(far)}.",
            they_were(len(far), "left in"),
            "Check their tissue, their quality and the unit.",
        )
    ]
