"""The examples in the docstrings of what ``mtm_core`` exports: they run as they are printed."""

from __future__ import annotations

import doctest
import inspect
from pathlib import Path

import pytest
from gtex_files import write_gtex_files

import mtm_core
from mtm_core.data.cohort.cohort import write_cohort
from mtm_core.data.cohort.simulate import SimulationConfig, simulate_cohort

WITH_EXAMPLE = (
    "Artefact",
    "Predictor",
    "build_model",
    "check_quality",
    "compare_by_design",
    "compare_samples",
    "compare_tables",
    "enrich_results",
    "estimate_composition",
    "evaluate_methods",
    "make_design",
    "out_of_fold_accuracy",
    "predict_samples",
    "prepare_cohort",
    "read_expression",
    "read_metadata",
    "review_samples",
    "score_activity",
    "train_model",
)


@pytest.mark.parametrize("name", WITH_EXAMPLE)
def test_the_example_runs_as_it_is_printed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder with a small cohort, and with GTEx's files of it."""
    monkeypatch.chdir(tmp_path)
    cohort = simulate_cohort(SimulationConfig(n_donors=60, n_genes=8, n_tissues=3))
    write_cohort(cohort, Path("cohort.h5ad"))
    write_gtex_files(Path(), cohort, pseudogenes=[])
    text = inspect.getdoc(getattr(mtm_core, name))
    assert text is not None
    example = doctest.DocTestParser().get_doctest(text, {}, name, None, 0)
    assert example.examples
    said: list[str] = []
    failed, _ = doctest.DocTestRunner().run(example, out=said.append)
    assert not failed, "".join(said)
