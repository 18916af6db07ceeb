"""Fit the default predictor at full width: 49 tissues x 19,291 genes of 944 donors.

The cohort is simulated: 40 shared factors of falling size hold a quarter of the variance, 30
private ones of each tissue three tenths, and some genes have effects of their own. A fifth of the
donors is held out; they are predicted from blood. Beside the model stand ridge regression and the
ceiling: what the planted factors and own effects themselves explain. With --real the cohort is read
from a file that 'mtm data prepare' made.

python benchmarks/factor_width.py [--genes 19291] [--donors 944] [--ridge] [--real COHORT]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import anndata as ad
import numpy as np

from mtm_core.artefact import Artefact
from mtm_core.data.cohort.cohort import read_cohort, tissue_codes, tissue_names
from mtm_core.data.cohort.simulate import SimulationConfig, simulate_cohort
from mtm_core.data.cohort.splits import donor_folds
from mtm_core.data.gtex.annotations import WHOLE_BLOOD
from mtm_core.methods.factor_stack import FactorStackMethod
from mtm_core.methods.held_out import fit_scorer, predict_held_out
from mtm_core.methods.kernel_factors import FittedKernelFactors
from mtm_core.methods.protocol import FittedMethod, target_predictor
from mtm_core.methods.ridge import RidgeMethod
from mtm_core.methods.stack import FittedStack
from mtm_core.statistics.correlation import columnwise_correlation

T = TypeVar("T")
CONFIG = SimulationConfig(
    n_donors=944,
    n_tissues=49,
    n_genes=19_291,
    n_factors=40,
    factor_decay=1.0,
    shared_variance=0.25,
    private_variance=0.30,
    own_variance=0.3,
    n_own_genes=300,
    presence=(0.8, 0.05),
)
N_PEOPLE = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--genes", type=int, default=CONFIG.n_genes)
    parser.add_argument("--donors", type=int, default=CONFIG.n_donors)
    parser.add_argument("--ridge", action="store_true", help="fit ridge regression, too")
    parser.add_argument("--real", type=Path, help="cohort.h5ad to take in place of a simulated one")
    options = parser.parse_args()
    n_own = min(CONFIG.n_own_genes, options.genes // 10)
    config = replace(CONFIG, n_genes=options.genes, n_donors=options.donors, n_own_genes=n_own)
    if options.real is None:
        cohort = _timed("simulate", partial(simulate_cohort, config))
    else:
        cohort = read_cohort(options.real)
    print(
        f"{cohort.n_obs:,} samples x {cohort.n_vars:,} genes, {len(tissue_names(cohort))} tissues"
    )
    folds = donor_folds(cohort.obs)
    training, held_out = folds.training(0), folds.held_out(0)
    fitted = _fit(cohort, training)
    _score(fitted, cohort, training, held_out)
    if options.real is None:
        print(f"ceiling: {_ceiling(cohort, held_out):.4f}")
    _serve(fitted, cohort)
    del fitted
    if options.ridge:
        ridge = _timed("fit ridge", partial(RidgeMethod().fit, cohort, training))
        _score(ridge, cohort, training, held_out)


def _fit(cohort: ad.AnnData, training: tuple[str, ...]) -> FittedStack:
    """Fit the default predictor; print seconds and memory of each step, and what was chosen."""
    marks: list[tuple[str, float, float]] = []

    def mark(step: str, done: int, total: int) -> None:
        if not marks or marks[-1][0] != step:
            marks.append((step, time.perf_counter(), time.process_time()))
            print(f"{step}: peak before {_peak():.1f} GB", flush=True)

    fitted = FactorStackMethod(on_step=mark).fit(cohort, training)
    mark("whole fit", 1, 1)
    for (step, began, worked), (_, ended, done) in pairwise(marks):
        print(f"  {step}: {ended - began:.1f} s ({done - worked:.1f} s of processors)")
    print(
        f"  whole fit: {marks[-1][1] - marks[0][1]:.1f} s"
        f" ({marks[-1][2] - marks[0][2]:.1f} s of processors), peak {_peak():.1f} GB"
    )
    base = fitted.bases[0]
    assert isinstance(base, FittedKernelFactors)
    kernel = "a kernel" if any(one.coefficients.any() for one in base.plain) else "no kernel"
    n_own = 0 if base.own_genes is None else len(base.own_genes.genes)
    print(f"chosen: {base.joint.fitted_with}, {kernel}, {n_own} genes by their own value")
    return fitted


def _serve(fitted: FittedStack, cohort: ad.AnnData) -> None:
    """Save, load in a process of its own, and predict many people."""
    with tempfile.TemporaryDirectory() as folder:
        artefact = _timed(
            "reference", partial(Artefact.of, fitted, cohort, name="wide", provenance={})
        )
        _timed("save", partial(artefact.save, Path(folder)))
        size = sum(path.stat().st_size for path in Path(folder).iterdir()) / 1e6
        print(f"on disk: {size:,.0f} MB", flush=True)
        command = [sys.executable, __file__, "--serve", folder]
        subprocess.run(command, check=True)
        loaded = Artefact.load(folder).method
        z = np.random.default_rng(0).normal(size=(50, cohort.n_vars)).astype(np.float32)
        targets = [name for name in fitted.tissues if name != WHOLE_BLOOD][::8]
        r = [
            np.corrcoef(*(m.predict({WHOLE_BLOOD: z}, t).mean.ravel() for m in (loaded, fitted)))
            for t in targets
        ]
        print(
            f"as stored against as fitted: r of predictions {min(m[0, 1] for m in r):.6f} or more"
        )


def serve(folder: Path) -> None:
    """Load a model and predict ``N_PEOPLE`` in every tissue."""
    model = _timed("load", partial(Artefact.load, folder)).method
    n_genes = model.scaler.mean.shape[1]
    z = np.random.default_rng(0).standard_normal((N_PEOPLE, n_genes), dtype=np.float32)
    predict = _timed(
        f"prepare {N_PEOPLE:,} people", partial(target_predictor, model, {WHOLE_BLOOD: z})
    )
    gene = np.array([n_genes // 2])
    _timed("one gene of all tissues", lambda: [predict(t, gene) for t in model.tissues])
    _timed("all genes of all tissues", lambda: [predict(t).mean.sum() for t in model.tissues])


def _peak() -> float:
    """Return the peak memory of this process so far, in GB, without that of its parent."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024**2


