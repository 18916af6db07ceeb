"""Measure the calls of the dashboard that ended a server of a genome-wide model, each in a process.

    python benchmarks/dashboard_calls.py MODEL TABLE METADATA

The example is opened and predicted; every tissue of TABLE is predicted, and everything that can be
downloaded is made, with the server's own limits and with one that lets every file through. Pages
run in Streamlit's test harness without a browser, in a process that has imported what a server does
at its start. Printed are wall and processor time, and the most memory the process held until then;
it holds 0.4 GB before its first page.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path

from streamlit.testing.v1 import AppTest

from mtm_core.dashboard.serving.freeing import keep_little_freed_memory
from mtm_core.dashboard.serving.server import APP
from mtm_core.dashboard.serving.start import import_all
from mtm_core.dashboard.state import background
from mtm_core.dashboard.state.resources import MODEL_VARIABLE
from mtm_core.dashboard.state.session import SESSION_KEY
from mtm_core.dashboard.widgets.downloads import by_tissue_bytes, prediction_bytes, tissue_bytes
from mtm_core.errors import MTMError
from mtm_core.workflows.server_limits import MAX_DOWNLOAD_VARIABLE

NO_LIMIT_MEGABYTES = "20000"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("model", "table", "metadata"):
        parser.add_argument(name, type=Path)
    options = parser.parse_args()
    calls = (
        (example, (options.model,)),
        (downloads, (options.model, options.table, options.metadata)),
        (downloads_without_limit, (options.model, options.table, options.metadata)),
    )
    for call, given in calls:
        process = multiprocessing.get_context("spawn").Process(target=call, args=given)
        process.start()
        process.join()
        if process.exitcode:
            raise SystemExit(f"{call.__name__} ended with {process.exitcode}")


def example(model: Path) -> None:
    """Open the example and predict every tissue of it."""
    app = _begin(model)
    _step("the example: opened", app.button(key="example").click().run)
    _step("the example: every tissue predicted", lambda: _predict_all(app))
    _step("the example: another tissue", app.selectbox(key="tissue").set_value("Lung").run)
    assert not app.exception, app.exception


def downloads(model: Path, table: Path, metadata: Path) -> None:
    """Predict every tissue and make what the page offers."""
    app = _begin(model)
    _give(app, "upload", table)
    _give(app, "metadata", metadata)
    _step("every tissue predicted", lambda: _predict_all(app))
    assert not app.exception, app.exception
    for button in app.get("download_button"):
        print(f"  offered: {button.proto.label}")
    for info in app.info:
        print(f"  said: {info.value}")
    prediction = app.session_state[SESSION_KEY].prediction
    for ending in (".csv", ".parquet"):
        _step(f"one tissue, {ending}", lambda end=ending: tissue_bytes(prediction, "Lung", end))


def downloads_without_limit(model: Path, table: Path, metadata: Path) -> None:
    """Make every file, however large, where the person who runs the server set no limit."""
    os.environ[MAX_DOWNLOAD_VARIABLE] = NO_LIMIT_MEGABYTES
    app = _begin(model)
    _give(app, "upload", table)
    _give(app, "metadata", metadata)
    _predict_all(app)
    prediction = app.session_state[SESSION_KEY].prediction
    files: dict[str, Callable[[], object]] = {
        "zip of one CSV per tissue": lambda: by_tissue_bytes(prediction),
        **{end: lambda end=end: prediction_bytes(prediction, end) for end in (".parquet", ".csv")},
    }
    for name, make in files.items():
        _step(f"no limit set, {name}", make)


def _begin(model: Path) -> AppTest:
    os.environ[MODEL_VARIABLE] = str(model)
    background.PATIENCE_SECONDS = 900.0  # pages wait for their work
    keep_little_freed_memory()
    import_all()
    return AppTest.from_file(str(APP), default_timeout=900).run()


def _give(app: AppTest, page: str, path: Path) -> None:
    app.switch_page(f"pages/samples/{page}.py").run()
    app.file_uploader[0].upload(path.name, path.read_bytes())
    app.run()


def _predict_all(app: AppTest) -> None:
    app.switch_page("pages/samples/predicted.py").run()
    choice = app.multiselect(key="targets")
    choice.set_value(list(choice.options)).run()
    app.button(key="predict").click().run()


def _step(what: str, act: Callable[[], object]) -> None:
    """Do it; print what it took, how large its file is, or why there is none."""
    began, worked, said = time.perf_counter(), time.process_time(), ""
    try:
        made = act()
        if isinstance(made, bytes):
            said = f"{len(made) / 1e6:,.0f} MB"
        del made
    except MTMError as error:
        said = f"refused: {error}"
    seconds, processor = time.perf_counter() - began, time.process_time() - worked
    print(f"{what:<40}{seconds:>7.2f} s{processor:>7.2f} s{_most():>7.2f} GB  {said}", flush=True)


def _most() -> float:
    """Return the most memory that this process held, in GB (Linux)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e9


if __name__ == "__main__":
    main()
