"""Long work on pages: its progress, its end, and what it leaves; the work is held at a gate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Event
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from mtm_core.dashboard.state import background
from mtm_core.dashboard.state.jobs import Job
from mtm_core.dashboard.state.resources import EXAMPLE
from mtm_core.dashboard.state.session import Session
from mtm_core.inference.predictor import Predictor
from tests.pages.conftest import MODEL_CARD, PREDICTED, UPLOAD, upload, words

PATIENCE = 60
REPORT = "pages/samples/report.py"


class Gate:
    """Holds predictions until it is opened; may be opened for some only."""

    def __init__(self) -> None:
        self.open = Event()
        self.fault: Exception | None = None
        self.predict = Predictor.predict_prepared

    def hold(self, predictor: Predictor, *args: Any, **options: Any) -> Any:
        assert self.open.wait(PATIENCE)
        if self.fault is not None:
            raise self.fault
        return self.predict(predictor, *args, **options)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate()
    monkeypatch.setattr(
        Predictor, "predict_prepared", lambda *args, **options: gate.hold(*args, **options)
    )
    yield gate
    gate.open.set()


@pytest.fixture
def waiting(app: AppTest, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """A session that has asked for a prediction, which is held at the gate."""
    upload(app, "mine.tsv", EXAMPLE.read_bytes().replace(b"SIM-", b"P-"))
    monkeypatch.setattr(background, "PATIENCE_SECONDS", 0.0)
    app.switch_page(PREDICTED).run()
    app.button(key="predict").click().run()
    assert not app.exception
    return app


def session_of(app: AppTest) -> Session:
    session: Session = app.session_state["mtm"]
    return session


def let_through(app: AppTest, gate: Gate) -> AppTest:
    """Open the gate, wait until the work is over, and ask again as the browser would."""
    under_way = session_of(app).jobs.under_way
    gate.open.set()
    assert all(job.wait(PATIENCE) for job in under_way)
    app.run()
    assert not app.exception
    return app


def progress(app: AppTest) -> list[str]:
    return [element.proto.text for element in app.get("progress")]


def test_progress_and_a_way_to_end_it_stand_on_the_page(waiting: AppTest, gate: Gate) -> None:
    (said,) = progress(waiting)
    assert "Predicting…" in said
    assert waiting.button(key="cancel_prediction")
    assert "All samples" not in [box.value for box in waiting.segmented_control]
    let_through(waiting, gate)
    assert not progress(waiting)
    assert "40 samples of Whole Blood" in words(waiting)


def test_a_prediction_continues_while_another_page_is_open(waiting: AppTest, gate: Gate) -> None:
    waiting.switch_page(MODEL_CARD).run()
    assert "Predicting…" in waiting.sidebar.get("progress")[0].proto.text
    let_through(waiting, gate)
    assert not progress(waiting)
    assert waiting.toast[0].value == "Predicting: done."
    waiting.switch_page(PREDICTED).run()
    assert "40 samples of Whole Blood" in words(waiting)
    assert not waiting.toast


def test_a_page_that_needs_it_takes_it_over_from_the_sidebar(waiting: AppTest, gate: Gate) -> None:
    job = session_of(waiting).jobs.of("prediction")
    waiting.switch_page("pages/samples/reference.py").run()
    assert not waiting.exception
    assert len(progress(waiting)) == 1
    assert not waiting.sidebar.get("progress")
    assert session_of(waiting).jobs.of("prediction") is job
    let_through(waiting, gate)
    assert waiting.subheader[-1].value == "Every sample"


def test_a_job_finished_while_the_page_is_drawn_does_not_redraw_it(
    app: AppTest, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sidebar had already begun to look after it: a page ran twice, and lost a click."""
    upload(app, "mine.tsv", EXAMPLE.read_bytes().replace(b"SIM-", b"P-"))
    wait = Job.wait

    def wait_at_the_gate(job: Job, seconds: float | None = None) -> bool:
        gate.open.set()
        return wait(job, PATIENCE)

    monkeypatch.setattr(Job, "wait", wait_at_the_gate)
    app.button(key="predict").click().run()
    assert not app.exception
    assert "40 samples of Whole Blood" in words(app)
    assert not progress(app)


@pytest.mark.parametrize("page", [PREDICTED, MODEL_CARD, "pages/start/start.py"])
def test_a_long_reading_is_shown_on_other_pages_and_can_be_cancelled_there(
    held_reading: AppTest, page: str
) -> None:
    job = session_of(held_reading).jobs.of("table")
    assert job is not None
    held_reading.switch_page(page).run()
    assert not held_reading.exception
    assert "Reading mine.tsv…" in held_reading.sidebar.get("progress")[0].proto.text
    assert not job.is_over  # on a slow machine readings that were cancelled may still be before it
    held_reading.sidebar.button(key="elsewhere_cancel_table").click().run()
    assert job.state == "cancelled"
    assert not progress(held_reading)


def test_a_table_read_while_on_another_page_is_opened(
    held_reading: AppTest, reading: Event
) -> None:
    job = session_of(held_reading).jobs.of("table")
    assert job is not None
    held_reading.switch_page(MODEL_CARD).run()
    reading.set()
    assert job.wait(PATIENCE)
    held_reading.run()
    assert not progress(held_reading)
    assert session_of(held_reading).table is not None
    held_reading.switch_page(UPLOAD).run()
    assert "What was found in mine.tsv" in words(held_reading)


