"""Plain values in options: text or any kind of path for a path, one name or a list for a tuple."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import cast


class PlainValues:
    """A frozen dataclass of options whose fields may be given as text, or as lists.

    A field of paths takes ``str`` and ``os.PathLike``, a field of text (a model, gene sets) takes
    any kind of path too, and a field of several takes one, or a list.
    """

    def __post_init__(self) -> None:
        """Bring what was given to the types that the fields have."""
        for field in fields(self):  # type: ignore[arg-type]
            given = getattr(self, field.name)
            value = _brought_to(str(field.type), given)
            if value is not given:
                object.__setattr__(self, field.name, value)


def _brought_to(kind: str, given: object) -> object:
    if given is None:
        return None
    if kind.startswith("tuple[Path, ..."):
        several = (given,) if isinstance(given, str | os.PathLike) else given
        return tuple(Path(path) for path in cast("Iterable[Path]", several))
    if kind.startswith(("tuple[str, ...", "tuple[int, ...")):
        if isinstance(given, str) or not isinstance(given, Iterable):
            given = (given,)
        return tuple(os.fspath(one) if isinstance(one, os.PathLike) else one for one in given)
    if kind in ("Path", "Path | None"):
        return Path(cast("Path", given))
    is_text = kind in ("str", "str | None")
    return os.fspath(given) if is_text and isinstance(given, os.PathLike) else given
