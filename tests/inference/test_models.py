from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mtm_core.errors import ArtefactError
from mtm_core.inference.models import BUNDLED, DEFAULT_MODEL, bundled_models, find_model


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
def test_what_is_no_model_is_told_which_are_bundled(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        ArtefactError, match=rf"no model '{name}': .*\(bundled: .*{DEFAULT_MODEL}.*\)"
    ):
        find_model(name)
