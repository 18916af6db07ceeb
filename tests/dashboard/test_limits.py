from __future__ import annotations

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from mtm_core.dashboard.state.resources import EXAMPLE
from mtm_core.dashboard.state.session import Session
from mtm_core.errors import ExpressionError, SelectionError
from mtm_core.inference.predictor import Predictor
from mtm_core.workflows.server_limits import (
    MAX_JOBS_VARIABLE,
    MAX_SAMPLES_VARIABLE,
    max_jobs,
    multiply_in_one_thread,
)


@pytest.mark.parametrize("limit", ["", "  ", "40", "41"])
def test_as_many_samples_as_allowed_are_read(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setenv(MAX_SAMPLES_VARIABLE, limit)
    session = Session()
    assert session.open(EXAMPLE.read_bytes(), "mine.tsv", predictor)


def test_too_many_samples_are_refused_and_the_previous_table_stays(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session()
    session.open(EXAMPLE.read_bytes(), "mine.tsv", predictor)
    monkeypatch.setenv(MAX_SAMPLES_VARIABLE, "39")
    with pytest.raises(
        ExpressionError, match=r"more\.tsv: 40 samples; this server takes at most 39"
    ):
        session.open(EXAMPLE.read_bytes(), "more.tsv", predictor)
    assert session.table is not None
    assert session.table.report.file == "mine.tsv"


@pytest.mark.parametrize("limit", ["0", "-3", "many", "1e3"])
def test_an_invalid_limit_is_an_error(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setenv(MAX_SAMPLES_VARIABLE, limit)
    with pytest.raises(SelectionError, match="is not a whole number above 0"):
        Session().open(EXAMPLE.read_bytes(), "mine.tsv", predictor)


def test_jobs_at_once_are_as_many_as_the_server_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MAX_JOBS_VARIABLE, raising=False)
    assert max_jobs() >= 2
    monkeypatch.setenv(MAX_JOBS_VARIABLE, " 7 ")
    assert max_jobs() == 7
    for limit in ("0", "-1", "many"):
        monkeypatch.setenv(MAX_JOBS_VARIABLE, limit)
        with pytest.raises(SelectionError, match="not a whole number above 0"):
            max_jobs()


def test_matrix_products_of_a_server_use_one_thread() -> None:
    with threadpool_limits(2, user_api="blas"):
        multiply_in_one_thread()
        libraries = threadpool_info()
    assert {one["num_threads"] for one in libraries if one["user_api"] == "blas"} == {1}
