"""A wrong option ends every command in one line before any of its work begins."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch

from mtm_core.data.cohort.splits import DonorFolds
from tests.cli.conftest import Mtm

WORK = (
    "mtm_core.workflows.evaluate.cross_validate",
    "mtm_core.workflows.train.train",
    "mtm_core.workflows.train.fit_method",
    "mtm_core.workflows.own_samples.read_expression",
    "mtm_core.workflows.study_model.study_predictable_genes",
    "mtm_core.workflows.study_model.study_latent",
    "mtm_core.methods.mtm_training.MTMMethod.fit",
    "mtm_core.workflows.study_predictions.study_traits",
    "mtm_core.workflows.study_predictions.study_diseases",
    "mtm_core.workflows.prepare.read_gct",
    "mtm_core.workflows.download.download_gtex",
    "mtm_core.cli.data.gct_to_zarr",
    "mtm_core.workflows.predict.predict_chunked",
    "mtm_core.studies.reference.ReferenceAssociations.of",
    "mtm_core.workflows.associations.write_associations",
    "os.execv",
)
"""What takes minutes or hours: the first of it fails the test."""


@pytest.fixture(autouse=True)
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("work began before every option was looked at")

    for place in WORK:
        monkeypatch.setattr(place, fail)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def folder(tmp_path: Path, cohort_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files that are right: what is wrong is one option."""
    shutil.copy(cohort_file, tmp_path / "cohort.h5ad")
    people = pd.DataFrame(
        {"sample": ["a", "b", "c", "d"], "group": list("xyxy"), "age": [30, 40, 50, 60]}
    )
    people.to_csv(tmp_path / "people.csv", index=False)
    for name in ("blood.csv", "file", "attributes.txt", "genes.txt"):
        (tmp_path / name).write_text("gene,a,b,c,d\nTP53,1,2,3,4\n")
    (tmp_path / "odd.h5ad").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(99))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    DonorFolds((("D1",), ("D2",)), 0).save(tmp_path / "folds.json")
    monkeypatch.chdir(tmp_path)
    return tmp_path


EVALUATE = "evaluate cohort.h5ad --output out"
TRAIN = "train cohort.h5ad --output out"
PREDICT = "predict blood.csv --output out.csv"
COMPARE = "compare blood.csv --metadata people.csv --output out"
GROUPS = "--groups group=x,y"
EXTERNAL = (
    "study external blood.csv --metadata people.csv --output out --group group --case x --control y"
    " --trait age"
)
PREPARE = "data prepare --expression blood.csv --sample-attributes attributes.txt --output c.h5ad"

