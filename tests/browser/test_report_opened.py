"""The report as its reader has it: a file on a disk, in a browser without a network."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from mtm_core.dashboard.state.resources import EXAMPLE
from tests.browser.conftest import SCREENSHOTS
from tests.browser.steps import download, open_link, settled, upload

pytestmark = pytest.mark.browser
EVIL = "<script>alert(1)</script>"


def test_report_opens_without_a_network_and_runs_nothing_of_the_users(
    server: str, page: Page, browser: Browser, tmp_path: Path
) -> None:
    page.goto(f"{server}/upload")
    upload(page, "mine.tsv", EXAMPLE.read_bytes().replace(b"SIM-001", EVIL.encode()))
    expect(page.get_by_role("heading", name="What was found in mine.tsv")).to_be_visible()
    open_link(page, "Report and downloads")
    expect(page.get_by_role("heading", name="Report and downloads")).to_be_visible()
    settled(page)
    page.get_by_role("button", name="Predict").click()
    expect(page.get_by_role("heading", name="Methods text for a paper")).to_be_visible()
    page.get_by_role("button", name="Make the report").click()
    expect(page.get_by_role("button", name="Download the report")).to_be_visible()
    name, path = download(page, "download_report", tmp_path)
    assert name == "report_gtex_v8_acmg59_stack.research_use_only.html"

    SCREENSHOTS.mkdir(exist_ok=True)
    for scheme in ("light", "dark"):
        context = browser.new_context(
            color_scheme=scheme, offline=True, viewport={"width": 1200, "height": 900}
        )
        asked, said = heard(context)
        report = context.new_page()
        report.goto(path.as_uri())
        expect(report.locator("figure .js-plotly-plot .main-svg").first).to_be_visible()
        expect(report.locator("figure .js-plotly-plot")).to_have_count(8)
        labels = report.locator("figure .js-plotly-plot .y2tick text")
        expect(labels.get_by_text(EVIL, exact=True).first).to_be_visible()
        expect(report.get_by_text("For research use, not for diagnosis.").first).to_be_visible()
        report.screenshot(path=SCREENSHOTS / f"report_{scheme}.png", full_page=True)
        context.close()
        assert said == []
        assert asked == [path.as_uri()]


def heard(context: BrowserContext) -> tuple[list[str], list[str]]:
    """Return what the pages of ``context`` will ask the network for, and what they will say."""
    asked: list[str] = []
    said: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    context.on("console", lambda message: said.append(message.text))
    context.on("weberror", lambda error: said.append(str(error.error)))
    context.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    return asked, said
