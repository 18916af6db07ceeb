"""Notes on alignment: findings and actions, in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.data.cohort.normalise import Normalisation
from mtm_core.data.notes import Note, counted, name_some, they_were
from mtm_core.data.units import UNIT_TABLE, Unit
from mtm_core.inference.batch_parameters import (
    ENOUGH_SAMPLES,
    LEAST_OF_BATCH,
    BatchParameters,
)

BASIS_IN_WORDS = {
    "own": "the batch's own samples",
    "centre": "its own centre, the spread within all batches",
    "together": "all samples together",
}
_NAMES = {
    "cohort": "mean and SD",
    "robust": "median and interquartile range",
    "quantiles": "quantiles",
}
_BROUGHT = {
    "cohort": "mean and SD were",
    "robust": "median and interquartile range were",
    "quantiles": "quantiles were",
}
_FAR = 3.0
"""RMS of z-scores from which a sample is called far: reference samples lie about 1 away."""
_MOST_BATCHES = 8


def describe_none(
    how: str,
    n_samples: int,
    minimum_samples: int,
    unit: Unit | None,
    normalisation: Normalisation,
) -> list[Note]:
    """Say that samples were not aligned, and why."""
    reason = "Alignment was switched off."
    if how == "auto":
        reason = (
            f"{counted(n_samples, 'sample is', 'samples are')} fewer than the {minimum_samples} "
            f"that alignment needs."
        )
    notes = [
        Note(
            "info" if how == "none" else "warning",
            reason,
            "Each sample was compared with the reference as it is; differences in protocol "
            "between the two remain.",
        )
    ]
    if normalisation == "panel-cpm" and unit is not None and UNIT_TABLE[unit].by_length:
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


def describe_aligned(
    parameters: BatchParameters,
    minimum_samples: int,
    genes: pd.Index,
    found: NDArray[np.bool_],
) -> list[Note]:
    """Say that all samples were aligned as one."""
    n_samples = parameters.n_samples
    notes = [
        Note(
            "info",
            f"The {n_samples:,} samples were aligned to the reference.",
            f"Each gene's {_BROUGHT[parameters.how]} set to those of the reference. Z-scores "
            f"therefore say how a sample differs from the others in this table; a difference "
            f"from the reference that all of them share is removed.",
        )
    ]
    if n_samples < minimum_samples:
        notes.append(
            Note(
                "warning",
                f"{n_samples} samples are few for alignment: the standard error of a gene's mean is"
                f" {n_samples**-0.5:.2f} SD.",
                "They were aligned, as you chose.",
                f"{minimum_samples} samples or more are better.",
            )
        )
    return [*notes, *_describe_constant([parameters], genes, found)]


def describe_batches(
    parameters: Sequence[BatchParameters],
    column: str,
    genes: pd.Index,
    found: NDArray[np.bool_],
) -> list[Note]:
    """Say that each batch was aligned by itself, and what was done with small ones."""
    n_samples = sum(one.n_samples for one in parameters)
    how = parameters[0].how
    notes = [
        Note(
            "info",
            f"The {n_samples:,} samples were aligned to the reference in"
            f" {counted(len(parameters), 'batch', 'batches')} of {column!r}, each separately.",
            f"Each gene's {_BROUGHT[how]} set to those of the reference in every batch, which "
            f"removes differences between batches. If batches hold different groups, part of the "
            f"difference between the groups is removed too.",
        )
    ]
    own_centre = "median" if how != "cohort" else "mean"
    for basis, few, done in (
        (
            "centre",
            f"fewer than {ENOUGH_SAMPLES} samples",
            f"Each was aligned by its own {own_centre} of every gene, and by the spread within "
            f"all batches together.",
        ),
        (
            "together",
            f"fewer than {LEAST_OF_BATCH} samples",
            "They were aligned with all samples together, so technical differences of these "
            "batches remain.",
        ),
    ):
        small = [one for one in parameters if one.basis == basis]
        if small:
            shown = ", ".join(f"{one.batch!r} ({one.n_samples})" for one in small[:_MOST_BATCHES])
            more = ", …" if len(small) > _MOST_BATCHES else ""
            notes.append(
                Note(
                    "warning",
                    f"{counted(len(small), 'batch has', 'batches have')} {few}, too few for"
                    f" {_NAMES[how]} of its own: {shown}{more}."
                    if len(small) == 1
                    else f"{len(small)} batches have {few}, too few for {_NAMES[how]} of their own:"
                    f" {shown}{more}.",
                    done,
                )
            )
    return [*notes, *_describe_constant(parameters, genes, found)]


def describe_as_before(parameters: Sequence[BatchParameters], n_samples: int) -> list[Note]:
    """Say that later samples were read by an earlier alignment."""
    if all(one.how == "none" for one in parameters):
        return [
            Note(
                "info",
                "The samples of the saved alignment were not aligned.",
                "These were not aligned either: each was compared with the reference as it is.",
            )
        ]
    earlier = sum(one.n_samples for one in parameters)
    of_batch = ", ".join(repr(one.batch) for one in parameters[:_MOST_BATCHES] if one.batch)
    return [
        Note(
            "info",
            f"{counted(n_samples, 'sample was', 'samples were')} aligned by the saved alignment of"
            f" {earlier:,} earlier samples" + (f" (batch {of_batch})." if of_batch else "."),
            "Each is read separately, as if it were one of them: z-scores say how it differs "
            "from the earlier samples.",
            "It must come from the same laboratory and protocol.",
        )
    ]


def _describe_constant(
    parameters: Sequence[BatchParameters], genes: pd.Index, found: NDArray[np.bool_]
) -> list[Note]:
    known = [one.constant for one in parameters if one.constant is not None]
    constant = genes[np.logical_or.reduce(known) & found] if known else genes[:0]
    if not len(constant):
        return []
    where = "the samples" if len(parameters) == 1 else "the samples of a batch"
    return [
        Note(
            "warning",
            f"{counted(len(constant), 'gene does', 'genes do')} not vary among {where}:"
            f" {name_some(constant)}.",
            they_were(len(constant), "set to the reference mean"),
        )
    ]


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
            "Check their tissue, quality and unit.",
        )
    ]
