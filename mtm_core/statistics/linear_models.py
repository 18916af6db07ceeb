"""Linear models of every gene at once, with moderated tests of contrasts.

Models are fitted by least squares, or by generalised least squares if samples of one block (a
person, a pair) are correlated. Each gene's variance is moderated by that of all genes
(:mod:`mtm_core.statistics.moderation`). One contrast is tested by t, several together by F
(Smyth 2004, section 4). Checked against ``statsmodels`` OLS and GLS, and against results that limma
printed.

**Predicted values.** With ``error``, the standard error of each value, the variance of a contrast
is that of the model plus that of the errors: for an estimate ``sum a[i] y[i]`` the latter is
``sum a[i]^2 error[i]^2``. Errors within one block may be equal or independent; the larger p of the
two is reported. The error that all samples share is added by ``leverage``. The degrees of freedom
remain those of the moderated variance; they could only be larger, as errors are known from many
reference donors.

Shapes: N samples, P columns of the design, K contrasts, G genes.
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
    moderated_df,
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

MIN_DF = 1
"""Fewest residual degrees of freedom for a test."""


@dataclass(frozen=True)
class LinearFit:
    """A linear model fitted to every gene.

    Attributes
    ----------
    weights
        (P, N) matrix by which coefficients are ``weights @ values``.
    unscaled
        Covariance (P, P) of the coefficients for a residual variance of 1.
    coefficients
        Coefficients (P, G).
    variance
        Residual variances (G,).
    mean_expression
        Means of the values (G,).
    df
        Residual degrees of freedom, N - P.
    prior
        Prior of the variances.
    constant
        Which genes (G,) have one value in all samples.
    explained
        Which genes (G,) the design explains up to rounding error.
    """

    weights: Array
    unscaled: Array
    coefficients: Array
    variance: Array
    mean_expression: Array
    df: int
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
    """Fit a linear model to every gene.

    Parameters
    ----------
    values
        Log2 expression (N, G).
    design
        Design matrix (N, P) of full rank.
    blocks
        Block (N,) of each sample, if samples of one block are correlated.
    correlation
        Correlation of the samples within a block.
    trend
        Whether the prior of the variances depends on mean expression.

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
    df = n_samples - matrix.shape[1]
    variance, mean_expression = np.zeros(n_genes), np.empty(n_genes)
    coefficients = np.empty((matrix.shape[1], n_genes))
    constant = np.empty(n_genes, dtype=bool)
    for block in gene_blocks(n_genes):
        part = np.asarray(values[:, block])
        if not np.isfinite(part).all():
            raise ValueError("expected finite expression")
        y = part.astype(np.float64)
        coefficients[:, block] = weights @ y
        # The original precision determines what counts as rounding error.
        whitened = part if whiten is None else (whiten @ y).astype(part.dtype)
        residual = residuals(whitened, basis)
        constant[block] = np.ptp(part, axis=0) == 0
        mean_expression[block] = y.mean(axis=0)
        if df > 0:
            variance[block] = (residual**2).sum(axis=0) / df
    variance[constant] = 0
    prior = fit_prior(variance, df, mean_expression if trend else None)
    return LinearFit(
        weights,
        solve @ solve.T,
        coefficients,
        variance,
        mean_expression,
        df,
        prior,
        constant,
        variance <= 0,
    )


