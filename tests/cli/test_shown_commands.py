"""The command that a page shows, run in a shell, makes the numbers that the page shows."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from mtm_core.artefact import Artefact
from mtm_core.dashboard.state.resources import MODEL_VARIABLE
from mtm_core.data.gtex.annotations import WHOLE_BLOOD as BLOOD
from mtm_core.inference.options import FurtherTissue, PredictionOptions
from mtm_core.methods.joint_gaussian import JointGaussianMethod
from mtm_core.reporting.name_lists import join_names
from tests.cli.conftest import Mtm
from tests.dashboard_settings import components_scanned_once as components_scanned_once
from tests.dashboard_settings import own_workspaces as own_workspaces
from tests.dashboard_settings import patient as patient

REPOSITORY = Path(__file__).resolve().parents[2]
UPLOAD, METADATA, PREDICTED = (f"pages/samples/{n}.py" for n in ("upload", "metadata", "predicted"))
DIFFERENTIAL, TRAITS = (f"pages/associations/{n}.py" for n in ("differential", "traits"))
N = 24
ODD_CASE, ODD_CONTROL = '$(touch hacked); `touch hacked`, "severe"', "it's -v, = 100 %"
ODD_COLUMN = "sta=ge, $HOME"


@pytest.fixture(scope="module")
def model(small_cohort: ad.AnnData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that reads age and sex."""
    donors = sorted(set(small_cohort.obs["donor"]))
    method = JointGaussianMethod(n_factors=(2,), n_iterations=4, covariates=("age", "sex"))
    folder = tmp_path_factory.mktemp("models") / "age_sex"
    Artefact.of(method.fit(small_cohort, donors), small_cohort, name="age_sex", provenance={}).save(
        folder
    )
    return folder


@pytest.fixture(scope="module")
def table(small_cohort: ad.AnnData) -> bytes:
    blood = small_cohort[small_cohort.obs["tissue"] == "Whole Blood"][:N].to_df()
    return blood.set_axis([f"{i:03d}" for i in range(N)]).rename_axis("sample").to_csv().encode()


@pytest.fixture(scope="module")
def people() -> bytes:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "site": "Bern",
            "id": [f"{i:03d} ".replace("0", "O", 0) for i in range(N)],
            "Alter": rng.integers(20, 79, N),
            "Geschlecht": rng.choice(["1", "2"], N),
            ODD_COLUMN: [(ODD_CASE, ODD_CONTROL)[i % 2] if i > 1 else "NA" for i in range(N)],
            "bmi, kg": rng.normal(25, 3, N).round(2),
        }
    )
    return table.to_csv(index=False).encode()


@pytest.fixture
def run_in_shell(
    mtm: Mtm, model: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, Path], None]:
    """Run a command as a user would paste it; the model's folder lies beside.

    The shell's ``mtm`` writes down its words, and they are run here: the program starts once.
    """

    def run(command: str, folder: Path) -> None:
        (folder / "age_sex").symlink_to(model)
        (folder / "bin").mkdir()
        script = folder / "bin" / "mtm"
        script.write_text("#!/bin/sh\nprintf '%s\\0' \"$@\" > words\n")
        script.chmod(0o755)
        path = f"{folder / 'bin'}:/usr/bin:/bin"
        subprocess.run(["sh", "-c", command], cwd=folder, check=True, env={"PATH": path})
        words = (folder / "words").read_text().split("\0")[:-1]
        monkeypatch.chdir(folder)
        done = mtm(*words)
        assert done.code == 0, done.err
        assert not (folder / "hacked").exists()

    return run


