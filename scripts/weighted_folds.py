"""Weigh stored predictions of a held-out fold by several methods together.

    python scripts/weighted_folds.py COHORT EVALUATION/folds/NAME-0.h5 OTHER/folds/NAME-0.h5 ...

Each file is what ``mtm evaluate`` stored of one method and fold; all are of the same fold. The
held-out donors are dealt into two halves. Weights, by least squares over all tissues and 0 or more,
are learnt from one half and tried on the other, and the other way round. Printed are the gene-wise
rho of the first method, of each other, and of weighted sums, with the gain over the first and
its standard error over tissues.
"""

from __future__ import annotations

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np
from compact_mtm import LEAST_PAIRS
from numpy.typing import NDArray
from scipy.optimize import nnls

from mtm_core.data.cohort.cohort import read_cohort, tissue_codes
from mtm_core.evaluation.fold_store import StoredFold
from mtm_core.statistics.correlation import columnwise_correlation

Array = NDArray[np.float64]


def main() -> None:
    """Read the folds, sum their products in each half, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cohort", type=Path)
    parser.add_argument("folds", type=Path, nargs="+")
    options = parser.parse_args()
    cohort = read_cohort(options.cohort)
    stored = [StoredFold.open(path, 0) for path in options.folds]
    names = [path.stem.rsplit("-", 2)[0] for path in options.folds]
    first = stored[0]
    for other in stored[1:]:
        if not (np.array_equal(other.donor, first.donor)):
            raise SystemExit(f"{other.path} is of other donors than {first.path}")
    half = np.isin(first.donor, np.unique(first.donor)[::2]).astype(int)
    row_of = {
        pair: row
        for row, pair in enumerate(zip(cohort.obs["donor"], cohort.obs["tissue"], strict=True))
    }
    codes, scaler, n = tissue_codes(cohort), first.scaler(), len(stored)
    products, targets = np.zeros((2, n, n)), np.zeros((2, n))
    parts = []
    for tissue in dict.fromkeys(first.tissue):
        pairs = np.flatnonzero(first.tissue == tissue)
        rows = [row_of[donor, tissue] for donor in first.donor[pairs]]
        observed = scaler.transform(np.asarray(cohort.X[rows]), codes[rows])
        predicted = np.stack([one.read("predicted", pairs, slice(None)) for one in stored])
        for h in range(2):
            own = half[pairs] == h
            if own.sum() < LEAST_PAIRS:
                continue
            flat = predicted[:, own].reshape(n, -1).astype(np.float64)
            products[h] += flat @ flat.T / flat.shape[1]
            targets[h] += flat @ observed[own].ravel() / flat.shape[1]
            parts.append((h, predicted[:, own], observed[own]))
    alone: Array | None = None
    for size in range(1, n + 1):
        for chosen in combinations(range(n), size):
            at = list(chosen)
            weights = [_weights(products[h][np.ix_(at, at)], targets[h][at]) for h in range(2)]
            rho = np.array([_rho(p[at], o, weights[1 - h]) for h, p, o in parts])
            alone = rho if alone is None else alone
            gain = rho - alone
            error = gain.std(ddof=1) / np.sqrt(len(gain))
            print(
                f"{' + '.join(names[i] for i in at)}, weights {np.mean(weights, axis=0).round(2)}:"
                f" rho {rho.mean():.4f}, gain {gain.mean():.4f} (SE {error:.4f})",
                flush=True,
            )


def _weights(products: Array, targets: Array) -> Array:
    root = np.linalg.cholesky(products).T
    return np.asarray(nnls(root, np.linalg.solve(root.T, targets))[0], dtype=np.float64)


def _rho(predicted: NDArray[np.float32], observed: NDArray[np.float32], weights: Array) -> float:
    both = np.tensordot(weights.astype(np.float32), predicted, axes=1)
    return float(np.nanmean(columnwise_correlation(both, observed)))


if __name__ == "__main__":
    main()
