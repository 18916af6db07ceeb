"""Models in memory: one load for all sessions, few at a time, within the budget."""

from __future__ import annotations

import gc
import shutil
import threading
from pathlib import Path

import pytest

from mtm_core.artefact import Artefact
from mtm_core.dashboard.state.model_shelf import ModelShelf
from mtm_core.errors import ArtefactError, OverBudgetError
from mtm_core.memory_budget import MemoryBudget
from mtm_core.model_folder import ModelFolder, seal_folder


class Loaded:
    """Plays a model in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder


@pytest.fixture
def folders(small_artefact: Artefact, tmp_path: Path) -> list[Path]:
    small_artefact.save(tmp_path / "0")
    return [tmp_path / "0"] + [
        Path(shutil.copytree(tmp_path / "0", tmp_path / str(n))) for n in range(1, 4)
    ]


def size_of(folder: Path) -> int:
    return sum(seal.n_bytes for seal in ModelFolder.open(folder).seals.values())


def test_sessions_share_a_model_that_is_loaded_once(folders: list[Path]) -> None:
    loads: list[Path] = []
    gate = threading.Event()

    def load(folder: Path) -> Loaded:
        loads.append(folder)
        gate.wait(5)
        return Loaded(folder)

    shelf = ModelShelf(load, 3, MemoryBudget(10**9))
    given: list[Loaded] = []
    threads = [
        threading.Thread(target=lambda: given.append(shelf.get(folders[0]))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join()
    assert loads == [folders[0]]
    assert len({id(model) for model in given}) == 1


def test_the_least_recently_used_model_is_dropped_but_never_the_servers_own(
    folders: list[Path],
) -> None:
    budget = MemoryBudget(10**9)
    shelf = ModelShelf(Loaded, 3, budget)
    own = shelf.get(folders[0], stays=True)
    for n in (1, 2, 1, 3):
        shelf.get(folders[n])
    assert set(shelf.folders) == {folders[0], folders[1], folders[3]}
    gc.collect()
    assert budget.in_use == 2 * size_of(folders[1])  # the server's own is not of the budget
    assert shelf.get(folders[0]) is own


def test_a_model_beyond_the_budget_takes_others_places_or_is_refused(folders: list[Path]) -> None:
    size = size_of(folders[0])
    shelf = ModelShelf(Loaded, 9, MemoryBudget(2 * size + 100, 2 * size))
    for n in (1, 2, 3):
        shelf.get(folders[n])
    assert shelf.folders == (folders[2], folders[3])
    small = ModelShelf(Loaded, 9, MemoryBudget(size, size // 2))
    with pytest.raises(OverBudgetError, match="This model needs about"):
        small.get(folders[1])
    assert small.folders == ()


def test_a_reinstalled_model_is_reloaded(folders: list[Path]) -> None:
    shelf = ModelShelf(Loaded, 3, MemoryBudget(10**9))
    first = shelf.get(folders[0])
    assert shelf.has(folders[0])
    (folders[0] / "README.md").write_text("# newer\n")
    seal_folder(folders[0])
    assert not shelf.has(folders[0])
    assert shelf.get(folders[0]) is not first


def test_a_model_that_cannot_be_loaded_holds_no_memory(folders: list[Path]) -> None:
    def fail(folder: Path) -> Loaded:
        raise ArtefactError("damaged")

    budget = MemoryBudget(10**9)
    shelf = ModelShelf(fail, 3, budget)
    with pytest.raises(ArtefactError):
        shelf.get(folders[0])
    assert budget.in_use == 0
    assert shelf.folders == ()
