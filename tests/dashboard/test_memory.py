"""No session takes the server's memory: what is large is refused before any work."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mtm_core.dashboard.state.held import HeldBytes, hold_result, size_of
from mtm_core.dashboard.state.jobs import Job, Task
from mtm_core.dashboard.state.resources import EXAMPLE
from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.widgets.downloads import prediction_bytes, prediction_file_bytes
from mtm_core.dashboard.widgets.views import rows_of
from mtm_core.errors import OverBudgetError
from mtm_core.inference.export import to_long_table
from mtm_core.inference.predictor import Predictor
from mtm_core.memory_budget import MEMORY_VARIABLE, MemoryBudget, shared_budget


@pytest.fixture
def budget(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryBudget]:
    """One of 1 GB, of which a piece of work may take half."""
    gc.collect()
    monkeypatch.setenv(MEMORY_VARIABLE, "1")
    shared_budget.cache_clear()
    yield shared_budget()
    shared_budget.cache_clear()


@pytest.fixture
def session(predictor: Predictor) -> Session:
    session = Session()
    session.open(EXAMPLE.read_bytes(), EXAMPLE.name, predictor)
    session.unit = "tpm"
    return session


def test_a_prediction_reserves_memory_until_it_is_dropped(
    budget: MemoryBudget, session: Session, predictor: Predictor
) -> None:
    before = budget.in_use
    prediction = session.predict(predictor)
    values = sum(prediction[name].nbytes for name in ("z", "expression", "lower", "upper"))
    assert values <= budget.in_use - before <= values + 200_000
    del prediction
    session.forget()
    gc.collect()
    assert budget.in_use == 0


def test_too_large_a_prediction_is_refused_at_once_with_the_command_to_run(
    budget: MemoryBudget,
    session: Session,
    predictor: Predictor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    called: list[object] = []
    monkeypatch.setattr(Predictor, "predict_prepared", lambda *a, **k: called.append(a))
    monkeypatch.setattr(
        "mtm_core.dashboard.state.results.predicting_bytes", lambda *shape: 100 * 48 * 19187 * 16
    )
    task = session.predicting(predictor)
    assert task is not None
    job = Job(task)
    job.run()
    assert job.state == "failed"
    assert not job.is_fault
    assert "Predicting needs about 1.5 GB of memory; this server gives one" in job.error
    assert f"mtm predict {EXAMPLE.name} --model" in job.error
    assert called == []
    assert session.prediction is None


def test_many_sessions_at_once_never_pass_the_budget(budget: MemoryBudget) -> None:
    delivered: list[object] = []

    def task(session: int) -> Task[xr.Dataset]:
        made = xr.Dataset({"z": ("x", np.zeros(10**6, "f4"))})
        return Task("a", session, "Working", lambda _: made, delivered.append, memory=400_000_000)

    for session in range(20):
        job = Job(task(session))
        job.run()
        job.deliver()
    assert budget.in_use == 20 * 4_000_000
    delivered.clear()
    gc.collect()
    assert budget.in_use == 0


def test_work_that_fails_gives_back_what_it_held(budget: MemoryBudget) -> None:
    def fail(tell: object) -> object:
        raise MemoryError

    job = Job(Task("a", 1, "Working", fail, print, memory=1000))
    job.run()
    assert job.state == "failed"
    assert budget.in_use == 0


def test_a_file_is_held_until_nobody_has_it(budget: MemoryBudget, prediction: xr.Dataset) -> None:
    before = budget.in_use
    data = prediction_bytes(prediction, ".csv")
    assert budget.in_use == before + len(data)
    assert len(data) <= prediction_file_bytes(prediction, ".csv")
    del data
    gc.collect()
    assert budget.in_use == before
    made = hold_result(budget.hold(100, "A"), b"file")
    assert isinstance(made, HeldBytes)
    assert (made, budget.in_use) == (b"file", before + 4)


def test_a_file_that_is_too_large_is_not_begun(
    budget: MemoryBudget, prediction: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "mtm_core.dashboard.widgets.downloads.prediction_file_bytes", lambda *a: 300_000_000
    )
    never = "mtm_core.dashboard.widgets.downloads.write_blocks"
    monkeypatch.setattr(never, lambda *a: pytest.fail("begun"))
    before = budget.in_use
    with pytest.raises(OverBudgetError, match=r"This file needs about 667 MB"):
        prediction_bytes(prediction, ".csv")
    assert budget.in_use == before


def test_rows_of_a_wide_prediction_are_cut_before_they_are_made(prediction: xr.Dataset) -> None:
    class NotEvaluated:
        def of_tissues_and_genes(self, some: list[str], genes: list[str]) -> dict[str, np.ndarray]:
            first = [tissues.index(tissue) * len(genes) for tissue in some]
            pair = np.add.outer(first, np.arange(len(genes)))
            rho = np.full(pair.shape, 0.5)
            known = np.where(pair % 3 > 0, "yes", "no")
            return {"rho_by_fold": rho, "rho_pooled": rho, "predictable": known}

    tissues = prediction["tissue"].to_numpy().tolist()
    genes = prediction["gene"].to_numpy().tolist()
    samples = prediction["sample"].to_numpy().tolist()
    options = {"tissues": tissues, "genes": genes, "samples": samples}
    whole = to_long_table(prediction)
    for predictable_only in (False, True):
        rows, n_rows = rows_of(
            prediction, NotEvaluated(), **options, predictable_only=predictable_only, most=1000
        )
        shown = np.arange(len(whole)) % (len(tissues) * len(genes)) % 3 > 0
        expected = whole[shown] if predictable_only else whole
        assert n_rows == len(expected)
        assert rows[list(whole)].equals(expected.iloc[:1000].reset_index(drop=True))
        predictable = np.where(shown, "yes", "no")[shown if predictable_only else slice(None)]
        assert rows["predictable"].tolist() == predictable[:1000].tolist()
    assert size_of(rows) < 200_000


def test_size_of_a_wide_table_is_that_of_its_columns_and_makes_no_series_of_them() -> None:
    rng = np.random.default_rng(0)
    wide = pd.DataFrame(rng.normal(size=(5, 3000)).astype(np.float32))
    mixed = pd.DataFrame(
        {
            "name": pd.Categorical(["a", "b", "a"]),
            "n": np.array([1, 2, 3], dtype=np.int32),
            "p": [0.1, 0.2, 0.3],
            "text": ["x", "y", "z"],
            "whole": pd.array([1, None, 3], dtype="Int64"),
        }
    )
    before = sum(type(thing) is pd.Series for thing in gc.get_objects())
    assert size_of(wide) == wide.to_numpy().nbytes
    assert sum(type(thing) is pd.Series for thing in gc.get_objects()) < before + 100
    expected = sum(mixed[name].array.nbytes for name in mixed)
    assert size_of(mixed) == expected == size_of(mixed[["p", "text", "n", "whole", "name"]])


def test_size_of_containers_counts_names_and_what_is_among_them() -> None:
    numbers = np.zeros(10)
    assert size_of(["ab", "cde"]) == 2 * 8 + 5
    assert size_of(("ab", numbers, ["c"])) == 3 * 8 + 2 + numbers.nbytes + (8 + 1)
    assert size_of({"ab": numbers, "c": "def"}) == 4 * 8 + 3 + numbers.nbytes + 3
