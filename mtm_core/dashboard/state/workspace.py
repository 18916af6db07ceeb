"""Sessions that users asked to save: on the server's disk, for a while, as parquet and JSON.

A workspace is a folder, named by the hash of its id, the only part of it in the page's address::

    work.json                   choices and reports; names the other files and their SHA-256
    table_<hash>.parquet        expression, genes in rows: every digit
    metadata_<hash>.parquet     what is known of the samples

``work.json`` is put in place last and at once, so that a reader sees the old work or the new one.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Lock

import cattrs
import pyarrow as pa

from mtm_core.dashboard.state.work import (
    Work,
    tables_of,
    with_other_tables,
    work_from_json,
    work_to_json,
)
from mtm_core.dashboard.state.workspace_files import (
    expression_from_arrow,
    expression_to_arrow,
    metadata_from_arrow,
    metadata_to_arrow,
    put,
    read_parquet,
    write_parquet,
)
from mtm_core.dashboard.state.workspace_mark import (
    FORMAT,
    MANIFEST,
    delete_files,
    delete_own,
    is_own,
    mark,
)
from mtm_core.data.tables.expression import ExpressionTable
from mtm_core.errors import InputFileError, OutputError, SelectionError

FORMAT_VERSION = 1
MOST_WORKSPACES = 500
_ID_BYTES = 32
_ID = re.compile(r"[A-Za-z0-9_-]{43}")


class WorkspaceStore:
    """The workspaces of all users of a server.

    Parameters
    ----------
    folder
        Folder of saved sessions; created with the first one, readable by the server's user alone.
    hours
        Time after which one that nobody has used is deleted.
    clock
        Tells the time, in seconds since 1970.

    Raises
    ------
    SelectionError
        If the folder is a link, is another user's, or others can look into it.
    """

    def __init__(
        self, folder: Path, hours: float, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.folder, self.hours = folder, hours
        self._clock = clock
        self._lock = Lock()
        if folder.is_symlink() or folder.exists():
            _check_private(folder)

    def create(self) -> str:
        """Make an empty workspace and return its id, which cannot be guessed.

        Raises
        ------
        SelectionError
            If there are too many, or their folder cannot be made.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise SelectionError(
                f"sessions cannot be saved in {self.folder}: {error.strerror or error}. Tell the "
                f"person who runs this server."
            ) from error
        _check_private(self.folder)
        self.sweep()
        if sum(is_own(path) for path in self.folder.iterdir()) >= MOST_WORKSPACES:
            raise SelectionError(
                "this server has no more room for saved sessions. Try again later, or download "
                "what you need on the page Report and downloads."
            )
        identifier = secrets.token_urlsafe(_ID_BYTES)
        folder = self._folder_of(identifier)
        try:
            folder.mkdir(mode=0o700)
            mark(folder)
        except (OSError, OutputError) as error:
            with suppress(OSError):
                folder.rmdir()
            raise SelectionError(
                f"sessions cannot be saved: {error} Tell the person who runs this server."
            ) from error
        self._touch(folder)
        return identifier

    def save(self, identifier: str, work: Work, *, owner: str = "") -> None:
        """Save ``work`` under ``identifier``, in place of what was saved there.

        Raises
        ------
        SelectionError
            If there is no such workspace: it was never made, or is deleted.
        """
        folder = self._folder_of(identifier)
        frames = {
            part: (_table_name(table, sha256), expression_to_arrow, table.values)
            for part, table, sha256 in tables_of(work)
        }
        if work.metadata is not None:
            name = f"metadata_{_digest(repr(work.metadata.state))[:16]}.parquet"
            frames["metadata"] = (name, metadata_to_arrow, work.metadata.values)
        with self._lock:
            if not is_own(folder):
                raise self._unknown()
            known = _files_of(folder)
            files = {}
            for part, (name, to_arrow, values) in frames.items():
                sha256 = known.get(name) or write_parquet(folder / name, to_arrow(values))
                files[part] = {"name": name, "sha256": sha256}
            manifest = {
                "format": FORMAT,
                "format_version": FORMAT_VERSION,
                "owner": _digest(owner) if owner else "",
                "files": files,
                "work": work_to_json(work),
            }
            put(folder / MANIFEST, json.dumps(manifest).encode())
            self._touch(folder)
            delete_files(folder, keep={file["name"] for file in files.values()})

    def load(self, identifier: str, *, owner: str = "") -> Work:
        """Return what is saved under ``identifier``, and start its time again.

        Raises
        ------
        SelectionError
            If there is nothing: never was, too old, deleted, or another owner's.
        InputFileError
            If it is damaged, or of another version of the program.
        """
        folder = self._folder_of(identifier)
        self.sweep()
        with self._lock:
            try:
                text = (folder / MANIFEST).read_bytes()
            except OSError:
                raise self._unknown() from None
            try:
                manifest = json.loads(text)
                if manifest["owner"] != (_digest(owner) if owner else ""):
                    raise self._unknown()
                if (manifest["format"], manifest["format_version"]) != (FORMAT, FORMAT_VERSION):
                    raise InputFileError("it was saved by a different version of the program")
                work = work_from_json(manifest["work"])
                table = read_parquet(folder, manifest["files"]["table"])
                work = replace(work, table=replace(work.table, values=expression_from_arrow(table)))
                work = with_other_tables(folder, manifest["files"], work)
                if work.metadata is not None:
                    values = metadata_from_arrow(
                        read_parquet(folder, manifest["files"]["metadata"])
                    )
                    work = replace(work, metadata=replace(work.metadata, values=values))
            except SelectionError:
                raise
            except (
                *(cattrs.BaseValidationError, InputFileError, pa.ArrowException, OSError),
                *(ValueError, KeyError, TypeError, AttributeError),
            ) as error:
                raise InputFileError(
                    f"the saved session cannot be read ({_why(error)}). Upload your table again."
                ) from error
            self._touch(folder)
        return work

    def delete(self, identifier: str) -> None:
        """Delete what is saved under ``identifier``, if there is anything."""
        with self._lock:
            delete_own(self._folder_of(identifier))

    def sweep(self) -> int:
        """Delete the workspaces that nobody has used for too long; return how many they were.

        What is not ours in the folder stays, however old.
        """
        oldest = self._clock() - 3600 * self.hours
        if not self.folder.is_dir():
            return 0
        n_old = 0
        with self._lock:
            for path in self.folder.iterdir():
                with suppress(OSError):  # one that cannot be deleted now is tried again
                    if path.lstat().st_mtime < oldest:
                        n_old += delete_own(path)
        return n_old

    def _folder_of(self, identifier: str) -> Path:
        if not _ID.fullmatch(identifier):
            raise self._unknown()
        return self.folder / _digest(identifier)[:40]

    def _touch(self, folder: Path) -> None:
        now = self._clock()
        os.utime(folder, (now, now))

    def _unknown(self) -> SelectionError:
        return SelectionError(
            "no session is saved under this address: it was deleted, or not used for"
            f" {self.hours:g} hours. Upload your table again."
        )


