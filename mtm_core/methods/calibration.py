"""How to weigh several methods, and how far to trust their sum, from out-of-fold predictions.

Stacking with non-negative weights: Breiman 1996, Machine Learning 24:49-64. The intervals are
cross-conformal (Vovk 2015, Annals of Mathematics and Artificial Intelligence 74:9-28), scaled by
each gene's own error.

Shapes: P donors that are predicted, G genes, T tissues, M methods, L levels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from mtm_core.methods.protocol import INTERVAL_LEVELS, Floats, check_shape

Array = NDArray[np.float64]
_SAMPLED_GENES = 2000
"""Genes whose residuals are sampled for the quantiles of all: 100 donors of them give 200,000."""
_POOLED_DONORS = 100
"""Donors that the weights of all tissues together count beside a tissue's own."""
_NEGLIGIBLE = 1e-6
"""Share of the observed squares below which a method's predictions are nothing."""
_PRIOR_DONORS = 20
"""Donors' worth of a gene's expected error in its estimated one, so that small tissues do not
give intervals that are too sure."""


@dataclass(frozen=True)
class Calibration:
    """How to weigh the methods, and how far to trust the sum.

    Attributes
    ----------
    weights
        (T, M), 0 or more.
    error
        (T, G): expected root mean square error of a predicted z-score.
    multipliers
        (T, L): half-width of the interval of each of ``INTERVAL_LEVELS``, in units of ``error``.
    """

    weights: Array
    error: NDArray[np.floating]
    multipliers: Array

    def instead_of(self, one: Calibration, targets: Sequence[bool]) -> Calibration:
        """Return this for the tissues (T,) that were targets, and ``one`` for all others."""
        is_target = np.array(targets)[:, None]
        return Calibration(
            np.where(is_target, self.weights, one.weights),
            np.where(is_target, self.error, one.error),
            np.where(is_target, self.multipliers, one.multipliers),
        )

    def check(self, n_bases: int, by_gene: tuple[int, ...]) -> None:
        """Check that a saved calibration is of T tissues, G genes and M methods.

        Raises
        ------
        ValueError
            If it is not, or an interval would be none.
        """
        n_tissues = by_gene[0]
        check_shape("weights", self.weights, (n_tissues, n_bases))
        check_shape("error", self.error, by_gene)
        check_shape("multipliers", self.multipliers, (n_tissues, len(INTERVAL_LEVELS)))
        if (self.weights < 0).any() or (self.error <= 0).any():
            raise ValueError("expected weights of 0 or more, and errors above 0")
        if (self.multipliers < 0).any() or (np.diff(self.multipliers, axis=1) < 0).any():
            raise ValueError("expected intervals that grow with their level")


class Evidence:
    """What inner folds show of one tissue, added up fold by fold.

    Sums by gene are all that weights and errors need; so what is held does not grow with donors but
    for a sample of the genes.

    Attributes
    ----------
    n_donors
        P, so far.
    products, targets, squares
        (G, M, M), (G, M), (G,): sums over donors of products of predictions, of these with what was
        observed, and of the square of that.
    """

    def __init__(self, n_bases: int, n_genes: int) -> None:
        self.n_donors = 0
        self.products: Array = np.zeros((n_genes, n_bases, n_bases))
        self.targets: Array = np.zeros((n_genes, n_bases))
        self.squares: Array = np.zeros(n_genes)
        rng = np.random.default_rng(0)
        n_sampled = min(n_genes, _SAMPLED_GENES)
        self.sampled = np.sort(rng.choice(n_genes, n_sampled, replace=False))
        self._predicted: list[Floats] = []
        self._observed: list[Floats] = []

    def add(self, predicted: Sequence[Floats], observed: Floats) -> None:
        """Add a fold: z-scores (P, G) by each method, and observed."""
        self.n_donors += len(observed)
        self.squares += (observed.astype(np.float64) ** 2).sum(axis=0)
        for i, own in enumerate(predicted):
            self.targets[:, i] += np.einsum("pg,pg->g", own, observed, dtype=np.float64)
            for j, other in enumerate(predicted[: i + 1]):
                product = np.einsum("pg,pg->g", own, other, dtype=np.float64)
                self.products[:, i, j] += product
                if i != j:
                    self.products[:, j, i] += product
        self._predicted.append(np.stack([own[:, self.sampled] for own in predicted]))
        self._observed.append(observed[:, self.sampled])

    def mean_square(self, weights: Array) -> Array:
        """Return the mean square (G,) of what the sum with ``weights`` (M,) leaves."""
        explained = 2 * self.targets @ weights - (self.products @ weights) @ weights
        square: Array = np.maximum(self.squares - explained, 0) / max(self.n_donors, 1)
        return square

    def sampled_residuals(self, weights: Array) -> Array:
        """Return what the sum leaves (P, sampled genes) of the sampled genes."""
        predicted, observed = (
            np.concatenate(self._predicted, axis=1),
            np.concatenate(self._observed),
        )
        residuals: Array = observed - np.tensordot(weights, predicted, axes=1)
        return residuals


