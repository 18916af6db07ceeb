from __future__ import annotations

import numpy as np
import pytest

from mtm_core.dashboard.state.resources import EXAMPLE
from mtm_core.dashboard.state.session import Session, delete_data
from mtm_core.errors import InputFileError, SelectionError
from mtm_core.inference.predictor import Predictor

COUNTS = EXAMPLE.with_name("blood_counts.csv")


def test_opening_takes_the_guessed_unit_and_knows_the_example(
    session: Session, predictor: Predictor
) -> None:
    assert session.unit == "tpm"
    assert session.simulated
    assert session.file_stem == "simulated_"
    session.open(COUNTS.read_bytes().replace(b"SIM-", b"P-"), "mine.csv", predictor)
    assert session.unit == "counts"
    assert not session.simulated
    assert session.file_stem == ""


def test_the_same_file_is_not_read_again(session: Session, predictor: Predictor) -> None:
    before = session.table
    assert not session.open(EXAMPLE.read_bytes(), EXAMPLE.name, predictor)
    assert session.table is before
    assert session.open(EXAMPLE.read_bytes(), "renamed.tsv", predictor)


def test_a_bad_file_changes_nothing(session: Session, predictor: Predictor) -> None:
    session.predict(predictor)
    before = session.table, session.prediction
    with pytest.raises(InputFileError, match=r"bad\.csv"):
        session.open(b"", "bad.csv", predictor)
    assert (session.table, session.prediction) == before
    assert session.simulated
    assert session.is_current(predictor)


def test_prediction_is_reused_until_an_option_changes(
    session: Session, predictor: Predictor
) -> None:
    assert not session.is_current(predictor)
    session.predict(predictor)
    first = session.prediction
    assert session.is_current(predictor)
    session.predict(predictor)
    assert session.prediction is first

    session.alignment = "none"
    assert not session.is_current(predictor)
    assert session.prediction is first
    session.predict(predictor)
    assert session.prediction is not None
    assert session.prediction.attrs["alignment"] == "none"


@pytest.mark.parametrize(
    "change", [{"unit": "cpm"}, {"source": "Spleen"}, {"alignment": "none"}, {"targets": ("Lung",)}]
)
def test_every_option_makes_the_prediction_outdated(
    session: Session, predictor: Predictor, change: dict[str, object]
) -> None:
    session.predict(predictor)
    for name, value in change.items():
        setattr(session, name, value)
    assert not session.is_current(predictor)


def test_a_change_of_one_cell_is_another_table(session: Session, predictor: Predictor) -> None:
    session.predict(predictor)
    first = session.prediction
    session.open(EXAMPLE.read_bytes().replace(b"53.9320", b"83.9320", 1), EXAMPLE.name, predictor)
    session.predict(predictor)
    assert first is not None
    assert session.prediction is not None
    assert np.abs(first["z"] - session.prediction["z"]).max() > 0


def test_tissue_of_the_samples_is_never_a_target(session: Session, predictor: Predictor) -> None:
    session.targets = ("Lung", "Spleen")
    session.source = "Lung"
    assert session.chosen_targets(predictor) == ("Spleen",)


def test_without_a_table_preparing_is_refused(predictor: Predictor) -> None:
    with pytest.raises(SelectionError, match="Upload a table first"):
        Session().prepare(predictor)


def test_forgetting_keeps_choices_and_nothing_of_the_data(
    session: Session, predictor: Predictor
) -> None:
    session.source = "Spleen"
    session.predict(predictor)
    delete_data(session)
    assert session == Session(source="Spleen", targets=("Lung", "Liver"), n_deleted=1)
