"""Models in the server's memory: each loaded once for all sessions, and no more than a few.

What is not used any more goes when another needs its place; a session that is just looking at it
keeps it until its page is done. The model that the server was started with always stays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, RLock
from typing import Generic, TypeVar

from mtm_core.errors import OverBudgetError
from mtm_core.memory_budget import Hold, MemoryBudget
from mtm_core.model_folder import MANIFEST, ModelFolder

M = TypeVar("M")


@dataclass
class _Place(Generic[M]):
    version: tuple[int, int, int]
    model: M
    stays: bool


class ModelShelf(Generic[M]):
    """The loaded models, the last used last.

    Parameters
    ----------
    load
        Loads the model in a folder.
    most
        How many there are at most.
    budget
        Memory that models take a part of, for as long as they are there; the one that stays is the
        server's own.
    """

    def __init__(self, load: Callable[[Path], M], most: int, budget: MemoryBudget) -> None:
        self._load, self._most, self._budget = load, most, budget
        self._places: dict[Path, _Place[M]] = {}
        self._loading: dict[Path, RLock] = {}
        self._lock = Lock()

    @property
    def folders(self) -> tuple[Path, ...]:
        """Folders of the models that are in memory."""
        return tuple(self._places)

    def has(self, folder: Path) -> bool:
        """Tell whether the model is in memory as it is on disk."""
        place = self._places.get(folder)
        return place is not None and place.version == _version(folder)

    def get(self, folder: Path, *, stays: bool = False) -> M:
        """Return the model in ``folder``; one that was changed on disk is loaded anew.

        Raises
        ------
        OverBudgetError
            If there is no memory for it.
        MTMError
            If it cannot be loaded.
        """
        with self._lock:
            loading = self._loading.setdefault(folder, RLock())
        with loading:
            version = _version(folder)
            with self._lock:
                place = self._places.pop(folder, None)
                if place is not None and place.version == version:
                    place.stays |= stays
                    self._places[folder] = place
                    return place.model
            size = 0 if stays else _size(folder)
            hold = self._hold(size)
            try:
                model = self._load(folder)
            except BaseException:
                hold.release()
                raise
            hold.keep_for(model, size)
            with self._lock:
                self._places[folder] = _Place(version, model, stays)
                self._make_room(self._most)
            return model

    def _hold(self, size: int) -> Hold:
        """Take memory for a model; others that nobody asked for lately go before it is refused."""
        while True:
            try:
                return self._budget.hold(
                    size,
                    "This model",
                    "Continue with the model in use, or run mtm on your own machine.",
                    patience=0,
                )
            except OverBudgetError:
                with self._lock:
                    n_models = len(self._places)
                    self._make_room(n_models - 1)
                    if len(self._places) == n_models:
                        raise

    def _make_room(self, most: int) -> None:
        """Let go of the models that were not used for longest."""
        for folder in [f for f, place in self._places.items() if not place.stays]:
            if len(self._places) <= most:
                return
            del self._places[folder]


def _version(folder: Path) -> tuple[int, int, int]:
    """Return what changes when a model is written anew."""
    try:
        state = (folder / MANIFEST).stat()
    except OSError:
        return (0, 0, 0)
    return (state.st_ino, state.st_size, state.st_mtime_ns)


def _size(folder: Path) -> int:
    """Estimate what a model takes: its files."""
    return sum(seal.n_bytes for seal in ModelFolder.open(folder).seals.values())
