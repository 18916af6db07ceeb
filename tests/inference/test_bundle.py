from __future__ import annotations

import io
import json
import shlex
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mtm_core.artefact import Artefact
from mtm_core.data.tables.expression import read_expression
from mtm_core.inference.options import PredictionOptions
from mtm_core.inference.predictor import Predictor
from mtm_core.reporting.bundle import (
    PredictionRecord,
    bundle_bytes,
    ingest_text,
    reproduce_script,
    settings_of,
)
from mtm_core.reporting.command_line import predict_arguments
from mtm_core.reporting.command_words import InputFiles


@pytest.fixture
def record(small_artefact: Artefact, rng: np.random.Generator) -> PredictionRecord:
    """Five samples of most of the model's genes, in counts, predicted into two tissues."""
    genes = small_artefact.genes.index[:35]
    table = pd.DataFrame(rng.poisson(300, (5, 35)), index=[f"P{i}" for i in range(5)])
    text = table.set_axis(genes, axis=1).rename_axis("sample").to_csv()
    predictor = Predictor(small_artefact)
    read = read_expression(io.BytesIO(text.encode()), "mine.csv", known_genes=predictor.genes)
    prepared = predictor.prepare(read, unit="counts", alignment="none")
    prediction = predictor.predict_prepared(prepared, ["Lung", "Liver"])
    return PredictionRecord(prediction, read.report, prepared)


def opened(data: bytes) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(data))


def test_bundle_holds_what_its_readme_names(record: PredictionRecord) -> None:
    archive = opened(bundle_bytes(record, methods="How it was done.\n"))
    names = archive.namelist()
    readme = archive.read("README.txt").decode()
    listed = [line.split("  ")[0] for line in readme.splitlines() if "  " in line]
    assert listed == names[1:]
    assert "held_out_accuracy.csv" not in names
    assert "age_and_sex.csv" not in names
    assert "For research use, not for diagnosis." in readme
    assert "SIMULATED" not in readme
    assert archive.read("methods.txt") == b"How it was done.\n"


def test_optional_parts_are_there_where_they_are_known(record: PredictionRecord) -> None:
    phenotypes = pd.DataFrame(
        {"age": [50, np.nan, 61.5, 40, 33], "sex": ["male", "female", np.nan, "male", "male"]},
        index=record.prediction["sample"].to_numpy(),
    )
    accuracy = pd.DataFrame({"tissue": ["Lung"], "gene_id": ["G1"], "rho_pooled": [0.5]})
    whole = replace(record, phenotypes=phenotypes, simulated=True)
    archive = opened(bundle_bytes(whole, methods="", accuracy=accuracy))
    reported = pd.read_csv(archive.open("age_and_sex.csv"), index_col="sample")
    pd.testing.assert_frame_equal(reported, phenotypes.rename_axis("sample"))
    pd.testing.assert_frame_equal(pd.read_csv(archive.open("held_out_accuracy.csv")), accuracy)
    formula = replace(whole, phenotypes=phenotypes.rename(index=lambda name: f"={name}"))
    escaped = opened(bundle_bytes(formula, methods="")).read("age_and_sex.csv").decode()
    assert all(line.startswith("'=") for line in escaped.splitlines()[1:])
    assert "SIMULATED" in archive.read("README.txt").decode()
    assert whole.command[-4:-2] == ["--metadata", "age_and_sex.csv"]


def test_values_are_the_predictions(record: PredictionRecord) -> None:
    archive = opened(bundle_bytes(record, methods=""))
    exact = pd.read_parquet(io.BytesIO(archive.read("predicted.parquet")))
    np.testing.assert_array_equal(exact["z"], record.prediction["z"].to_numpy().ravel())
    rounded = pd.read_csv(archive.open("predicted.csv"))
    np.testing.assert_allclose(rounded["expression"], exact["expression"], rtol=1e-5)
    samples = pd.read_csv(archive.open("samples.csv"), index_col="sample")
    np.testing.assert_allclose(
        samples["distance_before"], record.prediction["distance_before"], rtol=1e-5
    )


def test_the_same_prediction_gives_the_same_bytes(record: PredictionRecord) -> None:
    data = bundle_bytes(record, methods="x")
    assert data == bundle_bytes(record, methods="x")
    assert {entry.date_time[0] for entry in opened(data).infolist()} == {1980}  # not today's


