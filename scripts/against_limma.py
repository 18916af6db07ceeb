"""Compare linear models with those of limma, on simulated expression of 36 samples.

Needs R with limma (Debian: r-bioc-limma, r-cran-statmod); nothing of it is used by the program::

    python scripts/against_limma.py

Prints the largest relative difference of t, F, their p and FDR: of one prior for all genes, of a
prior that follows mean expression (whose curve has knots of its own here), and with blocks.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from mtm_core.statistics.block_correlation import consensus_correlation, within_block_correlation
from mtm_core.statistics.linear_models import contrast_tests, fit_linear_models
from mtm_core.statistics.multiple_testing import benjamini_hochberg

N_BLOCKS, N_GENES = 12, 1500
R = """
library(limma)
y <- as.matrix(read.csv("y.csv")); X <- as.matrix(read.csv("X.csv")); b <- read.csv("b.csv")$b
dimnames(y) <- NULL; colnames(X) <- c("one", "g1", "g2", "age")
save <- function(fit, trend, name) {
  fit <- eBayes(fit, trend = trend)
  t <- topTable(fit, coef = "g1", number = Inf, sort.by = "none")
  f <- topTable(fit, coef = c("g1", "g2"), number = Inf, sort.by = "none")
  out <- data.frame(t = t$t, p_t = t$P.Value, fdr_t = t$adj.P.Val,
                    F = f$F, p_F = f$P.Value, fdr_F = f$adj.P.Val)
  write.csv(out, paste0(name, ".csv"), row.names = FALSE)
}
save(lmFit(y, X), FALSE, "one prior"); save(lmFit(y, X), TRUE, "trend")
within <- duplicateCorrelation(y, X, block = b)$consensus.correlation
write(format(within, digits = 12), "correlation.txt")
save(lmFit(y, X, block = b, correlation = within), FALSE, "blocks")
"""


def main() -> None:
    """Simulate, fit by both, and print how far they differ."""
    rng = np.random.default_rng(4)
    block = np.repeat(np.arange(N_BLOCKS), 3)
    group = np.tile([0, 1, 2], N_BLOCKS)
    design = np.column_stack(
        [np.ones(len(block)), group == 1, group == 2, rng.normal(0, 12, len(block))]
    ).astype(float)
    sd = 0.5 / np.sqrt(rng.gamma(4, 1 / 4, N_GENES))
    values = rng.uniform(0, 12, N_GENES) + rng.normal(size=(len(block), N_GENES)) * sd
    values += 0.6 * sd * rng.normal(size=(N_BLOCKS, N_GENES))[block]
    values[:, :100] += 0.8 * (group == 1)[:, None]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, table in (
            ("y", pd.DataFrame(values.T)),
            ("X", pd.DataFrame(design)),
            ("b", pd.DataFrame({"b": block})),
        ):
            table.to_csv(folder / f"{file}.csv", index=False)
        subprocess.run(["Rscript", "-e", R], cwd=folder, check=True)
        own = consensus_correlation(within_block_correlation(values, design, block))
        theirs = float((folder / "correlation.txt").read_text())
        print(f"correlation within blocks: {own:.6f}, limma {theirs:.6f}")
        for kind, fit in (
            ("one prior", fit_linear_models(values, design)),
            ("trend", fit_linear_models(values, design, trend=True)),
            ("blocks", fit_linear_models(values, design, blocks=block, correlation=theirs)),
        ):
            expected = pd.read_csv(folder / f"{kind}.csv")
            t = contrast_tests(fit, [[0, 1, 0, 0]])
            f = contrast_tests(fit, [[0, 1, 0, 0], [0, 0, 1, 0]])
            found = {
                **{"t": t.statistic, "p_t": t.p, "fdr_t": benjamini_hochberg(t.p)},
                **{"F": f.statistic, "p_F": f.p, "fdr_F": benjamini_hochberg(f.p)},
            }
            far = {key: _difference(value, expected[key]) for key, value in found.items()}
            print(kind, " ".join(f"{key} {value:.2g}" for key, value in far.items()))


def _difference(own: ArrayLike, theirs: ArrayLike) -> float:
    a, b = (np.asarray(values, dtype=float) for values in (own, theirs))
    return float(np.max(np.abs(a - b) / np.maximum(np.abs(b), 1e-12)))


if __name__ == "__main__":
    main()
