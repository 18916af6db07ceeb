"""``mtm study``: tables on disk, a short table printed, errors in one line."""

from __future__ import annotations

import json
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from mtm_core.data.cohort.cohort import read_cohort, write_cohort
from mtm_core.data.cohort.simulate import DiseaseConfig, SimulationConfig, simulate_cohort
from mtm_core.data.cohort.splits import donor_folds
from mtm_core.evaluation.accuracy import accuracy
from mtm_core.evaluation.cross_validation import cross_validate
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.methods.ridge import RidgeMethod
from mtm_core.studies.reference import ReferenceAssociations
from tests.cli.conftest import ONE_EPOCH, Done, Mtm, error_of
from tests.dbgap_file import write_dbgap_file


@pytest.fixture(scope="module")
def diseased() -> ad.AnnData:
    """130 donors, 52 of them cases, in 3 tissues of 12 genes."""
    return simulate_cohort(
        SimulationConfig(
            n_donors=130, n_tissues=3, n_genes=12, presence=(1.0, 1.0), disease=DiseaseConfig()
        )
    )


@pytest.fixture(scope="module")
def public_cohort(diseased: ad.AnnData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same without what dbGaP keeps."""
    public = diseased.copy()
    public.uns["donors"] = public.uns["donors"].drop(columns="MHT2D")
    path = tmp_path_factory.mktemp("study") / "cohort.h5ad"
    write_cohort(public, path)
    return path


def test_reference_of_public_traits_and_of_a_dbgap_file(
    mtm: Mtm, diseased: ad.AnnData, public_cohort: Path, tmp_path: Path
) -> None:
    done = mtm("study", "reference", public_cohort, "--output", tmp_path / "public")
    assert done.code == 0
    lines = [line.split("\t") for line in done.out.splitlines()]
    assert lines[0][:2] == ["trait", "adjusted for"]
    assert {line[0] for line in lines[1:]} == {"age", "sex", "ventilator"}
    assert ["age", "", "3", "36"] in [line[:4] for line in lines]
    assert set(ReferenceAssociations.load(tmp_path / "public").traits) == {
        "age", "sex", "ventilator"
    }  # fmt: skip

    donors = diseased.uns["donors"]
    bmi = pd.Series(np.random.default_rng(0).uniform(18, 40, len(donors)), donors.index)
    file = write_dbgap_file(tmp_path, donors, bmi)
    done = mtm("study", "reference", public_cohort, "--dbgap", file, "--output", tmp_path / "dbgap")
    assert done.code == 0
    found = ReferenceAssociations.load(tmp_path / "dbgap")
    assert set(found.traits) == {"age", "sex", "ventilator", "bmi", "MHT2D"}
    disease = found.select("MHT2D", "Whole Blood")
    assert (disease["n_case"] == 52).all()
    planted = diseased.uns["truth"]["effects"]["case"][0] != 0
    assert (disease["fdr"] <= 0.05)[planted].mean() > 0.7


def test_a_file_that_is_not_dbgap_s_is_one_line(
    mtm: Mtm, public_cohort: Path, tmp_path: Path
) -> None:
    public = tmp_path / "public.txt"
    public.write_text("SUBJID\tSEX\tAGE\nSIM-00001\t2\t60-69\n")
    done = mtm("study", "reference", public_cohort, "--dbgap", public, "--output", tmp_path / "a")
    assert "expected the dbGaP file" in error_of(done)
    assert not (tmp_path / "a").exists()


@pytest.fixture(scope="module")
def evaluated(public_cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Out-of-fold predictions and folds, as 'mtm evaluate --save-predictions' leaves them."""
    folder = tmp_path_factory.mktemp("evaluated")
    cohort = read_cohort(public_cohort)
    folds = donor_folds(cohort.obs, n_folds=2)
    folds.save(folder / "folds.json")
    predictions = cross_validate(RidgeMethod("Whole Blood"), cohort, folds)
    predictions.to_netcdf(folder / "ridge.nc", engine="h5netcdf")
    settings = {"cohort_sha256": str(cohort.uns["mtm"]["sha256"]), "source": "Whole Blood"}
    EvaluationTables.of({"ridge": accuracy(predictions)}, settings).save(folder)
    return folder


def printed(text: str) -> list[dict[str, str]]:
    header, *lines = (line.split("\t") for line in text.splitlines())
    return [dict(zip(header, line, strict=True)) for line in lines]


def test_traits_and_disease_of_saved_predictions(
    mtm: Mtm, public_cohort: Path, evaluated: Path, tmp_path: Path
) -> None:
    few = ["--shuffles=19"]
    done = mtm(
        "study", "traits", public_cohort, evaluated / "ridge.nc", *few, "--output", tmp_path / "t"
    )
    assert done.code == 0
    assert "The cohort is simulated" in done.err
    rows = printed(done.out)
    assert {row["trait"] for row in rows} == {"age", "sex", "ventilator"}
    tissues = pd.read_csv(tmp_path / "t" / "tissues.csv")
    age = tissues.query("trait == 'age' and adjusted_for.isna()")
    assert len(age) == 2
    assert rows[0]["median rho"] == f"{age['rho'].median():.3g}"
    settings = json.loads((tmp_path / "t" / "settings.json").read_text())
    assert (settings["method"], settings["simulated"], settings["shuffles"]) == ("ridge", True, 19)
    assert "SIM-0" not in (tmp_path / "t" / "genes.parquet").read_bytes().decode("latin1")

    done = mtm(
        "study", "disease", public_cohort, evaluated / "ridge.nc", *few, "--traits=ventilator",
        "--repeats=1", "--minimum-group=20", "--output", tmp_path / "d",
    )  # fmt: skip
    assert done.code == 0
    assert set(pd.read_csv(tmp_path / "d" / "pairs.csv")["trait"]) == {"ventilator"}
    status = pd.read_csv(tmp_path / "d" / "status.csv")
    assert len(status) == 2 * 4
    curves = pd.read_csv(tmp_path / "d" / "curves.csv")
    assert len(curves) == 21 * (status["outcome"] == "tested").sum()
    assert "n informative" in done.out
    done = mtm(
        "study", "disease", public_cohort, evaluated / "ridge.nc", *few, "--repeats=0",
        "--output", tmp_path / "e",
    )  # fmt: skip
    assert done.code == 0
    assert "n informative" not in done.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--traits=agee"], "unknown trait: 'agee' (did you mean 'age'?)"),
        (["--folds=nowhere.json"], "--folds: cannot open nowhere.json"),
    ],
)
def test_wrong_choice_of_a_study_is_one_line(
    mtm: Mtm, public_cohort: Path, evaluated: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    done = mtm(
        "study", "traits", public_cohort, evaluated / "ridge.nc", *options, "--output", tmp_path
    )
    assert done.code == 1
    assert message in done.err.splitlines()[-1]
    assert not list(tmp_path.iterdir())


def test_predictable_genes_of_an_evaluation(
    mtm: Mtm, public_cohort: Path, evaluated: Path, tmp_path: Path
) -> None:
    genes = read_cohort(public_cohort).var
    annotation = tmp_path / "degree.csv"
    degree = [f"{symbol},{i}" for i, symbol in enumerate(genes["symbol"])]
    annotation.write_text("gene,degree\n" + "\n".join(degree) + "\n")
    options = ["--evaluation", evaluated, "--output", tmp_path / "p"]
    named = ["--annotation", f"degree={annotation}"]
    done = mtm("study", "pgenes", public_cohort, "--method=ridge", *options, *named)
    assert done.code == 0
    table = pd.read_csv(tmp_path / "p" / "quartiles.csv")
    assert set(table["annotation"]) == {"expression", "degree"}
    assert "unknown method: 'stack'" in error_of_last(
        mtm("study", "pgenes", public_cohort, *options, "--overwrite")
    )
    wrong = mtm(
        "study",
        "pgenes",
        public_cohort,
        "--method=ridge",
        *options,
        "--annotation=x",
        "--overwrite",
    )
    assert "--annotation expects name=FILE, got 'x'" in error_of_last(wrong)


def error_of_last(done: Done) -> str:
    """The error after the note that the cohort is simulated."""
    assert done.code == 1
    return done.err.splitlines()[-1]


def test_latent_codes_of_a_model_and_of_one_that_never_saw_the_donors(
    mtm: Mtm, public_cohort: Path, evaluated: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    assert mtm("train", public_cohort, *ONE_EPOCH, "--output", model).code == 0
    done = mtm("study", "latent", public_cohort, "--model", model, "--output", tmp_path / "l")
    assert done.code == 0
    assert "The model was trained on these donors" in done.err
    codes = pd.read_csv(tmp_path / "l" / "codes.csv")
    assert codes["n_pairs"].item() == 130 * 3
    folds = ["--folds", evaluated / "folds.json", "--hold-out=1"]
    done = mtm("study", "latent", public_cohort, *folds, *ONE_EPOCH, "--output", tmp_path / "h")
    assert done.code == 0
    assert "The model was trained on these donors" not in done.err
    assert pd.read_csv(tmp_path / "h" / "codes.csv")["n_pairs"].item() == 65 * 3
    assert len(pd.read_csv(tmp_path / "h" / "layers.csv")) >= 2
    wrong = mtm(
        "study", "latent", public_cohort, *folds[:2], "--hold-out=2", *ONE_EPOCH,
        "--output", tmp_path / "x",
    )  # fmt: skip
    assert "unknown fold: '2'" in error_of_last(wrong)


def test_external_cohort_against_the_model_s_associations(
    mtm: Mtm, diseased: ad.AnnData, public_cohort: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    assert mtm("train", public_cohort, *ONE_EPOCH, "--output", model).code == 0
    blood = diseased[diseased.obs["tissue"] == "Whole Blood"]
    blood.to_df().to_csv(tmp_path / "blood.csv")
    case = diseased.uns["donors"]["MHT2D"].astype(bool)
    group = case[blood.obs["donor"]].map({True: "ill", False: "well"}).to_numpy()
    pd.DataFrame({"group": group}, index=blood.obs_names).to_csv(tmp_path / "groups.csv")
    command = [
        "study", "external", tmp_path / "blood.csv", "--metadata", tmp_path / "groups.csv",
        "--group=group", "--case=ill", "--control=well", "--trait=age", "--unit=tpm",
        "--model", model, "--output", tmp_path / "x",
    ]  # fmt: skip
    assert "Make them with 'mtm study reference'" in error_of(mtm(*command))
    reference = ["study", "reference", public_cohort, "--output", model / "associations"]
    assert mtm(*reference).code == 0
    done = mtm(*command)
    assert done.code == 0
    assert [row["tissues"] for row in printed(done.out)] == ["related", "other"]
    table = pd.read_csv(tmp_path / "x" / "tissues.csv")
    assert len(table) == 2
    assert (table["n_case"] == 52).all()
