"""The studies of a cohort, called from Python: what is returned, written and reported meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mtm_core import grouped_writing
from mtm_core.data.cohort.cohort import write_cohort
from mtm_core.data.cohort.simulate import SimulationConfig, simulate_cohort
from mtm_core.errors import InputFileError, SelectionError
from mtm_core.studies.shipped import StudyTables
from mtm_core.workflows.evaluate import evaluate_methods
from mtm_core.workflows.evaluate_options import EvaluateOptions
from mtm_core.workflows.progress import StepProgress
from mtm_core.workflows.study_model import PredictableGenesOptions, study_predictable
from mtm_core.workflows.study_predictions import (
    DiseaseOptions,
    TraitsOptions,
    study_preserved_differences,
    study_preserved_traits,
)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cohort of 60 donors in 3 tissues, and its evaluation with all out-of-fold values."""
    folder = tmp_path_factory.mktemp("studies")
    cohort = simulate_cohort(
        SimulationConfig(n_donors=60, n_tissues=3, n_genes=12, presence=(1.0, 1.0))
    )
    write_cohort(cohort, folder / "cohort.h5ad")
    evaluate_methods(
        EvaluateOptions(
            folder / "cohort.h5ad",
            folder / "evaluation",
            methods=("ridge",),
            folds=2,
            resamples=100,
            save_predictions=True,
        )
    )
    return folder


class Reported:
    """Steps and words, as they came."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, str, float, float]] = []
        self.words: list[str] = []

    def show(self, steps: Sequence[StepProgress]) -> None:
        self.steps += [(s.name, s.state, s.done, s.total) for s in steps if s.state != "left"]

    def say(self, text: str, *, level: str = "info") -> None:
        assert level == "info"
        self.words.append(text)


def test_studies_of_predictions_report_each_tissue_and_return_what_they_write(
    evaluated: Path,
) -> None:
    reported, studies = Reported(), evaluated / "studies"
    files = (evaluated / "cohort.h5ad", evaluated / "evaluation" / "ridge.nc")
    traits = study_preserved_traits(
        TraitsOptions(*files, studies / "traits", traits=("age", "sex"), shuffles=19),
        reported.show,
        reported.say,
    )
    assert reported.words == ["The cohort is simulated: nothing here is a result about people."]
    (name,) = {step[0] for step in reported.steps if step[3]}
    assert [step[2:] for step in dict.fromkeys(reported.steps) if step[0] == name and step[2]] == [
        (1, 2),
        (2, 2),
        (2, 2),
    ]
    assert {step[0] for step in reported.steps if step[1] == "done"} == {name, "Write the tables"}
    groups = study_preserved_differences(
        DiseaseOptions(
            *files, studies / "disease", traits=("sex",), minimum_group=5, repeats=1, shuffles=19
        )
    )
    genes = study_predictable(
        PredictableGenesOptions(
            files[0], evaluated / "evaluation", studies / "pgenes", method="ridge"
        )
    )
    read = StudyTables.load(studies)
    assert read.traits
    assert read.disease
    assert read.predictable_genes
    same = pd.testing.assert_frame_equal
    same(read.traits.study.tissues, traits.tissues, rtol=1e-5)
    assert set(traits.tissues["trait"]) == {"age", "sex"}
    same(read.disease.study.status, groups.status, rtol=1e-5, check_dtype=False)
    same(read.predictable_genes.study.quartiles, genes.quartiles, rtol=1e-5)


def test_rows_of_a_wide_study_are_written_as_they_come_and_are_those_of_a_short_one(
    evaluated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = (evaluated / "cohort.h5ad", evaluated / "evaluation" / "ridge.nc")

    def run(name: str) -> list[pd.DataFrame]:
        traits = TraitsOptions(*files, tmp_path / f"{name}_traits", traits=("age",), shuffles=9)
        groups = DiseaseOptions(
            *files, tmp_path / f"{name}_groups", traits=("sex",), minimum_group=5, repeats=0,
            shuffles=9,
        )  # fmt: skip
        found = study_preserved_traits(traits), study_preserved_differences(groups)
        return [study.genes for study in found]

    short = run("short")
    monkeypatch.setattr(grouped_writing, "LONGEST_EXACT", 5)
    long = run("long")
    keys = ["trait", "adjusted_for", "tissue", "gene_id"]
    for ours, theirs in zip(long, short, strict=True):
        assert len(theirs) > 20
        assert set(ours) == set(theirs)
        text = dict.fromkeys(keys, str)
        rows = [t.astype(text).set_index(keys).sort_index() for t in (ours, theirs)]
        for column in theirs.columns.drop(keys):
            if pd.api.types.is_numeric_dtype(theirs[column]):
                np.testing.assert_allclose(rows[0][column], rows[1][column], rtol=2**-12)
            else:
                assert rows[0][column].astype(str).equals(rows[1][column].astype(str))


def test_files_of_the_wrong_kind_are_refused_before_anything_is_read(evaluated: Path) -> None:
    cohort, folder = evaluated / "cohort.h5ad", evaluated / "evaluation"
    with pytest.raises(InputFileError, match=r"^PREDICTIONS: .*evaluation is a folder; expected"):
        study_preserved_traits(TraitsOptions(cohort, folder, evaluated / "x"))
    with pytest.raises(InputFileError, match=r"^--evaluation: .*cohort.h5ad is a file; expected a"):
        study_predictable(PredictableGenesOptions(cohort, cohort, evaluated / "x"))
    with pytest.raises(SelectionError, match=r"^--jobs: expected 1 or more"):
        study_preserved_differences(DiseaseOptions(cohort, folder, evaluated / "x", jobs=0))
    assert not (evaluated / "x").exists()
