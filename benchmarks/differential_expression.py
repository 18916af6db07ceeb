"""Time a comparison of two groups over a whole transcriptome.

usage: python benchmarks/differential_expression.py
"""

from __future__ import annotations

import time

import numpy as np

from mtm_core.statistics.association import trait_association
from mtm_core.statistics.differential import differential_expression

N_GENES, N_GROUP, REPEATS = 19_291, 100, 5


def main() -> None:
    rng = np.random.default_rng(0)
    expression = np.exp2(rng.normal(5, 2, size=(2 * N_GROUP, N_GENES))).astype(np.float32)
    genes = [f"G{g}" for g in range(N_GENES)]
    age, sex = rng.normal(size=2 * N_GROUP), rng.random((2 * N_GROUP, 1)) < 0.5
    for name, run in {
        "rank-sum, fold change, AUC, FDR": lambda: differential_expression(
            expression[:N_GROUP], expression[N_GROUP:], genes
        ),
        "correlation with a trait, a covariate out": lambda: trait_association(
            np.log2(1 + expression), age, genes, covariates=sex
        ),
    }.items():
        seconds = []
        for _ in range(REPEATS):
            began = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - began)
        print(f"{name}: {min(seconds):.2f} s, {2 * N_GROUP} samples x {N_GENES:,} genes")


if __name__ == "__main__":
    main()
