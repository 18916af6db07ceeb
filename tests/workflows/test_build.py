"""``mtm build`` on a small release that a local server has."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mtm_core.artefact import Artefact
from mtm_core.data.cohort.cohort import read_cohort, write_cohort
from mtm_core.data.cohort.simulate import SimulationConfig, simulate_cohort
from mtm_core.errors import DownloadError, InputFileError, NeedsError, OutputError, SelectionError
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.inference.verification import verify
from mtm_core.memory_budget import available_memory
from mtm_core.methods.ridge import RidgeMethod
from mtm_core.sharing.listing import ListedModel
from mtm_core.studies.reference import ReferenceAssociations
from mtm_core.workflows import build_plan, needs
from mtm_core.workflows.build import build_model
from mtm_core.workflows.build_options import BuildOptions
from mtm_core.workflows.build_plan import plan_build
from mtm_core.workflows.ledger import DoneStep, Ledger
from mtm_core.workflows.progress import StepProgress
from tests.cli.conftest import error_of, mtm  # noqa: F401
from tests.gtex_files import GtexFiles, write_gtex_files
from tests.gtex_server import (
    ATTRIBUTES_PATH,
    GCT_PATH,
    GENES_PATH,
    SUBJECTS_PATH,
    Server,
    serving,
)
from tests.workflows.build_runs import killed_at

N_CODING = 30
CHUNK = 1 << 16
"""Bytes that are written at a time."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> GtexFiles:
    """60 simulated donors, 3 tissues, 80 genes, of which 30 are protein-coding."""
    cohort = simulate_cohort(SimulationConfig(n_tissues=3, n_genes=80))
    pseudogenes = cohort.var_names[N_CODING:].tolist()
    return write_gtex_files(tmp_path_factory.mktemp("files"), cohort, pseudogenes=pseudogenes)


@pytest.fixture(scope="module")
def server(files: GtexFiles) -> Iterator[Server]:
    served = {
        GCT_PATH: gzip.compress(files.expression.read_bytes(), compresslevel=0, mtime=0),
        ATTRIBUTES_PATH: files.sample_attributes.read_bytes(),
        SUBJECTS_PATH: files.subject_phenotypes.read_bytes(),
        GENES_PATH: files.gtf.read_bytes(),
    }
    with serving(served) as running:
        yield running


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def options_for(output: Path, server: Server) -> BuildOptions:
    return BuildOptions(
        output,
        release="v8",
        mirror=server.url,
        minimum_samples=20,
        method="ridge",
        methods=("ridge-age-sex", "training-mean"),
        folds=2,
        resamples=100,
    )


@pytest.fixture(scope="module")
def whole(
    server: Server, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[StepProgress]]:
    """An undisturbed build, and its steps at the end."""
    steps: list[StepProgress] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1")
        output = tmp_path_factory.mktemp("whole") / "model"
        build_model(options_for(output, server), lambda now: steps.__setitem__(slice(None), now))
    return output, steps


def weights_of(model: Path) -> str:
    return hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest()


def test_a_build_gives_an_evaluated_model(
    whole: tuple[Path, list[StepProgress]], files: GtexFiles
) -> None:
    output, steps = whole
    assert [(step.name, step.state) for step in steps] == [
        ("Download the files", "done"),
        ("Prepare the cohort", "done"),
        ("Fit ridge", "done"),
        ("Predict donors out of fold by ridge", "done"),
        ("Score ridge", "done"),
        ("Predict donors out of fold by ridge-age-sex", "done"),
        ("Score ridge-age-sex", "done"),
        ("Predict donors out of fold by training-mean", "done"),
        ("Score training-mean", "done"),
        ("Compare the methods and write the tables", "done"),
        ("Associate genes with the donors' traits", "done"),
        ("Write the model", "done"),
    ]
    assert all(step.seconds > 0 and step.peak_bytes > 0 for step in steps)
    artefact = Artefact.load(output)
    assert artefact.name == "model"
    assert artefact.method.name == "ridge"
    assert len(artefact.genes) == N_CODING
    assert verify(output).agrees
    # The weights are those of the same method on a cohort that was prepared by itself.
    cohort = read_cohort(output.with_name("model.build") / "cohort.h5ad")
    fitted = RidgeMethod("Whole Blood").fit(cohort, sorted(cohort.obs["donor"].unique()))
    for name, array in fitted.arrays().items():
        np.testing.assert_array_equal(artefact.method.arrays()[name], array)
    tables = EvaluationTables.load(output / "evaluation")
    assert set(tables.tissues["method"]) == {"ridge", "ridge-age-sex", "training-mean"}
    assert tables.settings["folds"] == 2
    assert {"gene_rho_pooled", "gene_adjusted_rho_by_fold"} <= set(tables.tissues)
    by_tissue = pd.DataFrame(artefact.accuracy["tissues"]).set_index("tissue")
    assert by_tissue["gene_adjusted_rho_by_fold"].notna().all()
    assert {"sex", "age"} <= set(ReferenceAssociations.load(output / "associations").traits)
    card = (output / "README.md").read_text()
    assert "2-fold cross-validation" in card
    assert "adjusted for age, sex and Hardy scale" in card
    work = output.with_name("model.build")
    assert sorted(path.name for path in work.iterdir() if path.name[0] != ".") == [
        "cohort.h5ad", "gtex", "lock", "steps.json",
    ]  # fmt: skip


