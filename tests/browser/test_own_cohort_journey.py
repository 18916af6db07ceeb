"""A user's own cohort: metadata in, the volcano acted on, the table that is shown taken home."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Page, expect

from mtm_core.dashboard.state.resources import EXAMPLE, EXAMPLE_METADATA
from tests.browser.steps import download, open_link, settled, upload

pytestmark = pytest.mark.browser

UP = {"SDHD", "VHL", "SDHB", "MSH6"}


def open_example(page: Page, server: str) -> None:
    """Go to the comparison of the example's groups."""
    page.goto(server)
    page.get_by_role("button", name="Try it with the example").click()
    expect(page.get_by_role("heading", name="Predicted expression")).to_be_visible()
    open_link(page, "Differential expression")


def drag_over_blood_that_is_higher(page: Page, figure: str = "figure_volcano") -> None:
    """Drag a box over the upper right of the second panel: blood, higher in cases."""
    panel = page.locator(f".st-key-{figure} .js-plotly-plot .nsewdrag").nth(1)
    expect(panel).to_be_visible()
    panel.scroll_into_view_if_needed()
    box = panel.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.55 * box["width"], box["y"] + 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 0.3 * box["height"], steps=6)
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + 0.6 * box["height"], steps=6)
    page.mouse.up()


def test_selected_points_fill_the_table_that_is_downloaded(
    server: str, page: Page, tmp_path: Path
) -> None:
    open_example(page, server)
    expect(page.get_by_text("4 higher and 4 lower in cases")).to_be_visible()
    settled(page)
    drag_over_blood_that_is_higher(page)
    expect(page.get_by_text("genes selected in the figure")).to_be_visible()
    _, path = download(page, "download_differential_table_csv", tmp_path)
    rows = pd.read_csv(path)
    assert set(rows["gene"]) == UP
    assert set(rows["tissue"]) == {"Adipose - Subcutaneous", "Whole Blood"}

    page.get_by_role("button", name="Show all genes").click()
    expect(page.get_by_text("All genes. Select a row")).to_be_visible()
    _, path = download(page, "download_differential_table_csv", tmp_path)
    assert len(pd.read_csv(path)) == 2 * 59
    settled(page)
    expect(page.locator(".select-outline")).to_have_count(0)
    drag_over_blood_that_is_higher(page, "figure_volcano_1")  # the same points once more
    expect(page.get_by_text("genes selected in the figure")).to_be_visible()


def test_selecting_a_row_highlights_its_gene_and_shows_its_samples(server: str, page: Page) -> None:
    open_example(page, server)
    table = page.locator(".st-key-differential_rows")
    expect(table).to_be_visible()
    settled(page)
    table.scroll_into_view_if_needed()
    # The table is a canvas: the box of its first row is below the header.
    table.locator(".dvn-scroller").click(position={"x": 18, "y": 52})
    expect(page.get_by_role("heading", name="VHL in every sample")).to_be_visible()
    figure = page.locator(".st-key-figure_volcano .js-plotly-plot")
    expect(figure.get_by_text("VHL").first).to_be_visible()
    expect(page).to_have_url(re.compile("gene=VHL"))


def test_uploaded_metadata_give_the_groups(server: str, page: Page) -> None:
    people = pd.read_csv(EXAMPLE_METADATA, sep="\t")
    people["group"] = people["group"].map({"case": "treated", "control": "untreated"})
    page.goto(f"{server}/upload")
    upload(page, "mine.tsv", EXAMPLE.read_bytes().replace(b"SIM-", b"P-"))
    expect(page.get_by_role("heading", name="What was found in mine.tsv")).to_be_visible()
    open_link(page, "Metadata")
    expect(page.get_by_text("No metadata yet")).to_be_visible()
    names = people["sample"].str.replace("SIM-", "p_")
    upload(page, "people.csv", people.assign(sample=names).to_csv(index=False).encode())
    expect(page.get_by_text("0 of 40").first).to_be_visible()
    page.get_by_role("button", name="Yes, these 40 are the same samples").click()
    expect(page.get_by_text("40 of 40").first).to_be_visible()
    page.get_by_role("link", name="Compare two groups").click()
    expect(page.get_by_text("treated (n = 20) against untreated (n = 20)")).to_be_visible()
    expect(page.get_by_text("Simulated samples")).to_have_count(0)
