"""The mark by which a folder is known to be ours, and what it says that we wrote there."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MARK_NAME = ".mtm-output.json"
"""File that marks a folder as ours; in a zarr store it is in the folder of the first array."""
_FORMAT = "mtm-output"
_MARKS = re.compile(re.escape(MARK_NAME) + r"(\.\d+)?")
"""A mark, also one that a process was killed over."""
PARTIAL_ENDING = ".mtm-partial-"
PARTIAL_MARK = "mtm-partial.json"
PARTIAL_FORMAT = "mtm-partial"
"""Format name of the hidden folder in which an output is made."""


@dataclass(frozen=True)
class Mark:
    """Description of a folder that this program wrote.

    Attributes
    ----------
    kind
        Kind of folder for people: "a prediction", "an evaluation".
    files
        Paths below it that were written by this program; a name that ends in ``/`` means all below.
    """

    kind: str
    files: frozenset[str]

    @classmethod
    def of(cls, folder: Path) -> Mark | None:
        """Read the mark of ``folder``; ``None`` if there is none that is ours."""
        inside = sorted(folder.glob(f"*/{MARK_NAME}")) if _is_zarr(folder) else []
        for path in (folder / MARK_NAME, *inside):
            values = read_json(path)
            if values.get("format") == _FORMAT and isinstance(values.get("files"), list):
                return cls(str(values.get("kind", "")), frozenset(map(str, values["files"])))
        return None

    def write(self, folder: Path) -> None:
        """Put the mark into ``folder``, at once."""
        values = {
            "format": _FORMAT,
            "format_version": 1,
            "note": "Written by mtm. With --overwrite, mtm replaces the files that are named here.",
            "kind": self.kind,
            "files": sorted(self.files),
        }
        partial = folder / f"{MARK_NAME}.{os.getpid()}"
        try:
            partial.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
            partial.replace(_mark_place(folder))
        finally:
            partial.unlink(missing_ok=True)

    def owns(self, name: str) -> bool:
        """Tell whether the file ``name`` is of those that we wrote."""
        return name in self.files or any(
            name.startswith(part) for part in self.files if part.endswith("/")
        )


def files_below(folder: Path) -> list[str]:
    """List what is below ``folder``: links unfollowed, folders where empty; not what is ours alone.

    That is its mark, and the hidden folders in which outputs are made.
    """
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not is_partial(Path(place) / name)]
        below = Path(place).relative_to(folder)
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        found += [
            (below / name).as_posix() for name in (*files, *links) if not _MARKS.fullmatch(name)
        ]
        if not files and not folders and place != str(folder):
            found.append(f"{below.as_posix()}/.")
    return sorted(found)


def _mark_place(folder: Path) -> Path:
    """Get where the mark goes: readers of zarr warn of a file beside arrays, not of one inside."""
    if _is_zarr(folder):
        for path in sorted(folder.iterdir()):
            if path.is_dir() and ((path / "zarr.json").exists() or (path / ".zarray").exists()):
                return path / MARK_NAME
    return folder / MARK_NAME


def _is_zarr(folder: Path) -> bool:
    return any((folder / name).exists() for name in ("zarr.json", ".zgroup"))


def read_json(path: Path) -> dict[str, Any]:
    """Read an object of JSON; an empty one where there is none."""
    try:
        values = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def is_partial(folder: Path) -> bool:
    """Tell whether ``folder`` is one of ours in which an output is, or was, made."""
    if PARTIAL_ENDING not in folder.name or folder.is_symlink():
        return False
    return read_json(folder / PARTIAL_MARK).get("format") == PARTIAL_FORMAT
