"""The examples in docstrings of the library's own modules: they run as they are printed."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import mtm_core

ROOT = Path(mtm_core.__file__).parent
PACKAGES = ("evaluation", "methods", "model", "statistics", "training")
MODULES = [
    f"mtm_core.{package}.{path.stem}"
    for package in PACKAGES
    for path in sorted((ROOT / package).glob("*.py"))
    if ">>>" in path.read_text()
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run_as_they_are_printed(name: str) -> None:
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for example in doctest.DocTestFinder(exclude_empty=True).find(import_module(name)):
        failed, _ = runner.run(example, out=said.append)
        assert not failed, "".join(said)
