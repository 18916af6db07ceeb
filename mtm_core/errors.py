"""Errors a user can act on. The command line and the pages show their text as it is.

::

    MTMError
    ├── InputFileError      a file cannot be read as what it was given for
    ├── CohortError         samples, donors or tissues do not make a cohort to train on
    ├── ExpressionError     a user's table cannot be brought to the model's genes and units
    ├── SelectionError      a tissue, gene or option is asked for that does not exist
    ├── ArtefactError       a trained model's folder is damaged, foreign or too new
    ├── TrainingError       training cannot start, go on or resume
    ├── ClusterError        workers are lost over the same piece of work again and again
    ├── DownloadError       an official file cannot be downloaded, or is not what it was
    ├── OutputError         an output exists already, is an input, or cannot be written
    ├── MissingLibraryError a library that only this part of the program needs is not installed
    ├── OverBudgetError     a piece of work needs more memory than this server gives
    └── NeedsError          disk, memory or network are lacking for what was to begin

Each message says what was expected, what came, and the next step. Everything else that is raised
is a fault of ours and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches


class MTMError(Exception):
    """Base class of every error that ``mtm_core`` raises about what it was given."""


class InputFileError(MTMError):
    """A file cannot be read as what it was given for."""


class CohortError(MTMError):
    """Samples, donors or tissues do not make a cohort to train on."""


class ExpressionError(MTMError):
    """A user's expression table cannot be brought to the model's genes and units."""


class SelectionError(MTMError):
    """A tissue, gene or option is asked for that does not exist."""

    @classmethod
    def unknown(cls, kind: str, names: Iterable[str], known: Collection[str]) -> SelectionError:
        """Name what is not known and, for each, the nearest name that is."""
        hints = []
        for name in map(str, names):
            near = get_close_matches(name, list(known), n=1, cutoff=0.5)
            hints.append(f"{name!r}" + (f" (did you mean {near[0]!r}?)" if near else ""))
        shown = ", ".join(hints[:5]) + (", …" if len(hints) > 5 else "")
        if not known:
            return cls(f"unknown {kind}: {shown}. There is none.")
        example = ", ".join(repr(name) for name in list(known)[:3])
        return cls(f"unknown {kind}: {shown}. There are {len(known)}, such as {example}.")


class ArtefactError(MTMError):
    """A trained model's folder is damaged, foreign or too new."""


class TrainingError(MTMError):
    """Training cannot start, go on or resume."""


class ClusterError(MTMError):
    """Workers are lost over the same piece of work again and again."""


class DownloadError(MTMError):
    """An official file cannot be downloaded, or is not what it was."""


class OutputError(MTMError):
    """An output exists already, is an input, or cannot be written."""


class MissingLibraryError(MTMError):
    """A library that only this part of the program needs is not installed."""


class OverBudgetError(MTMError):
    """A piece of work needs more memory than this server gives."""


class NeedsError(MTMError):
    """Disk, memory or network are lacking for what was to begin."""
