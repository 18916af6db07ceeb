"""An installation without extras: predicting works, and what does not work says what to install."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from mtm_core.cli.extras import EXTRAS

REPOSITORY = Path(__file__).resolve().parents[2]
SAMPLE = REPOSITORY / "data_samples" / "blood_tpm.tsv"
WITHOUT = """
import sys
from importlib.machinery import PathFinder

find, hidden = PathFinder.find_spec, sys.argv.pop(1).split(",")

def find_others(name, path=None, target=None):
    return None if name.partition(".")[0] in hidden else find(name, path, target)

PathFinder.find_spec = find_others
from mtm_core.cli.main import run
run()
"""


def mtm_without_extras(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    # dask stays: anndata, which reads cohorts, wants it.
    hidden = ",".join(
        module for modules in EXTRAS.values() for module in modules if module != "dask"
    )
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, hidden, *map(str, arguments)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )


def test_prediction_needs_no_extra(tmp_path: Path) -> None:
    done = mtm_without_extras(
        "predict", SAMPLE, "--targets", "Lung", "--output", tmp_path / "lung.csv"
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "lung.csv").read_text().count("\n") == 1 + 40 * 59


def test_commands_that_need_an_extra_name_it() -> None:
    for command, extra in (("app", "app"), ("train", "train"), ("serve", "serve")):
        done = mtm_without_extras(command)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert f"pip install 'mtm-core[{extra}]'" in done.stderr, done.stderr


def test_extras_bring_the_modules() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    assert set(optional) == set(EXTRAS)
    for extra, modules in EXTRAS.items():
        listed = " ".join(optional[extra]).replace("-", "_")
        assert all(module in listed for module in modules)
        base = " ".join(project["dependencies"]).replace("-", "_")
        assert not any(module in base for module in modules)
