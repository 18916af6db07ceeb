"""Deconvolution of samples into shares of known profiles, by non-negative least squares.

Shapes: N samples, G genes, K profiles. Checked against ``scipy.optimize.lsq_linear``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import nnls

Array = NDArray[np.float64]


@dataclass(frozen=True)
class MixtureShares:
    """Estimated shares of profiles in samples.

    Attributes
    ----------
    shares
        Shares (N, K), not negative, summing to 1; NaN for a sample that resembles no profile.
    fit
        Pearson's rho (N,) of each sample with its fitted mixture, over the weighted genes.
    """

    shares: Array
    fit: Array


def mixture_shares(mixtures: ArrayLike, profiles: ArrayLike) -> MixtureShares:
    """Estimate the shares of profiles in samples.

    Each gene is divided by the square root of its largest value among the profiles, because errors
    grow with expression and a few highly expressed genes would otherwise dominate. Unit and library
    size of a sample do not matter.

    Parameters
    ----------
    mixtures
        Linear expression (N, G) of the samples.
    profiles
        Linear expression (G, K) of the pure profiles.

    Raises
    ------
    ValueError
        If shapes do not fit, or a value is negative, missing or infinite.

    Examples
    --------
    >>> profiles = np.array([[10.0, 0.0], [0.0, 5.0], [2.0, 2.0]])
    >>> mixture_shares([[7.5, 1.25, 2.0]], profiles).shares.round(2).tolist()
    [[0.75, 0.25]]
    """
    samples, pure = np.asarray(mixtures, dtype=np.float64), np.asarray(profiles, dtype=np.float64)
    if samples.ndim != 2 or pure.ndim != 2 or samples.shape[1] != len(pure):
        raise ValueError(f"expected (samples, {len(pure)}) mixtures, got {samples.shape}")
    for values in (samples, pure):
        if not (np.isfinite(values).all() and (values >= 0).all()):
            raise ValueError("expected finite linear expression, 0 or more")
    largest = pure.max(axis=1)
    weight = np.where(largest > 0, 1 / np.sqrt(np.where(largest > 0, largest, 1)), 0)
    scaled = pure * weight[:, None]
    shares = np.full((len(samples), pure.shape[1]), np.nan)
    fit = np.full(len(samples), np.nan)
    for i, sample in enumerate(samples):
        size = sample.max(initial=0)
        if size == 0:
            continue
        weighted = sample / size * weight
        coefficients, _ = nnls(scaled, weighted)
        if coefficients.sum() > 0:
            shares[i] = coefficients / coefficients.sum()
            fitted = scaled @ coefficients
            if np.ptp(fitted) > 0 and np.ptp(weighted) > 0:
                fit[i] = np.corrcoef(fitted, weighted)[0, 1]
    return MixtureShares(shares, fit)
