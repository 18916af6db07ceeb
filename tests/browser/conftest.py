"""A server of the dashboard and a Chromium before it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

REPOSITORY = Path(__file__).resolve().parents[2]
SCREENSHOTS = REPOSITORY / "screenshots"
_START_SECONDS = 120
_PATIENCE = 40_000
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    executable = Path(os.environ.get("MTM_CHROMIUM", "/usr/bin/chromium"))
    if not executable.is_file():
        if os.environ.get("CI"):
            pytest.fail(f"no Chromium at {executable}; set MTM_CHROMIUM to its path")
        pytest.skip(f"browser tests skipped: no Chromium at {executable}; set MTM_CHROMIUM")
    expect.set_options(timeout=_PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(_FLAGS))
        yield browser
        browser.close()


@contextmanager
def run_server(folder: Path, *options: str) -> Iterator[str]:
    """Run the dashboard on a free port, with its log as ``folder``/server.log; give its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    log = folder / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "mtm_core.dashboard"),
                *(f"--server.port={port}", "--server.headless=true"),
                "--server.fileWatcherType=none",
                *options,
            ],
            cwd=REPOSITORY,
            env={
                **os.environ,
                "OMP_NUM_THREADS": "1",
                "MTM_WORKSPACE": str(folder / "workspaces"),
            },
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until_it_answers(f"{url}/_stcore/health", server, log)
            yield url
        finally:
            server.terminate()
            try:
                server.wait(timeout=20)
            except subprocess.TimeoutExpired:  # it waits for browsers that are slow to leave
                server.kill()
                server.wait()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the dashboard, run on a free port until the tests are over."""
    folder = tmp_path_factory.mktemp("server")
    with run_server(folder) as url:
        yield url
    assert "Traceback" not in (folder / "server.log").read_text()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not _answers(url):
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"nothing answers at {url}:\n{log.read_text()}")
        time.sleep(0.1)


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=1):
            return True
    except (URLError, OSError):
        return False


@pytest.fixture(scope="session")
def addresses() -> list[str]:
    """Every address that a browser has asked for."""
    return []


@pytest.fixture(autouse=True)
def nothing_leaves_this_machine(addresses: list[str]) -> Iterator[None]:
    addresses.clear()
    yield
    hosts = {urlsplit(url).hostname for url in addresses if not url.startswith(("data:", "blob:"))}
    assert hosts == {"127.0.0.1"}


@pytest.fixture(scope="session")
def new_context(browser: Browser, addresses: list[str]) -> Callable[..., BrowserContext]:
    """Open a browser profile of its own: cookies, cache, colour scheme."""

    def open_context(**options: object) -> BrowserContext:
        context = browser.new_context(
            viewport={"width": 1360, "height": 900}, accept_downloads=True, **options
        )
        context.set_default_timeout(_PATIENCE)
        context.on("request", lambda request: addresses.append(request.url))
        context.on(
            "page",
            lambda page: page.on("websocket", lambda socket: addresses.append(socket.url)),
        )
        return context

    return open_context


@pytest.fixture(scope="session")
def context(new_context: Callable[..., BrowserContext]) -> BrowserContext:
    """A profile that tests share, so that the dashboard's scripts are fetched once."""
    return new_context()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A fresh page, which is a fresh session of the dashboard."""
    page = context.new_page()
    yield page
    page.close()
