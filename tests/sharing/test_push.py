"""The folder to upload: what others get is what was made, and nothing of single donors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from safetensors.numpy import load_file, save_file

from mtm_core.errors import ArtefactError, InputFileError
from mtm_core.model_description import read_description
from mtm_core.model_folder import ModelFolder, seal_folder
from mtm_core.model_places import BUNDLED, bundled_models
from mtm_core.sharing.donor_rows import find_donor_rows
from mtm_core.sharing.getting import get_model
from mtm_core.sharing.sources import Hosts
from mtm_core.sharing.upload import make_upload
from mtm_core.studies.beside_model import card_of
from tests.gtex_server import Server
from tests.sharing.conftest import Shared
from tests.sharing_server import files_of, put_on_zenodo


def test_others_get_what_was_uploaded(
    server: Server, hosts: Hosts, shared: Shared, models: Path, tmp_path: Path
) -> None:
    done = make_upload(shared.folder, tmp_path / "up")
    server.files |= files_of(tmp_path / "up", "/hf/me/small/resolve/main")
    by_hub = get_model("hf:me/small", sha256=done.manifest_sha256, hosts=hosts)
    assert (by_hub.folder / "model.safetensors").read_bytes() == (
        shared.folder / "model.safetensors"
    ).read_bytes()
    assert card_of(ModelFolder.open(by_hub.folder)) == "# small\n"

    other = make_upload(shared.folder, tmp_path / "zenodo", target="zenodo")
    assert other.manifest_sha256 == done.manifest_sha256
    there = [path for path in (tmp_path / "zenodo").iterdir() if path.name[0] != "."]
    assert all(f"{path.name}" in " ".join(other.commands) for path in there)
    put_on_zenodo(server, 5, {path.name: path.read_bytes() for path in there})
    again = get_model("10.5281/zenodo.5", sha256=other.manifest_sha256, hosts=hosts, overwrite=True)
    assert again.is_pinned


@pytest.mark.parametrize("name", bundled_models())
def test_a_bundled_model_can_be_shared_with_its_figures(name: str, tmp_path: Path) -> None:
    make_upload(BUNDLED / name, tmp_path / "up", creators=["A. Person"])
    _, front, card = (tmp_path / "up" / "README.md").read_text().split("---\n", 2)
    values = yaml.safe_load(front)
    assert card.strip() == (BUNDLED / name / "README.md").read_text().strip()
    assert values["license"] == "bsd-3-clause"
    (index,) = values["model-index"]
    metrics = {m["type"]: m["value"] for m in index["results"][0]["metrics"]}
    summary = json.loads((BUNDLED / name / "model.json").read_text())["accuracy"]["summary"]
    assert metrics["gene_rho_by_fold"] == summary["gene_rho_by_fold_mean"]
    assert metrics["gene_adjusted_rho_by_fold"] == summary["gene_rho_partial_mean"]
    zenodo = json.loads((tmp_path / "up" / ".zenodo.json").read_text())
    assert zenodo["creators"] == [{"name": "A. Person"}]
    assert zenodo["license"] == "bsd-3-clause"
    licence = (tmp_path / "up" / "LICENSE").read_text()
    assert licence.startswith("SPDX-License-Identifier: BSD-3-Clause\n\nBSD 3-Clause License")


def test_a_licence_s_text_is_asked_for(shared: Shared, tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="--licence-file"):
        make_upload(shared.folder, tmp_path / "up", licence="CC-BY-4.0")
    (tmp_path / "text").write_text("By all means.")
    make_upload(shared.folder, tmp_path / "up", licence="CC-BY-4.0", licence_file=tmp_path / "text")
    assert "By all means." in (tmp_path / "up" / "LICENSE").read_text()


N_DONORS, N_LUNG = 60, 46  # of the small cohort


def table(folder: Path, name: str, frame: pd.DataFrame) -> None:
    path = folder / "evaluation" / name
    path.parent.mkdir(exist_ok=True)
    frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path)


def add_json(folder: Path, values: object) -> None:
    (folder / "evaluation").mkdir(exist_ok=True)
    (folder / "evaluation" / "settings.json").write_text(json.dumps(values))


def add_array(folder: Path, name: str, *shape: int) -> None:
    """Put an array into the weights, whose own seal stays behind."""
    path = folder / "model.safetensors"
    save_file(load_file(path) | {name: np.zeros(shape, np.float32)}, path)


NUMBERS = pd.DataFrame({"rho": np.arange(N_DONORS)})


@pytest.mark.parametrize(
    ("leak", "words"),
    [
        (lambda f: table(f, "scores.csv", NUMBERS), "scores.csv: it has 60 rows"),
        (lambda f: table(f, "scores.parquet", NUMBERS), "scores.parquet: it has 60 rows"),
        (lambda f: table(f, "a.csv", pd.DataFrame({"SUBJID": [1]})), "a column 'SUBJID'"),
        (lambda f: table(f, "a.parquet", pd.DataFrame({"donor": ["x"]})), "a column 'donor'"),
        (lambda f: table(f, "a.csv", pd.DataFrame({"who": ["GTEX-1117F"]})), "GTEX-1117F"),
        (lambda f: table(f, "a.parquet", pd.DataFrame({"who": ["GTEX-1117F"]})), "GTEX-1117F"),
        (
            lambda f: table(
                f, "a.parquet", pd.DataFrame({"who": pd.Categorical(["x", "TCGA-02-0047"])})
            ),
            "TCGA-02-0047",
        ),
        (lambda f: table(f, "out_of_fold.csv", NUMBERS[:5]), "'out_of_fold'"),
        (lambda f: add_json(f, {"x": list(range(N_DONORS))}), "the list 'x' is as long as donors"),
        (lambda f: add_json(f, {"folds": {"donors": ["a"]}}), "the entry 'donors' lists"),
        (lambda f: add_json(f, {"note": "without GTEX-1117F"}), "GTEX-1117F"),
        (lambda f: (f / "README.md").write_text("Not GTEX-1117F."), "README.md: it names a donor"),
        (
            lambda f: [(f / "evaluation").mkdir(), (f / "evaluation" / "z.nc").write_bytes(b"x")],
            "z.nc: .nc is not a kind of file",
        ),
    ],
)
def test_files_that_may_describe_single_donors_are_refused_by_name(
    leak: Callable[[Path], object], words: str, shared: Shared, tmp_path: Path
) -> None:
    leak(shared.folder)
    seal_folder(shared.folder)
    with pytest.raises(ArtefactError, match="must not be shared") as error:
        make_upload(shared.folder, tmp_path / "up")
    assert words in str(error.value)
    assert not (tmp_path / "up").exists()


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"method.latent": (N_DONORS, 3)}, "method.latent of size 60 x 3"),
        ({"method.donor_means": (7,)}, "'donor' in its name"),
        ({"method.1.rows": (N_LUNG, 2)}, ""),
    ],
)
def test_arrays_of_a_row_a_donor_are_found(
    arrays: dict[str, tuple[int, ...]], words: str, shared: Shared
) -> None:
    description = read_description(shared.folder)
    for name, shape in arrays.items():
        add_array(shared.folder, name, *shape)
    seal_folder(shared.folder)
    found = " ".join(find_donor_rows(ModelFolder.open(shared.folder), description))
    assert (words in found) if words else not found


def test_arrays_as_long_as_several_tissues_are_found(shared: Shared) -> None:
    description = read_description(shared.folder)
    counts = sorted({row["n_samples"] for row in description["tissues"]} - {N_DONORS, 40})[:3]
    for number, count in enumerate(counts):
        add_array(shared.folder, f"method.{number}.x", count, 2)
    seal_folder(shared.folder)
    (found,) = find_donor_rows(ModelFolder.open(shared.folder), description)
    assert "samples of tissues" in found
