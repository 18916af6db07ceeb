"""benchmarks/gpu.py as far as a machine without a GPU can take it."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import gpu


@pytest.fixture(scope="module")
def sections(tmp_path_factory: pytest.TempPathFactory) -> dict:
    folder = tmp_path_factory.mktemp("gpu")
    gpu.main(["--cpu", "--small", f"--output={folder}"])
    assert "no figure here is of a GPU" in (folder / "gpu.md").read_text()
    return json.loads((folder / "gpu.json").read_text())


def test_every_section_is_measured(sections: dict) -> None:
    assert list(sections) == ["machine", "speed", "epoch as trained", "loss curves"]
    assert not any("failed" in found for found in sections.values())
    assert sections["speed"][0]["pairs_a_second"] > 0
    assert "paper_s" not in sections["speed"][0]  # at another width nothing compares with the paper


def test_curves_are_those_of_the_same_steps(sections: dict) -> None:
    losses = sections["loss curves"]["losses"]
    assert np.ptp(losses["cpu"]) > 0
    assert losses["bf16"] != losses["cpu"]
    assert losses["bf16"] == pytest.approx(losses["cpu"], rel=0.05)


def test_finished_sections_survive_a_time_limit(tmp_path: Path) -> None:
    report = gpu.Report(tmp_path, minutes=0.01)
    report.run("short", lambda: {"value": 1.0}, needs=0)
    report.run("long", lambda: {"value": 1.0}, needs=60)
    report.run("broken", lambda: [][0], needs=0)
    written = json.loads((tmp_path / "gpu.json").read_text())
    assert written["short"] == {"value": 1.0}
    assert list(written["long"]) == ["left_out"]
    assert written["broken"]["failed"].startswith("IndexError")