def opened(model: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv(MODEL_VARIABLE, str(model))
    app = AppTest.from_file(str(REPOSITORY / "app.py"), default_timeout=60).run()
    assert not app.exception
    return app


def give(app: AppTest, page: str, name: str, data: bytes) -> AppTest:
    app.switch_page(page).run()
    app.file_uploader[0].upload(name, data)
    app.run()
    assert not app.exception
    return app


@pytest.mark.parametrize(
    ("file", "meta", "targets"),
    [("my blood.csv", "people.csv", ("Lung", "Liver")),
     ("-x $(touch hacked).csv", "--it's, \"me\".csv", ("Lung", "Liver")),
     ("ü\n`touch hacked`.csv", "m;.csv", ("every other",))],
)  # fmt: skip
def test_shown_commands_make_the_numbers_that_are_shown(
    model: Path,
    table: bytes,
    people: bytes,
    file: str,
    meta: str,
    targets: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run_in_shell: Callable[[str, Path], None],
) -> None:
    app = give(opened(model, monkeypatch), UPLOAD, file, table)
    app.radio(key="alignment").set_value("none").run()
    give(app, METADATA, meta, people)
    session = app.session_state["mtm"]
    session.metadata = session.metadata.with_roles(
        age_column="Alter",
        sex_column="Geschlecht",
        sex_codes={"1": "female", "2": "male"},
        unknown=["NA"],
    )
    every = tuple(tissue for tissue in Artefact.load(model).method.tissues if tissue != BLOOD)
    session.targets = every if targets == ("every other",) else targets
    app.switch_page(PREDICTED).run()
    app.button(key="predict").click().run()
    assert not app.exception
    assert ("--targets" in app.code[-1].value) == (session.targets != every)
    prediction = session.prediction
    assert prediction["used_age_sex"].sum() == N
    run_in_shell(app.code[-1].value, _folder(tmp_path, "a", {file: table, meta: people}))
    again = pd.read_csv(tmp_path / "a" / "predicted.csv", dtype={"sample": str})
    for name in ("z", "expression"):
        np.testing.assert_allclose(again[name], prediction[name].to_numpy().ravel(), rtol=2e-5)
    assert again["sample"].unique().tolist() == [f"{i:03d}" for i in range(N)]

    app.switch_page(DIFFERENTIAL).run()
    app.selectbox(key="group_column").select(ODD_COLUMN).run()
    beside = app.multiselect(key="beside_Whole Blood")
    beside.set_value(beside.options).run()
    app.toggle(key="shuffle").set_value(True).run()
    assert not app.exception
    shown = app.dataframe[0].value
    run_in_shell(app.code[-1].value, _folder(tmp_path, "b", {file: table, meta: people}))
    _same(
        shown,
        pd.read_csv(tmp_path / "b" / "compared" / "differential_expression.csv"),
        ["log2_fold_change", "p", "fdr", "mean_case", "mean_control", "n_case", "n_control"],
    )
    assert set(shown["n_case"]) == {11}

    app.switch_page(TRAITS).run()
    app.selectbox(key="trait").select("bmi, kg").run()
    app.multiselect(key="covariates").select(ODD_COLUMN).select("Geschlecht").run()
    app.toggle(key="traits_everywhere").set_value(True).run()
    assert not app.exception
    shown = next(frame.value for frame in app.dataframe if "rho" in frame.value)
    run_in_shell(app.code[-1].value, _folder(tmp_path, "c", {file: table, meta: people}))
    again = pd.read_csv(tmp_path / "c" / "compared" / "trait_associations.csv")
    _same(shown, again, ["rho", "p", "fdr", "slope", "n"])


def test_a_command_without_targets_writes_what_one_with_every_other_tissue_does(
    model: Path, table: bytes, tmp_path: Path, mtm: Mtm
) -> None:
    (tmp_path / "blood.csv").write_bytes(table)
    every = tuple(tissue for tissue in Artefact.load(model).method.tissues if tissue != BLOOD)
    named = PredictionOptions(targets=every)
    words = [str(tmp_path / "blood.csv"), "--model", str(model)]
    for name, chosen in (("named", named), ("short", named.in_command((*every, BLOOD)))):
        targets = [] if chosen.targets is None else ["--targets", join_names(chosen.targets)]
        assert bool(targets) == (name == "named")
        done = mtm("predict", *words, *targets, "--output", tmp_path / f"{name}.csv")
        assert done.code == 0, done.err
    assert (tmp_path / "named.csv").read_bytes() == (tmp_path / "short.csv").read_bytes()
    reordered = PredictionOptions(targets=every[::-1])
    assert reordered.in_command((*every, BLOOD)) == reordered
    several = PredictionOptions(targets=every[1:], further=(FurtherTissue(every[0]),))
    assert several.in_command((*every, BLOOD)).targets is None


def _folder(root: Path, name: str, files: dict[str, bytes]) -> Path:
    (root / name).mkdir()
    for file, data in files.items():
        (root / name / file).write_bytes(data)
    return root / name


def _same(shown: pd.DataFrame, again: pd.DataFrame, columns: list[str]) -> None:
    """Compare rows by tissue and gene."""
    keys = ["tissue", "gene_id"]
    both = shown.merge(again, on=keys, suffixes=("", "_again"))
    assert len(both) == len(shown) == len(again)
    for column in columns:
        np.testing.assert_allclose(both[column], both[f"{column}_again"], rtol=1e-4, atol=1e-7)
