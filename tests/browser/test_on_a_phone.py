"""The dashboard on a phone: figures are legible, and a finger on one scrolls."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.steps import settled

pytestmark = pytest.mark.browser

PHONE = (
    "Mozilla/5.0 (Linux; Android 14; Phone) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/140.0.0.0 Mobile Safari/537.36"
)
BOX = "element => { const b = element.getBoundingClientRect(); return [b.left, b.right]; }"


@pytest.fixture
def phone(new_context: Callable[..., BrowserContext]) -> Iterator[Page]:
    context = new_context(has_touch=True, is_mobile=True, user_agent=PHONE)
    page = context.new_page()
    page.set_viewport_size({"width": 390, "height": 844})
    yield page
    context.close()


def test_names_in_a_figure_do_not_run_into_each_other(server: str, phone: Page) -> None:
    phone.goto(f"{server}/differential")
    phone.locator(".st-key-example button").click()
    expect(phone.locator(".st-key-figure_z .js-plotly-plot")).to_be_visible()
    phone.get_by_test_id("stExpandSidebarButton").click()
    phone.get_by_role("link", name="Differential expression").click()
    figure = phone.locator(".st-key-figure_volcano .js-plotly-plot")
    expect(figure).to_be_visible()
    settled(phone)
    (_, end), (start, _) = (
        figure.get_by_text(title, exact=True).evaluate(BOX)
        for title in ("Adipose - Subcutaneous (predicted)", "Whole Blood (measured)")
    )
    assert end < start
    assert phone.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 390
    scroller = phone.locator(".st-key-figure_volcano")
    scroller.evaluate("element => element.scrollTo(999, 0)")
    assert scroller.evaluate("element => element.scrollLeft") > 200


def test_touching_a_figure_scrolls_the_page(server: str, phone: Page) -> None:
    """It neither zooms nor is prevented from scrolling."""
    phone.goto(f"{server}/predictability?accuracy_of=Distributions")
    figure = phone.locator(".st-key-figure_rho_boxes .js-plotly-plot")
    expect(figure).to_be_visible()
    settled(phone)
    shown = "element => JSON.stringify(element._fullLayout.xaxis.range)"
    before = figure.evaluate(shown)
    drawn_on = figure.locator(".nsewdrag")
    drawn_on.scroll_into_view_if_needed()
    phone.evaluate(
        "addEventListener('touchmove', event => { window.prevented = event.defaultPrevented; })"
    )
    box = drawn_on.bounding_box()
    assert box is not None
    devtools = phone.context.new_cdp_session(phone)
    x, y = box["x"] + 60, max(box["y"], 0) + 200
    for kind, at in (("touchStart", [x]), ("touchMove", [x + 40]), ("touchMove", [x + 80])):
        points = [{"x": x, "y": y} for x in at]
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    devtools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert phone.evaluate("window.prevented") is False
    assert figure.evaluate(shown) == before
