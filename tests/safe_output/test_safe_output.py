"""Outputs are whole or not there, and take nobody's place."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import h5py
import numpy as np
import pytest

from mtm_core.errors import OutputError
from mtm_core.safe_output import (
    OwnFolder,
    check_output,
    discard,
    replacing,
    scratch_folder,
    whole_file,
    writing,
)
from mtm_core.safe_output.mark import MARK_NAME, Mark


def write_file(path: Path, text: str = "new", **options):
    with writing(path, **options) as place:
        place.write_text(text)


def write_folder(path: Path, text: str = "new", **options):
    with writing(path, folder=True, kind="a comparison", **options) as place:
        (place / "table.csv").write_text(text)
        (place / "deep").mkdir()
        (place / "deep" / "values").write_text(text)


def write_and_fail(path: Path, **options):
    with writing(path, **options) as place:
        (place / "x" if options.get("folder") else place).write_text("half")
        raise KeyError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_there_when_it_is_whole_and_nothing_beside_it(tmp_path):
    path = tmp_path / "new" / "folders" / "a.csv"
    with writing(path) as place:
        place.write_text("half")
        assert not path.exists()
        assert place.parent.parent == path.parent
    assert path.read_text() == "half"
    assert names(path.parent) == ["a.csv"]


def test_a_failed_write_leaves_nothing_not_even_folders(tmp_path):
    with pytest.raises(KeyError):
        write_and_fail(tmp_path / "new" / "a.csv")
    assert names(tmp_path) == []


def test_a_file_is_replaced_only_on_request(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("mine")
    path.chmod(0o640)
    with pytest.raises(OutputError, match=r"a\.csv exists already \(4 bytes\).*--overwrite"):
        write_file(path)
    assert path.read_text() == "mine"
    write_file(path, overwrite=True)
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_file_made_meanwhile_is_not_replaced(tmp_path):
    path = tmp_path / "a.csv"

    def write():
        with writing(path) as place:
            place.write_text("new")
            path.write_text("mine")

    with pytest.raises(OutputError, match="exists already"):
        write()
    assert path.read_text() == "mine"


@pytest.mark.parametrize("overwrite", [False, True])
def test_only_plain_files_are_replaced(tmp_path, overwrite):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "folder.csv" / "thesis.txt").write_text("mine")
    (tmp_path / "mine.csv").write_text("mine")
    (tmp_path / "link.csv").symlink_to("mine.csv")
    (tmp_path / "dangling.csv").symlink_to("nowhere.csv")
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "locked.csv").write_text("mine")
    (tmp_path / "locked.csv").chmod(0o444)
    before = names(tmp_path)
    for name in before:
        if name != "mine.csv":
            with pytest.raises(OutputError):
                write_file(tmp_path / name, overwrite=overwrite)
    assert names(tmp_path) == before
    for name in ("mine.csv", "link.csv", "locked.csv", "folder.csv/thesis.txt"):
        assert (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_input_is_never_the_output(tmp_path, overwrite):
    source, folder = tmp_path / "in.csv", tmp_path / "in.zarr"
    source.write_text("mine")
    folder.mkdir()
    (folder / "x").write_text("mine")
    (tmp_path / "hard.csv").hardlink_to(source)
    (tmp_path / "soft.csv").symlink_to(source)
    (tmp_path / "elsewhere").symlink_to(tmp_path)
    for output in ("in.csv", "hard.csv", "elsewhere/in.csv", "sub/../in.csv", "in.zarr/out.csv"):
        (tmp_path / "sub").mkdir(exist_ok=True)
        with pytest.raises(OutputError):
            write_file(tmp_path / output, overwrite=overwrite, inputs=[source, folder])
    with pytest.raises(OutputError, match="an input"):
        write_file(tmp_path / "out.csv", inputs=[source, tmp_path / "soft.csv", tmp_path])
    for output in (folder, tmp_path, tmp_path / "elsewhere"):
        with pytest.raises(OutputError):
            write_folder(output, overwrite=overwrite, inputs=[folder])
    assert source.read_text() == (folder / "x").read_text() == "mine"


def test_a_folder_is_replaced_only_on_request_and_if_it_is_ours(tmp_path):
    path = tmp_path / "compared"
    write_folder(path, "first")
    assert Mark.of(path) == Mark("a comparison", frozenset({"table.csv", "deep/values"}))
    with pytest.raises(OutputError, match=r"a comparison of mtm .*--overwrite"):
        write_folder(path)
    with writing(path, folder=True, overwrite=True) as place:
        (place / "other.csv").write_text("second")
        assert (path / "table.csv").read_text() == "first"
    assert names(path) == [MARK_NAME, "other.csv"]
    assert names(tmp_path) == ["compared"]


@pytest.mark.parametrize(
    "add", ["notes.txt", "deep/notes.txt", "empty folder/", "link>table.csv", f"{MARK_NAME}x"]
)
def test_our_own_folder_with_foreign_files_is_not_replaced(tmp_path, add):
    path = tmp_path / "compared"
    write_folder(path, "first")
    name, _, target = add.partition(">")
    if target:
        (path / name).symlink_to(target)
    elif name.endswith("/"):
        (path / name).mkdir()
    else:
        (path / name).write_text("mine")
    with pytest.raises(OutputError, match="did not write"):
        write_folder(path, overwrite=True)
    assert (path / "table.csv").read_text() == "first"
    assert (path / name).exists()


@pytest.mark.parametrize(
    "mark", ["", "{}", "[]", '{"format": "other"}', '{"format": "mtm-output", "files": "all"}']
)
def test_a_foreign_folder_with_an_invalid_mark_is_not_replaced(tmp_path, mark):
    path = tmp_path / "thesis"
    path.mkdir()
    (path / "chapter.txt").write_text("mine")
    if mark:
        (path / MARK_NAME).write_text(mark)
    with pytest.raises(OutputError, match="mtm did not write"):
        write_folder(path, overwrite=True)
    with pytest.raises(OutputError, match="mtm did not write"):
        OwnFolder.claim(path, "an evaluation")
    with pytest.raises(OutputError):
        discard(path)
    assert (path / "chapter.txt").read_text() == "mine"


def test_an_empty_folder_is_filled_where_it_is(tmp_path):
    path = tmp_path / "mounted"
    path.mkdir()
    number = path.stat().st_ino
    write_folder(path)
    assert path.stat().st_ino == number  # such as a volume of a container
    assert names(path) == [MARK_NAME, "deep", "table.csv"]


def test_a_full_disk_is_one_line_and_leaves_nothing(full_disk):
    noise = np.random.default_rng(0).bytes(1 << 20)
    with (
        pytest.raises(OutputError, match=r"a\.bin: the disk is full \(.* MB are free\)\. Nothing"),
        writing(full_disk / "new" / "a.bin") as place,
    ):
        place.write_bytes(noise)
    assert names(full_disk) == []


def test_hdf5_on_a_full_disk_does_not_end_the_process(full_disk):
    values = np.random.default_rng(0).standard_normal((64, 4096))

    def write(path: Path):
        with writing(path) as place, whole_file(place) as target, h5py.File(target, "w") as file:
            file.create_dataset("x", data=values, chunks=(8, 4096), compression="gzip")
            file["y"] = values
            assert file["x"][:1].shape == (1, 4096)

    with pytest.raises(OutputError, match="the disk is full"):
        write(full_disk / "a.h5")
    assert names(full_disk) == []


def test_hdf5_by_a_whole_file_is_read_back(tmp_path):
    values = np.random.default_rng(0).standard_normal((64, 512))
    with whole_file(tmp_path / "a.h5") as target, h5py.File(target, "w") as file:
        file.create_dataset("x", data=values, chunks=(8, 512), compression="gzip")
        np.testing.assert_array_equal(file["x"][3:9], values[3:9])
    with h5py.File(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file["x"][:], values)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Error while serializing: I/O error: No space left (os error 28)", "the disk is full"),
        ("Can't write data (file write failed: errno = 122, error message = …)", "quota"),
        ("[Errno 27] Error writing bytes to file", "larger than is allowed"),
    ],
)
def test_errors_of_libraries_are_translated(tmp_path, text, words):
    with pytest.raises(OutputError, match=words), writing(tmp_path / "a.csv"):
        raise RuntimeError(text)


def test_an_error_of_what_is_read_is_not_taken_for_one_of_writing(tmp_path):
    error = PermissionError(errno.EACCES, "Permission denied", "/elsewhere/input.csv")
    with pytest.raises(PermissionError), writing(tmp_path / "a.csv"):
        raise error


_KILLED = """
    import sys, time
    from pathlib import Path
    from mtm_core.safe_output import writing
    with writing(Path(sys.argv[1]), folder=sys.argv[2] == "folder") as place:
        (place / "x" if sys.argv[2] == "folder" else place).write_text("half")
        print("ready", flush=True)
        time.sleep(60)
