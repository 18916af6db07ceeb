"""Models that a server may be given: of other genes, tissues and names than the bundled ones."""

from __future__ import annotations

from pathlib import Path

import anndata as ad

from mtm_core.artefact import Artefact
from mtm_core.data.cohort.simulate import SimulationConfig, simulate_cohort
from mtm_core.data.gtex.annotations import WHOLE_BLOOD
from mtm_core.methods.controls import ControlMethod
from mtm_core.methods.joint_gaussian import JointGaussianMethod
from mtm_core.methods.protocol import Method
from mtm_core.methods.ridge import RidgeMethod


def cohort_of(
    tissues: list[str] | None = None, rename: dict[str, str] | None = None, n_genes: int = 40
) -> ad.AnnData:
    """Simulate a cohort, and keep ``tissues`` of it under other names."""
    cohort = simulate_cohort(SimulationConfig(n_donors=40, n_tissues=5, n_genes=n_genes))
    if tissues is not None:
        cohort = cohort[cohort.obs["tissue"].isin(tissues)].copy()
        cohort.uns["tissues"] = cohort.uns["tissues"].loc[tissues]
        cohort.obs["tissue"] = cohort.obs["tissue"].cat.set_categories(tissues)
    if rename:
        cohort.uns["tissues"] = cohort.uns["tissues"].rename(rename)
        cohort.obs["tissue"] = cohort.obs["tissue"].cat.rename_categories(
            lambda name: rename.get(name, name)
        )
    return cohort


def write_model(folder: Path, method: Method, cohort: ad.AnnData, name: str = "other") -> Path:
    """Fit ``method`` on the whole of ``cohort`` and write it, with nothing beside it."""
    fitted = method.fit(cohort, sorted(set(cohort.obs["donor"])))
    Artefact.of(fitted, cohort, name=name, provenance={}).save(folder)
    return folder


def other_genes(folder: Path) -> Path:
    return write_model(folder, RidgeMethod(WHOLE_BLOOD), cohort_of())


def without_blood(folder: Path) -> Path:
    cohort = cohort_of(["Liver", "Lung", "Muscle - Skeletal"])
    return write_model(folder, JointGaussianMethod(), cohort)


def one_pair(folder: Path) -> Path:
    cohort = cohort_of(["Liver", "Lung"], {"Liver": "Saliva", "Lung": "Tear film"}, n_genes=3)
    return write_model(folder, ControlMethod("training-mean"), cohort)


def names_missing(folder: Path) -> Path:
    """No symbols, two symbols for many genes, and neither colour nor number of samples."""
    cohort = cohort_of()
    cohort.var["symbol"] = ["", "SAME", "SAME", *["TWICE"] * 5, *[""] * 32]
    cohort.var["entrez"] = ""
    cohort.uns["tissues"] = cohort.uns["tissues"].assign(abbreviation="", ontology="")
    return write_model(folder, JointGaussianMethod(covariates=("age", "sex")), cohort)


OTHERS = {
    "other genes": other_genes,
    "without blood": without_blood,
    "one pair": one_pair,
    "names missing": names_missing,
}
