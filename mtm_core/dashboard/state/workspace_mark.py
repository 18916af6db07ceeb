"""Marks of our files in the folder of saved sessions; nothing without one is touched.

The folder may be one that its owner keeps other things in: these are never swept or deleted.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from mtm_core.safe_output import replacing
from mtm_core.safe_output.mark import is_partial

FORMAT = "mtm-workspace"
MANIFEST = "work.json"
_MARK = ".mtm-workspace.json"
_NAME = re.compile(r"[0-9a-f]{40}")
_FILES = re.compile(r"(table|metadata)_[0-9a-f]{16}\.parquet")


def mark(folder: Path) -> None:
    """Mark a workspace of ours, just made.

    Raises
    ------
    OutputError
        If there is no room.
    """
    with replacing(folder / _MARK) as place:
        place.touch(mode=0o600)
        place.write_text(json.dumps({"format": FORMAT, "folder": folder.name}), encoding="utf-8")


def is_own(folder: Path) -> bool:
    """Tell whether ``folder`` is a workspace that this program made, for this user.

    By its name, its owner and its mark, which names it, so that a copy elsewhere is none; or by its
    manifest, where it is of a version that left no mark.
    """
    if not _NAME.fullmatch(folder.name) or folder.is_symlink() or not folder.is_dir():
        return False
    if os.name == "posix" and folder.stat().st_uid != os.getuid():
        return False
    marked, manifest = _read(folder / _MARK), _read(folder / MANIFEST)
    is_marked = marked.get("format") == FORMAT and marked.get("folder") == folder.name
    return is_marked or (manifest.get("format") == FORMAT and "work" in manifest)


def delete_own(folder: Path) -> bool:
    """Delete a workspace of ours, and tell whether it was one; others' files in it stay."""
    if not is_own(folder):
        return False
    delete_files(folder, keep=set())
    with suppress(OSError):
        (folder / MANIFEST).unlink(missing_ok=True)
        (folder / _MARK).unlink(missing_ok=True)
        folder.rmdir()  # fails where there is anything else
    return True


def delete_files(folder: Path, *, keep: set[str]) -> None:
    """Delete the tables of a workspace of ours but for some, and what a killed server left."""
    for path in folder.iterdir():
        if path.name not in keep and _FILES.fullmatch(path.name):
            with suppress(OSError):
                path.unlink()
        elif is_partial(path):
            shutil.rmtree(path, ignore_errors=True)


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}