def calibrate(
    inner: Mapping[str, Evidence], tissues: Sequence[str], n_bases: int, n_genes: int
) -> Calibration:
    """Learn how to weigh M methods in T tissues, and from what they leave the errors.

    Parameters
    ----------
    inner
        By tissue, what out-of-fold predictions of the training donors show.
    tissues
        Names of the T tissues.
    """
    weights = _weigh(inner, tissues, n_bases, n_genes)
    return Calibration(weights, *_measure_errors(inner, weights, tissues, n_genes))


def _weigh(
    inner: Mapping[str, Evidence], tissues: Sequence[str], n_bases: int, n_genes: int
) -> Array:
    """Return the weights (T, M) of each tissue, drawn towards those of all tissues together."""
    products = np.zeros((len(tissues), n_bases, n_bases))
    targets = np.zeros((len(tissues), n_bases))
    squares = np.zeros(len(tissues))
    for tissue, shown in inner.items():
        t = tissues.index(tissue)
        squares[t] = shown.squares.mean()
        products[t] = shown.products.mean(axis=0)
        targets[t] = shown.targets.mean(axis=0)
    n_donors = sum(shown.n_donors for shown in inner.values())
    pooled = _POOLED_DONORS / max(n_donors, 1)
    return np.stack(
        [
            _non_negative_weights(
                products[t] + pooled * products.sum(axis=0),
                targets[t] + pooled * targets.sum(axis=0),
                squares[t] + pooled * squares.sum(),
            )
            for t in range(len(tissues))
        ]
    )


def _non_negative_weights(products: Array, targets: Array, squares: float) -> Array:
    """Minimise ``w' products w - 2 targets' w`` over ``w >= 0``: non-negative least squares.

    A method whose predictions are next to nothing beside the ``squares`` of what was observed has
    no weight: it would be blown up without bound.
    """
    used = np.diag(products) > _NEGLIGIBLE * squares
    if not used.all():
        weights = np.zeros(len(products))
        if used.any():
            within = products[np.ix_(used, used)]
            weights[used] = _non_negative_weights(within, targets[used], squares)
        return weights
    scale = np.trace(products) / len(products)
    root = np.linalg.cholesky(products + 1e-9 * max(scale, 1e-9) * np.eye(len(products))).T
    weights, _ = nnls(root, np.linalg.solve(root.T, targets))
    return np.asarray(weights, dtype=np.float64)


def _measure_errors(
    inner: Mapping[str, Evidence], weights: Array, tissues: Sequence[str], n_genes: int
) -> tuple[Array, Array]:
    """Return each gene's error (T, G) and the intervals' multipliers (T, L), from inner residuals.

    A tissue's multipliers are quantiles of |residual| / error over its donors and a sample of
    genes. A tissue without inner predictions gets error 1, that of the training mean, and the
    median multipliers.
    """
    error = np.ones((len(tissues), n_genes))
    multipliers = np.full((len(tissues), len(INTERVAL_LEVELS)), np.nan)
    levels = np.array(INTERVAL_LEVELS) / 100
    for tissue, shown in inner.items():
        t, n = tissues.index(tissue), shown.n_donors
        square = shown.mean_square(weights[t])
        typical = square.mean()
        error[t] = np.sqrt((n * square + _PRIOR_DONORS * typical) / (n + _PRIOR_DONORS))
        residuals = np.abs(shown.sampled_residuals(weights[t]))
        multipliers[t] = np.quantile(residuals / error[t][shown.sampled], levels)
    multipliers = np.where(np.isnan(multipliers), np.nanmedian(multipliers, axis=0), multipliers)
    return error, multipliers
