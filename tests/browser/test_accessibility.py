"""Every screen against the rules of axe, light and dark, but for what is Streamlit's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.browser.steps import open_link, settled

pytestmark = pytest.mark.browser

STREAMLITS_OWN = {
    "empty-table-header": "aria-colindex",  # the index column of its tables
    "presentation-role-conflict": "stFileUploaderDropzone",
}
"""Rules that Streamlit 1.67 breaks by itself, and what is written in the element that does."""
LEFT_OUT = {
    "exclude": [
        ["[data-testid=stSidebarNav]"],  # its list holds more than items: Streamlit's own too
        ["[data-stale=true]"],  # what is about to be replaced is faded
        ["[data-testid=stSelectbox]:has(input:disabled)"],  # what is off may be faint
    ]
}
SCREENS = (
    *("Start", "Upload", "Metadata", "Quality", "Blood composition"),
    *("Predicted expression", "Compare with GTEx", "Check against measured"),
    *("Report and downloads", "Traits"),
    *("Differential expression", "Gene sets", "Activity", "External cohort", "Disease concordance"),
    *("Models", "Predictability", "Methods compared", "Latent space"),
    *("Model card and training", "Guides"),
)


def findings(page: Page) -> list[str]:
    """What axe finds, but for Streamlit's own, as lines to read."""
    page.mouse.move(0, 0)  # what lies under the mouse is tinted
    settled(page)
    expect(page.locator("[data-stale=true]")).to_have_count(0)
    violations = Axe().run(page, context=LEFT_OUT).response["violations"]
    return [
        f"{violation['id']}: {node['html'][:200]} {node['failureSummary']}"
        for violation in violations
        for node in violation["nodes"]
        if STREAMLITS_OWN.get(violation["id"], "\0") not in node["html"]
    ]


@pytest.fixture(params=["light", "dark"])
def screen(
    request: pytest.FixtureRequest, server: str, new_context: Callable[..., BrowserContext]
) -> Iterator[Page]:
    """A session with the example, in one of the two schemes."""
    context = new_context(color_scheme=request.param)
    page = context.new_page()
    page.goto(server)
    page.locator(".st-key-example button").click()
    expect(page.get_by_role("heading", name="Predicted expression")).to_be_visible()
    yield page
    context.close()


def test_every_screen_keeps_the_rules_of_axe(screen: Page) -> None:
    found = {}
    for name in SCREENS:
        open_link(screen, name)
        current = screen.get_by_test_id("stSidebarNav").locator("[aria-current=page]")
        expect(current).to_contain_text(name)
        found[name] = findings(screen)
    screen.get_by_test_id("stSidebarNav").get_by_role("link", name="Predicted").click()
    for view in ("One gene", "Table"):
        screen.get_by_role("radio", name=view, exact=True).click()
        found[view] = findings(screen)
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_tissues_are_chosen_on_the_body_by_keyboard(server: str, page: Page) -> None:
    page.goto(server)
    page.locator(".st-key-example button").click()
    expect(page.locator(".st-key-figure_z .js-plotly-plot")).to_be_visible()
    page.get_by_text("Choose on a body map").click()

    def organ(name: str) -> Locator:
        return page.get_by_role("button", name=f"{name}: ")

    expect(organ("Lung")).to_have_attribute("aria-pressed", "true")
    expect(organ("Colon")).to_have_attribute("aria-pressed", "false")
    expect(organ("Adipose tissue")).to_have_attribute("aria-pressed", "mixed")  # one of its two
    organ("Colon").focus()
    page.keyboard.press("Enter")
    expect(organ("Colon")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_label("Remove Colon - Sigmoid")).to_have_count(1)
    expect(page.get_by_label("Remove Lung")).to_have_count(1)  # those before stay
    page.keyboard.press(" ")  # the focus has stayed on the organ
    expect(organ("Colon")).to_have_attribute("aria-pressed", "false")
    expect(page.get_by_label("Remove Colon - Sigmoid")).to_have_count(0)
    organ("Lung").locator("path").first.click()
    expect(page.get_by_label("Remove Lung")).to_have_count(0)
    expect(page.get_by_text("Your choice has changed")).to_be_visible()

    expect(organ("Prostate gland")).to_have_count(0)
    expect(page.get_by_text("Not drawn here: ").filter(has_text="Prostate")).to_be_visible()
    page.get_by_role("radio", name="Male", exact=True).click()
    expect(organ("Prostate gland")).to_have_count(1)
    assert findings(page) == []


def test_the_body_takes_part_in_the_tab_order(server: str, page: Page) -> None:
    page.goto(server)
    page.locator(".st-key-example button").click()
    page.get_by_text("Choose on a body map").click()
    expect(page.get_by_role("button", name="Lung: Lung")).to_be_visible()
    page.get_by_role("radio", name="Female", exact=True).focus()
    page.keyboard.press("Tab")
    focused = "document.activeElement.shadowRoot?.activeElement?.getAttribute('role')"
    assert page.evaluate(focused) == "button"
