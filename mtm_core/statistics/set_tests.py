"""Test of gene sets between groups of samples that allows for correlated genes.

The genes of a set are expressed together, and predicted genes depend on the same few factors, so
that the mean of a set's statistics varies far more than that of as many independent genes. The
test of Wu and Smyth 2012, Nucleic Acids Research 40(17):e133 (CAMERA), estimates that correlation
from the residuals of the samples, and widens the null distribution by it. Written from the
formulas of the paper; checked against results of limma.

Shapes: N samples, G genes, S sets.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse, stats

from mtm_core.statistics.enrichment import Flags, Floats, RestrictedSets
from mtm_core.statistics.multiple_testing import benjamini_hochberg

_LEAST_VARIANCE = 1e-8
_LEAST_TAIL = 1e-300
_BLOCK = 2048
"""Number of sets whose mean residuals are in memory at a time."""


def normal_scores(statistic: Floats, df: float) -> Floats:
    """Return the normal deviates (G,) that are as extreme as t statistics of ``df`` degrees.

    Of statistics whose probability is too small for a float64, as genes of one sex have between the
    sexes, by the approximation of Wallace 1959 (relative error below 0.01).
    """
    size = np.abs(statistic)
    tail = stats.t.sf(size, df)
    if np.isfinite(df):
        ratio = (8 * df + 1) / (8 * df + 3)
        far = ratio * np.sqrt(df * np.log1p(size**2 / df))
    else:
        far = size
    near = -stats.norm.ppf(tail)
    return np.asarray(np.sign(statistic) * np.where(tail > _LEAST_TAIL, near, far))


def correlation_adjusted(
    scores: Floats,
    residuals: NDArray[np.floating],
    df: int,
    background: Flags,
    sets: RestrictedSets,
) -> pd.DataFrame:
    """Test whether the scores of each set differ from those of the other genes.

    Parameters
    ----------
    scores
        Normal scores (G,) of the genes, finite in the background (:func:`normal_scores`).
    residuals
        Residuals (N, G) of the linear model that the scores are of.
    df
        Their degrees of freedom, above 0.
    background
        Genes (G,) that are tested and compared with.
    sets
        Sets restricted to the same background.

    Returns
    -------
    pandas.DataFrame
        One row for each set: ``size``; ``correlation``, the mean correlation of two of its genes;
        ``statistic``, t of the difference between the mean score of the set and of the other genes;
        ``p``, two-sided; ``fdr`` over the sets (Benjamini and Hochberg).
    """
    chosen = np.flatnonzero(background)
    n_genes, size = len(chosen), sets.sizes
    inflation = variance_inflation(residuals, df, sets)
    own = scores[chosen]
    owner = np.repeat(np.arange(len(size)), size)
    totals = np.bincount(owner, weights=scores[sets.members], minlength=len(size))
    others = n_genes - size
    with np.errstate(divide="ignore", invalid="ignore"):
        delta = n_genes / others * (totals / size - own.mean()) if n_genes else totals
        pooled = ((n_genes - 1) * own.var(ddof=1) - delta**2 * size * others / n_genes) / (
            n_genes - 2
        )
        statistic = delta / np.sqrt(pooled * (inflation.clip(1) / size + 1 / others))
    p = 2 * stats.t.sf(np.abs(statistic), min(df, n_genes - 2))
    return pd.DataFrame(
        {
            "size": size,
            "correlation": (inflation - 1) / np.maximum(size - 1, 1),
            "statistic": statistic,
            "p": p,
            "fdr": benjamini_hochberg(p),
        }
    )


def variance_inflation(residuals: NDArray[np.floating], df: int, sets: RestrictedSets) -> Floats:
    """Return the variance of the mean of each set (S,) over that of as many independent genes.

    It is 1 plus (size - 1) times the mean correlation of two of the genes.
    """
    values = np.asarray(residuals, dtype=np.float64)
    variance = (values**2).sum(axis=0) / df
    standard = values / np.sqrt(np.maximum(variance, _LEAST_VARIANCE))
    sizes = sets.sizes
    found = np.empty(len(sizes))
    for start in range(0, len(sizes), _BLOCK):
        stop = min(start + _BLOCK, len(sizes))
        ends = sets.starts[start : stop + 1]
        members = sets.members[ends[0] : ends[-1]]
        shape = (stop - start, values.shape[1])
        which = sparse.csr_matrix((np.ones(len(members)), members, ends - ends[0]), shape)
        means = which @ standard.T / sizes[start:stop, None]
        found[start:stop] = sizes[start:stop] * (means**2).sum(axis=1) / df
    return found
