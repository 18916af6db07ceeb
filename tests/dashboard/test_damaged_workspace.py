"""Saved sessions that are damaged: an error in words, whatever it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mtm_core.dashboard.state.work import Work
from mtm_core.dashboard.state.workspace import WorkspaceStore
from mtm_core.errors import InputFileError
from tests.dashboard.saved_work import folder_of


def damage_json(folder: Path) -> None:
    path = folder / "work.json"
    path.write_bytes(path.read_bytes()[:-40])


def damage_field(folder: Path) -> None:
    path = folder / "work.json"
    manifest = json.loads(path.read_text())
    del manifest["work"]["unit"]
    path.write_text(json.dumps(manifest))


def damage_version(folder: Path) -> None:
    path = folder / "work.json"
    path.write_text(path.read_text().replace('"format_version": 1', '"format_version": 99'))


def damage_list(folder: Path) -> None:
    (folder / "work.json").write_text("[]")


def damage_table(folder: Path) -> None:
    path = next(folder.glob("table_*"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut_metadata(folder: Path) -> None:
    path = next(folder.glob("metadata_*"))
    path.write_bytes(path.read_bytes()[:20])


def lose_table(folder: Path) -> None:
    next(folder.glob("table_*")).unlink()


def point_elsewhere(folder: Path) -> None:
    name = next(folder.glob("table_*")).name
    (folder.parent.parent / name).write_bytes((folder / name).read_bytes())
    path = folder / "work.json"
    path.write_text(path.read_text().replace(name, f"../../{name}"))


@pytest.mark.parametrize(
    "damage",
    [
        damage_json,
        damage_field,
        damage_version,
        damage_list,
        damage_table,
        cut_metadata,
        lose_table,
        point_elsewhere,
    ],
)
def test_a_damaged_session_is_an_error_in_words(
    store: WorkspaceStore, work: Work, damage: Callable[[Path], None]
) -> None:
    identifier = store.create()
    store.save(identifier, work)
    damage(folder_of(store))
    with pytest.raises(InputFileError, match=r"cannot be read \(.+\)\. Upload your table again"):
        store.load(identifier)
