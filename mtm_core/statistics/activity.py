"""Activity of pathways and transcription factors: linear models of expression on target weights.

Shapes: N samples, G genes, S sources. In each sample a linear model over the genes has the
expression as its response and the weights of the sources on the genes (0 for genes that are no
targets) as its covariates. The score is the t statistic of a source's slope: the methods ``ulm``
and ``mlm`` of decoupler (Badia-i-Mompel et al. 2022, doi:10.1093/bioadv/vbac016), written from
their definitions. Checked against decoupler and the least squares of statsmodels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.sparse import csr_array

Floats = NDArray[np.float64]

_LEAST = 1e-300
_LEAST_EIGENVALUE = 1e-8
"""Smallest eigenvalue of the sources' correlations for which none follows from the others."""


class NotSeparable(ValueError):
    """One source's weights follow from the others', or there are as many sources as genes."""


def univariate_scores(values: Floats, weights: csr_array) -> Floats:
    """Return the t (N, S) of each source's slope in a model of that source alone (``ulm``).

    Parameters
    ----------
    values
        (N, G) expression of each gene, finite.
    weights
        (G, S).

    Returns
    -------
    numpy.ndarray
        NaN where the values of a sample or the weights of a source do not vary.
    """
    y, length = _centred(values)
    n = y.shape[1]
    x_length = np.sqrt(np.maximum(_squares(weights), 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        r = (weights.T @ y.T).T / (length[:, None] * x_length)
        r[:, x_length == 0] = np.nan
        return np.asarray(r * np.sqrt((n - 2) / np.maximum((1 - r) * (1 + r), _LEAST)))


def multivariate_scores(values: Floats, weights: csr_array) -> Floats:
    """Return the t (N, S) of each source's slope in a model of all sources together (``mlm``).

    Parameters
    ----------
    values
        (N, G) expression of each gene, finite.
    weights
        (G, S).

    Raises
    ------
    NotSeparable
        If the slopes are not unique: a source follows from others, or there are too few genes.
    """
    y, _ = _centred(values)
    n, n_sources = y.shape[1], weights.shape[1]
    length = np.sqrt(np.maximum(_squares(weights), 0))
    if n < n_sources + 2 or not (length > 0).all():
        raise NotSeparable
    mean = np.asarray(weights.sum(axis=0)).ravel() / n
    # Cross products of the covariates, centred and brought to length 1: their correlations.
    cross = (weights.T @ weights).toarray() - n * np.outer(mean, mean)
    cross /= np.outer(length, length)
    roots, vectors = eigh(cross)
    if roots[0] < _LEAST_EIGENVALUE:
        raise NotSeparable
    inverse = (vectors / roots) @ vectors.T
    with_y = (weights.T @ y.T) / length[:, None]
    slope = inverse @ with_y
    left = np.maximum((y**2).sum(axis=1) - (slope * with_y).sum(axis=0), 0)
    variance = left / (n - n_sources - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((slope / np.sqrt(np.diag(inverse)[:, None] * variance)).T)


def _centred(values: Floats) -> tuple[Floats, Floats]:
    """Return the values less each sample's mean, and their lengths (N,), 0 where constant."""
    y = values - values.mean(axis=1, keepdims=True)
    varies = np.ptp(values, axis=1) > 0 if values.shape[1] else np.zeros(len(values), dtype=bool)
    return y, np.where(varies, np.sqrt((y**2).sum(axis=1)), 0.0)


def _squares(weights: csr_array) -> Floats:
    """Return the sum of squares (S,) of each source's weights about their mean over the genes."""
    n = weights.shape[0]
    total = np.asarray(weights.sum(axis=0)).ravel()
    squares = np.asarray(weights.power(2).sum(axis=0)).ravel()
    about = squares - total**2 / max(n, 1)
    return np.where(about > 1e-12 * squares, about, 0.0)
