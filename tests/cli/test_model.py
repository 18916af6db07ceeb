"""``mtm model describe``: for people, for pipes, for programs."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from mtm_core.artefact import Artefact
from mtm_core.model_description import read_description
from mtm_core.model_folder import VERIFICATION, seal_folder
from mtm_core.model_places import DEFAULT_MODEL, bundled_models, find_model
from tests.cli.conftest import Mtm, error_of
from tests.gtex_server import serving
from tests.sharing_server import files_of


def test_bundled_model_is_described_whole_in_a_pipe(mtm: Mtm) -> None:
    done = mtm("model", "describe", DEFAULT_MODEL)
    assert done.code == 0
    rows = [line.split("\t") for line in done.out.splitlines()]
    description = read_description(find_model(DEFAULT_MODEL))
    facts = {row[0]: row[1] for row in rows if len(row) == 2}
    assert facts["model"] == DEFAULT_MODEL
    assert facts["method"] == description["method"]
    assert (facts["genes"], facts["tissues"]) == ("59", "49")
    assert facts["trained on"] == "944 donors, 17,325 samples"
    assert facts["sha256"] == description["sha256"]  # not cut
    mean = description["accuracy"]["summary"]["gene_rho_by_fold_mean"]
    assert facts["gene-wise rho, by fold"] == f"{mean:.3f}"
    tissues = {row[0]: row[1:] for row in rows if len(row) == 3}
    assert list(tissues) == ["tissue", *(row["tissue"] for row in description["tissues"])]
    accuracy = {row["tissue"]: row for row in description["accuracy"]["tissues"]}
    assert tissues["Lung"] == ["577", f"{accuracy['Lung']['gene_rho_by_fold']:.3f}"]
    assert tissues["Whole Blood"] == ["753", "-"]


def test_models_are_listed_with_how_accurate_they_are(
    mtm: Mtm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MTM_MODELS", str(tmp_path))
    shutil.copytree(find_model("gtex_v8_acmg59"), tmp_path / "mine")
    done = mtm("model", "list")
    header, *rows = [line.split("\t") for line in done.out.splitlines()]
    assert header[:5] == ["model", "method", "genes", "tissues", "gene-wise rho, by fold"]
    assert header[5:] == ["gene-wise rho, adjusted for age, sex and Hardy scale", "MB", "where"]
    assert [row[0].removesuffix(" (default)") for row in rows] == [*bundled_models(), "mine"]
    default = next(row for row in rows if row[0] == f"{DEFAULT_MODEL} (default)")
    mean = read_description(find_model(DEFAULT_MODEL))["accuracy"]["summary"]
    raw, adjusted = mean["gene_rho_by_fold_mean"], mean["gene_adjusted_rho_by_fold_mean"]
    assert default[1:6] == ["stack", "59", "49", f"{raw:.3f}", f"{adjusted:.3f}"]
    assert (rows[-1][-1], default[-1]) == ("installed", "bundled")
    assert str(tmp_path) in done.err
    assert "mtm build" in done.err
    listed = json.loads(mtm("model", "list", "--json").out)
    assert [model["name"] for model in listed] == [*bundled_models(), "mine"]
    assert listed[-1]["folder"] == str(tmp_path / "mine")


def test_a_model_that_was_got_is_found_by_name_by_every_command(
    mtm: Mtm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_artefact: Artefact
) -> None:
    monkeypatch.setenv("MTM_MODELS", str(tmp_path / "models"))
    small_artefact.save(tmp_path / "made")
    assert mtm("model", "verify", tmp_path / "made", "--write").code == 0
    with serving(files_of(tmp_path / "made")) as server:
        refused = mtm("model", "get", server.url)
        assert "--unverified" in error_of(refused)
        pin = re.search(r"--sha256 (\w{64})", refused.err)[1]
        done = mtm("model", "get", server.url, "--sha256", pin)
    assert done.code == 0
    assert pin in done.out
    assert "Predicts" in done.err
    assert mtm("model", "describe", "small").code == 0
    assert mtm("model", "verify", "small").out.startswith("Predicts")
    done = mtm("model", "install", tmp_path / "made")
    assert "--overwrite" in error_of(done)
    assert mtm("model", "install", tmp_path / "made", "--overwrite").code == 0


def test_a_model_that_predicts_otherwise_ends_in_an_error(
    mtm: Mtm, tmp_path: Path, small_artefact: Artefact
) -> None:
    small_artefact.save(tmp_path)
    mtm("model", "verify", tmp_path, "--write")
    path = tmp_path / VERIFICATION
    with safe_open(path, framework="np") as file:
        about = file.metadata()
    save_file(load_file(path) | {"mean": load_file(path)["mean"] + 1}, path, about)
    seal_folder(tmp_path)
    assert "Do not use its predictions" in error_of(mtm("model", "verify", tmp_path))


def test_at_a_terminal_there_is_a_table_that_fits(
    mtm: Mtm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    done = mtm("model", "describe", DEFAULT_MODEL)
    assert "┃" in done.out
    assert "\t" not in done.out
    sha256 = read_description(find_model(DEFAULT_MODEL))["sha256"]
    folded = "".join(done.out.split()).replace("│", "")
    assert sha256[:30] in folded
    assert sha256[-20:] in folded


def test_model_that_was_not_evaluated(mtm: Mtm, small_artefact: Artefact, tmp_path: Path) -> None:
    small_artefact.save(tmp_path)
    done = mtm("model", "describe", tmp_path)
    assert "accuracy\t-" in done.out.splitlines()
    assert "Lung\t46\t-" in done.out.splitlines()


def test_json_is_the_description(mtm: Mtm) -> None:
    done = mtm("model", "describe", DEFAULT_MODEL, "--json")
    described, known = json.loads(done.out), read_description(find_model(DEFAULT_MODEL))
    accuracy, summary = described.pop("accuracy"), known["accuracy"]["summary"]
    assert {"gene_rho_by_fold_mean", "gene_rho_pooled_mean", "gene_adjusted_rho_by_fold_mean",
            "coverage_90"} <= set(summary)  # fmt: skip
    assert {name: accuracy[name] for name in summary} == summary
    assert accuracy["tissues"] == known.pop("accuracy")["tissues"]
    assert described == known


def test_preset_of_the_paper_has_the_paper_s_size(mtm: Mtm) -> None:
    done = mtm("model", "describe", "--preset=paper", "--genes=19291", "--tissues=49")
    sizes = dict(line.split("\t") for line in done.out.splitlines())
    assert sizes["total"] == "128,087,084"
    networks = ("encoder", "generator", "discriminator", "mapping")
    parts = [int(sizes[name].replace(",", "")) for name in networks]
    assert sum(parts) == 128_087_084
    as_json = json.loads(
        mtm("model", "describe", "--preset=paper", "--genes=19291", "--tissues=49", "--json").out
    )
    assert as_json["parameters"] == dict(zip(networks, parts, strict=True)) | {"total": 128_087_084}
    assert as_json["config"]["model"]["n_genes"] == 19_291


@pytest.mark.parametrize("arguments", [[], [DEFAULT_MODEL, "--preset=paper"]])
def test_model_or_preset_is_asked_for(mtm: Mtm, arguments: list[str]) -> None:
    done = mtm("model", "describe", *arguments)
    assert done.code == 2
    assert f"(bundled: {', '.join(bundled_models())}" in " ".join(
        done.err.replace("│", " ").split()
    )


def test_damaged_model_is_not_described_as_whole(mtm: Mtm, tmp_path: Path) -> None:
    folder = shutil.copytree(find_model(DEFAULT_MODEL), tmp_path / "copy")
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\xff")
    assert "its SHA-256 differs" in error_of(mtm("model", "describe", folder))


def test_unknown_model_is_one_line(mtm: Mtm) -> None:
    assert f"(bundled: {', '.join(bundled_models())}" in error_of(mtm("model", "describe", "gtex"))


def test_pack_halves_the_networks_and_keeps_the_rest(mtm: Mtm, tmp_path: Path) -> None:
    packed = tmp_path / "small"
    done = mtm("model", "pack", "gtex_v8_acmg59", "--output", str(packed))
    assert done.code == 0
    assert "MB before" in done.out
    original = find_model("gtex_v8_acmg59")
    weights = "model.safetensors"
    assert (packed / weights).stat().st_size < 0.75 * (original / weights).stat().st_size
    assert (packed / "README.md").read_bytes() == (original / "README.md").read_bytes()
    described = json.loads(mtm("model", "describe", str(packed), "--json").out)
    assert described["weights"] == "bf16"
    whole = json.loads(mtm("model", "describe", "gtex_v8_acmg59", "--json").out)
    assert described["accuracy"] == whole["accuracy"]


def test_pack_writes_over_nothing(mtm: Mtm, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    done = mtm("model", "pack", "gtex_v8_acmg59", "--output", str(tmp_path))
    assert done.code == 1
    assert "exists already" in error_of(done)
