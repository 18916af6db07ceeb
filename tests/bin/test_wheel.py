"""The wheel, installed in an environment elsewhere: all that a checkout can do."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
import time
import venv
import zipfile
from pathlib import Path
from urllib.request import urlopen

import pandas as pd
import pytest
import streamlit

from mtm_core import SAMPLES, Predictor, read_expression

REPOSITORY = Path(__file__).resolve().parents[2]
TAKEN_ALONG = ("pages", "trained_models", "data_samples")
USE = """
import json, sys
from mtm_core import SAMPLES, Predictor, read_expression
from streamlit.testing.v1 import AppTest
from mtm_core.places import place_of

predictor = Predictor.load("gtex_v8_acmg59_stack")
table = read_expression(str(SAMPLES / "blood_tpm.tsv"), known_genes=predictor.genes)
z = predictor.predict(table, source="Whole Blood", targets=["Lung"])["z"].values
app = AppTest.from_file(str(place_of("app.py")), default_timeout=60).run()
titles = [title.value for title in app.title]
app.switch_page("pages/samples/upload.py").run()
titles += [title.value for title in app.title]
app.switch_page("pages/help/guides.py").run()
titles += [title.value for title in app.title]
assert not app.exception
print(json.dumps({"z": float(z.sum()), "titles": titles, "at": sys.modules["mtm_core"].__file__}))
"""


def run(*command: str | Path, cwd: Path, home: Path) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "HOME": str(home)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, built from what a source distribution holds."""
    folder = tmp_path_factory.mktemp("built")
    build = (sys.executable, "-m", "hatchling", "build", "--directory", folder)
    run(*build, "--target", "sdist", cwd=REPOSITORY, home=folder)
    (source,) = folder.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        if hasattr(tarfile, "data_filter"):  # Python 3.11.4 and newer
            archive.extraction_filter = tarfile.data_filter
        archive.extractall(folder)
    run(*build, "--target", "wheel", cwd=folder / source.name[: -len(".tar.gz")], home=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def elsewhere(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that has the wheel, and what it needs from this environment."""
    folder = tmp_path_factory.mktemp("elsewhere")
    venv.create(folder / "env")
    (packages,) = (folder / "env" / "lib").glob("python*/site-packages")
    (packages / "needed.pth").write_text(f"{Path(streamlit.__file__).parents[1]}\n")
    run(
        *(sys.executable, "-m", "pip", "--python", folder / "env" / "bin" / "python"),
        *("install", "--quiet", "--no-deps", "--no-index", wheel),
        cwd=folder,
        home=folder,
    )
    return folder


def test_the_wheel_takes_the_top_level_along(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if name.startswith("mtm_core/top/")}
    expected = {"app.py", "LICENSE", ".streamlit/config.toml"} | {
        path.relative_to(REPOSITORY).as_posix()
        for top in TAKEN_ALONG
        for path in (REPOSITORY / top).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    expected |= {f"docs/{path.name}" for path in (REPOSITORY / "docs").glob("*.md")}
    assert held == {f"mtm_core/top/{name}" for name in expected}


def test_the_installed_package_predicts_and_shows_its_pages(elsewhere: Path) -> None:
    python = elsewhere / "env" / "bin" / "python"
    said = json.loads(run(python, "-c", USE, cwd=elsewhere, home=elsewhere).splitlines()[-1])
    assert Path(said["at"]).is_relative_to(elsewhere)
    assert said["titles"][1:] == ["Upload", "Guides"]
    predictor = Predictor.load("gtex_v8_acmg59_stack")
    table = read_expression(SAMPLES / "blood_tpm.tsv", known_genes=predictor.genes)
    here = predictor.predict(table, source="Whole Blood", targets=["Lung"])["z"].values.sum()
    assert said["z"] == pytest.approx(float(here), rel=1e-6)


def test_the_installed_command_predicts_and_serves(elsewhere: Path) -> None:
    mtm = elsewhere / "env" / "bin" / "mtm"
    (sample,) = elsewhere.glob("env/lib/python*/site-packages/mtm_core/top/*/blood_tpm.tsv")
    run(
        *(mtm, "predict", sample, "--targets", "Lung", "--output", "lung.csv"),
        cwd=elsewhere,
        home=elsewhere,
    )
    predicted = pd.read_csv(elsewhere / "lung.csv")
    assert set(predicted["tissue"]) == {"Lung"}
    assert predicted["gene"].nunique() == 59

    log = elsewhere / "printed"
    with log.open("wb") as printed:
        server = subprocess.Popen(
            [mtm, "app", "--no-browser"],
            cwd=elsewhere,
            env={"PATH": "/usr/bin:/bin", "HOME": str(elsewhere)},
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=printed,
        )
    try:
        deadline = time.monotonic() + 90
        while not (found := re.search(r"at (http://127\.0\.0\.1:\d+)", log.read_text())):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        with urlopen(found[1], timeout=10) as answer:
            assert b'<div id="root">' in answer.read()
    finally:
        server.terminate()
        server.wait(timeout=30)
