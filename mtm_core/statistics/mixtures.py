"""Samples as mixtures of known profiles: shares of 0 or more, by least squares.

Letters: N samples, G genes, K profiles. Checked against ``scipy.optimize.lsq_linear``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import nnls

Array = NDArray[np.float64]


@dataclass(frozen=True)
class MixtureShares:
    """What samples are mixed of.

    Attributes
    ----------
    shares
        (N, K), 0 or more, 1 together; NaN where nothing of a sample is like any profile.
    fit
        (N,) Pearson's rho of the sample and its fit, over the weighted genes.
    """

    shares: Array
    fit: Array


def mixture_shares(mixtures: ArrayLike, profiles: ArrayLike) -> MixtureShares:
    """Return the shares of ``profiles`` (G, K) in ``mixtures`` (N, G), both linear expression.

    Non-negative least squares, each gene divided by the square root of its largest value among the
    profiles: errors of expression grow with its level, and without that a few genes decide all. The
    unit of a sample does not matter, nor does its library size.

    Raises
    ------
    ValueError
        If shapes do not fit, or a value is negative, missing or infinite.
    """
    given, known = np.asarray(mixtures, dtype=np.float64), np.asarray(profiles, dtype=np.float64)
    if given.ndim != 2 or known.ndim != 2 or given.shape[1] != len(known):
        raise ValueError(f"expected (samples, {len(known)}) mixtures, got {given.shape}")
    for values in (given, known):
        if not (np.isfinite(values).all() and (values >= 0).all()):
            raise ValueError("expected finite linear expression, 0 or more")
    largest = known.max(axis=1)
    weight = np.where(largest > 0, 1 / np.sqrt(np.where(largest > 0, largest, 1)), 0)
    scaled = known * weight[:, None]
    shares = np.full((len(given), known.shape[1]), np.nan)
    fit = np.full(len(given), np.nan)
    for i, sample in enumerate(given):
        size = sample.max(initial=0)
        if size == 0:
            continue
        own = sample / size * weight
        found, _ = nnls(scaled, own)
        if found.sum() > 0:
            shares[i] = found / found.sum()
            fitted = scaled @ found
            if np.ptp(fitted) > 0 and np.ptp(own) > 0:
                fit[i] = np.corrcoef(fitted, own)[0, 1]
    return MixtureShares(shares, fit)
