from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mtm_core.dashboard.state.resources import EXAMPLE, EXAMPLE_METADATA
from mtm_core.dashboard.state.results import LEAST_RESULTS, MOST_RESULT_BYTES, MOST_RESULTS
from mtm_core.dashboard.state.session import Session
from mtm_core.errors import InputFileError, SelectionError
from mtm_core.inference.predictor import Predictor

METADATA = EXAMPLE_METADATA.read_bytes()


def test_the_example_brings_samples_and_what_is_known_of_them(predictor: Predictor) -> None:
    session = Session()
    session.open_example(predictor)
    assert session.simulated
    assert session.metadata is not None
    assert session.metadata.phenotypes().notna().all(axis=None)


def test_metadata_need_samples(predictor: Predictor) -> None:
    with pytest.raises(SelectionError, match="Upload a table first"):
        Session().open_metadata(METADATA, "metadata.tsv")


def test_the_same_file_is_not_read_again_and_a_bad_one_changes_nothing(session: Session) -> None:
    assert session.open_metadata(METADATA, "metadata.tsv")
    assert session.metadata is not None
    spoken = session.metadata.with_roles(age_column=None, sex_column=None)
    session.metadata = spoken
    assert not session.open_metadata(METADATA, "metadata.tsv")
    assert session.metadata is spoken  # the user's choice is retained
    assert session.open_metadata(METADATA, "other.tsv")
    with pytest.raises(InputFileError, match=r"bad\.csv"):
        session.open_metadata(b"", "bad.csv")
    assert session.metadata is not None
    assert session.metadata.file == "other.tsv"


def test_metadata_and_results_go_with_the_samples(session: Session, predictor: Predictor) -> None:
    session.open_metadata(METADATA, "metadata.tsv")
    session.remember("key", lambda: 1)
    other = EXAMPLE.read_bytes().replace(b"SIM-", b"P-")
    session.open(other, "mine.tsv", predictor)
    assert session.metadata is None
    assert session.remember("key", lambda: 2) == 2


def test_results_are_made_once_for_a_key_and_a_prediction(
    session: Session, predictor: Predictor
) -> None:
    made: list[int] = []

    def make() -> int:
        made.append(len(made))
        return made[-1]

    assert session.remember("a", make) == session.remember("a", make) == 0
    assert session.remember("b", make) == 1
    session.predict(predictor)
    assert session.remember("a", make) == 2
    session.targets = ("Spleen",)
    session.predict(predictor)
    assert session.remember("a", make) == 3
    for i in range(20):
        session.remember(i, lambda: np.zeros(3))
    assert len(session._results) <= MOST_RESULTS


def test_least_recently_used_results_are_dropped_first(session: Session) -> None:
    made: list[int] = []

    def remember(number: int) -> None:
        large = {"table": np.zeros(MOST_RESULT_BYTES // 9 - 1000, np.uint8)}
        session.remember(number, lambda: made.append(number) or large)

    for number in range(9):
        remember(number)
    remember(0)  # used again: 1 is now the one that was not used for longest
    remember(9)  # one more than fit
    for number in (0, *range(2, 10)):
        remember(number)
    assert made == list(range(10))
    remember(1)
    assert made == [*range(10), 1]


def test_a_result_that_is_made_again_is_measured_again(session: Session) -> None:
    for number in range(9):
        session.remember(number, lambda: np.zeros(3))
    session._results.clear()
    for number in range(10):
        session.remember(number, lambda: np.zeros(MOST_RESULT_BYTES // 9 - 1000, np.uint8))
    assert len(session._results) == 9


def test_a_page_keeps_all_that_it_uses_whatever_it_takes(session: Session) -> None:
    made: list[int] = []
    for _ in range(3):  # runs of a page
        for number in range(LEAST_RESULTS):
            large = np.zeros(MOST_RESULT_BYTES // 2, np.uint8)
            session.remember(number, lambda: (made.append(number), large))  # noqa: B023
    assert made == list(range(LEAST_RESULTS))


def test_predict_gives_the_prediction_that_it_keeps(session: Session, predictor: Predictor) -> None:
    first = session.predict(predictor)
    assert first is session.prediction
    assert session.predict(predictor) is first


def test_metadata_of_other_samples_are_retained_and_match_none(session: Session) -> None:
    people = pd.DataFrame({"sample": ["x", "y"], "group": ["a", "b"]})
    session.open_metadata(people.to_csv(index=False).encode(), "people.csv")
    assert session.metadata is not None
    assert session.metadata.match.matched == ()
    assert len(session.metadata.phenotypes()) == 40