def test_cancelled_work_leaves_nothing(waiting: AppTest, gate: Gate) -> None:
    job = session_of(waiting).jobs.of("prediction")
    assert job is not None
    waiting.button(key="cancel_prediction").click().run()
    assert not waiting.exception
    assert "Predicting: cancelled." in words(waiting)
    assert not progress(waiting)
    gate.open.set()
    waiting.run()
    assert session_of(waiting).prediction is None
    assert "Choose tissues, then press **Predict**." in words(waiting)
    waiting.button(key="predict").click().run()
    let_through(waiting, gate)
    assert "40 samples of Whole Blood" in words(waiting)
    assert "cancelled" not in words(waiting)


def test_cancelled_where_a_page_needs_it_there_is_a_way_back(waiting: AppTest, gate: Gate) -> None:
    waiting.switch_page("pages/samples/reference.py").run()
    waiting.button(key="cancel_prediction").click().run()
    assert not progress(waiting)
    waiting.button(key="again_prediction").click().run()
    assert progress(waiting)
    let_through(waiting, gate)
    assert waiting.subheader[-1].value == "Every sample"


def test_the_last_choice_counts_whatever_was_chosen_before(waiting: AppTest, gate: Gate) -> None:
    first = session_of(waiting).jobs.of("prediction")
    assert first is not None
    waiting.multiselect(key="targets").set_value(["Spleen"]).run()
    assert progress(waiting)
    waiting.button(key="predict").click().run()
    assert first.state == "cancelled"
    let_through(waiting, gate)
    prediction = session_of(waiting).prediction
    assert prediction is not None
    assert prediction["tissue"].values.tolist() == ["Spleen"]
    assert not waiting.warning


def test_the_previous_prediction_stays_visible(waiting: AppTest, gate: Gate) -> None:
    let_through(waiting, gate)
    gate.open.clear()
    waiting.multiselect(key="targets").set_value(["Spleen"]).run()
    waiting.button(key="predict").click().run()
    assert progress(waiting)
    assert "The previous prediction is shown" in words(waiting)
    assert "6 tissues" in words(waiting)
    let_through(waiting, gate)
    assert "1 tissue ·" in words(waiting)


def test_a_fault_is_shown_without_its_traceback(
    waiting: AppTest, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    gate.fault = ZeroDivisionError("secret detail")
    let_through(waiting, gate)
    (error,) = waiting.error
    assert "because of an error in the program" in error.value
    assert "secret detail" not in words(waiting)
    (record,) = [record for record in caplog.records if record.name.endswith("jobs")]
    assert record.getMessage().rsplit(" ", 1)[1] in error.value


def test_deleting_the_data_cancels_the_job(waiting: AppTest, gate: Gate) -> None:
    job = session_of(waiting).jobs.of("prediction")
    assert job is not None
    waiting.switch_page("pages/samples/upload.py").run()
    waiting.button(key="delete").click().run()
    assert not waiting.exception
    assert job.state == "cancelled"
    gate.open.set()
    waiting.switch_page(PREDICTED).run()
    assert "No samples yet" in words(waiting)
    assert session_of(waiting).prediction is None


def test_another_session_sees_nothing_of_it(
    waiting: AppTest, gate: Gate, open_app: Callable[[], AppTest]
) -> None:
    other = open_app()
    other.switch_page(PREDICTED).run()
    assert not progress(other)
    let_through(waiting, gate)
    other.run()
    assert "No samples yet" in words(other)
    assert not other.toast


@pytest.fixture
def reading() -> Iterator[Event]:
    """Holds a reading until it is set."""
    going = Event()
    yield going
    going.set()


@pytest.fixture
def held_reading(app: AppTest, reading: Event, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """A session whose upload is being read."""
    monkeypatch.setattr(background, "PATIENCE_SECONDS", 0.0)
    read = background.Session.reading

    def slow(session: Session, *args: Any) -> Any:
        task = read(session, *args)
        assert task is not None
        return type(task)(
            task.slot,
            task.key,
            task.words,
            lambda tell: (reading.wait(PATIENCE), task.make(tell))[1],
            task.keep,
        )

    monkeypatch.setattr(background.Session, "reading", slow)
    return upload(app, "mine.tsv", EXAMPLE.read_bytes())


def test_reading_a_table_shows_its_progress_and_can_be_cancelled(
    held_reading: AppTest, reading: Event
) -> None:
    app = held_reading
    assert "Reading mine.tsv…" in progress(app)[0]
    app.button(key="cancel_table").click().run()
    assert "Reading mine.tsv: cancelled." in words(app)
    reading.set()
    app.run()
    assert "No samples yet" in words(app)
    assert session_of(app).table is None


def test_report_and_bundle_are_made_when_asked_for(with_example: AppTest) -> None:
    app = with_example.switch_page(REPORT).run()
    assert [button.key for button in app.download_button] == ["download_methods"]
    for name in ("report", "bundle"):
        app.button(key=f"make_{name}").click().run()
        assert not app.exception
        assert app.download_button(key=f"download_{name}")
        assert f"make_{name}" not in [button.key for button in app.button]
