"""Kept work: what comes back, what does not, and what never leaves its folder."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from threading import Thread

import numpy as np
import pandas as pd
import pytest

from mtm_core.dashboard.resources import EXAMPLE, EXAMPLE_METADATA
from mtm_core.dashboard.session import Session
from mtm_core.dashboard.workspace import (
    MOST_WORKSPACES,
    Work,
    WorkspaceStore,
    open_store,
    settings_of_environment,
)
from mtm_core.data.expression import read_expression
from mtm_core.data.metadata import read_metadata
from mtm_core.errors import InputFileError, SelectionError
from mtm_core.inference.predictor import Predictor


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(own_workspaces: Path, clock: Clock) -> WorkspaceStore:
    return WorkspaceStore(own_workspaces, 24, clock=clock)


@pytest.fixture
def work(session: Session) -> Work:
    """The example with all that can be kept of it."""
    session.open_metadata(EXAMPLE_METADATA.read_bytes(), EXAMPLE_METADATA.name)
    assert session.table is not None
    return Work(
        session.table,
        session.table_sha256,
        "Whole Blood",
        "cpm",
        "none",
        ("Lung", "Liver"),
        session.metadata,
        "abc",
        {"fold_change": 0.25, "covariates": ["age"], "highlighted": None},
    )


def folder_of(store: WorkspaceStore) -> Path:
    (folder,) = store.folder.iterdir()
    return folder


def same(work: Work, other: Work) -> bool:
    """Compare everything, frames to the last bit."""
    pd.testing.assert_frame_equal(work.table.values, other.table.values, check_exact=True)
    empty = pd.DataFrame()
    if work.metadata is None or other.metadata is None:
        assert work.metadata is other.metadata
    else:
        pd.testing.assert_frame_equal(work.metadata.values, other.metadata.values, check_exact=True)
        work = replace(work, metadata=replace(work.metadata, values=empty))
        other = replace(other, metadata=replace(other.metadata, values=empty))
        assert repr(work.metadata) == repr(other.metadata)
    reports = (work.table.report, other.table.report)
    assert reports[0] == reports[1]
    kept = [replace(x, table=replace(x.table, values=empty), metadata=None) for x in (work, other)]
    return repr(kept[0]) == repr(kept[1])


def test_all_comes_back_to_the_last_bit(store: WorkspaceStore, work: Work) -> None:
    identifier = store.create()
    store.save(identifier, work)
    assert same(store.load(identifier), work)
    without = replace(work, metadata=None, targets=None, model_sha256="", choices={})
    store.save(identifier, without)
    assert same(store.load(identifier), without)


def test_the_prediction_made_from_it_is_the_same(
    store: WorkspaceStore, session: Session, predictor: Predictor
) -> None:
    before = session.predict(predictor)
    assert session.table is not None
    identifier = store.create()
    store.save(
        identifier,
        Work(
            session.table,
            session.table_sha256,
            session.source,
            session.unit,
            session.alignment,
            session.targets,
        ),
    )
    after = Session()
    after.take_up(store.load(identifier), predictor)
    assert after.predict(predictor).identical(before)


def test_awkward_tables_come_back(store: WorkspaceStore, work: Work, predictor: Predictor) -> None:
    """Genes that stand twice, samples named like columns, metadata with holes and odd names."""
    text = "gene,gene,1,sample\nTP53,1.5,2,1e-300\nTP53,0,1,2\nBRCA1,0.1,3,4\nMUTYH,1,1,1\n"
    table = read_expression(
        BytesIO(text.replace("gene,gene", "gene,0").encode()), "t.csv", known_genes=predictor.genes
    )
    assert table.values.columns.has_duplicates
    people = "id,sample,0,note,none\n0,x,1.5,,\n1,,,b,\nsample,y,2.25,c d,\n"
    metadata = read_metadata(BytesIO(people.encode()), "p.csv", samples=list(table.values.index))
    assert metadata.values["sample"].isna().any()
    awkward = replace(work, table=table, table_sha256="x", metadata=metadata)
    identifier = store.create()
    store.save(identifier, awkward)
    assert same(store.load(identifier), awkward)


def test_only_parquet_and_json_are_written_and_what_is_replaced_goes(
    store: WorkspaceStore, work: Work
) -> None:
    identifier = store.create()
    store.save(identifier, work)
    folder = folder_of(store)
    first = {path.name for path in folder.iterdir()}
    assert {Path(name).suffix for name in first} == {".json", ".parquet"}
    assert len(first) == 3
    (folder / "tmp_left_by_a_crash").write_bytes(b"half")
    store.save(identifier, replace(work, table_sha256="another", metadata=None))
    second = {path.name for path in folder.iterdir()}
    assert len(second) == 2
    assert second & first == {"work.json"}


def test_an_unchanged_table_is_not_written_again(store: WorkspaceStore, work: Work) -> None:
    identifier = store.create()
    store.save(identifier, work)
    table = next(folder_of(store).glob("table_*"))
    written = table.stat().st_ino
    store.save(identifier, replace(work, unit="tpm"))
    assert table.stat().st_ino == written
    assert store.load(identifier).unit == "tpm"


def test_nobody_else_can_look(store: WorkspaceStore, work: Work) -> None:
    identifier = store.create()
    store.save(identifier, work)
    folder = folder_of(store)
    for path in (store.folder, folder):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert identifier not in str(folder)
    assert all(identifier.encode() not in path.read_bytes() for path in folder.iterdir())


def test_ids_cannot_be_guessed(store: WorkspaceStore) -> None:
    ids = {store.create() for _ in range(20)}
    assert len(ids) == 20
    assert all(len(identifier) == 43 for identifier in ids)


@pytest.mark.parametrize(
    "identifier",
    [
        "",
        "..",
        "../../etc/passwd",
        "/etc",
        "a/b",
        "%2e%2e",
        "a" * 42,
        "a" * 44,
        "a" * 42 + "/",
        "a" * 42 + "\n",
        "é" * 43,
        "\0" * 43,
        "a" * 43,
    ],
)
def test_an_address_of_nothing_opens_nothing(
    store: WorkspaceStore, work: Work, identifier: str
) -> None:
    real = store.create()
    store.save(real, work)
    with pytest.raises(SelectionError, match="nothing is kept under this address"):
        store.load(identifier)
    with pytest.raises(SelectionError, match="nothing is kept under this address"):
        store.save(identifier, work)
    assert same(store.load(real), work)
    assert len(list(store.folder.iterdir())) == 1


def test_what_is_deleted_is_gone_and_stays_gone(store: WorkspaceStore, work: Work) -> None:
    identifier, other = store.create(), store.create()
    store.save(identifier, work)
    store.save(other, work)
    store.delete(identifier)
    store.delete(identifier)
    with pytest.raises(SelectionError, match="deleted"):
        store.load(identifier)
    with pytest.raises(SelectionError, match="deleted"):
        store.save(identifier, work)
    assert same(store.load(other), work)


def test_it_expires_when_nobody_has_used_it(
    store: WorkspaceStore, work: Work, clock: Clock
) -> None:
    used, forgotten = store.create(), store.create()
    store.save(used, work)
    store.save(forgotten, work)
    clock.now += 23 * 3600
    store.load(used)
    clock.now += 2 * 3600
    assert store.sweep() == 1
    assert store.sweep() == 0
    assert same(store.load(used), work)
    with pytest.raises(SelectionError, match="not used for 24 hours"):
        store.load(forgotten)
    clock.now += 25 * 3600
    with pytest.raises(SelectionError, match="not used for 24 hours"):
        store.load(used)  # also where nobody has swept
    assert not list(store.folder.iterdir())


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
def test_damaged_work_is_an_error_in_words(
    store: WorkspaceStore, work: Work, damage: Callable[[Path], None]
) -> None:
    identifier = store.create()
    store.save(identifier, work)
    damage(folder_of(store))
    with pytest.raises(InputFileError, match=r"cannot be read \(.+\)\. Upload your table again"):
        store.load(identifier)


def test_work_without_a_table_yet_is_nothing(store: WorkspaceStore) -> None:
    with pytest.raises(SelectionError, match="nothing is kept"):
        store.load(store.create())


def test_who_is_signed_in_opens_their_own_alone(store: WorkspaceStore, work: Work) -> None:
    identifier = store.create()
    store.save(identifier, work, owner="ada@example.org")
    assert same(store.load(identifier, owner="ada@example.org"), work)
    for other in ("", "eve@example.org"):
        with pytest.raises(SelectionError, match="nothing is kept"):
            store.load(identifier, owner=other)
    assert b"ada@" not in (folder_of(store) / "work.json").read_bytes()


def test_writers_at_once_leave_one_whole_work(store: WorkspaceStore, work: Work) -> None:
    identifier = store.create()
    others = [
        replace(work, table_sha256=str(i), table=replace(work.table, values=work.table.values + i))
        for i in range(6)
    ]
    writers = [Thread(target=store.save, args=(identifier, other)) for other in others]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    kept = store.load(identifier)
    assert same(kept, others[int(kept.table_sha256)])
    assert len(list(folder_of(store).iterdir())) == 3


def test_a_folder_that_others_can_read_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o755)
    with pytest.raises(SelectionError, match="others can look into it"):
        WorkspaceStore(folder, 24)
    folder.chmod(0o700)
    WorkspaceStore(folder, 24)


def test_a_folder_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    for name in ("link", "dangling", "file"):
        with pytest.raises(SelectionError, match="no folder of its own"):
            WorkspaceStore(tmp_path / name, 24)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = WorkspaceStore(tmp_path / "file" / "workspaces", 24)
    with pytest.raises(SelectionError, match=r"work cannot be kept in .*workspaces"):
        store.create()


def test_there_is_an_end_to_how_many(store: WorkspaceStore) -> None:
    store.create()
    for i in range(MOST_WORKSPACES - 1):
        (store.folder / f"other{i}").mkdir()
        os.utime(store.folder / f"other{i}", (Clock.now, Clock.now))
    with pytest.raises(SelectionError, match="as much work as it can"):
        store.create()


def test_nothing_is_made_on_disk_before_it_is_asked_for(
    store: WorkspaceStore, own_workspaces: Path
) -> None:
    assert store.sweep() == 0
    with pytest.raises(SelectionError, match="nothing is kept"):
        store.load("a" * 43)
    assert not own_workspaces.exists()


def test_the_server_says_where_how_long_and_whether(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MTM_WORKSPACE", f" {tmp_path / 'here'} ")
    monkeypatch.setenv("MTM_WORKSPACE_HOURS", "1.5")
    store = open_store(*settings_of_environment())
    assert store is not None
    assert (store.folder, store.hours) == (tmp_path / "here", 1.5)
    assert open_store("OFF") is None
    default = open_store(hours="2")
    assert default is not None
    assert default.folder.name.startswith("mtm-workspaces-")
    for hours in ("0", "-1", "a day", "nan", "inf"):
        with pytest.raises(SelectionError, match="no number of hours above 0"):
            open_store(str(tmp_path / "here"), hours)


def test_a_tissue_that_the_model_lacks_is_left_aside(work: Work, predictor: Predictor) -> None:
    session = Session()
    session.take_up(replace(work, source="Tail", targets=("Lung", "Gill")), predictor)
    assert session.source == "Whole Blood"
    assert session.chosen_targets(predictor) == ("Lung",)
    assert session.unit == "cpm"
    assert np.array_equal(session.table.values, work.table.values) if session.table else False


def test_a_table_uploaded_over_anothers_work_does_not_go_there(
    work: Work, predictor: Predictor
) -> None:
    """Who opens the address of another's work and uploads an own table keeps it to themselves."""
    for is_own in (True, False):
        session = Session(workspace="id", workspace_is_own=is_own)
        session.take_up(work, predictor)
        session.open(EXAMPLE.read_bytes().replace(b"SIM-", b"P-"), "mine.tsv", predictor)
        assert session.workspace == ("id" if is_own else "")
