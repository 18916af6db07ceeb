"""How far predictions can be trusted, looked up in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.steps import download, open_link, settled

pytestmark = pytest.mark.browser


def test_gene_of_a_marked_row_is_shown_over_all_tissues(
    server: str, page: Page, tmp_path: Path
) -> None:
    page.goto(f"{server}/predictability?accuracy_of=Genes&tissue=Lung")
    expect(page.get_by_role("heading", name="Genes of Lung")).to_be_visible()
    search = page.get_by_role("searchbox", name="Search")
    search.fill("TP53, brca")
    search.press("Enter")
    expect(page.get_by_text("3 of 59 genes shown")).to_be_visible()
    name, path = download(page, "download_gene_rows_csv", tmp_path)
    assert name.startswith("genes_Lung_")
    rows = pd.read_csv(path)
    assert sorted(rows["gene"]) == ["BRCA1", "BRCA2", "TP53"]

    # The table is a canvas: its marks lie in the first column, under the header.
    table = page.locator(".st-key-gene_rows [data-testid=stDataFrame]")
    table.click(position={"x": 18, "y": 35 + 35 + 17})
    gene = rows["gene"][1]
    expect(page.get_by_role("heading", name=f"{gene} in every tissue")).to_be_visible()
    expect(page).to_have_url(re.compile(rf"\bgene={gene}\b"))
    expect(page.get_by_text(re.compile(f"^{gene}, .*: rho in each tissue"))).to_be_visible()


def choose(page: Page, name: str, option: str) -> None:
    box = page.get_by_role("combobox", name=name)
    box.click()
    box.fill(option)
    page.get_by_role("option", name=option, exact=True).click()


def test_tissue_and_method_go_along_to_other_pages_and_come_back(server: str, page: Page) -> None:
    page.goto(f"{server}/predictability?accuracy_of=Genes&tissue=Spleen&method=mtm")
    expect(page.get_by_text("(mtm, Spleen)")).to_be_visible()
    open_link(page, "Methods compared")
    expect(page.get_by_role("heading", name="mtm against")).to_be_visible()
    page.get_by_role("radio", name="Shared genes").click()
    expect(page.get_by_text("Spleen: predictable genes")).to_be_visible()
    choose(page, "Tissue", "Lung")
    open_link(page, "Predictability")
    expect(page.get_by_text("(mtm, Lung)")).to_be_visible()
    choose(page, "Tissue", "Spleen")
    expect(page.get_by_text("(mtm, Spleen)")).to_be_visible()
    # A page that does not have the tissue starts with one that it has.
    open_link(page, "Start")
    page.get_by_role("button", name="Try it with the example").click()
    expect(page.get_by_role("heading", name="Predicted expression")).to_be_visible()
    expect(page.get_by_text("Predicted z-scores, Adipose - Subcutaneous")).to_be_visible()
    settled(page)
    expect(page.get_by_test_id("stException")).to_have_count(0)


def test_a_tissue_is_found_on_the_body(server: str, page: Page) -> None:
    def organ(name: str) -> Locator:
        return page.get_by_role("button", name=f"{name}: ")

    page.goto(f"{server}/predictability?accuracy_of=Genes&tissue=Lung")
    expect(page.get_by_role("heading", name="Genes of Lung")).to_be_visible()
    page.get_by_text("Choose on a body map").click()
    expect(organ("Lung")).to_have_attribute("aria-pressed", "true")
    organ("Colon").press("Enter")
    expect(page.get_by_role("heading", name="Genes of Colon - Sigmoid")).to_be_visible()
    expect(organ("Colon")).to_have_attribute("aria-pressed", "mixed")
    organ("Colon").press("Enter")  # the next of its tissues
    expect(page.get_by_role("heading", name="Genes of Colon - Transverse")).to_be_visible()
    expect(page).to_have_url(re.compile("tissue=Colon[^&]*Transverse"))
    expect(organ("Lung")).to_have_attribute("aria-pressed", "false")

    page.get_by_role("radio", name="Distributions").click()
    settled(page)
    page.get_by_text("Choose on a body map").click()
    settled(page)
    for name in ("Lung", "Colon"):
        organ(name).press("Enter")
        expect(organ(name)).to_have_attribute("aria-pressed", "true")
    figure = page.locator(".st-key-figure_rho_boxes .js-plotly-plot")
    expect(figure.locator(".ytick")).to_have_count(3)
    organ("Lung").press("Enter")
    expect(figure.locator(".ytick")).to_have_count(2)