def test_a_build_killed_in_any_step_resumes_to_the_same_model(
    whole: tuple[Path, list[StepProgress]], server: Server, tmp_path: Path
) -> None:
    output = tmp_path / "model"
    options = options_for(output, server)
    for name in [step.name for step in whole[1]]:
        assert killed_at(options, name), name
        assert not (output / "model.json").exists()
    # The last moment: the model has its place, and nothing more is said of it.
    assert killed_at(options, "Write the model", detail=f"in {output}")
    assert weights_of(output) == weights_of(whole[0])
    steps: list[StepProgress] = []
    build_model(options, lambda now: steps.__setitem__(slice(None), now))
    assert {step.state for step in steps} == {"done before"}
    assert weights_of(output) == weights_of(whole[0])
    for name in ("tissues.csv", "summary.csv", "comparisons.csv"):
        first, second = (model / "evaluation" / name for model in (output, whole[0]))
        assert first.read_bytes() == second.read_bytes()
    assert not list(tmp_path.glob(".*partial*"))


def test_a_killed_build_resumes_its_download(server: Server, tmp_path: Path) -> None:
    options = options_for(tmp_path / "model", server)
    assert len(server.files[GCT_PATH]) > CHUNK
    assert killed_at(options, "Download the files", after=CHUNK)
    server.requests.clear()
    with pytest.raises(ZeroDivisionError):
        build_model(options, lambda now: 1 / (now[1].state == "left"))
    ranges = [wanted for path, wanted in server.requests if path == GCT_PATH]
    assert ranges == [f"bytes={CHUNK}-"]


def test_a_build_that_is_finished_is_not_made_again(
    whole: tuple[Path, list[StepProgress]], server: Server
) -> None:
    output, _ = whole
    before = (output / "model.json").stat().st_mtime_ns
    server.requests.clear()
    steps: list[StepProgress] = []
    build_model(options_for(output, server), lambda now: steps.__setitem__(slice(None), now))
    assert {step.state for step in steps} == {"done before"}
    assert (output / "model.json").stat().st_mtime_ns == before
    assert not server.requests
    with pytest.raises(OutputError, match="exists already"):
        build_model(replace(options_for(output, server), methods=("bgex",)))


def test_other_options_are_refused_and_named(server: Server, tmp_path: Path) -> None:
    options = options_for(tmp_path / "model", server)
    assert killed_at(options, "Predict donors out of fold by ridge")
    for changed, words in (
        (replace(options, minimum_samples=25), "--minimum-samples 20, now 25"),
        (replace(options, method="bgex"), "--method ridge, now bgex"),
        (replace(options, gene_type="all"), "--gene-type not given, now all"),
    ):
        with pytest.raises(OutputError, match=f"{words}.*--restart"):
            build_model(changed)
    # What comes later than the last step that is done may change.
    build_model(replace(options, methods=(), folds=3))
    tables = EvaluationTables.load(tmp_path / "model" / "evaluation")
    assert (tables.settings["folds"], set(tables.tissues["method"])) == (3, {"ridge"})
    again = replace(options, method="training-mean", restart=True, overwrite=True, evaluate=False)
    server.requests.clear()
    build_model(again)
    assert not [path for path, _ in server.requests if path == GCT_PATH]
    assert Artefact.load(tmp_path / "model").method.name == "training-mean"


