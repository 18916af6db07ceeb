"""Correlation of every gene with one numeric trait, with covariates regressed out on request.

Shapes: N samples, G genes, C covariates. Checked against ``scipy.stats.pearsonr`` and
``statsmodels`` least squares gene by gene.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from mtm_core.statistics.blocks import gene_blocks
from mtm_core.statistics.correlation import correlation_p
from mtm_core.statistics.multiple_testing import benjamini_hochberg
from mtm_core.statistics.outcome import (
    CONSTANT,
    CONSTANT_TRAIT,
    FROM_COVARIATES,
    TESTED,
    TOO_FEW,
    TRAIT_FROM_COVARIATES,
    first_outcome,
    outcome_column,
)
from mtm_core.statistics.regression import orthonormal_basis, residuals

MIN_DF = 3
"""Fewest degrees of freedom of a test; with one covariate these are six samples."""


def trait_association(
    expression: ArrayLike,
    trait: ArrayLike,
    gene_ids: Sequence[str],
    *,
    covariates: ArrayLike | None = None,
) -> pd.DataFrame:
    """Correlate each gene with a trait, by Pearson's or, with covariates, partial correlation.

    Samples for which the trait or a covariate is NaN are left out.

    Parameters
    ----------
    expression
        Expression (N, G) on the scale to correlate on: log2(1 + expression), or its z-scores.
    trait
        Trait (N,), a number for each sample; 0 and 1 for two groups.
    gene_ids
        Ids (G,) of the genes.
    covariates
        Covariates (N, C) to regress out of expression and trait, with an intercept.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``gene_id``: ``n``, number of samples used; ``rho``; ``slope``, change of
        expression per unit of the trait (for two groups, the adjusted difference of their means);
        ``p``, two-sided, by Student's t with n - 2 - (rank of the covariates) degrees of freedom;
        ``fdr`` over the tested genes; ``outcome``, ``"tested"`` or the reason why there is no test
        (the numbers are then NaN).

    Raises
    ------
    ValueError
        If the shapes do not fit, or expression is missing or infinite.

    Examples
    --------
    >>> table = trait_association(np.eye(6)[:, :2], np.arange(6.0), ["A", "B"])
    >>> table["rho"].round(2).tolist()
    [-0.65, -0.39]
    """
    values = np.asarray(expression)
    numbers = np.asarray(trait, dtype=np.float64)
    others = np.empty((len(numbers), 0)) if covariates is None else np.asarray(covariates, float)
    if values.shape != (len(numbers), len(gene_ids)) or len(others) != len(numbers):
        raise ValueError(
            f"expected expression ({len(numbers)}, {len(gene_ids)}) and as many rows of covariates,"
            f" got {values.shape} and {len(others)}"
        )
    known = np.isfinite(numbers) & np.isfinite(others).all(axis=1)
    numbers, others = numbers[known], others[known]
    basis = orthonormal_basis(np.column_stack([np.ones(len(numbers)), others]))
    df = len(numbers) - 1 - basis.shape[1]
    trait_residuals = residuals(numbers[:, None], basis)
    trait_square = (trait_residuals**2).sum()
    n_genes = len(gene_ids)
    constant, from_covariates = np.empty((2, n_genes), dtype=bool)
    rho, slope = np.empty((2, n_genes))
    # A trait or a gene without residual variation: reported below.
    with np.errstate(invalid="ignore", divide="ignore"):
        for block in gene_blocks(n_genes):
            part = values[:, block]
            if not np.isfinite(part).all():
                raise ValueError("expected finite expression")
            part = part[known]
            part_residuals = residuals(part, basis)
            constant[block] = _is_constant(part)
            from_covariates[block] = np.abs(part_residuals).max(axis=0, initial=0) == 0
            square = np.einsum("ng,ng->g", part_residuals, part_residuals)
            product = trait_residuals[:, 0] @ part_residuals
            rho[block] = product / np.sqrt(trait_square * square)
            slope[block] = product / trait_square
    outcome = first_outcome(
        n_genes,
        (df < MIN_DF, TOO_FEW),
        (_is_constant(numbers[:, None]), CONSTANT_TRAIT),
        (not trait_residuals.any(), TRAIT_FROM_COVARIATES),
        (constant, CONSTANT),
        (from_covariates, FROM_COVARIATES),
    )
    rho[outcome != TESTED], slope[outcome != TESTED] = np.nan, np.nan
    rho = np.clip(rho, -1, 1)
    # Twice the one-sided p of |rho|, with the residual degrees of freedom.
    p = np.minimum(2 * correlation_p(np.abs(rho), df + 2), 1)
    return pd.DataFrame(
        {
            "n": len(numbers),
            "rho": rho,
            "slope": slope,
            "p": p,
            "fdr": benjamini_hochberg(p),
            "outcome": outcome_column(outcome),
        },
        index=pd.Index(gene_ids, name="gene_id"),
    )


def _is_constant(values: NDArray[np.floating]) -> NDArray[np.bool_]:
    constant: NDArray[np.bool_] = values.max(axis=0, initial=-np.inf) <= values.min(
        axis=0, initial=np.inf
    )
    return constant