def _timed(what: str, run: Callable[[], T]) -> T:
    """Run, and print seconds and the most memory so far."""
    began, worked = time.perf_counter(), time.process_time()
    result = run()
    seconds, work = time.perf_counter() - began, time.process_time() - worked
    print(
        f"{what}: {seconds:.1f} s ({work:.1f} s of processors), peak {_peak():.1f} GB", flush=True
    )
    return result


def _score(
    fitted: FittedMethod, cohort: ad.AnnData, training: tuple[str, ...], held_out: tuple[str, ...]
) -> None:
    """Print rho of held-out donors over tissues of 20 pairs or more, and what intervals hold."""
    rho, held = [], []
    scorer = fit_scorer(cohort, training)
    for part in predict_held_out(
        fitted, cohort, held_out, scorer, source=WHOLE_BLOOD, with_phenotypes=False
    ):
        if len(part.donor) < 20:
            continue
        rho.append(np.nanmean(columnwise_correlation(part.predicted, part.observed)))
        if part.sd is not None and part.multipliers is not None:
            half_width = part.multipliers[90][:, None] * part.sd
            held.append(float((np.abs(part.observed - part.predicted) < half_width).mean()))
    print(f"rho of {fitted.name}: {np.mean(rho):.4f}, {len(rho)} tissues")
    if held:
        print(
            f"intervals of .90 hold {np.mean(held):.3f};"
            f" by tissue {min(held):.3f} to {max(held):.3f}"
        )


def _ceiling(cohort: ad.AnnData, held_out: tuple[str, ...]) -> float:
    """Return the rho of the planted factors and own effects with what was drawn."""
    truth, codes = cohort.uns["truth"], tissue_codes(cohort)
    number = {donor: i for i, donor in enumerate(cohort.uns["donors"].index)}
    donors = cohort.obs["donor"].to_numpy().astype(str)
    with_blood = set(donors[cohort.obs["tissue"] == WHOLE_BLOOD]) & set(held_out)
    given = np.isin(donors, list(with_blood))
    rho = []
    for t, name in enumerate(tissue_names(cohort)):
        rows = np.flatnonzero(given & (codes == t))
        if name == WHOLE_BLOOD or len(rows) < 20:
            continue
        who = [number[donor] for donor in donors[rows]]
        planted = truth["factors"][who] @ truth["loadings"][t]
        planted[:, truth["own_genes"]] += truth["own_sd"][t] * truth["own_effects"][who]
        observed = np.log2(1 + np.asarray(cohort.X[rows]))
        rho.append(np.nanmean(columnwise_correlation(planted, observed)))
    return float(np.mean(rho))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(Path(sys.argv[2]))
    else:
        main()
