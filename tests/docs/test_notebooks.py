"""The notebooks of the documentation run as they are written, and their own checks hold."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).resolve().parents[2] / "docs" / "notebooks"


@pytest.mark.parametrize("name", sorted(path.name for path in NOTEBOOKS.glob("*.py")))
def test_notebook_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)  # what it writes goes here
    runpy.run_path(str(NOTEBOOKS / name))
    assert capsys.readouterr().out


def test_every_notebook_is_in_the_documentation() -> None:
    navigation = (NOTEBOOKS.parents[1] / "mkdocs.yml").read_text()
    for path in NOTEBOOKS.glob("*.py"):
        assert f"notebooks/{path.name}" in navigation
