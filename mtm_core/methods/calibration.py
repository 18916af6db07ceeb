"""Stacking weights and prediction intervals, from out-of-fold predictions.

Stacking with non-negative weights: Breiman 1996, Machine Learning 24:49-64. The intervals are
cross-conformal (Vovk 2015, Annals of Mathematics and Artificial Intelligence 74:9-28), scaled by
each gene's own error.

Shapes: P predicted donors, G genes, T tissues, M methods, L levels.
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
"""Genes sampled for the quantiles of the residuals: with 100 donors, 200,000 residuals."""
_POOLED_DONORS = 100
"""Donors' worth of all tissues' pooled data in the weights of each tissue."""
_NEGLIGIBLE = 1e-6
"""A method whose mean square prediction is below this share of the observed gets no weight."""
_PRIOR_DONORS = 20
"""Donors' worth of a tissue's mean error variance in that of each gene, so that intervals of
tissues with few donors are not too narrow."""


@dataclass(frozen=True)
class Calibration:
    """Stacking weights, expected errors and interval widths, by target tissue.

    Attributes
    ----------
    weights
        Weights (T, M) of the methods, not negative.
    error
        Expected root mean square error (T, G) of a predicted z-score.
    multipliers
        Half-widths (T, L) of the intervals of ``INTERVAL_LEVELS``, in units of ``error``.
    """

    weights: Array
    error: NDArray[np.floating]
    multipliers: Array

    def fill_from(self, fallback: Calibration, is_calibrated: Sequence[bool]) -> Calibration:
        """Replace the tissues (T,) that are not calibrated here by those of ``fallback``."""
        here = np.array(is_calibrated)[:, None]
        return Calibration(
            np.where(here, self.weights, fallback.weights),
            np.where(here, self.error, fallback.error),
            np.where(here, self.multipliers, fallback.multipliers),
        )

    def check(self, n_bases: int, by_gene: tuple[int, ...]) -> None:
        """Check a calibration read from disk.

        Parameters
        ----------
        n_bases
            Expected number of methods, M.
        by_gene
            Expected (T, G).

        Raises
        ------
        ValueError
            If a shape differs, a weight is negative, an error is not above 0, or intervals do not
            widen with their level.
        """
        n_tissues = by_gene[0]
        check_shape("weights", self.weights, (n_tissues, n_bases))
        check_shape("error", self.error, by_gene)
        check_shape("multipliers", self.multipliers, (n_tissues, len(INTERVAL_LEVELS)))
        if (self.weights < 0).any() or (self.error <= 0).any():
            raise ValueError("expected weights of 0 or more, and errors above 0")
        if (self.multipliers < 0).any() or (np.diff(self.multipliers, axis=1) < 0).any():
            raise ValueError("expected intervals that grow with their level")


class StackingSums:
    """Sums over out-of-fold predictions of one tissue, accumulated fold by fold.

    Weights and errors need only these sums, so memory does not grow with the number of donors,
    except for a sample of genes whose predictions are stored for the quantiles.

    Attributes
    ----------
    n_donors
        Number of donors so far, P.
    products
        Sums (G, M, M) over donors of the products of two methods' predictions.
    targets
        Sums (G, M) of the products of prediction and observation.
    squares
        Sums (G,) of squared observations.
    sampled
        Positions of the sampled genes.
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
        """Add the z-scores (P, G) of one fold, predicted by each method and observed."""
        self.n_donors += len(observed)
        self.squares += (observed.astype(np.float64) ** 2).sum(axis=0)
        for i, one in enumerate(predicted):
            self.targets[:, i] += np.einsum("pg,pg->g", one, observed, dtype=np.float64)
            for j, other in enumerate(predicted[: i + 1]):
                product = np.einsum("pg,pg->g", one, other, dtype=np.float64)
                self.products[:, i, j] += product
                if i != j:
                    self.products[:, j, i] += product
        self._predicted.append(np.stack([one[:, self.sampled] for one in predicted]))
        self._observed.append(observed[:, self.sampled])

    def mean_square(self, weights: Array) -> Array:
        """Return the mean squared residual (G,) of the weighted sum, for ``weights`` (M,)."""
        explained = 2 * self.targets @ weights - (self.products @ weights) @ weights
        square: Array = np.maximum(self.squares - explained, 0) / max(self.n_donors, 1)
        return square

    def sampled_residuals(self, weights: Array) -> Array:
        """Return the residuals (P, sampled genes) of the weighted sum."""
        predicted, observed = (
            np.concatenate(self._predicted, axis=1),
            np.concatenate(self._observed),
        )
        residuals: Array = observed - np.tensordot(weights, predicted, axes=1)
        return residuals


def calibrate(
    sums: Mapping[str, StackingSums], tissues: Sequence[str], n_bases: int, n_genes: int
) -> Calibration:
    """Estimate weights, and from the residuals of the weighted sum errors and intervals.

    Parameters
    ----------
    sums
        By tissue: sums over the training donors' out-of-fold predictions.
    tissues
        Names of the T tissues.
    n_bases
        Number of methods, M.
    n_genes
        G.
    """
    weights = _stacking_weights(sums, tissues, n_bases)
    return Calibration(weights, *_errors_and_multipliers(sums, weights, tissues, n_genes))


def _stacking_weights(
    sums: Mapping[str, StackingSums], tissues: Sequence[str], n_bases: int
) -> Array:
    """Return the weights (T, M) of each tissue, shrunk towards those of all tissues pooled."""
    products = np.zeros((len(tissues), n_bases, n_bases))
    targets = np.zeros((len(tissues), n_bases))
    squares = np.zeros(len(tissues))
    for tissue, of_tissue in sums.items():
        t = tissues.index(tissue)
        squares[t] = of_tissue.squares.mean()
        products[t] = of_tissue.products.mean(axis=0)
        targets[t] = of_tissue.targets.mean(axis=0)
    n_donors = sum(of_tissue.n_donors for of_tissue in sums.values())
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

    A method whose predictions are negligible beside the observed ``squares`` gets weight 0; its
    weight would otherwise be without bound.
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


def _errors_and_multipliers(
    sums: Mapping[str, StackingSums], weights: Array, tissues: Sequence[str], n_genes: int
) -> tuple[Array, Array]:
    """Return errors (T, G) and multipliers (T, L) from out-of-fold residuals.

    A tissue's multipliers are quantiles of |residual| / error over its donors and sampled genes.
    A tissue without out-of-fold predictions gets error 1, that of the training mean, and the
    median multipliers.
    """
    error = np.ones((len(tissues), n_genes))
    multipliers = np.full((len(tissues), len(INTERVAL_LEVELS)), np.nan)
    levels = np.array(INTERVAL_LEVELS) / 100
    for tissue, of_tissue in sums.items():
        t, n = tissues.index(tissue), of_tissue.n_donors
        square = of_tissue.mean_square(weights[t])
        error[t] = np.sqrt((n * square + _PRIOR_DONORS * square.mean()) / (n + _PRIOR_DONORS))
        residuals = np.abs(of_tissue.sampled_residuals(weights[t]))
        multipliers[t] = np.quantile(residuals / error[t][of_tissue.sampled], levels)
    multipliers = np.where(np.isnan(multipliers), np.nanmedian(multipliers, axis=0), multipliers)
    return error, multipliers
