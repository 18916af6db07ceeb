"""Models from a disk, read as another's: zips that mean harm, folders that were changed."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from mtm_core.errors import ArtefactError, InputFileError, OutputError
from mtm_core.model_folder import MANIFEST, VERIFICATION, seal_folder
from mtm_core.model_places import installed_models
from mtm_core.sharing.getting import install_model
from mtm_core.sharing.listing import list_models
from tests.sharing.conftest import Shared
from tests.sharing_server import files_of, zip_of


@pytest.mark.parametrize("top", [None, "", "small/"])
def test_a_model_is_installed_from_a_folder_or_a_zip(
    top: str | None, shared: Shared, models: Path, tmp_path: Path
) -> None:
    path = shared.folder
    if top is None:
        (path / "notes.txt").write_text("not of the model")
    else:
        path = tmp_path / "small.zip"
        path.write_bytes(zip_of(shared.folder, top))
    done = install_model(path, sha256=shared.pin)
    assert installed_models() == {"small": done.folder}
    expected = files_of(shared.folder)
    expected.pop("/notes.txt", None)
    assert files_of(done.folder) == expected
    with pytest.raises(OutputError, match="--overwrite"):
        install_model(path)
    install_model(path, overwrite=True)
    with pytest.raises(ArtefactError, match="expected 0000"):
        install_model(path, sha256="0" * 64, overwrite=True)
    assert files_of(done.folder) == expected


def test_a_missing_or_broken_source_is_reported(models: Path, tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="expected a model's folder or a zip"):
        install_model(tmp_path / "nowhere")
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04 and so on")
    with pytest.raises(ArtefactError, match="cannot be read as a zip"):
        install_model(tmp_path / "a.zip")


@pytest.mark.parametrize("name", ["model.safetensors", "README.md", "model.json"])
def test_a_folder_that_was_changed_is_refused(name: str, shared: Shared, models: Path) -> None:
    path = shared.folder / name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ArtefactError, match=name):
        install_model(shared.folder)
    assert not models.exists() or list(models.iterdir()) == []


def test_a_link_in_a_folder_is_refused(shared: Shared, models: Path, tmp_path: Path) -> None:
    (shared.folder / "README.md").rename(tmp_path / "card")
    (shared.folder / "README.md").symlink_to(tmp_path / "card")
    with pytest.raises(ArtefactError, match="link"):
        install_model(shared.folder)
    assert installed_models() == {}


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda z: z.writestr("../outside", "x"), "leads outside"),
        (lambda z: z.writestr("/etc/outside", "x"), "leads outside"),
        (lambda z: z.writestr("a\\..\\..\\outside", "x"), "leads outside"),
        (lambda z: z.writestr("C:outside", "x"), "leads outside"),
        (lambda z: z.writestr(link("evaluation/x"), "/etc/passwd"), "a link or no plain file"),
        (lambda z: [z.writestr(f"n{i}", "") for i in range(2001)], "entries, more than any model"),
        (lambda z: z.writestr("other/manifest.json", "{}"), "found 2 times manifest.json"),
    ],
)
def test_a_zip_that_means_harm_is_refused(
    change: Callable[[zipfile.ZipFile], object],
    words: str,
    shared: Shared,
    models: Path,
    tmp_path: Path,
) -> None:
    path = tmp_path / "small.zip"
    path.write_bytes(zip_of(shared.folder))
    with zipfile.ZipFile(path, "a") as file:
        change(file)
    with pytest.raises(ArtefactError, match=words):
        install_model(path)
    assert not (tmp_path / "outside").exists()
    assert installed_models() == {}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice_in_a_zip_is_refused(shared: Shared, models: Path, tmp_path: Path) -> None:
    path = tmp_path / "small.zip"
    path.write_bytes(zip_of(shared.folder))
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("README.md", "another")
    with pytest.raises(ArtefactError, match="in it twice"):
        install_model(path)


def test_a_bomb_is_not_unpacked(shared: Shared, models: Path, tmp_path: Path) -> None:
    """Whatever size the zip says, no more is written than the manifest names."""
    data = zip_of(shared.folder)
    bomb = b"\0" * 50_000_000
    path = tmp_path / "small.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files_of(shared.folder).items():
            is_weights = name == "/model.safetensors"
            file.writestr(name.removeprefix("/"), bomb if is_weights else content)
    assert path.stat().st_size < 2 * len(data) + 50_000
    with pytest.raises(ArtefactError, match="has 50,000,000 bytes, the manifest"):
        install_model(path)
    assert installed_models() == {}
    # One that lies about the size, too.
    packed = path.read_bytes().replace(
        (50_000_000).to_bytes(4, "little"),
        (shared.folder / "model.safetensors").stat().st_size.to_bytes(4, "little"),
    )
    path.write_bytes(packed)
    with pytest.raises(ArtefactError):
        install_model(path)
    assert installed_models() == {}


def test_a_model_that_predicts_something_else_here_is_not_installed(
    shared: Shared, models: Path, tmp_path: Path
) -> None:
    stored = shared.folder / VERIFICATION
    with safe_open(stored, "np") as file:
        about = file.metadata()
    arrays = load_file(stored)
    arrays["z"][0, 1, 0] += 0.5
    save_file(arrays, stored, about)
    seal_folder(shared.folder)
    path = tmp_path / "small.zip"
    path.write_bytes(zip_of(shared.folder))
    for given in (shared.folder, path):
        with pytest.raises(ArtefactError, match=r"^small is not installed\. .* by up to 0\.5 SD"):
            install_model(given)
    assert not models.exists() or installed_models() == {}


def test_files_outside_the_manifest_are_not_installed(
    shared: Shared, models: Path, tmp_path: Path
) -> None:
    path = tmp_path / "small.zip"
    path.write_bytes(zip_of(shared.folder))
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("setup.py", "print('run me')")
    done = install_model(path)
    assert files_of(done.folder) == files_of(shared.folder)


def test_models_are_listed_with_what_is_wrong(shared: Shared, models: Path) -> None:
    (shared.folder / "LICENSE").write_text("SPDX-License-Identifier: CC-BY-4.0\n\nText.\n")
    seal_folder(shared.folder)
    install_model(shared.folder)
    (models / "broken").mkdir()
    (models / "broken" / "model.json").write_text("{}")
    by_name = {model.name: model for model in list_models()}
    small = by_name["small"]
    assert (small.method, small.n_genes, small.n_tissues) == ("mtm", 40, 5)
    assert (small.where, small.licence, small.accuracy()) == ("installed", "CC-BY-4.0", None)
    assert small.n_bytes == sum(
        len(data) for name, data in files_of(small.folder).items() if name != f"/{MANIFEST}"
    )
    assert "has no manifest.json" in by_name["broken"].problem
    assert by_name["gtex_v8_acmg59"].licence == "BSD-3-Clause"
