"""The same folds on joblib's own processes, on Dask and on Ray: equal results, time of each.

pip install "dask[distributed]" "ray[default]"
python benchmarks/backends.py COHORT
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import xarray as xr
from joblib import parallel_config

from mtm_core.data.cohort.cohort import read_cohort
from mtm_core.data.cohort.splits import donor_folds
from mtm_core.evaluation.cross_validation import cross_validate
from mtm_core.methods.kernel_factors import KernelFactorsMethod

N_PROCESSES = 2


@contextmanager
def backend(name: str) -> Iterator[None]:
    """Run joblib's work on ``name``, all on this machine."""
    with ExitStack() as stack:
        if name == "dask":
            from distributed import Client

            stack.enter_context(Client(n_workers=N_PROCESSES, threads_per_worker=1))
        if name == "ray":
            import ray
            from ray.util.joblib import register_ray

            ray.init(num_cpus=N_PROCESSES, include_dashboard=False)
            stack.callback(ray.shutdown)
            register_ray()
        stack.enter_context(parallel_config(backend=name, n_jobs=N_PROCESSES))
        yield


def main() -> None:
    """Time each backend, and compare its predictions with those of one process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cohort", type=Path)
    cohort = read_cohort(parser.parse_args().cohort)
    folds = donor_folds(cohort.obs)
    began = time.perf_counter()
    expected = cross_validate(KernelFactorsMethod(), cohort, folds)
    print(f"one process: {time.perf_counter() - began:.1f} s")
    for name in ("loky", "dask", "ray"):
        with backend(name):
            began = time.perf_counter()
            got = cross_validate(KernelFactorsMethod(), cohort, folds)
            taken = time.perf_counter() - began
        xr.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
        print(f"{name}, {N_PROCESSES} processes: {taken:.1f} s, equal predictions")


if __name__ == "__main__":
    main()
