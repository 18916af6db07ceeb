"""Saved sessions: what comes back, to whom, and for how long."""

from __future__ import annotations

import stat
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from mtm_core.dashboard.state.resources import EXAMPLE
from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.state.work import Work
from mtm_core.dashboard.state.workspace import WorkspaceStore
from mtm_core.data.files.reading_options import ReadingOptions
from mtm_core.data.people.metadata_file import read_metadata
from mtm_core.data.tables.expression import read_expression
from mtm_core.errors import SelectionError
from mtm_core.inference.predictor import Predictor
from tests.dashboard.saved_work import Clock, folder_of, same


def test_a_session_is_loaded_exactly_as_it_was_saved(store: WorkspaceStore, work: Work) -> None:
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


def test_further_tissues_are_restored(
    store: WorkspaceStore, session: Session, predictor: Predictor
) -> None:
    data = EXAMPLE.read_bytes()[:-1]
    muscle = session.reading_further(data, "muscle.tsv", "Muscle - Skeletal", predictor)
    assert muscle is not None
    muscle.now()
    session.set_further(session.further, near_people=True)
    assert session.reading_further(data, "muscle.tsv", "Muscle - Skeletal", predictor) is None
    before, identifier = session.predict(predictor), store.create()
    assert session.table is not None
    options = (session.source, session.unit, session.alignment, session.targets)
    work = Work(
        session.table, session.table_sha256, *options, further=session.further, near_people=True
    )
    store.save(identifier, work)
    after = Session()
    after.take_up(store.load(identifier), predictor)
    assert after.near_people
    assert after.predict(predictor).identical(before)
    assert "further_sources" in before.attrs


def test_a_measured_table_is_saved_and_deleted_with_the_session(
    store: WorkspaceStore, work: Work, session: Session, predictor: Predictor
) -> None:
    data = EXAMPLE.read_bytes()[:-1]
    lung = session.reading_measured(data, "lung.tsv", "Lung", predictor)
    assert lung is not None
    lung.now()
    assert session.measured is not None
    measured, identifier = replace(session.measured, unit="cpm"), store.create()
    store.save(identifier, replace(work, measured=measured))
    after = Session()
    after.take_up(store.load(identifier), predictor)
    assert after.measured is not None
    assert (after.measured.tissue, after.measured.unit) == ("Lung", "cpm")
    assert after.measured.table.report == measured.table.report
    assert after.measured.table.values.equals(measured.table.values)
    assert after.reading_measured(data, "lung.tsv", "Lung", predictor) is None
    assert len(list(folder_of(store).glob("table_*"))) == 2
    store.save(identifier, work)
    assert len(list(folder_of(store).glob("table_*"))) == 1


def test_awkward_tables_come_back(store: WorkspaceStore, work: Work, predictor: Predictor) -> None:
    """Genes that are duplicated, samples named like columns, metadata with holes and odd names."""
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


def test_only_parquet_and_json_are_written_and_replaced_files_are_deleted(
    store: WorkspaceStore, work: Work
) -> None:
    identifier = store.create()
    store.save(identifier, work)
    folder = folder_of(store)
    first = {path.name for path in folder.iterdir()}
    assert {Path(name).suffix for name in first} == {".json", ".parquet"}
    assert len(first) == 4
    left = folder / ".work.json.mtm-partial-abc"  # by a crash
    left.mkdir()
    (left / "mtm-partial.json").write_text('{"format": "mtm-partial"}')
    store.save(identifier, replace(work, table_sha256="another", metadata=None))
    second = {path.name for path in folder.iterdir()}
    assert len(second) == 3
    assert second & first == {"work.json", ".mtm-workspace.json"}


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
def test_an_unknown_address_opens_nothing(
    store: WorkspaceStore, work: Work, identifier: str
) -> None:
    real = store.create()
    store.save(real, work)
    with pytest.raises(SelectionError, match="no session is saved under this address"):
        store.load(identifier)
    with pytest.raises(SelectionError, match="no session is saved under this address"):
        store.save(identifier, work)
    assert same(store.load(real), work)
    assert len(list(store.folder.iterdir())) == 1


def test_a_deleted_session_stays_deleted(store: WorkspaceStore, work: Work) -> None:
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


def test_an_unused_session_expires(store: WorkspaceStore, work: Work, clock: Clock) -> None:
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


def test_work_without_a_table_yet_is_nothing(store: WorkspaceStore) -> None:
    with pytest.raises(SelectionError, match="no session is saved"):
        store.load(store.create())


def test_a_signed_in_user_opens_only_their_own_sessions(store: WorkspaceStore, work: Work) -> None:
    identifier = store.create()
    store.save(identifier, work, owner="ada@example.org")
    assert same(store.load(identifier, owner="ada@example.org"), work)
    for other in ("", "eve@example.org"):
        with pytest.raises(SelectionError, match="no session is saved"):
            store.load(identifier, owner=other)
    assert b"ada@" not in (folder_of(store) / "work.json").read_bytes()


def test_concurrent_writers_leave_one_complete_session(store: WorkspaceStore, work: Work) -> None:
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
    loaded = store.load(identifier)
    assert same(loaded, others[int(loaded.table_sha256)])
    assert len(list(folder_of(store).iterdir())) == 4


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


def test_a_table_read_otherwise_is_saved_anew(
    store: WorkspaceStore, session: Session, predictor: Predictor, work: Work
) -> None:
    """The same file without one of its samples: what comes back is what was read last."""
    identifier = store.create()
    store.save(identifier, work)
    options = ReadingOptions(leave_out=("SIM-003",))
    again = session.reading(EXAMPLE.read_bytes(), EXAMPLE.name, predictor, options)
    assert again is not None
    again.now()
    assert session.table is not None
    assert session.table_sha256 == work.table_sha256
    store.save(identifier, replace(work, table=session.table))
    loaded = store.load(identifier).table
    assert "SIM-003" not in loaded.values.index
    np.testing.assert_array_equal(loaded.values, work.table.values.drop(index="SIM-003"))
    assert loaded.options == options
