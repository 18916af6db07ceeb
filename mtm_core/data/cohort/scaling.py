"""Standardise expression within each tissue and gene (paper, section 2.1), and undo it."""

from __future__ import annotations

from dataclasses import dataclass

import anndata as ad
import numpy as np
from numpy.typing import NDArray

from mtm_core.config import ExpressionScale, ScalingConfig
from mtm_core.data.cohort.cohort import tissue_codes, tissue_names

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

CONSTANT_SD = 1e-6
"""An SD below this, on either scale, is a constant gene: its z-score is 0, never NaN."""
_VALUES_AT_ONCE = 2**18


@dataclass(frozen=True)
class TissueScaler:
    """Mean and population SD of each gene in each tissue, of the donors it was fitted on.

    Shapes: N samples, G genes, T tissues.

    Attributes
    ----------
    mean, sd
        (T, G) float32, on ``scale``. ``sd`` is never 0.
    scale
        ``"log2"``: of log2(1 + expression); ``"linear"``: of expression.
    """

    mean: Floats
    sd: Floats
    scale: ExpressionScale

    @classmethod
    def fit(
        cls,
        expression: Floats,
        tissue: Ints,
        n_tissues: int,
        config: ScalingConfig,
        rows: Ints | None = None,
    ) -> TissueScaler:
        """Fit on ``expression`` (N, G), linear, of ``tissue`` (N,) in [0, n_tissues).

        With ``rows`` (N,), on these rows of ``expression`` alone, of which no copy is made but a
        tissue at a time.

        A gene that does not vary in a tissue gets SD 1. So does, under
        ``config.low_expression_rule``, one whose mean expression there is below 1.
        A tissue without samples gets mean 0 and SD 1.
        """
        n_genes = expression.shape[1]
        mean = np.zeros((n_tissues, n_genes), dtype=np.float32)
        sd = np.ones((n_tissues, n_genes), dtype=np.float32)
        for t in np.unique(tissue):
            own = np.flatnonzero(tissue == t)
            linear = expression[own if rows is None else rows[own]]
            values = to_scale(linear, config.scale).astype(np.float64)
            mean[t] = values.mean(axis=0)
            spread = values.std(axis=0)
            keep_one = spread < CONSTANT_SD
            if config.low_expression_rule:
                keep_one |= linear.mean(axis=0, dtype=np.float64) < 1
            sd[t] = np.where(keep_one, 1.0, spread)
        return cls(mean, sd, config.scale)

    def of_genes(self, tissue: int, genes: NDArray[np.intp] | None = None) -> TissueScaler:
        """Return the scaler of one tissue, which is then tissue 0, and of ``genes``, or of all."""
        one = slice(tissue, tissue + 1)
        if genes is None:
            return TissueScaler(self.mean[one], self.sd[one], self.scale)
        return TissueScaler(self.mean[one, genes], self.sd[one, genes], self.scale)

    def transform(self, expression: Floats, tissue: Ints) -> Floats:
        """Return z-scores (N, G) of ``expression`` (N, G), linear, of ``tissue`` (N,)."""
        z = np.empty(expression.shape, dtype=np.result_type(expression, self.mean))
        # A few samples at a time: in one go a wide cohort's four intermediates are there at once.
        step = max(1, _VALUES_AT_ONCE // max(1, expression.shape[1]))
        for start in range(0, len(z), step):
            rows = slice(start, start + step)
            own = tissue[rows]
            values = to_scale(expression[rows], self.scale)
            np.divide(values - self.mean[own], self.sd[own], out=z[rows])
        return z

    def inverse(self, z: Floats, tissue: Ints | int, out: Floats | None = None) -> Floats:
        """Return linear expression (N, G), 0 or more, of ``z`` (N, G).

        ``tissue`` is (N,), or one that all samples are of. The result is written to ``out`` where
        one is given.
        """
        written = np.empty_like(z) if out is None else out
        # A few samples at a time stay in the processor's cache from the first step to the last.
        step = max(1, _VALUES_AT_ONCE // max(1, z.shape[1]))
        for start in range(0, len(z), step):
            rows = slice(start, start + step)
            own = tissue if isinstance(tissue, int) else tissue[rows]
            values = np.multiply(z[rows], self.sd[own], out=written[rows])
            values += self.mean[own]
            from_scale(values, self.scale, out=values)
        return written


def fit_scaler(cohort: ad.AnnData, rows: Ints, config: ScalingConfig) -> TissueScaler:
    """Fit a scaler to the samples in ``rows`` (N,) of ``cohort``."""
    codes = tissue_codes(cohort)[rows]
    return TissueScaler.fit(cohort.X, codes, len(tissue_names(cohort)), config, rows=rows)


def scaled_samples(cohort: ad.AnnData, rows: Ints, scaler: TissueScaler) -> Floats:
    """Return the z-scores (N, G) of the samples in ``rows`` (N,) of ``cohort``.

    They are computed a tissue at a time, so that memory holds one copy of a wide cohort.
    """
    codes = tissue_codes(cohort)[rows]
    z = np.empty((len(rows), cohort.n_vars), dtype=np.float32)
    for t in np.unique(codes):
        own = np.flatnonzero(codes == t)
        z[own] = scaler.transform(np.asarray(cohort.X[rows[own]]), codes[own])
    return z


def to_scale(expression: Floats, scale: ExpressionScale) -> Floats:
    """Bring linear expression to ``scale``."""
    return expression if scale == "linear" else np.log2(1 + expression)


def from_scale(values: Floats, scale: ExpressionScale, out: Floats | None = None) -> Floats:
    """Bring values on ``scale`` back to linear expression, 0 or more, in ``out`` where given."""
    if scale == "log2":
        values = out = np.exp2(values, out=out)
        values -= 1
    return np.maximum(values, 0, out=out)
