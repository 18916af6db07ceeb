"""Two jobs of a server that multiply matrices at once: with all processors each, and with one.

    python benchmarks/products_at_once.py

The product is the resampling of a trait's correlations: 199 draws, 100 samples, 19,291 genes.
"""

from __future__ import annotations

import time
from threading import Thread

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from mtm_core.statistics.correlation import weighted_correlation_with

N_DRAWS, N_SAMPLES, N_GENES, REPEATS = 199, 100, 19_291, 10


def main() -> None:
    rng = np.random.default_rng(0)
    log2 = rng.normal(size=(N_SAMPLES, N_GENES)).astype(np.float32)
    trait = rng.normal(size=N_SAMPLES)
    counts = rng.multinomial(N_SAMPLES, np.full(N_SAMPLES, 1 / N_SAMPLES), size=N_DRAWS)

    def job() -> None:
        for _ in range(REPEATS):
            weighted_correlation_with(counts, log2, trait)

    most = max(library["num_threads"] for library in threadpool_info())
    print(
        f"{'threads of a product':<24}{'jobs at once':>14}{'wall, each':>14}{'processor, each':>18}"
    )
    for n_threads in dict.fromkeys((most, 1)):
        for n_jobs in (1, 2):
            with threadpool_limits(n_threads, user_api="blas"):
                jobs = [Thread(target=job) for _ in range(n_jobs)]
                wall, processor = time.perf_counter(), time.process_time()
                for one in jobs:
                    one.start()
                for one in jobs:
                    one.join()
            wall, processor = time.perf_counter() - wall, time.process_time() - processor
            each = processor / n_jobs / REPEATS
            print(f"{n_threads:>22}{n_jobs:>22}{wall / REPEATS:>20.3f} s{each:>20.3f} s")


if __name__ == "__main__":
    main()
