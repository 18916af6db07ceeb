"""False discoveries at FDR 5 % in predicted tissue, by the design of the study, simulated.

Blood has ten directions. Of 400 genes of a tissue half do not follow blood, a quarter follow
directions in which the people compared do not differ, and a quarter truly differ. A ridge
regression learnt from the donors predicts 60 people. Both tests are those of the package: do the
predictions differ, and does the tissue, allowing for prediction error?

    python scripts/design_fdr.py --repeats 15
"""

from __future__ import annotations

import argparse
import io
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mtm_core.data.people.metadata_file import read_metadata
from mtm_core.inference.measured import Measured
from mtm_core.studies.contrasts import Asked
from mtm_core.studies.design import BlockAs, make_design
from mtm_core.studies.linear_comparison import compare_by_design
from mtm_core.studies.own_cohort import OwnCohort

Array = NDArray[np.float64]
PEOPLE, DIRECTIONS, GENES = 60, 10, 400
LEVEL, SHIFT, SLOPE, PENALTY, BASE = 0.05, 2.5, 1.5, 10.0, 20.0
DESIGNS = (
    *("equal groups", "8 cases, 52 controls", "52 cases, 8 controls"),
    *("age as covariate", "age, adjusted for group", "interaction with age", "three batches"),
    *("pairs, fixed", "pairs, random", "two samples a person"),
)
GROUP: Asked = ("group", "case", "control")


@dataclass
class Study:
    """People, their blood, the model, and the direction of blood that is tested."""

    table: pd.DataFrame
    blood: Array
    tested: Array
    formula: str = "group"
    contrast: Asked = GROUP
    block: str = ""
    block_as: BlockAs = "random"


def direction(rng: np.random.Generator, size: float) -> Array:
    """Draw a direction of blood of a given length."""
    drawn: Array = rng.normal(size=DIRECTIONS)
    return np.asarray(size * drawn / np.linalg.norm(drawn))


def draw_study(design: str, rng: np.random.Generator) -> Study:
    """Draw people for a design: groups differ in blood, and what is adjusted for does too."""
    index = np.arange(PEOPLE)
    table = pd.DataFrame({"sample": [f"P{i}" for i in index]})
    shift, slope = direction(rng, SHIFT), direction(rng, SLOPE)
    blood = rng.normal(size=(PEOPLE, DIRECTIONS))
    study = Study(table, blood, shift)
    is_case = index % 2 == 1
    if design.startswith(("8", "52")):
        is_case = index < int(design.split()[0])
    elif "age" in design:
        age = rng.uniform(20, 80, PEOPLE).round(2)
        is_case = rng.uniform(size=PEOPLE) < 1 / (1 + np.exp(-(age - 50) / 15))
        table["age"], study.formula = age, "group + age"
        years = ((age - 50) / 17)[:, None]
        blood += years * slope
        if design.startswith("age, "):
            study.tested, study.contrast = slope, "age"
        if design.startswith("interaction"):
            depends = direction(rng, SLOPE)
            blood += is_case[:, None] * years * depends
            study.formula, study.contrast, study.tested = "group * age", "group:age", depends
    elif design == "three batches":
        batch = index % 3
        is_case = rng.uniform(size=PEOPLE) < np.array([0.25, 0.5, 0.75])[batch]
        table["batch"], study.formula = np.array(["x", "y", "z"])[batch], "group + batch"
        blood += rng.normal(size=(3, DIRECTIONS))[batch]
    elif design != "equal groups":
        person = index // 2
        table["person"], study.block = [f"p{i}" for i in person], "person"
        study.block_as = "fixed" if design == "pairs, fixed" else "random"
        is_case = person % 2 == 1 if design.startswith("two") else index % 2 == 1
        blood *= 0.5
        blood += np.sqrt(0.75) * rng.normal(size=(PEOPLE // 2, DIRECTIONS))[person]
    table["group"] = np.where(is_case, "case", "control")
    blood += is_case[:, None] * shift
    return study


def share_false(study: Study, n_donors: int, rng: np.random.Generator) -> list[float]:
    """Return genes found and the share of them that are false, of predictions and of the tissue."""
    along = study.tested / np.linalg.norm(study.tested)
    weights = rng.normal(size=(DIRECTIONS, GENES))
    quarter = np.arange(GENES) * 4 // GENES
    weights -= np.where(quarter == 2, along @ weights, 0) * along[:, None]
    weights[:, quarter == 3] = along[:, None] * rng.choice([-1.0, 1.0], (quarter == 3).sum())
    rho = np.where(quarter < 2, 0.0, rng.uniform(0.3, 0.95, GENES))
    weights *= rho / np.linalg.norm(weights, axis=0)
    donors = rng.normal(size=(n_donors, DIRECTIONS))
    tissue = donors @ weights + np.sqrt(1 - rho**2) * rng.normal(size=(n_donors, GENES))
    penalty = PENALTY * np.eye(DIRECTIONS)
    learnt = np.linalg.solve(donors.T @ donors + penalty, donors.T @ tissue)
    error = np.sqrt(((tissue - donors @ learnt) ** 2).sum(axis=0) / (n_donors - DIRECTIONS))
    cohort = cohort_of(study, BASE + study.blood @ learnt, error, n_donors)
    known = read_metadata(
        io.BytesIO(study.table.to_csv(index=False).encode()),
        "people.csv",
        samples=study.table["sample"].tolist(),
    )
    design = make_design(
        known,
        study.formula,
        contrasts=[study.contrast],
        block=study.block,
        block_as=study.block_as,
    )
    table = compare_by_design(cohort, design)
    figures = []
    for column in ("fdr", "fdr_tissue"):
        found = (table[column] <= LEVEL).to_numpy()
        figures += [found.sum(), (found & (quarter < 3)).sum() / max(found.sum(), 1)]
    return figures


def cohort_of(study: Study, log2: Array, error: Array, n_donors: int) -> OwnCohort:
    """Make a cohort of one predicted tissue with its 90 % intervals."""
    names = [f"G{i}" for i in range(GENES)]
    samples = study.table["sample"].to_numpy()
    coords = {"sample": samples, "tissue": ["Lung"], "gene": names, "symbol": ("gene", names)}

    def linear(values: Array) -> xr.DataArray:
        return xr.DataArray(np.exp2(values)[:, None] - 1, coords, ("sample", "tissue", "gene"))

    half = 1.6448536 * error
    measured = Measured(pd.DataFrame(index=samples), pd.Series(dtype=object), "", "")
    return OwnCohort(
        "Whole Blood",
        measured,
        linear(log2),
        "TPM",
        ("Lung",),
        xr.Dataset({"lower": linear(log2 - half), "upper": linear(log2 + half)}),
        pd.Series({"Lung": n_donors}),
    )


def main() -> None:
    """Print a line a design."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--donors", type=int, default=300)
    given = parser.parse_args()
    print("design | predictions: found, false | tissue: found, false")
    for design in DESIGNS:
        rng = np.random.default_rng(7)
        drawn = [
            share_false(draw_study(design, rng), given.donors, rng) for _ in range(given.repeats)
        ]
        found, false, found_tissue, false_tissue = np.mean(drawn, axis=0)
        print(f"{design} | {found:.0f}, {false:.2f} | {found_tissue:.0f}, {false_tissue:.3f}")


if __name__ == "__main__":
    main()
