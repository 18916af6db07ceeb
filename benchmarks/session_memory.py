"""Measure every screen of the dashboard: its processor time, what it sends, what a session holds.

    python benchmarks/session_memory.py MODEL TABLE METADATA [--users 2] [--json FILE]
        [--screen TITLE ...]

Users come one after the other, each with TABLE and METADATA (with a column of groups and one of
ages), predict every tissue, and open every screen: for the first time, again, then for what users
do there (``screens_in_use.py``): all of them, or those named by ``--screen``. A measured table of a
tissue is made from its prediction. Pages run in this process, which has imported and loaded what a
server does at its start, in Streamlit's test harness, without a browser.

Times are seconds of the processor, whatever else the machine does: of the page itself, of the short
work that it waits for, and of long work that goes on while the page is shown. The harness's own
thread, which waits for the page and reads what it sent, is not counted. The memory is what is
left when free memory was given back to the system.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from screens_in_use import AFTER, FIRST, Screen
from streamlit import config
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Block

from mtm_core.dashboard.serving.freeing import give_memory_back, keep_little_freed_memory
from mtm_core.dashboard.serving.server import APP
from mtm_core.dashboard.serving.start import import_all
from mtm_core.dashboard.state import background
from mtm_core.dashboard.state.resources import MODEL_VARIABLE, load_ahead
from mtm_core.dashboard.state.session import SESSION_KEY

MEASURED, MEASURED_SCREEN = "Lung", "Check against measured"
AIM_SECONDS = 0.5
PAGES = APP.parent / "pages"


def held() -> int:
    """Return the bytes of memory that this process alone holds (Linux)."""
    gc.collect()
    give_memory_back()
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) * 1024


def seconds_of(is_meant: Callable[[str], bool]) -> float:
    """Return the processor time of the threads whose names are meant (Linux)."""
    threads = [thread for thread in threading.enumerate() if is_meant(thread.name)]
    paths = (Path(f"/proc/self/task/{thread.native_id}/schedstat") for thread in threads)
    return sum(int(path.read_text().split()[0]) for path in paths) / 1e9


def is_long(name: str) -> bool:
    return name.startswith(background.LONG_WORK)


def is_short(name: str) -> bool:
    return name.startswith("mtm-job")


def sent(app: AppTest) -> int:
    """Return the bytes of what the page shows, as the browser is sent it."""

    def walk(block: Block) -> Iterator[int]:
        for child in block.children.values():
            if isinstance(child, Block):
                yield from walk(child)
            elif getattr(child, "proto", None) is not None:
                yield child.proto.ByteSize()

    return sum(walk(app._tree))


@dataclass(frozen=True)
class Step:
    """What one step took.

    Attributes
    ----------
    screen, what
        Where, and what was done.
    page, waited, behind
        Processor time: of the page, of short work that it waits for, of long work behind it.
    wall
        Time until the page is whole.
    kilobytes
        Size of what the page shows.
    megabytes
        Memory that it added.
    """

    screen: str
    what: str
    page: float
    waited: float
    behind: float
    wall: float
    kilobytes: float
    megabytes: float

    @property
    def is_slow(self) -> bool:
        """Whether the page took longer than the aim."""
        return self.page + self.waited > AIM_SECONDS


class User:
    """One session, driven step by step."""

    def __init__(self, titles: Collection[str] = ()) -> None:
        self.titles = titles or {screen.title for screen in (*FIRST, *AFTER)}
        self.app = AppTest.from_file(str(APP), default_timeout=900)
        self.last = held()
        self.steps: list[Step] = []

    def step(self, screen: str, what: str, act: Callable[[AppTest], object]) -> None:
        """Do it, and record what it took."""
        wall, began = time.perf_counter(), time.process_time() - time.thread_time()
        short, long = seconds_of(is_short), seconds_of(is_long)
        act(self.app)
        wall = time.perf_counter() - wall
        waited, behind = seconds_of(is_short) - short, seconds_of(is_long) - long
        of_page = time.process_time() - time.thread_time() - began - behind - waited
        assert not self.app.exception, self.app.exception
        if self.is_busy:
            while self.is_busy:
                time.sleep(0.01)
            behind = seconds_of(is_long) - long
            self.app.run()  # what a browser does at the end of the work
        now = held()
        taken = (max(of_page, 0.0), waited, behind, wall)
        size = (sent(self.app) / 1e3, (now - self.last) / 1e6)
        self.steps.append(Step(screen, what, *taken, *size))
        self.last = now
        print(_line(self.steps[-1]), flush=True)

    @property
    def is_busy(self) -> bool:
        """Whether work goes on in the background."""
        state = self.app.session_state
        return SESSION_KEY in state and bool(state[SESSION_KEY].jobs.under_way)

    def go(self, page: str) -> None:
        """Open a page."""
        self.app.switch_page(f"pages/{page}.py").run()

    def give(self, path: Path) -> None:
        """Upload a file on the page."""
        self.app.file_uploader[0].upload(path.name, path.read_bytes())
        self.app.run()

    def predict_all(self) -> None:
        """Predict every tissue."""
        self.go("samples/predicted")
        choice = self.app.multiselect(key="targets")
        choice.set_value(list(choice.options)).run()
        self.app.button(key="predict").click().run()

    def visit(self, screen: Screen) -> None:
        """Open a screen, and do what users do there, if it is to be timed."""
        if screen.title not in self.titles:
            return
        self.step(screen.title, "first visit", lambda _: self.go(screen.page))
        self.step(screen.title, "again", lambda app: app.run())
        for what, act in screen.actions:
            self.step(screen.title, what, act)

    def check(self, measured: Path) -> None:
        """Give the table of a measured tissue, and have the predictions checked against it."""
        self.go("samples/measured")
        (box,) = (box for box in self.app.selectbox if str(box.key).startswith("measured_tissue"))
        box.set_value(MEASURED).run()
        self.give(measured)

    def use(self, table: Path, metadata: Path, measured: Path) -> None:
        """Go through all screens."""
        give = {"Upload": table, "Metadata": metadata}
        for screen in FIRST:
            if screen.title in give:
                self.go(screen.page)
                path = give[screen.title]
                self.step(screen.title, "file read", lambda _, path=path: self.give(path))
            self.visit(screen)
        self.step("Predicted expression", "every tissue predicted", lambda _: self.predict_all())
        prediction = self.app.session_state[SESSION_KEY].prediction
        if MEASURED_SCREEN in self.titles and not measured.exists():
            write_measured(prediction, measured)
        self.last = held()
        for screen in AFTER:
            if screen.title == MEASURED_SCREEN in self.titles:
                self.step(screen.title, "table read and checked", lambda _: self.check(measured))
            self.visit(screen)
        if MEASURED_SCREEN in self.titles:  # whose table it is that is compared
            self.step("Quality", "two tables compared", lambda _: self.go("samples/quality"))


def write_measured(prediction: object, path: Path) -> None:
    """Write a table of a measured tissue: what was predicted, with errors."""
    values = prediction["expression"].sel(tissue=MEASURED)  # type: ignore[index]
    samples = [str(name) for name in values["sample"].values]
    genes = pd.Index([str(name) for name in values["gene"].values], name="gene_id")
    rng = np.random.default_rng(0)
    noisy = np.asarray(values.values, np.float32)
    noisy = noisy * np.exp2(rng.normal(0, 0.5, noisy.shape)).astype(np.float32)
    pd.DataFrame(noisy.T, genes, samples).reset_index().to_parquet(path)


def _line(step: Step) -> str:
    return (
        f"{step.screen:<25}{step.what:<34}{step.page:>7.2f}{step.waited:>7.2f}{step.behind:>8.2f}"
        f"{step.wall:>8.2f}{step.kilobytes:>8,.0f} kB{step.megabytes:>+6.0f} MB"
        f"{'  slow' if step.is_slow else ''}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("model", "table", "metadata"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--users", type=int, default=2)
    parser.add_argument("--screen", action="append", default=[], help="title of one to time")
    parser.add_argument("--json", type=Path, help="file to write every step to")
    options = parser.parse_args()
    timed = {screen.page for screen in (*FIRST, *AFTER)}
    there = {str(path.relative_to(PAGES).with_suffix("")) for path in PAGES.glob("*/*.py")}
    if timed != there:
        sys.exit(f"screens that are not timed, or are not there: {sorted(timed ^ there)}")
    if unknown := set(options.screen) - {screen.title for screen in (*FIRST, *AFTER)}:
        sys.exit(f"no screen has the title {sorted(unknown)}")
    os.environ[MODEL_VARIABLE] = str(options.model)
    config.set_option("runner.postScriptGC", False)  # as the server has it
    background.PATIENCE_SECONDS = 900.0  # pages wait for their work
    keep_little_freed_memory()
    import_all()
    before = held()
    load_ahead()
    print(f"the model: {(held() - before) / 1e6:,.0f} MB\n")
    users = []
    head = f"{'page':>66}{'waits':>7}{'behind':>8}{'wall':>8}{'sent':>11}{'held':>9}"
    with tempfile.TemporaryDirectory() as folder:
        measured = Path(folder) / "measured.parquet"
        for number in range(1, options.users + 1):
            print(head)
            users.append(User(options.screen))
            before = users[-1].last
            users[-1].use(options.table, options.metadata, measured)
            print(f"user {number}: {(users[-1].last - before) / 1e6:,.0f} MB\n", flush=True)
    if options.json is not None:
        steps = [[asdict(step) for step in user.steps] for user in users]
        options.json.write_text(json.dumps(steps, indent=1))


if __name__ == "__main__":
    main()
