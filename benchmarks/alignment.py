"""How near each method of alignment comes to the truth, on GTEx's blood with a planted batch.

    python -m benchmarks.alignment cohort.h5ad

Half of the blood samples are the reference. Samples of the other half get another level (SD 1 of
log2) and spread (SD 0.3 of log2) of each gene; one in ten may be spoilt (SD 4 more). The error is
that of the z-scores of the unspoilt samples, against those that they had before.
"""

from __future__ import annotations

import sys

import anndata as ad
import numpy as np

from mtm_core.config import ScalingConfig
from mtm_core.data.cohort.cohort import tissue_codes, tissue_names
from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.data.gtex.annotations import WHOLE_BLOOD
from mtm_core.inference.batch_parameters import ReferenceTissue, parameters_of
from mtm_core.model_reference import QUANTILE_LEVELS

DRAWS = 20
SIZES = (10, 20, 50, 100, 300)


def errors(
    linear: np.ndarray, n_samples: int, share: float
) -> dict[str, tuple[float, float, float]]:
    """Return median, 5 % and 95 % quantile of each method's error over the draws."""
    found: dict[str, list[float]] = {"cohort": [], "robust": [], "quantiles": [], "none": []}
    for draw in range(DRAWS):
        rng = np.random.default_rng(draw)
        order = rng.permutation(len(linear))
        reference, own = linear[order[: len(linear) // 2]], linear[order[len(linear) // 2 :]]
        own = own[:n_samples]
        tissue = np.zeros(len(reference), dtype=np.int64)
        scaler = TissueScaler.fit(reference, tissue, 1, ScalingConfig())
        quantiles = np.quantile(np.log2(1 + reference), QUANTILE_LEVELS, axis=0)
        known = ReferenceTissue(scaler, 0, quantiles.astype(np.float32))
        truth = scaler.transform(own, np.zeros(len(own), dtype=np.int64))
        n_genes = linear.shape[1]
        log2 = np.log2(1 + own) * np.exp2(rng.normal(0, 0.3, n_genes)) + rng.normal(0, 1, n_genes)
        spoilt = int(share * len(own))
        log2[:spoilt] += rng.normal(0, 4, (spoilt, n_genes))
        batch = np.maximum(np.exp2(log2) - 1, 0).astype(np.float32)
        for how, values in found.items():
            if how == "none":
                z = scaler.transform(batch, np.zeros(len(own), dtype=np.int64))
            else:
                z = parameters_of(batch, how, known).z(batch, known)  # type: ignore[arg-type]
            values.append(float(np.sqrt(np.mean((z - truth)[spoilt:] ** 2))))
    levels = (0.5, 0.05, 0.95)
    return {how: tuple(np.quantile(values, levels).tolist()) for how, values in found.items()}


def main(path: str) -> None:
    """Print a row a number of samples."""
    cohort = ad.read_h5ad(path)
    blood = tissue_codes(cohort) == list(tissue_names(cohort)).index(WHOLE_BLOOD)
    linear = np.asarray(cohort.X[np.flatnonzero(blood)], dtype=np.float32)
    print(f"{len(linear)} samples of blood, {linear.shape[1]} genes, {DRAWS} draws")
    for share in (0, 0.1):
        for n_samples in SIZES:
            row = errors(linear, n_samples, share)
            shown = "  ".join(f"{how} {m:.2f} ({a:.2f}-{b:.2f})" for how, (m, a, b) in row.items())
            print(f"{n_samples:4d} samples, {share:.0%} spoilt: {shown}")


if __name__ == "__main__":
    main(sys.argv[1])