@dataclass(frozen=True)
class ContrastTest:
    """Moderated tests of one contrast, or of several together, in every gene.

    Attributes
    ----------
    effect
        Estimates (K, G).
    standard_error
        Standard errors (G,) of one contrast; NaN for several.
    statistic
        Moderated t (G,) for one contrast, F for several.
    p
        p-values (G,), two-sided.
    df
        Degrees of freedom of the moderated variance.
    outcome
        Outcomes (G,), see :mod:`mtm_core.statistics.outcome`.
    """

    effect: Array
    standard_error: Array
    statistic: Array
    p: Array
    df: float
    outcome: NDArray[np.object_]

    def table(self, gene_ids: Sequence[str]) -> pd.DataFrame:
        """Return a table by gene id: statistics, ``fdr`` over the tested genes, and ``outcome``."""
        return pd.DataFrame(
            {
                "standard_error": self.standard_error,
                "statistic": self.statistic,
                "df": self.df,
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
    """Test K contrasts of the coefficients against 0, together.

    Parameters
    ----------
    fit
        The fitted models.
    contrasts
        Contrasts (K, P).
    error
        Standard errors (N, G) of the fitted values, if these are predictions; ``None`` if they are
        exact.
    blocks
        Block (N,) of each sample, if errors may be equal within a block.
    leverage
        (K, K) factor of the mean squared error in the covariance of the estimates, for the error
        that all samples share (:mod:`mtm_core.statistics.contrast_distance`).

    Examples
    --------
    The first of 300 genes differs between two groups of four samples.

    >>> rng = np.random.default_rng(0)
    >>> design = np.column_stack([np.ones(8), np.repeat([0, 1], 4)])
    >>> values = rng.normal(size=(8, 300))
    >>> values[4:, 0] += 5
    >>> test = contrast_tests(fit_linear_models(values, design), [0, 1])
    >>> test.table([f"gene{i}" for i in range(300)])["fdr"].idxmin()
    'gene0'
    """
    rows = np.atleast_2d(np.asarray(contrasts, dtype=np.float64))
    n_genes, n_contrasts = len(fit.variance), len(rows)
    effect, weights = rows @ fit.coefficients, rows @ fit.weights
    shape = rows @ fit.unscaled @ rows.T
    variance = moderated_variance(fit.variance, fit.df, fit.prior)
    n_tested = int((~fit.explained).sum())
    df = moderated_df(fit.df, fit.prior, n_tested)
    groupings = [np.eye(weights.shape[1])]
    if error is not None and blocks is not None:
        groupings.append(block_indicators(blocks))
    square = np.empty(n_genes)  # squared statistic divided by K
    standard_error = np.full(n_genes, np.nan)
    for part in gene_blocks(n_genes):
        covariance = variance[part, None, None] * shape
        estimates = effect[:, part].T
        if error is None:
            square[part] = _wald(covariance, estimates)
        else:
            se = np.asarray(error[:, part], dtype=np.float64)
            shared = (se**2).mean(axis=0)[:, None, None] * np.atleast_2d(leverage)
            covariance = covariance + shared
            options = [covariance + _error_covariance(weights, se, group) for group in groupings]
            squares = [_wald(option, estimates) for option in options]
            square[part] = np.min(squares, axis=0)
            covariance = np.choose(np.argmin(squares, axis=0)[:, None, None], options)
        if n_contrasts == 1:
            standard_error[part] = np.sqrt(covariance[:, 0, 0])
    if n_contrasts == 1:
        statistic = np.sign(effect[0]) * np.sqrt(square)
        p = 2 * stats.t.sf(np.abs(statistic), df)
    else:
        statistic = square
        p = stats.f.sf(statistic, n_contrasts, df)
    outcome = first_outcome(
        n_genes,
        (fit.df < MIN_DF, TOO_FEW),
        (fit.constant, CONSTANT),
        (fit.explained, FROM_COVARIATES),
    )
    for numbers in (standard_error, statistic, p):
        numbers[outcome != TESTED] = np.nan
    return ContrastTest(effect, standard_error, statistic, p, df, outcome)


def _wald(covariance: Array, effect: Array) -> Array:
    """Return ``effect' covariance^-1 effect / K`` of each gene, from (g, K, K) and (g, K)."""
    n_contrasts = effect.shape[1]
    with np.errstate(divide="ignore", invalid="ignore"):  # genes that do not vary
        if n_contrasts == 1:
            return np.asarray(effect[:, 0] ** 2 / covariance[:, 0, 0])
        singular = np.linalg.det(covariance) <= 0
        covariance = np.where(singular[:, None, None], np.eye(n_contrasts), covariance)
        solved = np.linalg.solve(covariance, effect[:, :, None])[:, :, 0]
        return np.asarray(np.where(singular, np.nan, (effect * solved).sum(axis=1)) / n_contrasts)


def _error_covariance(weights: Array, error: Array, groups: Array) -> Array:
    """Return the covariance (g, K, K) of estimates that comes from errors of the values.

    Parameters
    ----------
    weights
        Weights (K, N) of the samples in the estimates.
    error
        Standard errors (N, g).
    groups
        Indicators (N, B): errors are equal within a group, independent between groups.
    """
    if groups.shape[0] == groups.shape[1]:  # each sample is its own group
        products = weights[:, None, :] * weights[None, :, :]
        return np.moveaxis(products @ error**2, -1, 0)
    added = np.zeros((error.shape[1], len(weights), len(weights)))
    for members in groups.T > 0:
        summed = weights[:, members] @ error[members]
        added += summed.T[:, :, None] * summed.T[:, None, :]
    return added