def test_files_that_are_there_are_used_and_watched(files: GtexFiles, tmp_path: Path) -> None:
    folder = tmp_path / "gtex"
    folder.mkdir()
    for path, name in (
        (files.expression, "mine_gene_tpm.gct"),
        (files.sample_attributes, "GTEx_SampleAttributesDS.txt"),
        (files.gtf, "gencode.v26.GRCh38.genes.gtf"),
    ):
        shutil.copy(path, folder / name)
    options = BuildOptions(
        tmp_path / "model", folder=folder, minimum_samples=20, method="ridge", evaluate=False
    )
    steps: list[StepProgress] = []
    build_model(options, lambda now: steps.__setitem__(slice(None), now))
    # Without phenotypes there is nothing to associate with.
    assert [step.name for step in steps] == [
        "Check the files", "Prepare the cohort", "Fit ridge", "Write the model",
    ]  # fmt: skip
    assert len(Artefact.load(tmp_path / "model").genes) == N_CODING
    assert not Artefact.load(tmp_path / "model").accuracy
    shutil.rmtree(tmp_path / "model")
    text = (folder / "GTEx_SampleAttributesDS.txt").read_text()
    (folder / "GTEx_SampleAttributesDS.txt").write_text(text + "\n")
    with pytest.raises(OutputError, match=r"other files: sample-attributes changed .*--restart"):
        build_model(options)
    (folder / "second_gene_tpm.gct").write_text("")
    with pytest.raises(SelectionError, match=r"several files of expression: mine.*--expression"):
        build_model(options)
    (folder / "GTEx_SampleAttributesDS.txt").unlink()
    (folder / "second_gene_tpm.gct").unlink()
    with pytest.raises(InputFileError, match=r"lacks files .* sample-attributes, such as GTEx_"):
        build_model(options)


def test_needs_are_estimated_and_shortages_reported_first(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = options_for(tmp_path / "model", server)
    plan = plan_build(options)
    assert plan.needs.disk["downloads"] == sum(map(len, server.files.values()))
    assert "reached" in plan.needs.lines()[2]
    # Of the size of GTEx v8's file, 19,291 genes in 17,382 samples: 1.3 GB.
    cohort = 4 * 19_291 * 17_382
    of_v8 = 4 * 1_532_000_000 / build_plan._BYTES_A_CELL * build_plan._SHARE_CODING
    assert of_v8 == pytest.approx(cohort, rel=0.15)
    server.requests.clear()
    monkeypatch.setattr(needs, "available_memory", lambda: 10**8)
    monkeypatch.setattr(needs, "machine_memory", lambda: 2 * 10**8)
    monkeypatch.setattr(needs.Needs, "disk_free", 10_000)
    with pytest.raises(NeedsError) as refused:
        build_model(options)
    assert "nothing was started" in str(refused.value)
    assert re.search(
        r"Lacking disk: about \d MB are needed in .*, 0 MB are free", str(refused.value)
    )
    assert "Lacking memory" in str(refused.value)
    assert "has 200 MB" in str(refused.value)
    assert not (tmp_path / "model.build").exists()
    with serving({}) as empty:
        nowhere = replace(options, mirror=empty.url)
        with pytest.raises(NeedsError, match=r"Lacking network: http.*does not have GTEx_Analysis"):
            build_model(nowhere)
    with pytest.raises(NeedsError, match="no connection to the server"):
        build_model(nowhere)
    with pytest.raises(DownloadError, match="begins with https://"):
        build_model(replace(options, mirror="http://example.org"))


def test_memory_is_estimated_from_the_file_not_from_its_claimed_size(
    files: GtexFiles, tmp_path: Path
) -> None:
    text = files.expression.read_text()
    assert text.startswith("#1.2\n80\t")
    cut = tmp_path / "cut_gene_tpm.gct"
    cut.write_text(text.replace("\n80\t", "\n56200\t", 1))
    for path in (files.expression, cut):
        options = BuildOptions(
            tmp_path / "model", expression=path, sample_attributes=files.sample_attributes
        )
        assert plan_build(options).needs.memory < 8 * 10**8


def test_free_memory_is_that_of_the_machine_or_container() -> None:
    fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    total = int(fields["MemTotal"].split()[0]) * 1024
    assert 0 < available_memory() <= total


def test_two_builds_do_not_meet_in_one_folder(server: Server, tmp_path: Path) -> None:
    options = options_for(tmp_path / "model", server)
    refusals: list[str] = []

    def second(steps: object) -> None:
        with pytest.raises(OutputError, match="another run is using it") as refused:
            build_model(options)
        refusals.append(str(refused.value))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_model(options, second)
    assert len(refusals) == 1


def test_the_command_says_needs_steps_and_result(
    mtm,  # noqa: F811
    server: Server,
    files: GtexFiles,
    tmp_path: Path,
) -> None:
    output = tmp_path / "model"
    arguments = [
        "build", f"--expression={files.expression}",
        f"--sample-attributes={files.sample_attributes}", "--method=ridge", "--minimum-samples=20",
        "--skip-evaluation", "--output", output,
    ]  # fmt: skip
    done = mtm(*arguments)
    assert (done.code, done.out) == (0, "")
    lines = done.err.splitlines()
    assert lines[0].startswith("disk: ")
    assert lines[1].startswith("memory: about ")
    assert "[1/4] Check the files: begun" in lines
    assert any(line.startswith("[4/4] Write the model: done, ") for line in lines)
    assert f"Wrote {output}. Try it: mtm predict INPUT --model {output} --output OUTPUT" in lines
    command = json.loads((output / "model.json").read_text())["provenance"]["command"]
    assert command.startswith("mtm build --expression=")
    again = mtm(*arguments)
    assert (again.code, again.err.count("\n")) == (0, 1)
    assert "is finished" in again.err
    for wrong, words in (
        (["build", "--output", output], "no data to build a model from. Give --release v8"),
        (["build", "--release=v8", "--from=x", "--output", output], "--release and --from give"),
        (["build", "--from=nowhere", "--output", tmp_path / "n"], "nowhere is not a folder"),
        ([*arguments[:-1], tmp_path / "n", "--method=rigde"], "did you mean 'ridge'"),
        ([*arguments[:-1], tmp_path / "n", "--methods=rigde"], "did you mean 'ridge'"),
    ):
        assert words in error_of(mtm(*wrong))
    assert not (tmp_path / "n.build").exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"minimum_samples": 20, "normalise": "panel-cpm"},
            "--normalise and --minimum-samples would",
        ),
        ({"gene_type": "all"}, "--gene-type would change nothing, because --cohort is already"),
        ({"settings": ("foo=1",)}, "--set: expected SECTION.SETTING"),
        ({"settings": ("training.epochs",)}, "--set expects section.name=value"),
    ],
)
def test_options_without_effect_are_refused_before_anything_is_read(
    tmp_path: Path, changed: dict[str, Any], message: str
) -> None:
    options = BuildOptions(tmp_path / "model", cohort=tmp_path / "none.h5ad")
    with pytest.raises(SelectionError, match=message):
        plan_build(replace(options, **changed))


