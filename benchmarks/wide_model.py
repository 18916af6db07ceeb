"""Make a model of 19,291 genes x 49 tissues with its evaluation and associations, in minutes.

For trying and timing what a genome-wide model costs where real data are not to be had: the cohort
is simulated, few donors, under the names of real genes (HGNC) so that gene pickers have real names
to search. Kernel factors in a stack of their own, so that values have intervals. Nothing in it is
worth knowing of any tissue.

    python benchmarks/wide_model.py FOLDER [--genes 19291] [--donors 120]
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import anndata as ad
import pandas as pd

from mtm_core.artefact import Artefact
from mtm_core.data.cohort.simulate import SimulationConfig, simulate_cohort
from mtm_core.data.cohort.splits import donor_folds
from mtm_core.data.genes.names import TABLE
from mtm_core.data.gtex.annotations import WHOLE_BLOOD
from mtm_core.evaluation.accuracy import Accuracy, accuracy
from mtm_core.evaluation.cross_validation import cross_validate
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.methods.controls import ControlMethod
from mtm_core.methods.joint_gaussian import JointGaussianMethod
from mtm_core.methods.kernel_factors import KernelFactorsMethod
from mtm_core.methods.protocol import Method
from mtm_core.methods.stack import StackMethod
from mtm_core.reporting.model_card import render_model_card
from mtm_core.studies.reference import ReferenceAssociations

T = TypeVar("T")
N_GENES = 19_291
CONFIG = SimulationConfig(
    n_donors=120,
    n_tissues=49,
    n_genes=N_GENES,
    n_factors=20,
    factor_decay=1.0,
    shared_variance=0.35,
    private_variance=0.2,
    own_variance=0.3,
    n_own_genes=300,
    presence=(0.95, 0.2),
)
_JOINT = JointGaussianMethod(
    n_factors=(24,), shrinkage=3_000, gene_ridge=None, covariates=("age", "sex")
)
METHODS: tuple[Method, ...] = (
    StackMethod((KernelFactorsMethod(_JOINT),), WHOLE_BLOOD, n_inner=2),
    _JOINT,
    ControlMethod("training-mean"),
)
"""The model's own first."""


def make_wide_model(
    folder: Path, *, n_genes: int = N_GENES, n_donors: int = CONFIG.n_donors, evaluated: bool = True
) -> Path:
    """Write the model into ``folder``; its evaluation and associations beside it."""
    config = replace(
        CONFIG,
        n_genes=n_genes,
        n_donors=n_donors,
        n_own_genes=min(CONFIG.n_own_genes, n_genes // 10),
    )
    cohort = _timed("simulate", partial(simulate_cohort, config, genes=real_genes(n_genes)))
    donors = sorted(cohort.obs["donor"].unique())
    fitted = _timed("fit", partial(METHODS[0].fit, cohort, donors))
    made = Artefact.of(
        fitted, cohort, name=folder.name, provenance={"command": "benchmarks/wide_model.py"}
    )
    tables = None
    if evaluated:
        tables = _evaluate(cohort)
        tables.save(folder / "evaluation")
        made = replace(made, accuracy=tables.of_method(fitted.name))
        associations = _timed("associations", partial(ReferenceAssociations.of, cohort))
        associations.save(folder / "associations", overwrite=True)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text(render_model_card(made, tables), encoding="utf-8")
    _timed("save", partial(made.save, folder))
    return folder


def real_genes(n_genes: int) -> pd.DataFrame:
    """Return the first genes of HGNC that have an Ensembl id, as a cohort holds them."""
    table = pd.read_csv(TABLE, sep="\t", comment="#", dtype=str, keep_default_na=False)
    table = table[table["ensembl"] != ""].drop_duplicates("ensembl").head(n_genes)
    entrez = [str(800_000_000 + number) for number in range(len(table))]  # HGNC's are not at hand
    return pd.DataFrame(
        {"symbol": table["symbol"].to_numpy(), "entrez": entrez},
        index=pd.Index([f"{gene}.1" for gene in table["ensembl"]], name="gene_id"),
    )


def _evaluate(cohort: ad.AnnData) -> EvaluationTables:
    """Evaluate every method on the same two folds, without resampling donors."""
    folds = donor_folds(cohort.obs, n_folds=2, balance_tissue=WHOLE_BLOOD)
    accuracies: dict[str, Accuracy] = {}
    for method in METHODS:
        run = partial(_score, method, cohort, folds)
        accuracies[method.name] = _timed(f"evaluate {method.name}", run)
    settings = {
        "cohort_sha256": str(cohort.uns["mtm"]["sha256"]),
        "folds": 2,
        "seed": 0,
        "source": WHOLE_BLOOD,
        "mtm": {},
        "adjusted_for": ["age", "sex", "hardy"],
    }
    return EvaluationTables.of(accuracies, settings)


def _score(method: Method, cohort: ad.AnnData, folds: object) -> Accuracy:
    predictions = cross_validate(method, cohort, folds, with_phenotypes=False)
    return accuracy(predictions, cohort.uns["donors"])


def _timed(what: str, run: Callable[[], T]) -> T:
    began = time.perf_counter()
    result = run()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(f"{what}: {time.perf_counter() - began:.1f} s, peak {peak:.1f} GB", flush=True)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--genes", type=int, default=N_GENES)
    parser.add_argument("--donors", type=int, default=CONFIG.n_donors)
    options = parser.parse_args()
    make_wide_model(options.folder, n_genes=options.genes, n_donors=options.donors)


if __name__ == "__main__":
    main()
