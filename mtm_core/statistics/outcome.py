"""Outcomes of tests in words: tested, or the reason why there is no p-value."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

TESTED = "tested"
TOO_FEW = "too few samples"
CONSTANT = "constant"
CONSTANT_TRAIT = "constant trait"
FROM_COVARIATES = "follows from covariates"
TRAIT_FROM_COVARIATES = "trait follows from covariates"
SINGLE_CLASS = "single class"
EMPTY_SET = "empty set"
NO_SIGNS = "no signs"
TOO_FEW_READS = "too few reads"
OUTLIER = "outlier"

OUTCOMES = (
    TESTED,
    TOO_FEW,
    CONSTANT,
    CONSTANT_TRAIT,
    FROM_COVARIATES,
    TRAIT_FROM_COVARIATES,
    SINGLE_CLASS,
    EMPTY_SET,
    NO_SIGNS,
    TOO_FEW_READS,
    OUTLIER,
)
"""All outcomes; only ``"tested"`` has a p-value."""


def outcome_column(outcome: ArrayLike) -> pd.Categorical:
    """Return outcomes (G,) as a categorical column with fixed categories, so that tables join."""
    return pd.Categorical(np.asarray(outcome, dtype=object), categories=list(OUTCOMES))


def first_outcome(n: int, *tests: tuple[NDArray[np.bool_] | bool, str]) -> NDArray[np.object_]:
    """Return, for each of ``n`` rows, the first outcome whose condition holds; else ``TESTED``."""
    conditions = [np.broadcast_to(condition, n) for condition, _ in tests]
    return np.select(conditions, [np.array(name, dtype=object) for _, name in tests], TESTED)
