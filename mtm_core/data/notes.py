"""Findings in what a user gave and what was done about them, for pages, logs and JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Level = Literal["info", "warning"]


@dataclass(frozen=True)
class Note:
    """One finding.

    Attributes
    ----------
    level
        ``"warning"`` where the user should look before going on.
    found, done, next_step
        The finding, what was done about it, and what the user can do (empty: nothing).
    """

    level: Level
    found: str
    done: str
    next_step: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in (self.found, self.done, self.next_step) if part)


@dataclass(frozen=True)
class Choice:
    """An ambiguity of a file: how it was read, and how else it can be.

    Attributes
    ----------
    option
        Field of :class:`mtm_core.data.files.reading_options.ReadingOptions` that chooses.
    taken
        The reading that was used.
    offered
        All possible readings.
    """

    option: Literal["sheet", "quantity", "strand"]
    taken: str
    offered: tuple[str, ...]


@dataclass(frozen=True)
class FileRead:
    """One of several files that a table was joined from.

    Attributes
    ----------
    path, sha256
        Its name, with its folder where that is known, and the hash of its bytes.
    sample
        Sample that it holds; empty if it holds none, as a table of transcripts.
    inside
        Whether it lay in the folder or zip that was given.
    """

    path: str
    sha256: str
    sample: str = ""
    inside: bool = False


def skipped_titles(n_lines: int) -> Note:
    """Note the lines above a table."""
    found = counted(n_lines, "line is", "lines are")
    return Note("info", f"{found} above the table.", they_were(n_lines, "skipped"))


def counted(n: int, one: str, many: str) -> str:
    """Return ``n`` with the words that go with it: "1 column is", "2 columns are"."""
    return f"{n:,} {one if n == 1 else many}"


def they_were(n: int, done: str) -> str:
    """Say what was done with ``n`` things: "It was left in.", "They were left in."."""
    return f"{'It was' if n == 1 else 'They were'} {done}."


def name_some(names: Iterable[object], limit: int = 5) -> str:
    """Return the first of ``names`` in quotes, with '…' where there are more."""
    listed = [str(name) for name in names]
    return ", ".join(repr(name) for name in listed[:limit]) + (", …" if len(listed) > limit else "")


def distinguished(names: Iterable[object]) -> list[str]:
    """Return ``names`` with a number behind each that is duplicated: no table shows two of one."""
    count: dict[str, int] = {}
    result = []
    for name in map(str, names):
        count[name] = count.get(name, 0) + 1
        result.append(name if count[name] == 1 else f"{name} ({count[name]})")
    return result
