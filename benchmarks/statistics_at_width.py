"""Time statistics of every gene in every tissue: 48 tissues x 19,291 genes.

Seconds are of one processor. Each figure is held against the least that it could cost (a pass over
the numbers, sorting them, the bare matrix products) and against the usual loop over genes with
scipy or statsmodels, timed on a few genes and multiplied.

python benchmarks/statistics_at_width.py [--tissues 48] [--genes 19291] [--donors 281]
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable
from functools import partial

import numpy as np
import statsmodels.api as sm
import xarray as xr
from measuring import Row, print_rows
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu, pearsonr
from threadpoolctl import threadpool_limits

from mtm_core.evaluation.bootstrap import N_RESAMPLES, resample_donors
from mtm_core.statistics.association import trait_association
from mtm_core.statistics.correlation import columnwise_correlation
from mtm_core.statistics.differential import differential_expression

N_TISSUES, N_GENES, N_DONORS, N_FOLDS = 48, 19_291, 281, 5
"""281 donors of blood and another tissue: the mean of GTEx v8."""
_PEER_GENES = 40
COMMAND = "python benchmarks/statistics_at_width.py"
Floats = NDArray[np.float32]


def measure(
    *, n_tissues: int = N_TISSUES, n_genes: int = N_GENES, n_donors: int = N_DONORS
) -> list[Row]:
    """Time each statistic on one tissue after another, all of the same made-up numbers."""
    rng = np.random.default_rng(0)
    x = rng.normal(5, 2, size=(n_donors, n_genes)).astype(np.float32)
    y = (x + rng.standard_normal(x.shape, dtype=np.float32)).astype(np.float32)
    with threadpool_limits(1):
        rows = [
            row
            for compare in (_correlation, _differential, _association)
            for row in compare(x, y, n_tissues)
        ]
        return rows + _bootstrap(x, y, n_tissues)


def _rows(
    what: str,
    run: Callable[[], object],
    floor: tuple[str, Callable[[], object]],
    peer: tuple[str, Callable[[int], object]] | None,
    x: Floats,
    n_tissues: int,
) -> list[Row]:
    """Time ``run`` for every tissue, its floor and its peer (of single genes) on one."""
    n_genes = x.shape[1]
    seconds = sum(_seconds(run) for _ in range(n_tissues))
    name = f"{what}, {n_tissues} tissues x {n_genes:,} genes x {len(x)} donors"
    common: Row = {"what": name, "value": seconds, "unit": "s"}
    last: Row = {"command": f"{COMMAND} --tissues {n_tissues} --genes {n_genes}"}
    least = n_tissues * min(_seconds(floor[1]) for _ in range(3))
    beside: Row = {"floor": least, "against": floor[0], "ratio": seconds / least}
    rows = [common | beside | last]
    if peer is not None:
        genes = range(0, n_genes, max(1, n_genes // _PEER_GENES))
        of_gene = _seconds(lambda: [peer[1](gene) for gene in genes]) / len(genes)
        whole = n_tissues * n_genes * of_gene
        against = f"{peer[0]} gene by gene, {len(genes)} genes extrapolated"
        rows.append(common | {"peer": whole, "against": against, "ratio": seconds / whole} | last)
    tracemalloc.start()
    run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    memory: Row = {
        "what": f"{what}: memory beside its input, at the most",
        "value": peak / 1e6,
        "unit": "MB",
        "peer": x.nbytes / 1e6,
        "against": "a tissue's float32",
        "ratio": peak / x.nbytes,
    }
    return [*rows, memory | last]


def _seconds(run: Callable[[], object]) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


def _correlation(x: Floats, y: Floats, n_tissues: int) -> list[Row]:
    def one_pass() -> None:
        for block in range(0, x.shape[1], 512):
            part = slice(block, block + 512)
            (x[:, part].astype(np.float64) * y[:, part].astype(np.float64)).sum(axis=0)

    return _rows(
        "gene-wise rho",
        lambda: columnwise_correlation(x, y),
        ("one float64 product and sum of each pair", one_pass),
        ("scipy.stats.pearsonr", lambda gene: pearsonr(x[:, gene], y[:, gene])),
        x,
        n_tissues,
    )


def _differential(x: Floats, _: Floats, n_tissues: int) -> list[Row]:
    case, control = np.exp2(x[: len(x) // 2]), np.exp2(x[len(x) // 2 :])
    genes = [f"G{gene}" for gene in range(x.shape[1])]

    def sort() -> None:
        for block in range(0, x.shape[1], 512):
            np.argsort(x[:, block : block + 512].T.astype(np.float64), axis=1)

    return _rows(
        "differential expression",
        lambda: differential_expression(case, control, genes),
        ("sorting each gene's values", sort),
        (
            "scipy.stats.mannwhitneyu",
            lambda gene: mannwhitneyu(case[:, gene], control[:, gene], method="asymptotic"),
        ),
        x,
        n_tissues,
    )


def _association(x: Floats, _: Floats, n_tissues: int) -> list[Row]:
    rng = np.random.default_rng(1)
    trait, covariates = rng.normal(size=len(x)), rng.normal(size=(len(x), 2))
    genes = [f"G{gene}" for gene in range(x.shape[1])]
    basis = np.linalg.qr(np.column_stack([np.ones(len(x)), covariates]))[0]
    design = np.column_stack([np.ones(len(x)), trait, covariates])

    def residuals() -> None:
        for block in range(0, x.shape[1], 512):
            values = x[:, block : block + 512].astype(np.float64)
            trait @ (values - basis @ (basis.T @ values))

    return _rows(
        "correlation with a trait, two covariates out",
        lambda: trait_association(x, trait, genes, covariates=covariates),
        ("the residuals, and one product", residuals),
        (
            "statsmodels OLS",
            lambda gene: sm.OLS(x[:, gene].astype(np.float64), design).fit().pvalues[1],
        ),
        x,
        n_tissues,
    )


def _bootstrap(x: Floats, y: Floats, n_tissues: int) -> list[Row]:
    fold = np.arange(len(x)) % N_FOLDS
    dims = ("pair", "gene")
    one_tissue = xr.Dataset(
        {"predicted": (dims, x), "observed": (dims, y)},
        coords={
            "tissue": ("pair", np.full(len(x), "Lung")),
            "fold": ("pair", fold),
            "donor": ("pair", [f"D{i}" for i in range(len(x))]),
        },
    )
    rng = np.random.default_rng(2)
    sizes = np.bincount(fold)
    weights = [rng.random((N_RESAMPLES + 1, size)) for size in sizes]

    def products() -> None:
        for rows, w in enumerate(weights):
            part = x[fold == rows].astype(np.float64)
            for _ in range(5):
                for block in range(0, part.shape[1], 512):
                    w @ part[:, block : block + 512]

    return _rows(
        f"donor bootstrap of mean rho, {N_RESAMPLES} resamples",
        partial(resample_donors, one_tissue, n_resamples=N_RESAMPLES),
        ("its five matrix products", products),
        None,
        x,
        n_tissues,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tissues", type=int, default=N_TISSUES)
    parser.add_argument("--genes", type=int, default=N_GENES)
    parser.add_argument("--donors", type=int, default=N_DONORS)
    given = parser.parse_args()
    print_rows(measure(n_tissues=given.tissues, n_genes=given.genes, n_donors=given.donors))


if __name__ == "__main__":
    main()
