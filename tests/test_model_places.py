from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from mtm_core.errors import ArtefactError, OutputError
from mtm_core.model_places import (
    BUNDLED,
    DEFAULT_MODEL,
    bundled_models,
    find_model,
    folder_to_install_in,
    installed_models,
    models_folder,
)


def test_bundled_model_is_found_by_name_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert DEFAULT_MODEL in bundled_models()
    assert find_model(DEFAULT_MODEL) == BUNDLED / DEFAULT_MODEL


def test_model_is_found_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(BUNDLED / DEFAULT_MODEL, tmp_path / "models" / "mine")
    assert find_model(str(tmp_path / "models" / "mine")) == tmp_path / "models" / "mine"
    monkeypatch.chdir(tmp_path)
    assert find_model("models/mine") == Path("models/mine")


@pytest.mark.parametrize("name", ["gtex", ".", "", "/"])
def test_an_unknown_model_is_an_error_that_lists_the_bundled_ones(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        ArtefactError, match=rf"no model '{name}': .*\(bundled: .*{DEFAULT_MODEL}.*\)"
    ):
        find_model(name)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MTM_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def test_an_installed_model_is_found_by_name(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert installed_models() == {}
    shutil.copytree(BUNDLED / "gtex_v8_acmg59", models / "mine")
    shutil.copytree(BUNDLED / "gtex_v8_acmg59", tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    assert installed_models() == {"mine": models / "mine"}
    assert find_model("mine") == models / "mine"
    assert find_model("./mine") == Path("mine")
    with pytest.raises(ArtefactError, match="installed: mine"):
        find_model("yours")


def test_a_bundled_name_is_never_an_installed_model(models: Path) -> None:
    shutil.copytree(BUNDLED / "gtex_v8_acmg59", models / DEFAULT_MODEL)
    assert find_model(DEFAULT_MODEL) == BUNDLED / DEFAULT_MODEL
    assert installed_models() == {}


@pytest.mark.parametrize("is_hidden", [True, False])
def test_a_folder_without_a_model_is_not_listed(models: Path, is_hidden: bool) -> None:
    folder = models / (".half" if is_hidden else "empty")
    folder.mkdir(parents=True)
    if is_hidden:
        (folder / "model.json").write_text("{}")
    (models / "file").write_text("")
    assert installed_models() == {}


def test_models_are_in_the_user_s_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MTM_MODELS", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert models_folder() == tmp_path / ".local" / "share" / "mtm" / "models"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert models_folder() == tmp_path / "data" / "mtm" / "models"


@pytest.mark.parametrize("home", ["", None, "/nonexistent"])
def test_a_user_without_a_home_has_bundled_models(
    home: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MTM_MODELS", "XDG_DATA_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    if home is None:  # nor does the system know one

        def unknown(uid: int) -> NoReturn:
            raise KeyError(uid)

        monkeypatch.setattr("pwd.getpwuid", unknown)
    else:
        monkeypatch.setenv("HOME", home)
    assert find_model(DEFAULT_MODEL) == BUNDLED / DEFAULT_MODEL
    assert installed_models() == {}
    if home != "/nonexistent":
        assert models_folder() is None
        with pytest.raises(OutputError, match="MTM_MODELS"):
            folder_to_install_in()
