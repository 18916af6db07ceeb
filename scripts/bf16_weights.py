"""What MTM loses in accuracy when its weights are stored as bfloat16.

    python scripts/bf16_weights.py COHORT --cache runs/fits

The five folds of ``mtm evaluate``: every fold's MTM (preset ``acmg59``) is fitted once, saved in
either format, and scored on its held-out donors.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import anndata as ad
import xarray as xr

from mtm_core.artefact import Artefact, WeightFormat
from mtm_core.config import preset
from mtm_core.data.cohort.cohort import read_cohort, tissue_names
from mtm_core.data.cohort.splits import donor_folds
from mtm_core.evaluation.accuracy import accuracy
from mtm_core.evaluation.cross_validation import cross_validate
from mtm_core.methods.protocol import FittedMethod, Method
from mtm_core.methods.registry import make_method


@dataclass(frozen=True)
class Stored:
    """``method``, its fits saved as ``weights`` and read again."""

    method: Method
    weights: WeightFormat

    @property
    def name(self) -> str:
        """That of the method."""
        return self.method.name

    def fit(self, cohort: ad.AnnData, donors: Sequence[str]) -> FittedMethod:
        """Fit, save, read."""
        artefact = Artefact.of(self.method.fit(cohort, donors), cohort, name="fold", provenance={})
        with tempfile.TemporaryDirectory() as folder:
            artefact.save(Path(folder), weights=self.weights)
            return Artefact.load(folder).method


def main() -> None:
    """Score both formats."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cohort", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("runs/fits"))
    arguments = parser.parse_args()
    cohort = read_cohort(arguments.cohort)
    config = preset("acmg59", cohort.n_vars, len(tissue_names(cohort)))
    method = make_method("mtm", source="Whole Blood", config=config, cache=arguments.cache)
    folds = donor_folds(cohort.obs)
    predictions: dict[WeightFormat, xr.Dataset] = {}
    for weights in ("fp32", "bf16"):
        predictions[weights] = cross_validate(Stored(method, weights), cohort, folds)
        summary = accuracy(predictions[weights]).summary()
        print(
            f"{weights}: gene-wise rho by fold {summary['gene_rho_by_fold_mean']:.4f}", flush=True
        )
    moved = (predictions["bf16"]["predicted"] - predictions["fp32"]["predicted"]).to_numpy()
    print(f"root mean square change of a predicted z-score: {(moved**2).mean() ** 0.5:.5f}")


if __name__ == "__main__":
    main()
