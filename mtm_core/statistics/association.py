"""Correlation of every gene with one numeric trait, with covariates regressed out on request.

Letters: N samples, G genes, C covariates. Checked against ``scipy.stats.pearsonr`` and
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

MINIMUM_FREEDOM = 3
"""Degrees of freedom that a test needs: with one covariate, six samples."""


def trait_association(
    expression: ArrayLike,
    trait: ArrayLike,
    gene_ids: Sequence[str],
    *,
    covariates: ArrayLike | None = None,
) -> pd.DataFrame:
    """Correlate each gene of ``expression`` (N, G) with ``trait`` (N,): Pearson, or partial.

    Samples without the trait or a covariate (NaN) are left out; ``n`` counts the rest.

    Parameters
    ----------
    expression
        On the scale to correlate on: log2(1 + expression), or z-scores of it.
    trait
        A number a sample; of two groups, 0 and 1.
    gene_ids
        (G,).
    covariates
        (N, C) numbers regressed out of both sides, with an intercept.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``gene_id``: ``n``; ``rho``; ``slope``, the change of expression for a unit of
        the trait (of two groups, the adjusted difference of their means); ``p``, two-sided, by
        Student's t with n - 2 - (rank of the covariates) degrees of freedom; ``fdr`` over the genes
        tested; ``outcome``: ``"tested"``, or why not (the numbers are NaN then).

    Raises
    ------
    ValueError
        If the shapes do not fit, or expression is missing or infinite.
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
    freedom = len(numbers) - 1 - basis.shape[1]
    trait_left = residuals(numbers[:, None], basis)
    trait_size = (trait_left**2).sum()
    n_genes = len(gene_ids)
    constant, from_covariates = np.empty((2, n_genes), dtype=bool)
    rho, slope = np.empty((2, n_genes))
    # A trait or a gene that nothing is left of: reported below.
    with np.errstate(invalid="ignore", divide="ignore"):
        for block in gene_blocks(n_genes):
            part = values[:, block]
            if not np.isfinite(part).all():
                raise ValueError("expected finite expression")
            part = part[known]
            left = residuals(part, basis)
            constant[block] = _is_constant(part)
            from_covariates[block] = np.abs(left).max(axis=0, initial=0) == 0
            size = np.sqrt(trait_size * np.einsum("ng,ng->g", left, left))
            together = trait_left[:, 0] @ left
            rho[block], slope[block] = together / size, together / trait_size
    outcome = first_outcome(
        n_genes,
        (freedom < MINIMUM_FREEDOM, TOO_FEW),
        (_is_constant(numbers[:, None]), CONSTANT_TRAIT),
        (not trait_left.any(), TRAIT_FROM_COVARIATES),
        (constant, CONSTANT),
        (from_covariates, FROM_COVARIATES),
    )
    rho[outcome != TESTED], slope[outcome != TESTED] = np.nan, np.nan
    rho = np.clip(rho, -1, 1)
    # The one-sided p of |rho|, with the degrees of freedom that covariates leave, doubled.
    p = np.minimum(2 * correlation_p(np.abs(rho), freedom + 2), 1)
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
