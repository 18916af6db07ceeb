"""The examples in the docstrings of what ``mtm_core`` exports: they run as they are printed."""

from __future__ import annotations

import doctest
import inspect
import re
from pathlib import Path

import pytest
from gtex_files import write_gtex_files

import mtm_core
from mtm_core.data.cohort.cohort import write_cohort
from mtm_core.data.cohort.simulate import SimulationConfig, simulate_cohort

CLASSES_WITH_EXAMPLE = ("Artefact", "Predictor")
"""An options class is shown in the example of its function."""
WITHOUT_EXAMPLE = {
    "estimate_blood_composition": "CompositionOptions",  # the samples lack the cells' genes
    "study_latent_codes": "LatentOptions",  # needs the training cohort of an MTM model
}
FUNCTIONS = tuple(
    name
    for name in mtm_core.__all__
    if inspect.isfunction(getattr(mtm_core, name)) and name not in WITHOUT_EXAMPLE
)


@pytest.mark.parametrize("name", CLASSES_WITH_EXAMPLE + FUNCTIONS)
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
    assert example.examples, f"{name} has no example"
    said: list[str] = []
    failed, _ = doctest.DocTestRunner().run(example, out=said.append)
    assert not failed, "".join(said)


def test_every_options_class_is_in_the_example_of_a_function() -> None:
    shown = " ".join(inspect.getdoc(getattr(mtm_core, name)) or "" for name in FUNCTIONS)
    named = set(re.findall(r"\b\w+(?=\()", shown))
    options = {name for name in mtm_core.__all__ if name.endswith("Options")}
    assert len(options) > 10
    assert options - named == set(WITHOUT_EXAMPLE.values())