@pytest.mark.parametrize(
    "damage",
    [{"steps": {"fit": {"x": 1}}}, {"steps": []}, {"steps": {"fit": 1}}, {"hashes": []}],
)
def test_a_damaged_ledger_is_as_good_as_none(tmp_path: Path, damage: dict[str, Any]) -> None:
    path = tmp_path / "steps.json"
    Ledger(path).enter("cohort", DoneStep({"a": 1}, {}, 1.0, 2))
    whole = json.loads(path.read_text())
    assert Ledger(path).find("cohort") == DoneStep({"a": 1}, {}, 1.0, 2)
    path.write_text(json.dumps(whole | damage))
    ledger = Ledger(path)
    assert ledger.find("fit") is None
    assert len(ledger.sha256(path)) == 64


def test_memory_that_a_build_needs_counts_every_process(tmp_path: Path) -> None:
    cohort = tmp_path / "cohort.h5ad"
    write_cohort(simulate_cohort(SimulationConfig(n_tissues=3, n_genes=20)), cohort)
    options = BuildOptions(tmp_path / "m", cohort=cohort, method="ridge")

    def memory(**changed: Any) -> int:
        return plan_build(replace(options, **changed)).needs.memory

    one = memory()
    values = 4 * int(np.prod(read_cohort(cohort).shape))
    assert memory(jobs=2) == pytest.approx(700e6 + values + 2 * one, abs=1)
    assert memory(jobs=9, folds=3) == memory(jobs=3, folds=3)
    assert memory(jobs=9, evaluate=False) == one


def test_a_build_writes_the_licence_that_it_is_given(tmp_path: Path) -> None:
    cohort, text = tmp_path / "cohort.h5ad", tmp_path / "licence.txt"
    write_cohort(simulate_cohort(SimulationConfig(n_tissues=3, n_genes=20)), cohort)
    text.write_text("You may share it.\n")
    folder = tmp_path / "model"
    options = BuildOptions(folder, cohort=cohort, method="ridge", evaluate=False)
    build_model(replace(options, licence="CC-BY-4.0", licence_file=text))
    assert (folder / "LICENSE").read_text() == (
        "SPDX-License-Identifier: CC-BY-4.0\n\nYou may share it.\n"
    )
    assert ListedModel.of(folder, "folder").licence == "CC-BY-4.0"
