"""A dashboard's server to be timed, and a client of it that needs no browser."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.sync.client import connect

REPOSITORY = Path(__file__).resolve().parents[1]
_POLL_SECONDS = 0.5
_KINDS = {
    "selectbox": "string_value",
    "text_input": "string_value",
    "checkbox": "bool_value",
    "multiselect": "string_array_value",
    "button_group": "string_array_value",
    "button": "trigger_value",
}
"""Widgets that the client can set, and the field of their state."""


@dataclass
class Server:
    """A running dashboard."""

    url: str
    pid: int

    def cpu_seconds(self) -> float:
        """Processor time of its process so far; NaN where the system does not tell."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            return float("nan")
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> dict[str, int]:
        """Memory of its process in bytes: ``held`` by it alone, all ``resident``, the ``peak``.

        Mapped files, such as a model's weights, are resident and not held: the system takes them
        away where others need the room.
        """
        names = {"RssAnon": "held", "VmRSS": "resident", "VmHWM": "peak"}
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines)
        return {word: int(fields[name].split()[0]) * 1024 for name, word in names.items()}


@contextmanager
def serve(model: Path, port: int, folder: Path) -> Iterator[Server]:
    """Run the dashboard with ``model`` until the block is left."""
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "mtm_core.dashboard", f"--server.port={port}"),
            *("--server.headless=true", "--server.fileWatcherType=none"),
        ],
        cwd=REPOSITORY,
        env={**os.environ, "MTM_MODEL": str(model), "MTM_WORKSPACE": str(folder / "workspaces")},
        stdout=(folder / "server.log").open("wb"),
        stderr=subprocess.STDOUT,
    )
    try:
        while True:
            try:
                with urlopen(f"{url}/_stcore/health", timeout=1):
                    break
            except OSError:
                if process.poll() is not None:
                    raise SystemExit((folder / "server.log").read_text()) from None
                time.sleep(0.2)
        yield Server(url, process.pid)
    finally:
        process.terminate()
        process.wait()


class Client:
    """A browser's connection to the server, without the browser: what it sends and what comes.

    Attributes
    ----------
    pages
        Hash of each page, by its address.
    elements
        What the page showed last.
    received
        Bytes of the last run.
    """

    def __init__(self, server: Server, query: str = "") -> None:
        address = server.url.replace("http", "ws", 1) + "/_stcore/stream"
        self.socket = connect(
            address, subprotocols=["streamlit"], max_size=None, legacy=True, ping_interval=None
        )
        self.query, self.page, self.received = query, "", 0
        self.elements: list[Element] = []
        self._states: dict[str, WidgetState] = {}
        self._run("")
        self.pages = self._pages

    def open(self, page: str) -> None:
        """Go to a page, by its address."""
        self._states.clear()
        self.page = self.pages[page]
        self._run(self.page)

    def again(self) -> None:
        """Have the page run once more."""
        self._run(self.page)

    def open_whole(self, page: str) -> float:
        """Go to a page and wait until all that it has made is there; give the seconds."""
        began = time.perf_counter()
        self.open(page)
        while self.is_busy:
            time.sleep(_POLL_SECONDS)
            self.again()
        return time.perf_counter() - began

    @property
    def is_busy(self) -> bool:
        """Whether the page shows the progress of what it waits for."""
        return any(
            element.WhichOneof("type") == "button" and element.button.label == "Cancel"
            for element in self.elements
        )

    def set(self, label: str, value: str | bool | Sequence[str]) -> None:
        """Set the widget of this label, and have the page run."""
        kind, widget = self._widget(label)
        state = WidgetState(id=widget.id)
        if not isinstance(value, str | bool):
            state.string_array_value.data.extend(value)
        else:
            setattr(state, _KINDS[kind], value)
        if kind != "button":
            self._states[widget.id] = state
        self._run(self.page, state)

    def press(self, label: str) -> None:
        """Press the button of this label."""
        self.set(label, True)

    def options(self, label: str) -> list[str]:
        """Return what the widget of this label offers."""
        return [str(option) for option in self._widget(label)[1].options]

    def words(self) -> str:
        """Return all that the page says in text."""
        return "\n".join(
            getattr(element, str(element.WhichOneof("type"))).body
            for element in self.elements
            if element.WhichOneof("type") in ("markdown", "alert", "heading")
        )

    def close(self) -> None:
        """Leave."""
        self.socket.close()

    def _widget(self, label: str) -> tuple[str, Element]:
        found = [
            (str(kind), widget)
            for element in self.elements
            if (kind := element.WhichOneof("type")) in _KINDS
            and (widget := getattr(element, str(kind))).label == label
        ]
        if len(found) != 1:
            raise LookupError(f"{len(found)} widgets are called {label!r}")
        return found[0]

    def _run(self, page: str, pressed: WidgetState | None = None) -> None:
        request = BackMsg()
        request.rerun_script.query_string = self.query
        request.rerun_script.page_script_hash = page
        states = dict(self._states)
        if pressed is not None:
            states[pressed.id] = pressed
        request.rerun_script.widget_states.widgets.extend(states.values())
        self.socket.send(request.SerializeToString())
        self.elements, self.received = [], 0
        while True:
            data = self.socket.recv()
            assert isinstance(data, bytes)
            self.received += len(data)
            message = ForwardMsg.FromString(data)
            kind = message.WhichOneof("type")
            if kind == "new_session":
                self.elements = []
                self.page = message.new_session.page_script_hash or self.page
            elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
                self.elements.append(message.delta.new_element)
            elif kind == "navigation":
                self._pages = {
                    entry.url_pathname or "start": entry.page_script_hash
                    for entry in message.navigation.app_pages
                }
            elif (
                kind == "script_finished"
                and message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY
            ):
                return