BAD = [
    # evaluate
    (f"{EVALUATE} --methods mtm,rigde", "unknown method: 'rigde' (did you mean 'ridge'?)"),
    (f"{EVALUATE} --methods ,", "--methods is empty"),
    (f"{EVALUATE} --source Blod", "unknown tissue: 'Blod'"),
    (f"{EVALUATE} --further-sources Lung;Livr", "unknown tissue: 'Livr' (did you mean 'Liver'?)"),
    (f"{EVALUATE} --further-sources Lung;", "unknown tissue: ''"),
    (f"{EVALUATE} --only 7", "unknown fold: '7'"),
    (f"{EVALUATE} --jobs 0", "--jobs: expected 1 or more, or -1"),
    (f"{EVALUATE} --set training.epoch=3", "--set: "),
    (f"{EVALUATE} --set training.validation_source=Lunk", "unknown tissue: 'Lunk'"),
    (f"{EVALUATE} --accelerator cuda", "--accelerator cuda needs 1 GPU; there are 0 here"),
    (f"{EVALUATE} --cuda-graph", "--cuda-graph needs one GPU"),
    (f"{EVALUATE} --technical no.txt", "--technical: cannot open no.txt"),
    (f"{EVALUATE} --technical file", "SAMPID"),
    ("evaluate no.h5ad --output out", "COHORT: cannot open no.h5ad"),
    ("evaluate cohort.h5ad --output full", "full"),
    ("evaluate cohort.h5ad --output file/out", "file"),
    # build
    ("build --output out", "no data to build a model from. Give --release v8"),
    ("build --release v8 --cohort cohort.h5ad --output out", "--release and --cohort give the"),
    ("build --cohort no.h5ad --output out", "no.h5ad"),
    ("build --cohort cohort.h5ad --method stak --output out", "(did you mean 'stack'?)"),
    ("build --cohort cohort.h5ad --methods rigde --output out", "(did you mean 'ridge'?)"),
    ("build --cohort cohort.h5ad --output full", "full"),
    ("build --cohort cohort.h5ad --jobs 0 --output out", "--jobs: expected 1 or more"),
    ("build --release v8 --mirror http://example.org --output out", "begins with https://"),
    ("build --from full --output out", "full lacks files that a model is built from"),
    ("build --from no --output out", "no is not a folder"),
    ("build --expression blood.csv --output out", "--expression and --sample-attributes are"),
    # train
    (f"{TRAIN} --method stak", "unknown method: 'stak' (did you mean 'stack'?)"),
    (f"{TRAIN} --method stak --resume", "unknown method: 'stak'"),
    (f"{TRAIN} --method stack --accelerator cuda", "--accelerator cuda needs 1 GPU"),
    (f"{TRAIN} --set training.validation_source=Lunk", "unknown tissue: 'Lunk'"),
    (f"{TRAIN} --evaluation no", "--evaluation: cannot open no"),
    ("train no.h5ad --output out", "COHORT: cannot open no.h5ad"),
    ("train cohort.h5ad --output file/out", "file"),
    # predict
    ("predict no.csv --output out.csv", "INPUT: cannot open no.csv"),
    ("predict blood.csv --output out.docx", "out.docx"),
    ("predict blood.csv --output file/out.csv", "file"),
    ("predict blood.csv --output blood.csv", "blood.csv"),
    (f"{PREDICT} --targets Lungs", "'Lungs' (did you mean 'Lung'?)"),
    (f"{PREDICT} --targets Lung --targets Livr", "unknown tissue: 'Livr'"),
    (f"{PREDICT} --source Blod", "unknown tissue: 'Blod'"),
    (f"{PREDICT} --model nobody", "nobody"),
    (f"{PREDICT} --metadata no.csv", "--metadata: cannot open no.csv"),
    (f"{PREDICT} --metadata people.csv --age-column Alter", "unknown metadata column: 'Alter'"),
    (f"{PREDICT} --metadata people.csv --sex-column aeg", "'aeg' (did you mean 'age'?)"),
    (f"{PREDICT} --metadata people.csv --sex-codes 1=boy", "--sex-codes expects 1=male"),
    (f"{PREDICT} --values z,rho", "in chunks"),
    ("predict blood.csv --values z,rho --output o.zarr", "unknown value: 'rho'"),
    # compare
    (COMPARE, "nothing to compare"),
    (f"{COMPARE} --groups grup=x,y", "unknown metadata column: 'grup' (did you mean 'group'?)"),
    (f"{COMPARE} --groups group=x,z", "unknown group: 'z'"),
    (f"{COMPARE} --groups group=x", "--groups expects COLUMN=CASE,CONTROL"),
    (f"{COMPARE} --traits bmi", "unknown metadata column: 'bmi'"),
    (f"{COMPARE} --traits age --covariates batch", "unknown metadata column: 'batch'"),
    (f"{COMPARE} {GROUPS} --targets Lungs", "'Lungs' (did you mean 'Lung'?)"),
    (f"{COMPARE} {GROUPS} --age-column Alter", "unknown metadata column: 'Alter'"),
    (f"compare no.csv --metadata people.csv --output out {GROUPS}", "INPUT: cannot open no.csv"),
    (COMPARE.replace("people", "no") + f" {GROUPS}", "--metadata: cannot open no.csv"),
    (f"compare blood.csv --metadata people.csv --output full {GROUPS}", "full"),
    # study
    (EXTERNAL.replace("--case x", "--case q"), "unknown group: 'q'"),
    (EXTERNAL.replace("--group group", "--group grp"), "unknown metadata column: 'grp'"),
    (EXTERNAL.replace("--trait age", "--trait aeg"), "unknown trait: 'aeg' (did you mean 'age'?)"),
    (f"{EXTERNAL} --adjusted-for sxe", "unknown adjustment: 'sxe'"),
    (f"{EXTERNAL} --source Blod", "unknown tissue: 'Blod'"),
    (f"{EXTERNAL} --reference no", "--reference: cannot open no"),
    ("study traits cohort.h5ad no.nc --output out", "PREDICTIONS: cannot open no.nc"),
    ("study traits cohort.h5ad file --folds no.json --output out", "--folds: cannot open no.json"),
    ("study traits cohort.h5ad file --folds folds.json --traits aeg --output out", "'aeg'"),
    ("study disease cohort.h5ad file --folds folds.json --jobs 0 --output out", "--jobs"),
    ("study disease cohort.h5ad file --folds folds.json --dbgap no.txt --output o", "--dbgap"),
    ("study pgenes cohort.h5ad --evaluation no --output out", "--evaluation: cannot open no"),
    ("study pgenes cohort.h5ad --evaluation full --annotation degree --output out",
     "--annotation expects name=FILE"),
    ("study pgenes cohort.h5ad --evaluation full --annotation a=no.tsv --output out",
     "--annotation: cannot open no.tsv"),
    ("study latent cohort.h5ad --model nobody --output out", "nobody"),
    ("study latent cohort.h5ad --folds no.json --output out", "--folds: cannot open no.json"),
    ("study latent cohort.h5ad --folds folds.json --hold-out 9 --output out", "unknown fold: '9'"),
    ("study latent cohort.h5ad --folds folds.json --accelerator cuda --output out", "1 GPU"),
    ("study reference no.h5ad --output out", "COHORT: cannot open no.h5ad"),
    ("study reference cohort.h5ad --output full", "full"),
    # data
    ("data download --files rads", "unknown GTEx file: 'rads'"),
    (PREPARE.replace("blood.csv", "no.gct"), "--expression: cannot open no.gct"),
    (PREPARE.replace("attributes.txt", "no.txt"), "--sample-attributes: cannot open no.txt"),
    (f"{PREPARE} --gene-table no.gtf", "--gene-table: cannot open no.gtf"),
    (f"{PREPARE} --genes no.txt", "--genes: cannot open no.txt"),
    (f"{PREPARE} --gene-type protein_coding", "--gene-type needs --gene-table"),
    ("data store no.gct --output out.zarr", "INPUT: cannot open no.gct"),
    ("data store blood.csv --output out.csv", "expected a name that ends in .zarr"),
    ("data describe no.h5ad", "no.h5ad"),
    # model, app
    ("model describe nobody", "nobody"),
    ("model pack nobody --output out", "nobody"),
    ("app --workspace file", "--workspace: "),
    ("app --workspace-hours inf", "--workspace-hours: expected hours"),
]  # fmt: skip


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("command", "message"), BAD, ids=[command for command, _ in BAD])
def test_wrong_option_is_one_line_before_any_work(
    mtm: Mtm, folder: Path, command: str, message: str
) -> None:
    before = sorted(path for path in folder.rglob("*"))
    done = mtm(*command.split(" "))
    assert done.code == 1, done
    last = done.err.splitlines()[-1]
    assert last.startswith("mtm: error: "), done.err
    assert message in last
    assert "Traceback" not in done.err
    assert sorted(path for path in folder.rglob("*")) == before


