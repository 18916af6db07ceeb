"""Record of the finished steps of a run, from which the next run continues.

A step is done if the ledger has it, with the same inputs, options and program version, and
what it made is there, unchanged. Content is compared by SHA-256; a file of the same size and time
since it was hashed is not hashed again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from mtm_core import __version__
from mtm_core.safe_output import replacing

_FORMAT = "mtm-steps"


@dataclass(frozen=True)
class DoneStep:
    """A step that was done.

    Attributes
    ----------
    of
        Inputs of the step: options and hashes, as JSON values.
    result
        Values for later steps.
    seconds, peak_bytes
        Time and peak memory.
    """

    of: Mapping[str, Any]
    result: Mapping[str, Any]
    seconds: float
    peak_bytes: int


class Ledger:
    """The ledger in the file ``path``.

    A damaged one, or one of another version of the program, is as good as none: steps are done
    again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        values = _read(path)
        self.options: dict[str, Any] = values.get("options", {})
        self._steps: dict[str, dict[str, Any]] = values.get("steps", {})
        self._hashes: dict[str, list[Any]] = values.get("hashes", {})

    def find(self, name: str) -> DoneStep | None:
        """Find the step ``name`` as it was done, whatever of."""
        entry = self._steps.get(name)
        return None if entry is None else DoneStep(**entry)

    def begin(self, options: Mapping[str, Any]) -> None:
        """Enter the options of the run."""
        self.options = _as_json(options)
        self._write()

    def enter(self, name: str, done: DoneStep) -> None:
        """Enter a step that is done."""
        self._steps[name] = _as_json(vars(done))
        self._write()

    def forget(self, name: str) -> None:
        """Take a step out: it is to be done again."""
        if self._steps.pop(name, None) is not None:
            self._write()

    def sha256(self, path: Path) -> str:
        """Hash the file ``path``, unless its size and time are those it was hashed with."""
        state = path.stat()
        key, stamp = str(path.absolute()), [state.st_size, state.st_mtime_ns]
        known = self._hashes.get(key)
        if known is None or known[:2] != stamp:
            with path.open("rb") as file:
                known = [*stamp, hashlib.file_digest(file, "sha256").hexdigest()]
            self._hashes[key] = known
            self._write()
        return str(known[2])

    def _write(self) -> None:
        values = {
            "format": _FORMAT,
            "version": __version__,
            "options": self.options,
            "steps": self._steps,
            "hashes": self._hashes,
        }
        with replacing(self._path) as place:
            place.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    is_ours = isinstance(values, dict) and values.get("format") == _FORMAT
    is_whole = is_ours and values.get("version") == __version__ and _is_whole(values)
    return values if is_whole else {}


def _is_whole(values: Mapping[str, Any]) -> bool:
    """Tell whether a ledger's parts are what this program writes."""
    parts = [values.get(name, {}) for name in ("options", "steps", "hashes")]
    if not all(isinstance(part, dict) for part in parts):
        return False
    names = {field.name for field in fields(DoneStep)}
    return all(isinstance(step, dict) and set(step) == names for step in parts[1].values())


def _as_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """Bring values to what comes back from the file."""
    as_read: dict[str, Any] = json.loads(json.dumps(dict(values)))
    return as_read
