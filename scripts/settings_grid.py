"""Score a whole grid of a factor model's settings on held-out donors, beside the fit's own choice.

    python scripts/settings_grid.py COHORT --output grid.csv [--fold 0]
    python scripts/settings_grid.py --simulate 2000 --output grid.csv

The training donors of a fold choose settings by inner folds, as each fit does. Then the model is
fitted to them with every combination of sizes, ridge and shrinkage, spread over the whole grid, and
predicts the held-out donors, who took no part in the choice, from whole blood. Regret is how far
the choice is below the best of the grid. The kernel and the genes' own values are left out, which
are decided after these settings. Settings that the output has already are not fitted again.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from itertools import product
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from compact_mtm import SIMULATED

from mtm_core.data.cohort.cohort import read_cohort
from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.data.cohort.simulate import simulate_cohort
from mtm_core.data.cohort.splits import donor_folds
from mtm_core.data.gtex.annotations import WHOLE_BLOOD
from mtm_core.methods.factor_choice import Grid
from mtm_core.methods.factor_stack import FactorStackMethod
from mtm_core.methods.factors import FactorSettings
from mtm_core.methods.held_out import fit_scorer, predict_held_out
from mtm_core.methods.protocol import FittedMethod
from mtm_core.safe_output import writing
from mtm_core.statistics.correlation import columnwise_correlation

RIDGE, SHRINKAGE = (30.0, 300.0, 3000.0), (10.0, 300.0, 10_000.0)
LEAST_PAIRS = 10


def main() -> None:
    """Choose, fit and score every combination, and print the regret."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cohort", type=Path, nargs="?")
    parser.add_argument("--simulate", type=int, help="genes of a simulated cohort")
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    if options.simulate:
        cohort = simulate_cohort(replace(SIMULATED, n_genes=options.simulate))
    else:
        cohort = read_cohort(options.cohort)
    folds = donor_folds(cohort.obs)
    donors, held_out = folds.training(options.fold), folds.held_out(options.fold)
    method = FactorStackMethod().kernel(cohort.n_vars).joint
    training = method.training(cohort, donors)
    found = _found(options.output)
    if not found.get("chosen", pd.Series(dtype=bool)).any():
        began = time.process_time()
        choice = method.choose(training)
        assert choice is not None
        print(f"chosen: {choice.settings}, {time.process_time() - began:.0f} s of processors")
        chosen = choice.settings
    else:
        chosen = _settings(found[found["chosen"]].iloc[0])
    scorer = fit_scorer(cohort, donors)
    grid = [FactorSettings(*each) for each in product(Grid().sizes, RIDGE, SHRINKAGE)]
    for settings in dict.fromkeys([chosen, *grid]):
        if len(found) and _is_in(found, settings):
            continue
        began = time.process_time()
        fitted = method.fit_training(training, settings)
        row = {
            "sizes": " ".join(map(str, settings.n_factors)),
            "ridge": settings.ridge,
            "shrinkage": settings.shrinkage,
            "chosen": settings == chosen,
            "rho": _rho(fitted, cohort, held_out, scorer),
            "processor_seconds": time.process_time() - began,
        }
        found = pd.concat([found, pd.DataFrame([row])], ignore_index=True)
        with writing(options.output, overwrite=True) as place:
            found.to_csv(place, index=False, float_format="%.5f")
        print(row, flush=True)
    own, best = found.loc[found["chosen"], "rho"].item(), found["rho"].max()
    print(found.sort_values("rho", ascending=False).to_string(index=False))
    print(f"chosen {own:.4f}, best {best:.4f}, worst {found['rho'].min():.4f}:", end=" ")
    print(f"regret {best - own:.4f} of {len(found)} settings")


def _found(path: Path) -> pd.DataFrame:
    """Return the settings that a run before has scored."""
    return pd.read_csv(path) if path.exists() else pd.DataFrame()


def _settings(row: pd.Series) -> FactorSettings:
    return FactorSettings(tuple(map(int, row["sizes"].split())), row["ridge"], row["shrinkage"])


def _is_in(found: pd.DataFrame, settings: FactorSettings) -> bool:
    return any(_settings(row) == settings for _, row in found.iterrows())


def _rho(
    fitted: FittedMethod, cohort: ad.AnnData, held_out: tuple[str, ...], scorer: TissueScaler
) -> float:
    """Return the mean gene-wise rho over target tissues, of expression alone."""
    rho = [
        np.nanmean(columnwise_correlation(part.predicted, part.observed))
        for part in predict_held_out(
            fitted, cohort, held_out, scorer, source=WHOLE_BLOOD, with_phenotypes=False
        )
        if len(part.donor) >= LEAST_PAIRS
    ]
    return float(np.mean(rho))


if __name__ == "__main__":
    main()
