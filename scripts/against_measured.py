"""Hold predictions to measured tissues of GTEx donors whom the model has not seen.

A model is fitted on four fifths of the donors of a cohort and evaluated by cross-validation among
them, as a model that is shipped is. The blood of the last fifth, and what was measured of other
tissues of theirs, are then written as a user's tables, and ``mtm judge`` is run on each tissue.

    python scripts/against_measured.py cohort.h5ad OUTPUT --tissues "Muscle - Skeletal;Lung"
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd

from mtm_core.artefact import Artefact
from mtm_core.data.cohort.cohort import read_cohort
from mtm_core.data.cohort.splits import donor_folds
from mtm_core.evaluation.accuracy import accuracy
from mtm_core.evaluation.cross_validation import cross_validate
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.methods.factor_stack import FactorStackMethod
from mtm_core.model_folder import seal_folder

BLOOD = "Whole Blood"


def main() -> None:
    """Fit, evaluate, write the tables, and judge each tissue."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cohort", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--tissues", default="Muscle - Skeletal;Lung;Artery - Tibial")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    cohort = read_cohort(given.cohort)
    folds = donor_folds(cohort.obs, n_folds=5, seed=given.seed, balance_tissue=BLOOD)
    training, held_out = folds.training(0), folds.held_out(0)
    folder = given.output / "model"
    if not folder.exists():
        fit(cohort, training, folder)
    for tissue in (BLOOD, *given.tissues.split(";")):
        write_table(cohort, held_out, tissue, given.output)
    for tissue in given.tissues.split(";"):
        command = [
            str(Path(sys.executable).with_name("mtm")),
            "judge",
            f"{given.output}/{BLOOD}.tsv",
        ]
        command += ["--measured", f"{given.output}/{tissue}.tsv", "--tissue", tissue]
        command += ["--unit", "cpm", "--measured-unit", "cpm", "--model", str(folder)]
        command += ["--output", f"{given.output}/judged/{tissue}", "--overwrite"]
        print(f"\n{tissue}", flush=True)
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


def fit(cohort: ad.AnnData, training: tuple[str, ...], folder: Path) -> None:
    """Fit a factor stack on the donors, and evaluate it among them."""
    method = FactorStackMethod()
    own = cohort[cohort.obs["donor"].isin(training)].copy()
    fitted = method.fit(own, training)
    inner = donor_folds(own.obs, n_folds=5, seed=1, balance_tissue=BLOOD)
    scored = accuracy(cross_validate(method, own, inner, source=BLOOD), own.uns["donors"])
    tables = EvaluationTables.of({fitted.name: scored}, {"source": BLOOD, "folds": 5})
    made = Artefact.of(fitted, own, name="four fifths", provenance={"n_donors": len(training)})
    made.save(folder)
    tables.save(folder / "evaluation")
    seal_folder(folder)


def write_table(cohort: ad.AnnData, donors: tuple[str, ...], tissue: str, folder: Path) -> None:
    """Write a tissue of the donors as a user would: samples in rows, named by donor."""
    of_tissue = cohort[(cohort.obs["tissue"] == tissue) & cohort.obs["donor"].isin(donors)]
    values = pd.DataFrame(
        np.asarray(of_tissue.X),
        index=pd.Index(of_tissue.obs["donor"].astype(str), name="sample"),
        columns=of_tissue.var_names,
    )
    folder.mkdir(parents=True, exist_ok=True)
    values.to_csv(folder / f"{tissue}.tsv", sep="\t")


if __name__ == "__main__":
    main()
