"""Names that would fetch and format: a listener hears nothing, a reader sees letters."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from mtm_core.dashboard.state.resources import MODEL_VARIABLE
from tests.browser.conftest import SCREENSHOTS, run_server
from tests.browser.steps import open_link, settled
from tests.pages.every_page import PAGES
from tests.pages.hostile import hostile_model, hostile_names, hostile_tables

pytestmark = pytest.mark.browser


@pytest.fixture
def listener() -> Iterator[tuple[str, list[str]]]:
    """An address, and what was asked for there."""
    heard: list[str] = []

    class Ear(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(self.path)
            self.send_response(404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Ear)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}", heard
    server.shutdown()
    server.server_close()


def watched(page: Page) -> list[str]:
    """Return what the browser complains of from now on: faults, and what the policy forbids."""
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text))
    return complaints


def test_no_name_fetches_or_formats(
    listener: tuple[str, list[str]],
    new_context: Callable[..., BrowserContext],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address, heard = listener
    model = hostile_model(tmp_path / "model", address)
    monkeypatch.setenv(MODEL_VARIABLE, str(model))
    name, table, metadata_name, metadata = hostile_tables(model, address)
    with run_server(tmp_path) as url:
        page = new_context().new_page()
        complaints = watched(page)
        page.goto(f"{url}/upload")
        _upload(page, name, table)
        expect(page.get_by_role("heading", name="What was found in")).to_be_visible()
        open_link(page, "Metadata")
        expect(page.get_by_role("heading", name="Metadata", exact=True)).to_be_visible()
        _upload(page, metadata_name, metadata)
        expect(page.get_by_role("heading", name="What was found in")).to_be_visible()
        open_link(page, "Predicted expression")
        settled(page)
        page.locator(".st-key-predict button").click()
        expect(page.locator(".st-key-figure_z .js-plotly-plot")).to_be_visible()
        sidebar = page.get_by_test_id("stSidebar")
        shown = sidebar.inner_text().replace("\u2060", "")
        assert "[b](javascript:alert(1)) **bold**" in shown  # letter by letter
        assert hostile_names(address)[4] in shown
        for title in PAGES:
            open_link(page, title)
            page.wait_for_timeout(200)
            settled(page)
            expect(page.get_by_test_id("stException")).to_have_count(0)
            main = page.get_by_test_id("stMain")
            assert main.locator(f'img[src*="{address}"], a[href*="{address}"]').count() == 0, title
            assert sidebar.locator(f'img[src*="{address}"], a[href*="{address}"]').count() == 0
            assert page.locator(f'svg a[*|href*="{address}"]').count() == 0, title
        page.get_by_text("Card").first.scroll_into_view_if_needed()
        SCREENSHOTS.mkdir(exist_ok=True)
        page.screenshot(path=SCREENSHOTS / "31_names_are_names.png")
        expected = ("MathJax is not loaded", "status of 404")  # names of figures; a cold deep link
        assert [text for text in complaints if not any(e in text for e in expected)] == []
        # The listener can hear, and the policy is a second wall before it.
        page.evaluate(f"fetch('http://{address}/heard', {{mode: 'no-cors'}}).catch(() => 0)")
        page.evaluate(f"(() => {{ new Image().src = 'http://{address}/heard.png' }})()")
        page.wait_for_timeout(300)
        assert any("Content Security Policy" in text for text in complaints)
    assert heard == []


def _upload(page: Page, name: str, data: bytes) -> None:
    settled(page)
    page.locator("[data-testid=stFileUploader] input[type=file]").first.set_input_files(
        {"name": name, "mimeType": "application/octet-stream", "buffer": data}
    )