"""


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_leftovers_of_a_killed_run_are_removed_by_the_next(tmp_path, kind):
    path = tmp_path / "a*[1].csv"
    others = [tmp_path / f".{path.name}.mtm-partial-{i}" for i in range(2)]
    others[0].mkdir()
    (others[0] / "mtm-partial.json").write_text('{"format": "mine"}')
    others[1].write_text("mine")
    command = [sys.executable, "-c", textwrap.dedent(_KILLED), str(path), kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        write_file(tmp_path / "a1.csv")  # its neighbour sweeps nothing of it
        with pytest.raises(KeyError):  # nor does a run for the same place while the other goes on
            write_and_fail(path, folder=kind == "folder")
        assert len(names(tmp_path)) == 4
        process.send_signal(signal.SIGKILL)
    left = [name for name in names(tmp_path) if name.startswith(".")]
    assert len(left) == 3
    assert all(".mtm-partial-" in name for name in left)
    assert not path.exists()
    (write_folder if kind == "folder" else write_file)(path)
    assert names(tmp_path) == sorted([*(p.name for p in others), "a1.csv", path.name])


def test_an_old_folder_comes_back_where_its_new_one_never_came(tmp_path):
    path = tmp_path / "compared"
    write_folder(path, "first")
    aside = tmp_path / ".compared.mtm-partial-abc"
    aside.mkdir()
    (aside / "mtm-partial.json").write_text('{"format": "mtm-partial", "output": "compared"}')
    path.rename(aside / "mtm-partial.json.old")
    with pytest.raises(OutputError, match="a comparison of mtm"):
        write_folder(path)
    assert (path / "table.csv").read_text() == "first"
    assert names(tmp_path) == ["compared"]


def test_a_folder_that_a_command_comes_back_to(tmp_path):
    path = tmp_path / "run"
    folder = OwnFolder.claim(path, "an evaluation")
    folder.own("fits/")
    with folder.writing("folds.json") as place:
        place.write_text("1")
    (path / "fits").mkdir()
    (path / "fits" / "a").write_text("whole")
    (path / "notes.txt").write_text("mine")
    (path / "summary.csv").write_text("mine")
    again = OwnFolder.claim(path, "an evaluation")
    with again.writing("folds.json") as place:
        place.write_text("2")
    assert (path / "folds.json").read_text() == "2"
    with pytest.raises(OutputError, match=r"summary\.csv"):
        again.check("genes.csv", "summary.csv")

    def add():
        with again.adding() as place:
            (place / "genes.csv").write_text("new")
            (place / "summary.csv").write_text("new")

    with pytest.raises(OutputError, match=r"summary\.csv"):
        add()
    assert not (path / "genes.csv").exists()
    with again.adding(last="settings.json", instead_of=["folds.json", "notes.txt"]) as place:
        (place / "settings.json").write_text("new")
    assert names(path) == [
        MARK_NAME, "fits", "notes.txt", "settings.json", "summary.csv",
    ]  # fmt: skip
    with pytest.raises(OutputError, match="holds an evaluation"):
        OwnFolder.claim(path, "a model")
    with pytest.raises(OutputError):
        write_folder(path, overwrite=True)
    again.clear()
    assert names(path) == [MARK_NAME, "notes.txt", "summary.csv"]


def test_our_own_file_is_replaced_atomically(tmp_path):
    path = tmp_path / "fits" / "a"
    for text in ("1", "2"):
        with replacing(path) as place:
            place.write_text(text)
        assert path.read_text() == text
    assert names(path.parent) == ["a"]


def test_a_scratch_folder_is_private_and_deleted(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with scratch_folder() as folder:
        (folder / "x").write_text("1")
        assert folder.parent.stat().st_mode & 0o077 == 0
    assert names(tmp_path) == []


def test_a_place_without_permission_is_refused_before_any_work(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="is not a folder"):
        check_output(tmp_path / "file" / "a.csv")
    if os.getuid() == 0:
        pytest.skip("root may write anywhere")
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="no permission"):
        check_output(tmp_path / "a.csv")
    tmp_path.chmod(0o700)