def test_settings_name_model_file_and_options(record: PredictionRecord) -> None:
    settings = json.loads(opened(bundle_bytes(record, methods="")).read("settings.json"))
    assert settings == settings_of(record)
    assert settings["model"]["sha256"] == record.prediction.attrs["model_sha256"]
    assert settings["input"] == {
        "file": "mine.csv",
        "sha256": record.ingest.sha256,
        "simulated": False,
    }
    assert (settings["source"], settings["unit"]) == ("Whole Blood", "counts")
    assert (settings["alignment"], settings["targets"]) == ("none", ["Lung", "Liver"])
    assert settings["age_and_sex"] == {"model_reads": [], "n_samples_read": 0}
    assert settings["versions"]["numpy"] == np.__version__


def test_findings_are_reported_as_text_and_json(record: PredictionRecord) -> None:
    text = ingest_text(record)
    assert record.ingest.sha256 in text
    assert "Unit used: counts. Alignment: none." in text
    assert "5 samples, 35 genes" in text
    reported = json.loads(opened(bundle_bytes(record, methods="")).read("ingest.json"))
    assert reported["prepared"]["genes_found"] == 35
    missing = record.prepared.match.missing["symbol"]
    assert reported["prepared"]["genes_missing"] == missing.to_dict()
    assert len(missing) == 5
    for note in record.prepared.notes:
        assert str(note) in text


@pytest.mark.parametrize(
    "name", ["it's mine.csv", "$(touch oops).csv", "-rf.csv", "a\nb.csv", 'q"uote`x`.tsv']
)
def test_names_of_files_do_nothing_in_the_script(
    record: PredictionRecord, tmp_path: Path, name: str
) -> None:
    named = replace(record, ingest=replace(record.ingest, file=name))
    shell = tmp_path / "bin" / "mtm"
    shell.parent.mkdir()
    shell.write_text('#!/bin/sh\nprintf "%s" "$2" > got\nprintf "%s" "$#" > count\n')
    shell.chmod(0o755)
    subprocess.run(
        ["/bin/sh", "-c", reproduce_script(named)],
        cwd=tmp_path,
        env={"PATH": f"{shell.parent}:/usr/bin:/bin"},
        check=True,
    )
    assert (tmp_path / "got").read_text() == (f"./{name}" if name.startswith("-") else name)
    assert (tmp_path / "count").read_text() == str(len(named.command) - 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "count", "got"]


def test_folders_in_the_name_of_a_file_are_left_out(record: PredictionRecord) -> None:
    named = replace(record, ingest=replace(record.ingest, file="../there/mine.csv"))
    assert named.command[2] == "mine.csv"


def test_the_script_can_be_run_as_it_is_unpacked(record: PredictionRecord) -> None:
    entries = opened(bundle_bytes(record, methods="")).infolist()
    modes = {entry.filename: entry.external_attr >> 16 for entry in entries}
    assert modes["reproduce.sh"] == 0o755
    assert modes["README.txt"] == 0o644


def test_command_says_every_option(record: PredictionRecord) -> None:
    options = PredictionOptions(alignment="cohort").as_used(record.prediction)
    words = predict_arguments(
        options, InputFiles(("a b.csv",), "m.csv"), model="small", output="o.csv"
    )
    assert shlex.join(words) == (
        "mtm predict 'a b.csv' --model small --source 'Whole Blood' --targets Lung,Liver"
        " --unit counts --alignment none --metadata m.csv --output o.csv"
    )


def test_the_bundle_is_an_ro_crate(record: PredictionRecord, tmp_path: Path) -> None:
    rocrate = pytest.importorskip("rocrate.rocrate")
    opened(bundle_bytes(record, methods="")).extractall(tmp_path)
    crate = rocrate.ROCrate(tmp_path)
    there = {path.name for path in tmp_path.iterdir()} - {"ro-crate-metadata.json"}
    files = {entity.id for entity in crate.data_entities}
    assert files == there
    assert all(entity.get("description") for entity in crate.data_entities)
    run = crate.dereference("#prediction")
    assert {result.id for result in run["result"]} == {"predicted.parquet", "predicted.csv"}
    given = {entity.id: entity["identifier"] for entity in run["object"]}
    attrs = record.prediction.attrs
    assert given == {
        "#input": f"sha256:{record.ingest.sha256}",
        "#model": f"sha256:{attrs['model_sha256']}",
    }
    assert run["instrument"]["softwareVersion"] == attrs["mtm_version"]
    assert "mine.csv" in crate.root_dataset["description"]
    assert crate.root_dataset["conformsTo"].id == "https://w3id.org/ro/wfrun/process/0.5"
    assert "not chosen by the program" in crate.root_dataset["license"]["description"]
