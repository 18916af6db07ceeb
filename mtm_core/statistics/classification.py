"""Two groups distinguished by their profiles: L1 logistic regression (paper, section 2.7)."""

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
"""C of the regression, over the smallest that keeps any gene of a fold's training samples.

Stated, not searched for: searching inside every fold of 50 repeats costs 50 times as much.
"""
MOST_GENES = 500
"""Genes that a regression is given; of more, those that differ most between the training samples.

Chosen anew for every fold, on its training samples alone, by the difference of the groups' means
over the gene's SD.
"""


FALSE_POSITIVE_RATES = np.linspace(0, 1, 21)
"""Where curves are read off."""


@dataclass(frozen=True)
class Classification:
    """How well a profile tells two groups apart, on samples held out.

    Attributes
    ----------
    n_case, n_control
        Samples.
    auroc
        Area under the ROC curve of held-out samples: mean over folds and repeats.
    low, high
        95 % interval for another draw of samples (Hanley and McNeil 1982).
    sd_over_repeats
        What the deal of the folds alone does to it.
    sensitivity
        The ROC curve at each of ``FALSE_POSITIVE_RATES``: share of held-out cases found, mean over
        folds and repeats (vertical averaging: Fawcett 2006, Pattern Recognition Letters 27:861);
        empty if nothing was tested.
    outcome
        ``"tested"``; ``"single class"``, ``"too few samples"`` (a class has fewer than the folds)
        or ``"constant"`` (no gene varies): the numbers are NaN then.
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
    """Tell cases from controls by ``profiles`` (N, G), ``is_case`` (N,).

    L1 logistic regression, stratified cross-validation, genes standardised on the training samples
    of each fold; of more than ``MOST_GENES`` the most different. ``c_factor`` is explained at
    ``C_FACTOR``.
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
    found = [_held_out(x, y, n_folds, c_factor, seed + repeat) for repeat in range(n_repeats)]
    areas = np.array([area for area, _ in found])
    area = float(areas.mean())
    curve = np.mean([sensitivity for _, sensitivity in found], axis=0)
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


def _held_out(
    x: NDArray[np.floating], y: NDArray[np.bool_], n_folds: int, c_factor: float, seed: int
) -> tuple[float, NDArray[np.float64]]:
    """Get means over folds of the held-out area and curve: scores of two models share no scale."""
    areas, curves = [], []
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    dealt = list(folds.split(x, y))
    chosen = _most_different(x, y, [training for training, _ in dealt])
    for (training, held_out), genes in zip(dealt, chosen, strict=True):
        own = x if genes is None else x[:, genes].astype(np.float64)
        scaler = StandardScaler().fit(own[training])
        z = scaler.transform(own[training])
        if not z.any():  # what varies, varies in held-out samples alone: nothing to learn from
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
    """Choose ``MOST_GENES`` on the training rows of each fold; ``None`` if there are no more."""
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
