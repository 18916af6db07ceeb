"""All work of a server shares one budget of memory."""

import gc
import threading
import time

import pytest
import xarray as xr

from mtm_core.errors import OverBudgetError, SelectionError
from mtm_core.memory_budget import MEMORY_VARIABLE, MemoryBudget, machine_memory, shared_budget


def test_a_piece_above_the_limit_is_refused_at_once():
    budget = MemoryBudget(10_000_000_000)
    message = r"Predicting needs about 5\.1 GB.*at most 5\.0 GB\. Run mtm predict\."
    with pytest.raises(OverBudgetError, match=message):
        budget.hold(5_100_000_000, "Predicting", "Run mtm predict.")
    assert budget.in_use == 0


def test_held_memory_is_released_once():
    budget = MemoryBudget(100, most=100)
    with budget.hold(60, "A") as hold:
        assert budget.in_use == 60
        hold.shrink(20)
        hold.shrink(50)
        assert budget.in_use == 20
        hold.release()
    assert budget.in_use == 0


def test_a_piece_that_would_fit_later_waits_then_is_refused():
    budget = MemoryBudget(100, most=100)
    first = budget.hold(80, "A")
    with pytest.raises(OverBudgetError, match="other users' work takes the rest"):
        budget.hold(40, "B", patience=0.05)
    threading.Timer(0.2, first.release).start()
    with budget.hold(40, "B", patience=20):
        assert budget.in_use == 40


def test_waiting_ends_where_it_is_cancelled():
    budget = MemoryBudget(100, most=100)
    first = budget.hold(80, "A")
    began = time.monotonic()
    with pytest.raises(KeyError):
        budget.hold(40, "B", check=lambda: {}["stopped"])
    assert time.monotonic() - began < 5
    first.release()
    assert budget.in_use == 0


def test_a_result_reserves_memory_until_it_is_dropped():
    budget = MemoryBudget(100, most=100)
    result = xr.Dataset()
    with budget.hold(80, "A") as hold:
        hold.keep_for(result, 30)
    assert budget.in_use == 30
    del result
    gc.collect()
    assert budget.in_use == 0


def test_many_at_once_never_pass_the_total():
    budget = MemoryBudget(100, most=60)
    highest = []

    def work():
        with budget.hold(45, "A", patience=30):
            highest.append(budget.in_use)
            time.sleep(0.01)

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(highest) == 12
    assert max(highest) <= 100
    assert budget.in_use == 0


@pytest.fixture
def fresh():
    shared_budget.cache_clear()
    yield
    shared_budget.cache_clear()


@pytest.mark.usefixtures("fresh")
def test_the_environment_says_how_much(monkeypatch):
    monkeypatch.delenv(MEMORY_VARIABLE, raising=False)
    assert shared_budget().total == machine_memory() // 2
    shared_budget.cache_clear()
    monkeypatch.setenv(MEMORY_VARIABLE, "3.5")
    assert (shared_budget().total, shared_budget().most) == (3_500_000_000, 1_750_000_000)


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("value", ["0", "-1", "much", "nan", "inf"])
def test_an_invalid_limit_is_an_error(monkeypatch, value):
    monkeypatch.setenv(MEMORY_VARIABLE, value)
    with pytest.raises(SelectionError, match="not a number above 0"):
        shared_budget()