def _check_private(folder: Path) -> None:
    """Refuse a folder in which somebody else could look at saved sessions, or put something."""
    state = folder.lstat()
    if folder.is_symlink() or not folder.is_dir():
        raise SelectionError(
            f"sessions cannot be saved in {folder}: it is a link, or not a folder."
        )
    if os.name == "posix" and (state.st_uid != os.getuid() or state.st_mode & 0o077):
        raise SelectionError(
            f"sessions cannot be saved in {folder}: other users can read it. Make it private to "
            f"the server (chmod 700), or name another folder."
        )


def _table_name(table: ExpressionTable, sha256: str) -> str:
    # Two readings of the same bytes may differ by the name of the file, and by how it is read.
    how = f"{sha256}{table.report.file}{table.options.to_json()}"
    return f"table_{_digest(how)[:16]}.parquet"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _files_of(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file that the manifest in ``folder`` names, if there is one."""
    try:
        files: Mapping[str, Mapping[str, str]] = json.loads((folder / MANIFEST).read_bytes())[
            "files"
        ]
        return {file["name"]: file["sha256"] for file in files.values()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _why(error: Exception) -> str:
    if isinstance(error, cattrs.BaseValidationError):
        return "; ".join(cattrs.transform_error(error)[:2])
    return str(error) or type(error).__name__
