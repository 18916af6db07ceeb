"""Bring the samples of a matrix to one scale, by name."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mtm_core.errors import CohortError

Normalisation = Literal["none", "panel-cpm"]
NORMALISATIONS: tuple[str, ...] = get_args(Normalisation)
UNIT_AFTER = {"none": "TPM", "panel-cpm": "panel CPM"}


def explain_unit(unit: str, n_genes: int) -> str:
    """Get ``unit`` of a model of ``n_genes`` with what it means, where its name does not tell."""
    if unit != UNIT_AFTER["panel-cpm"]:
        return unit
    return f"{unit} (counts per million of the reads of the model's {n_genes:,} genes)"


def normalise(values: NDArray[np.float32], how: Normalisation) -> NDArray[np.float32]:
    """Normalise ``values`` (samples, genes), counts or TPM, linear.

    ``"none"`` leaves them. ``"panel-cpm"`` divides each sample by its sum over the genes that are
    there and multiplies by a million, so that counts, CPM and TPM of one gene panel share a scale.

    Raises
    ------
    CohortError
        If a value is negative, or a sample has nothing to divide by.
    """
    if values.size and values.min() < 0:
        row, column = np.unravel_index(int(values.argmin()), values.shape)
        raise CohortError(
            "expected counts or TPM, 0 or more; got"
            f" {values[row, column]:.4g} in sample {row + 1}, gene {column + 1}."
            " Undo the logarithm first."
        )
    if how == "none":
        return values
    totals = values.sum(axis=1, dtype=np.float64)
    if (totals == 0).any():
        raise CohortError(
            f"{int((totals == 0).sum())} samples have no expression in any gene of the panel,"
            f" the first is number {int(np.argmax(totals == 0)) + 1}. Drop them first."
        )
    scaled = np.empty_like(values, dtype=np.float32)
    # Products in float64, yet no second matrix of it.
    np.multiply(values, (1e6 / totals)[:, None], out=scaled, dtype=np.float64, casting="same_kind")
    return scaled
