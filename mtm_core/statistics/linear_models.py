"""A linear model in every gene at once, with moderated tests of contrasts.

Least squares, or generalised least squares where samples of one block (a person, a pair) correlate;
each gene's variance is drawn towards what all genes show (:mod:`mtm_core.statistics.moderation`).
Tests of one contrast are t, of several together F (Smyth 2004, section 4). Checked against
``statsmodels`` OLS and GLS, and against results that limma printed.

**Values that were predicted.** With ``error``, the standard error of each value, a contrast's
variance is that of the model plus that of the errors, carried through the same weights: of an
estimate ``sum a[i] y[i]``, ``sum a[i]^2 error[i]^2``. Errors within one block may be the same or
independent; that which gives the larger p counts. What errs in all samples alike is added as
``leverage``. Degrees of freedom stay those of the
moderated variance: errors, known from many reference donors, would only add to them.

Letters: N samples, P columns of the design, K contrasts, G genes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from mtm_core.statistics.block_correlation import block_covariance, block_indicators
from mtm_core.statistics.blocks import gene_blocks
from mtm_core.statistics.moderation import (
    VariancePrior,
    fit_prior,
    moderated_freedom,
    moderated_variance,
)
from mtm_core.statistics.multiple_testing import benjamini_hochberg
from mtm_core.statistics.outcome import (
    CONSTANT,
    FROM_COVARIATES,
    TESTED,
    TOO_FEW,
    first_outcome,
    outcome_column,
)
from mtm_core.statistics.regression import residuals

Array = NDArray[np.float64]

MINIMUM_FREEDOM = 1
"""Degrees of freedom that samples must leave to a variance."""


@dataclass(frozen=True)
class LinearFit:
    """A model fitted to every gene.

    Attributes
    ----------
    weights
        (P, N): a gene's coefficients are ``weights @ values``.
    unscaled
        (P, P): covariance of the coefficients for a variance of 1.
    coefficients
        (P, G).
    variance
        (G,) of a sample, given its design.
    level
        (G,) mean of the values.
    freedom
        N - P.
    prior
        Of all genes that vary.
    constant, explained
        (G,): genes of one value, and genes that the design explains to rounding.
    """

    weights: Array
    unscaled: Array
    coefficients: Array
    variance: Array
    level: Array
    freedom: int
    prior: VariancePrior
    constant: NDArray[np.bool_]
    explained: NDArray[np.bool_]


def fit_linear_models(
    values: NDArray[np.floating],
    design: ArrayLike,
    *,
    blocks: ArrayLike | None = None,
    correlation: float = 0.0,
    trend: bool = False,
) -> LinearFit:
    """Fit ``values`` (N, G) on ``design`` (N, P), which has full rank.

    Parameters
    ----------
    values
        Log2 expression.
    blocks
        Of each sample, where ``correlation`` is that of samples of one block.
    trend
        Whether the prior of the variances follows the mean expression.

    Raises
    ------
    ValueError
        If the shapes do not fit, the design lacks rank, or a value is not finite.
    """
    matrix = np.asarray(design, dtype=np.float64)
    n_samples, n_genes = values.shape
    if len(matrix) != n_samples or np.linalg.matrix_rank(matrix) < matrix.shape[1]:
        raise ValueError(f"expected a design of full rank and {n_samples} rows: {matrix.shape}")
    whiten: Array | None = None
    if blocks is not None and correlation:
        covariance = block_covariance(block_indicators(blocks), correlation)
        whiten = np.linalg.inv(np.linalg.cholesky(covariance))
    basis, upper = np.linalg.qr(matrix if whiten is None else whiten @ matrix)
    solve = np.linalg.inv(upper)
    weights = solve @ (basis.T if whiten is None else basis.T @ whiten)
    freedom = n_samples - matrix.shape[1]
    variance, level = np.zeros(n_genes), np.empty(n_genes)
    coefficients = np.empty((matrix.shape[1], n_genes))
    constant = np.empty(n_genes, dtype=bool)
    for block in gene_blocks(n_genes):
        part = np.asarray(values[:, block])
        if not np.isfinite(part).all():
            raise ValueError("expected finite expression")
        wide = part.astype(np.float64)
        coefficients[:, block] = weights @ wide
        # What counts as rounding goes by the type that values came in.
        turned = part if whiten is None else (whiten @ wide).astype(part.dtype)
        left = residuals(turned, basis)
        constant[block] = np.ptp(part, axis=0) == 0
        level[block] = wide.mean(axis=0)
        if freedom > 0:
            variance[block] = (left**2).sum(axis=0) / freedom
    variance[constant] = 0
    prior = fit_prior(variance, freedom, level if trend else None)
    return LinearFit(
        weights,
        solve @ solve.T,
        coefficients,
        variance,
        level,
        freedom,
        prior,
        constant,
        variance <= 0,
    )


@dataclass(frozen=True)
class ContrastTest:
    """Tests of one contrast, or of several together, in every gene.

    Attributes
    ----------
    effect
        (K, G) estimates.
    standard_error
        (G,) of the one contrast; NaN of several.
    statistic
        (G,) t of one, F of several.
    p
        (G,), two-sided.
    freedom
        Degrees of freedom of the variance.
    outcome
        (G,).
    """

    effect: Array
    standard_error: Array
    statistic: Array
    p: Array
    freedom: float
    outcome: NDArray[np.object_]

    def table(self, gene_ids: Sequence[str]) -> pd.DataFrame:
        """Return a row a gene: statistics, ``fdr`` over the genes tested and ``outcome``."""
        return pd.DataFrame(
            {
                "standard_error": self.standard_error,
                "statistic": self.statistic,
                "df": self.freedom,
                "p": self.p,
                "fdr": benjamini_hochberg(self.p),
                "outcome": outcome_column(self.outcome),
            },
            index=pd.Index(gene_ids, name="gene_id"),
        )


def contrast_tests(
    fit: LinearFit,
    contrasts: ArrayLike,
    *,
    error: NDArray[np.floating] | None = None,
    blocks: ArrayLike | None = None,
    leverage: ArrayLike = 0.0,
) -> ContrastTest:
    """Test ``contrasts`` (K, P) of the coefficients against 0, all K together.

    Parameters
    ----------
    error
        (N, G) standard errors of the values that were fitted; ``None`` if they are exact.
    blocks
        Of each sample, whose errors may then be the same within a block.
    leverage
        (K, K): what the squared error of a value, on average, adds to the covariance of the
        estimates because it is the same in all samples
        (:mod:`mtm_core.statistics.contrast_distance`).
    """
    rows = np.atleast_2d(np.asarray(contrasts, dtype=np.float64))
    n_genes, n_contrasts = len(fit.variance), len(rows)
    effect, weights = rows @ fit.coefficients, rows @ fit.weights
    shape = rows @ fit.unscaled @ rows.T
    variance = moderated_variance(fit.variance, fit.freedom, fit.prior)
    n_tested = int((~fit.explained).sum())
    freedom = moderated_freedom(fit.freedom, fit.prior, n_tested)
    groupings = [np.eye(weights.shape[1])]
    if error is not None and blocks is not None:
        groupings.append(block_indicators(blocks))
    square = np.empty(n_genes)  # of the statistic, over K
    standard_error = np.full(n_genes, np.nan)
    for part in gene_blocks(n_genes):
        covariance = variance[part, None, None] * shape
        known = effect[:, part].T
        if error is None:
            square[part] = _squares(covariance, known)
        else:
            own = np.asarray(error[:, part], dtype=np.float64)
            shared = (own**2).mean(axis=0)[:, None, None] * np.atleast_2d(leverage)
            covariance = covariance + shared
            options = [covariance + _of_errors(weights, own, group) for group in groupings]
            squares = [_squares(option, known) for option in options]
            square[part] = np.min(squares, axis=0)
            covariance = np.choose(np.argmin(squares, axis=0)[:, None, None], options)
        if n_contrasts == 1:
            standard_error[part] = np.sqrt(covariance[:, 0, 0])
    if n_contrasts == 1:
        statistic = np.sign(effect[0]) * np.sqrt(square)
        p = 2 * stats.t.sf(np.abs(statistic), freedom)
    else:
        statistic = square
        p = stats.f.sf(statistic, n_contrasts, freedom)
    outcome = first_outcome(
        n_genes,
        (fit.freedom < MINIMUM_FREEDOM, TOO_FEW),
        (fit.constant, CONSTANT),
        (fit.explained, FROM_COVARIATES),
    )
    for numbers in (standard_error, statistic, p):
        numbers[outcome != TESTED] = np.nan
    return ContrastTest(effect, standard_error, statistic, p, freedom, outcome)


def _squares(covariance: Array, effect: Array) -> Array:
    """Return ``effect' covariance^-1 effect / K`` of each gene, from (g, K, K) and (g, K)."""
    n_contrasts = effect.shape[1]
    with np.errstate(divide="ignore", invalid="ignore"):  # of genes that do not vary
        if n_contrasts == 1:
            return np.asarray(effect[:, 0] ** 2 / covariance[:, 0, 0])
        flat = np.linalg.det(covariance) <= 0
        covariance = np.where(flat[:, None, None], np.eye(n_contrasts), covariance)
        solved = np.linalg.solve(covariance, effect[:, :, None])[:, :, 0]
        return np.asarray(np.where(flat, np.nan, (effect * solved).sum(axis=1)) / n_contrasts)


def _of_errors(weights: Array, error: Array, groups: Array) -> Array:
    """Return what errors (N, g) add to the covariance (g, K, K) of estimates ``weights`` (K, N).

    Errors of one group, columns of 0 and 1 (N, B), are the same; of two, independent.
    """
    if groups.shape[0] == groups.shape[1]:  # each sample by itself
        products = weights[:, None, :] * weights[None, :, :]
        return np.moveaxis(products @ error**2, -1, 0)
    added = np.zeros((error.shape[1], len(weights), len(weights)))
    for members in groups.T > 0:
        summed = weights[:, members] @ error[members]
        added += summed.T[:, :, None] * summed.T[:, None, :]
    return added
