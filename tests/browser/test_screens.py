"""Every screen in light and dark, saved in ``screenshots/`` to be looked at."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import SCREENSHOTS
from tests.browser.steps import open_link, settled

pytestmark = pytest.mark.browser
OWN_COHORT = (
    *("Metadata", "Quality", "Blood composition", "Compare with GTEx", "Traits"),
    *(
        "Check against measured",
        "Differential expression",
        "Gene sets",
        "Activity",
        "External cohort",
    ),
    *("Report and downloads", "Models", "Guides"),
)


def keep(page: Page, name: str) -> None:
    """Save the whole page: the viewport is made as tall as its content, as only that scrolls."""
    settled(page)
    page.mouse.move(0, 0)
    height = page.evaluate(
        "Math.ceil(document.querySelector('[data-testid=stMainBlockContainer]').scrollHeight)"
    )
    page.set_viewport_size({"width": 1360, "height": max(900, min(height, 3200))})
    settled(page)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", animations="disabled")
    page.set_viewport_size({"width": 1360, "height": 900})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_screen(scheme: str, server: str, new_context: Callable[..., BrowserContext]) -> None:
    SCREENSHOTS.mkdir(exist_ok=True)
    page = new_context(color_scheme=scheme).new_page()

    def shot(name: str) -> None:
        keep(page, f"{name}_{scheme}")

    page.goto(server)
    expect(page.get_by_role("heading", name="Other tissues, from blood")).to_be_visible()
    shot("1_start")
    page.locator(".st-key-example button").click()
    expect(page.get_by_role("heading", name="Predicted expression")).to_be_visible()
    expect(page.locator(".st-key-figure_z .js-plotly-plot")).to_be_visible()
    shot("3_all_samples")
    page.get_by_role("radio", name="Tissues of one gene").click()
    expect(page.get_by_text("each column a tissue")).to_be_visible()
    shot("4_tissues_of_one_gene")
    page.get_by_role("radio", name="One gene", exact=True).click()
    expect(page.get_by_text("predicted expression of each sample")).to_be_visible()
    sample = page.get_by_role("combobox", name="Mark a sample")
    sample.click()
    page.get_by_role("option", name="SIM-004").click()
    expect(page.locator(".js-plotly-plot").get_by_text("SIM-004")).to_be_visible()
    shot("5_one_gene")
    page.get_by_role("radio", name="Table").click()
    expect(page.get_by_test_id("stDataFrame")).to_be_visible()
    shot("6_table")
    open_link(page, "Upload")
    expect(page.get_by_role("heading", name="What was found")).to_be_visible()
    expect(page.locator(".js-plotly-plot")).to_be_visible()
    shot("2_upload")
    for number, name in enumerate(OWN_COHORT, start=8):
        open_link(page, name)
        expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
        shot(f"{number}_{name.lower().replace(' ', '_')}")
    open_link(page, "Model card")
    expect(page.get_by_role("heading", name="Training data")).to_be_visible()
    shot("7_model_card")
    open_link(page, "Predictability")
    expect(page.get_by_role("heading", name="Accuracy and sample size")).to_be_visible()
    shot("8_predictability")
    page.get_by_role("radio", name="Genes", exact=True).click()
    expect(page.get_by_role("heading", name="in every tissue")).to_be_visible()
    shot("9_predictable_genes")
    open_link(page, "Methods compared")
    expect(page.get_by_role("heading", name="Means over tissues")).to_be_visible()
    shot("10_methods")
    page.get_by_role("radio", name="Shared genes").click()
    expect(page.get_by_text("Each bar counts the genes")).to_be_visible()
    shot("11_shared_genes")
    open_link(page, "Disease concordance")
    expect(page.get_by_role("heading", name="Predictable genes of")).to_be_visible()
    expect(
        page.locator(".st-key-figure_preserved_tissues_contrast .js-plotly-plot")
    ).to_be_visible()
    shot("13_disease_concordance")
    for number, view, figure in (
        (14, "Genes found again", "overlap_grid"),
        (15, "Classification", "areas"),
        (16, "Preserved associations", "preserved_tissues_trait"),
    ):
        page.get_by_role("radio", name=view).click()
        expect(page.locator(f".st-key-figure_{figure} .js-plotly-plot")).to_be_visible()
        shot(f"{number}_{view.lower().replace(' ', '_')}")
    open_link(page, "Latent space")
    expect(page.locator(".st-key-figure_code_likeness .js-plotly-plot")).to_be_visible()
    shot("17_latent_codes")
    for number, view, figure in (
        (18, "Decoding", "decoding_likeness"),
        (19, "Predictable genes", "predictability_likeness"),
        (20, "Your samples", "sample_map"),
    ):
        page.get_by_role("radio", name=view).click()
        expect(page.locator(f".st-key-figure_{figure} .js-plotly-plot")).to_be_visible()
        shot(f"{number}_latent_{view.lower().replace(' ', '_')}")
