"""What a reload and a link from nowhere lead to, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from mtm_core.dashboard.state.resources import EXAMPLE
from tests.browser.conftest import SCREENSHOTS
from tests.browser.steps import open_link, settled, upload

pytestmark = pytest.mark.browser
TITLES = {
    "": "Other tissues, from blood",
    "upload": "Upload",
    "metadata": "Metadata",
    "quality": "Quality",
    "composition": "Blood composition",
    "predicted": "Predicted expression",
    "reference": "Compare with GTEx",
    "measured": "Check against measured",
    "report": "Report and downloads",
    "traits": "Traits",
    "differential": "Differential expression",
    "enrichment": "Gene sets",
    "activity": "Activity",
    "external": "External cohort",
    "disease": "Disease concordance",
    "models": "Models",
    "predictability": "Predictability",
    "methods": "Methods compared",
    "latent": "Latent space",
    "model_card": "Model card and training",
    "guides": "Guides",
}
NEED_SAMPLES = (
    *("upload", "metadata", "quality", "composition", "predicted", "reference", "measured"),
    "report",
    *("traits", "differential", "enrichment", "activity", "external"),
)


def test_a_cold_link_leads_to_its_page(server: str, page: Page) -> None:
    """Each address begins a session of its own at that page."""
    for path, title in TITLES.items():
        page.goto(f"{server}/{path}")
        expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible()
        settled(page)
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(page.get_by_test_id("stException")).to_have_count(0)
        expect(page.get_by_test_id("stSidebarNav").get_by_role("link")).to_have_count(len(TITLES))
        expect(page.get_by_text("No samples yet")).to_have_count(int(path in NEED_SAMPLES))


def open_own(server: str, page: Page) -> None:
    """Upload a table and predict from it."""
    page.goto(f"{server}/upload")
    upload(page, "mine.tsv", EXAMPLE.read_bytes().replace(b"SIM-", b"P-"))
    expect(page.get_by_role("heading", name="What was found in mine.tsv")).to_be_visible()
    page.get_by_role("button", name="Predict, reading").click()
    expect(page.locator(".st-key-figure_z .js-plotly-plot")).to_be_visible()


def keep_it(page: Page) -> None:
    settled(page)
    page.get_by_test_id("stSidebar").get_by_text("Save my session").click()
    expect(page.get_by_text("The address of this page opens your session again")).to_be_visible()
    expect(page).to_have_url(re.compile(r"[?&]work=[A-Za-z0-9_-]{43}\b"))


def test_a_reload_without_saving_starts_empty(server: str, page: Page) -> None:
    open_own(server, page)
    assert "work=" not in page.url
    page.reload()
    expect(page.get_by_text("No samples yet")).to_be_visible()
    expect(page.get_by_text("mine.tsv")).to_have_count(0)


def test_a_reload_restores_a_saved_session(server: str, page: Page) -> None:
    SCREENSHOTS.mkdir(exist_ok=True)
    open_own(server, page)
    keep_it(page)
    for _ in range(2):
        page.reload()
        expect(page.get_by_test_id("stSidebar").get_by_text("mine.tsv")).to_be_visible()
        expect(page.get_by_text("40 samples of Whole Blood · 6 tissues")).to_be_visible()
        expect(page.locator(".st-key-figure_z .js-plotly-plot")).to_be_visible()
    settled(page)
    page.screenshot(path=SCREENSHOTS / "23_saved_session_light.png")


def test_the_address_of_a_saved_session_opens_every_page_until_it_is_deleted(
    server: str, page: Page, new_context: Callable[..., BrowserContext]
) -> None:
    open_own(server, page)
    keep_it(page)
    identifier = page.url.split("work=")[1].split("&")[0]
    other = new_context().new_page()
    other.goto(f"{server}/reference?work={identifier}")
    expect(other.get_by_role("heading", name="Every sample")).to_be_visible()
    open_link(other, "Upload")
    expect(other.get_by_role("heading", name="What was found in mine.tsv")).to_be_visible()
    expect(other).to_have_url(re.compile(f"/upload.*work={identifier}"))

    other.get_by_role("button", name="Delete my data now").click()
    expect(other.get_by_text("No samples yet")).to_be_visible()
    assert "work=" not in other.url
    other.goto(f"{server}/predicted?work={identifier}")
    expect(other.get_by_text("No session is saved under this address")).to_be_visible()
    other.close()
