"""Measure what a session of the dashboard holds after its screens, and the processor time of each.

    python benchmarks/session_memory.py MODEL TABLE METADATA [--users 2]

Users come one after the other, each with TABLE and METADATA (with a column of groups and one of
ages), predict every tissue and go through the screens that hold most, with two further tissues on
each; what the first adds holds the model's own tables too. Pages run in this process, which has
imported what a server does at its start, in Streamlit's test harness, without a browser. Times are
those of the processor, whatever else the machine does: of the page itself, with what it waits for,
then of what goes on in the background while the page is shown. The memory is what is left when free
memory was given back to the system.
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from streamlit.testing.v1 import AppTest

from mtm_core.dashboard.serving.freeing import give_memory_back, keep_little_freed_memory
from mtm_core.dashboard.serving.server import APP
from mtm_core.dashboard.serving.start import import_all
from mtm_core.dashboard.state import background
from mtm_core.dashboard.state.resources import MODEL_VARIABLE
from mtm_core.dashboard.state.session import SESSION_KEY

SCREENS = ("samples/reference", "associations/differential", "associations/external")
LAST = ("associations/traits", "samples/predicted")
TISSUES = ("Lung", "Liver")


def held() -> int:
    """Return the bytes of memory that this process alone holds (Linux)."""
    give_memory_back()
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) * 1024


def long_work_seconds() -> float:
    """Return the processor time of the threads that work behind the pages (Linux)."""
    threads = [t for t in threading.enumerate() if t.name.startswith(background.LONG_WORK)]
    paths = (Path(f"/proc/self/task/{thread.native_id}/schedstat") for thread in threads)
    return sum(int(path.read_text().split()[0]) for path in paths) / 1e9


class User:
    """One session, driven step by step."""

    def __init__(self) -> None:
        self.app = AppTest.from_file(str(APP), default_timeout=900)
        self.last = held()

    def step(self, what: str, act: Callable[[], object]) -> None:
        """Do it, and tell the processor time and the memory that it took."""
        began, long_before = time.process_time(), long_work_seconds()
        act()
        behind = long_work_seconds() - long_before
        of_page = time.process_time() - began - behind
        assert not self.app.exception, self.app.exception
        if self.is_busy:
            while self.is_busy:
                time.sleep(0.01)
            behind = long_work_seconds() - long_before
            self.app.run()  # what a browser does at the end of the work
        now = held()
        print(
            f"{what:<40}{max(of_page, 0):>7.2f} s{behind:>7.2f} s behind"
            f"{(now - self.last) / 1e6:>+8.0f} MB",
            flush=True,
        )
        self.last = now

    @property
    def is_busy(self) -> bool:
        """Whether work goes on in the background."""
        state = self.app.session_state
        return SESSION_KEY in state and bool(state[SESSION_KEY].jobs.under_way)

    def go(self, page: str) -> None:
        """Open a page."""
        self.app.switch_page(f"pages/{page}.py").run()

    def give(self, page: str, path: Path) -> None:
        """Upload a file on a page."""
        self.go(page)
        self.app.file_uploader[0].upload(path.name, path.read_bytes())
        self.app.run()

    def predict_all(self) -> None:
        """Predict every tissue."""
        self.go("samples/predicted")
        choice = self.app.multiselect(key="targets")
        choice.set_value(list(choice.options)).run()
        self.app.button(key="predict").click().run()

    def use(self, table: Path, metadata: Path) -> None:
        """Go through the screens."""
        self.step("start", self.app.run)
        self.step("upload", lambda: self.give("samples/upload", table))
        self.step("metadata", lambda: self.give("samples/metadata", metadata))
        self.step("predict every tissue", self.predict_all)
        for page in (*SCREENS, *LAST):
            self.step(page, lambda page=page: self.go(page))
            self.step(f"{page}, again", self.app.run)
            for tissue in TISSUES:
                box = self.app.selectbox(key="tissue")
                self.step(f"{page}, {tissue}", lambda box=box, to=tissue: box.set_value(to).run())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("model", "table", "metadata"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--users", type=int, default=2)
    options = parser.parse_args()
    os.environ[MODEL_VARIABLE] = str(options.model)
    background.PATIENCE_SECONDS = 900.0  # pages wait for their work
    keep_little_freed_memory()
    import_all()
    users = []
    for number in range(1, options.users + 1):
        users.append(User())
        before = users[-1].last
        users[-1].use(options.table, options.metadata)
        print(f"user {number}: {(users[-1].last - before) / 1e6:,.0f} MB\n")


if __name__ == "__main__":
    main()
