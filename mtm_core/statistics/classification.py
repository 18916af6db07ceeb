"""Classification of two groups by L1 logistic regression (He et al. 2023, section 2.7)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler
from sklearn.svm import l1_min_c

from mtm_core.statistics.outcome import CONSTANT, SINGLE_CLASS, TESTED, TOO_FEW

C_FACTOR = 10.0
"""C of the regression, relative to the smallest C with any non-zero coefficient.

It is fixed, because a search inside every fold of 50 repeats would take 50 times as long.
"""
MOST_GENES = 500
"""Largest number of genes in a regression.

If there are more, those with the largest standardised difference between the groups are chosen, for
every fold on its training samples alone.
"""


FALSE_POSITIVE_RATES = np.linspace(0, 1, 21)
"""False positive rates at which ROC curves are evaluated."""


@dataclass(frozen=True)
class Classification:
    """Accuracy of a classifier of two groups on held-out samples.

    Attributes
    ----------
    n_case, n_control
        Numbers of samples.
    auroc
        Area under the ROC curve of held-out samples, averaged over folds and repeats.
    low, high
        95 % confidence interval of ``auroc`` (Hanley and McNeil 1982).
    sd_over_repeats
        SD of the area over repeats, which differ in their folds only.
    sensitivity
        ROC curve: sensitivity at each of ``FALSE_POSITIVE_RATES``, averaged over folds and repeats
        (vertical averaging: Fawcett 2006, Pattern Recognition Letters 27:861); empty if nothing
        was tested.
    outcome
        ``"tested"``, ``"single class"``, ``"too few samples"`` (fewer samples in a class than
        folds) or ``"constant"`` (no gene varies). Unless tested, the numbers are NaN.
    """

    n_case: int
    n_control: int
    auroc: float
    low: float
    high: float
    sd_over_repeats: float
    sensitivity: tuple[float, ...]
    outcome: str


def classify(
    profiles: ArrayLike,
    is_case: ArrayLike,
    *,
    n_folds: int = 5,
    n_repeats: int = 50,
    c_factor: float = C_FACTOR,
    seed: int = 0,
) -> Classification:
    """Cross-validate an L1 logistic regression of cases and controls.

    Folds are stratified, and genes are standardised on the training samples of each fold.

    Parameters
    ----------
    profiles
        Expression (N, G).
    is_case
        Which samples (N,) are cases.
    n_folds
        Number of folds.
    n_repeats
        Number of repeats, each with other folds.
    c_factor
        See ``C_FACTOR``.
    seed
        Seed of the first repeat; each further one adds 1.
    """
    x, y = np.asarray(profiles), np.asarray(is_case, dtype=bool)
    if x.dtype != np.float32 or x.shape[1] <= MOST_GENES:
        x = x.astype(np.float64)
    n_case, n_control = int(y.sum()), int((~y).sum())
    outcome = TESTED
    if min(n_case, n_control) == 0:
        outcome = SINGLE_CLASS
    elif min(n_case, n_control) < n_folds:
        outcome = TOO_FEW
    elif not np.ptp(x, axis=0).any():
        outcome = CONSTANT
    if outcome != TESTED:
        nan = float("nan")
        return Classification(n_case, n_control, nan, nan, nan, nan, (), outcome)
    repeats = [_cross_validate(x, y, n_folds, c_factor, seed + r) for r in range(n_repeats)]
    areas = np.array([area for area, _ in repeats])
    area = float(areas.mean())
    curve = np.mean([sensitivity for _, sensitivity in repeats], axis=0)
    half = float(ndtri(0.975)) * auroc_standard_error(area, n_case, n_control)
    return Classification(
        n_case,
        n_control,
        area,
        max(area - half, 0.0),
        min(area + half, 1.0),
        float(areas.std(ddof=1)) if n_repeats > 1 else 0.0,
        tuple(float(value) for value in curve),
        TESTED,
    )


def auroc_standard_error(auroc: float, n_case: int, n_control: int) -> float:
    """Return the standard error of an area under the ROC curve: Hanley and McNeil 1982, Eq. 1."""
    q1, q2 = auroc / (2 - auroc), 2 * auroc**2 / (1 + auroc)
    variance = (
        auroc * (1 - auroc) + (n_case - 1) * (q1 - auroc**2) + (n_control - 1) * (q2 - auroc**2)
    ) / (n_case * n_control)
    return float(np.sqrt(max(variance, 0.0)))


def _cross_validate(
    x: NDArray[np.floating], y: NDArray[np.bool_], n_folds: int, c_factor: float, seed: int
) -> tuple[float, NDArray[np.float64]]:
    """Return area and ROC curve of the held-out samples, computed in each fold and averaged."""
    areas, curves = [], []
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    splits = list(folds.split(x, y))
    chosen = _most_different(x, y, [training for training, _ in splits])
    for (training, held_out), genes in zip(splits, chosen, strict=True):
        own = x if genes is None else x[:, genes].astype(np.float64)
        scaler = StandardScaler().fit(own[training])
        z = scaler.transform(own[training])
        if not z.any():  # no gene varies in the training samples
            areas.append(0.5)
            curves.append(FALSE_POSITIVE_RATES)
            continue
        model = LogisticRegression(
            l1_ratio=1.0,
            solver="liblinear",
            class_weight="balanced",
            C=c_factor * l1_min_c(z, y[training], loss="log"),
            random_state=seed,
        ).fit(z, y[training])
        scores = model.decision_function(scaler.transform(own[held_out]))
        areas.append(roc_auc_score(y[held_out], scores))
        false, true, _ = roc_curve(y[held_out], scores)
        curves.append(np.interp(FALSE_POSITIVE_RATES, false, true))
    return float(np.mean(areas)), np.mean(curves, axis=0)


def _most_different(
    x: NDArray[np.floating], y: NDArray[np.bool_], folds: list[NDArray[np.intp]]
) -> list[NDArray[np.intp] | None]:
    """Return the genes to use in each fold, given its training rows; ``None`` for all genes."""
    if x.shape[1] <= MOST_GENES:
        return [None] * len(folds)
    inside = np.zeros((len(folds), len(y)), dtype=x.dtype)
    for row, training in zip(inside, folds, strict=True):
        row[training] = 1
    centred = x - x.mean(axis=0)
    weights = [inside * y, inside * ~y, inside]
    weights = [w / w.sum(axis=1, keepdims=True) for w in weights]
    case, control, mean = (w @ centred for w in weights)
    variance = weights[2] @ (centred * centred) - mean**2
    score = np.zeros_like(variance)
    np.divide(np.abs(case - control), np.sqrt(variance.clip(0)), out=score, where=variance > 0)
    last = x.shape[1] - MOST_GENES
    return [np.sort(np.argpartition(row, last)[last:]) for row in score]