USAGE = [
    f"{EVALUATE} --seed -1",
    f"{EVALUATE} --folds 1",
    f"{EVALUATE} --precision 8",
    f"{COMPARE} {GROUPS} --shuffle -1",
    f"{COMPARE} {GROUPS} --format xls",
    f"{PREDICT} --unit tmp",
    f"{PREDICT} --alignment yes",
    f"{PREDICT} --bits 24",
    f"{PREDICT} --chunk 0",
    f"{PREDICT} --workers 0",
    f"{PREDICT} --strand both",
    f"{PREDICT} --numbers dot",
    f"{PREPARE} --normalise cmp",
    f"{PREPARE} --minimum-samples 1",
    "study traits cohort.h5ad file --seed -1 --output out",
    "data download --release v9",
    "model describe --preset big",
    "app --port 99999",
]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("command", USAGE)
def test_wrong_value_is_wrong_usage(mtm: Mtm, command: str) -> None:
    assert mtm(*command.split(" ")).code == 2


def test_every_command_is_tried() -> None:
    tried = {tuple(command.split(" ")[:2]) for command, _ in BAD}
    commands: dict[str, list[str]] = {
        "data": ["download", "prepare", "store", "describe"],
        "model": ["describe", "pack"],
        "study": ["reference", "traits", "disease", "pgenes", "latent", "external"],
    }
    for group, names in commands.items():
        assert {(group, name) for name in names} <= tried
    assert {"build", "evaluate", "train", "predict", "compare", "app"} <= {
        first for first, _ in tried
    }


def test_right_options_reach_the_work(mtm: Mtm, folder: Path) -> None:
    """What is refused above is refused for its option, not for the files."""
    del folder
    for command in (
        f"{PREDICT} --metadata people.csv --targets Lung",
        f"{COMPARE} {GROUPS} --traits age --targets Lung",
        EXTERNAL,
        f"{EVALUATE} --methods ridge --folds 2 --jobs 1",
    ):
        with pytest.raises(AssertionError, match="work began"):
            assert not mtm(*command.split(" ")).err
