"""Plain values in options: text or any kind of path for a path, one name or a list for a tuple."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import cast


class PlainValues:
    """A frozen dataclass of options whose fields may be given as text, or as lists.

    A field of paths takes ``str`` and ``os.PathLike``, a ``model`` takes a name or any kind of
    path, and a field of several takes one, or a list.
    """

    def __post_init__(self) -> None:
        """Bring what was given to the types that the fields have."""
        for field in fields(self):  # type: ignore[arg-type]
            given = getattr(self, field.name)
            value = _brought_to(str(field.type), field.name, given)
            if value is not given:
                object.__setattr__(self, field.name, value)


def _brought_to(kind: str, name: str, given: object) -> object:
    if given is None:
        return None
    if kind.startswith("tuple[Path, ..."):
        several = (given,) if isinstance(given, str | os.PathLike) else given
        return tuple(Path(path) for path in cast("Iterable[Path]", several))
    if kind.startswith(("tuple[str, ...", "tuple[int, ...")):
        return (
            tuple(given) if isinstance(given, Iterable) and not isinstance(given, str) else (given,)
        )
    if kind in ("Path", "Path | None"):
        return Path(cast("Path", given))
    return os.fspath(cast("Path", given)) if name == "model" else given
