"""A design for some samples: their rows in a table; those who may have a tissue of one sex."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.errors import SelectionError
from mtm_core.statistics.block_correlation import can_correlate
from mtm_core.statistics.outcome import CONSTANT_TRAIT, TOO_FEW, TRAIT_FROM_COVARIATES
from mtm_core.studies.contrasts import Contrast
from mtm_core.studies.design import LEAST_FREEDOM, LEAST_GROUP, StudyDesign
from mtm_core.studies.formula import Factor

_ROUNDING = 1e-8


@dataclass(frozen=True)
class DesignPart:
    """A design cut to some of its samples.

    Attributes
    ----------
    design
        The design, with the contrasts that can be tested in these samples.
    place
        Place of each contrast of the whole design among those; ``None`` of one that cannot be
        tested.
    reason
        Why it cannot (:mod:`mtm_core.statistics.outcome`); empty of one that can.
    """

    design: StudyDesign
    place: tuple[int | None, ...]
    reason: tuple[str, ...]


def rows_of_design(design: StudyDesign, samples: pd.Index) -> NDArray[np.intp]:
    """Return the row of each sample of ``design`` among ``samples``.

    Raises
    ------
    SelectionError
        If one is not there.
    """
    rows: NDArray[np.intp] = samples.get_indexer(design.samples)
    if (rows < 0).any():
        raise SelectionError(
            "the design is of other samples than the table. Make it again from this table."
        )
    return rows


def part_of_design(design: StudyDesign, chosen: NDArray[np.bool_]) -> DesignPart:
    """Cut ``design`` to the samples ``chosen`` (N,).

    Coefficients that follow from others in these samples, such as that of sex among women, are
    left out. Contrasts and the centres of numbers mean what they mean in the whole design.
    """
    every = tuple(range(len(design.contrasts)))
    if chosen.all():
        return DesignPart(design, every, ("",) * len(every))
    whole = design.matrix[chosen]
    blocks = None if design.blocks is None else design.blocks[chosen]
    x = whole.to_numpy()
    independent = _independent(x)
    matrix = whole.iloc[:, independent]
    if blocks is not None and (
        not len(blocks) or blocks.value_counts().max() < 2 or not can_correlate(matrix, blocks)
    ):
        blocks = None  # no two samples of one block are left
    values = design.values[chosen]
    reason: list[str] = []
    contrasts: list[Contrast] = []
    place: list[int | None] = []
    inverse = np.linalg.pinv(x) if len(x) else np.zeros((x.shape[1], 0))
    for contrast in design.contrasts:
        own = _reason(contrast, design, values, x, inverse)
        if not own and len(x) - len(independent) < LEAST_FREEDOM:
            own = TOO_FEW
        reason.append(own)
        place.append(None if own else len(contrasts))
        if not own:
            rows = contrast.rows @ inverse @ matrix.to_numpy()
            contrasts.append(replace(contrast, rows=rows))
    part = replace(design, matrix=matrix, values=values, blocks=blocks, contrasts=tuple(contrasts))
    return DesignPart(part, tuple(place), tuple(reason))


def _independent(x: NDArray[np.float64]) -> list[int]:
    """Return the columns of ``x`` (N, P) that do not follow from those before them."""
    basis = np.empty((len(x), 0))
    places = []
    for place, column in enumerate(x.T):
        left = column - basis @ (basis.T @ column)
        left -= basis @ (basis.T @ left)
        size = np.linalg.norm(left)
        if size > _ROUNDING * max(float(np.linalg.norm(column)), 1.0):
            basis = np.column_stack([basis, left / size])
            places.append(place)
    return places


def _reason(
    contrast: Contrast,
    design: StudyDesign,
    values: pd.DataFrame,
    x: NDArray[np.float64],
    inverse: NDArray[np.float64],
) -> str:
    """Say why ``contrast`` cannot be tested in the samples of ``values``; empty if it can."""
    if not len(values):
        return TOO_FEW
    groups: dict[Factor, tuple[str, ...]] = {
        factor: design.levels[factor] for factor in contrast.text.term if factor in design.levels
    }
    if contrast.text.groups is not None:
        own = set(contrast.text.groups)
        groups = {
            factor: tuple(level for level in levels if level in own)
            for factor, levels in groups.items()
        }
    if any(values[column].nunique() < 2 for column in contrast.columns):
        return CONSTANT_TRAIT
    for factor, levels in groups.items():
        counts = values[factor.column].value_counts()
        if any(counts.get(level, 0) < LEAST_GROUP for level in levels):
            return TOO_FEW
    estimable = contrast.rows @ inverse @ x
    if np.abs(estimable - contrast.rows).max() > _ROUNDING * max(np.abs(contrast.rows).max(), 1):
        return TRAIT_FROM_COVARIATES
    return ""
