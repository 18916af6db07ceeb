"""What users come for, from the file they have to the file they want."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import pandas as pd
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from mtm_core.dashboard.state.resources import EXAMPLE
from mtm_core.data.tables.expression import read_expression
from mtm_core.inference.export import INTERVAL, LONG_COLUMNS, to_long_table
from mtm_core.inference.predictor import Predictor
from mtm_core.model_places import DEFAULT_MODEL, find_model
from tests.browser.steps import download, open_link, settled, upload

pytestmark = pytest.mark.browser


def test_deep_link_without_data_names_the_next_step_and_keeps_its_gene(
    server: str, page: Page
) -> None:
    """The first test of the file: on a server that has served nothing yet."""
    page.goto(f"{server}/predicted?view=One+gene&gene=BRCA1")
    expect(page.get_by_text("No samples yet")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    menu = page.get_by_test_id("stSidebarNav")
    for name in ("Start", "Upload", "Predicted expression", "Model card and training"):
        expect(menu.get_by_role("link", name=name, exact=True)).to_have_count(1)
    page.get_by_role("button", name="Try it with the example").click()
    expect(page.get_by_text("BRCA1: predicted expression of each sample")).to_be_visible()


def test_from_upload_to_the_long_table(server: str, page: Page, tmp_path: Path) -> None:
    """The file that comes out holds what the library predicts from the file that went in."""
    counts = EXAMPLE.with_name("blood_counts.csv").read_bytes().replace(b"SIM-", b"P-")
    page.goto(f"{server}/upload")
    upload(page, "mine.csv", counts)
    expect(page.get_by_role("heading", name="What was found in mine.csv")).to_be_visible()
    expect(page.get_by_text("genes in rows", exact=True)).to_be_visible()
    expect(page.get_by_text("59 of 59 found")).to_be_visible()
    page.get_by_role("button", name="Predict, reading the values as Counts").click()
    expect(page.get_by_role("heading", name="Predicted expression", exact=True)).to_be_visible()
    expect(page.locator(".js-plotly-plot")).to_be_visible()
    name, path = download(page, "download_all_csv", tmp_path)
    assert name == f"predicted_{DEFAULT_MODEL}.research_use_only.csv"

    (tmp_path / "mine.csv").write_bytes(counts)
    predictor = Predictor.load(find_model(DEFAULT_MODEL))
    table = read_expression(tmp_path / "mine.csv", known_genes=predictor.genes)
    written = pd.read_csv(path)
    targets = written["tissue"].unique().tolist()
    expected = to_long_table(predictor.predict(table, targets=targets))
    assert tuple(written.columns) == (*LONG_COLUMNS, *INTERVAL)
    pd.testing.assert_frame_equal(
        written, expected.astype({"sample": str, "tissue": str}), check_dtype=False, rtol=1e-5
    )


def test_example_in_one_click_and_home_as_h5ad(server: str, page: Page, tmp_path: Path) -> None:
    page.goto(server)
    page.get_by_role("button", name="Try it with the example").click()
    expect(page.get_by_text("Simulated samples, not real people")).to_be_visible()
    expect(page.locator(".js-plotly-plot")).to_be_visible()
    name, path = download(page, "download_all_h5ad", tmp_path)
    assert name.startswith("simulated_")
    table = ad.read_h5ad(path)
    assert table.n_obs == 40 * 6
    assert table.uns["mtm"]["use"] == "For research use, not for diagnosis."


def test_table_that_is_shown_is_the_table_that_is_downloaded(
    server: str, page: Page, tmp_path: Path
) -> None:
    page.goto(server)
    page.get_by_role("button", name="Try it with the example").click()
    page.get_by_role("radio", name="Table").click()
    expect(page.get_by_text("2,360 of 2,360 rows")).to_be_visible()
    _, path = download(page, "download_predicted_rows_csv", tmp_path)
    rows = pd.read_csv(path)
    assert len(rows) == 2360
    assert len(set(rows["tissue"])) == 1


def test_chosen_gene_is_in_the_address_and_comes_back(server: str, page: Page) -> None:
    page.goto(server)
    page.get_by_role("button", name="Try it with the example").click()
    page.get_by_role("radio", name="One gene", exact=True).click()
    gene = page.get_by_role("combobox", name="Gene")
    gene.click()
    gene.fill("TP53")
    page.get_by_role("option", name="TP53").click()
    expect(page.get_by_text("TP53: predicted expression of each sample")).to_be_visible()
    expect(page).to_have_url(re.compile(r"/predicted\?.*\bgene=TP53\b"))
    open_link(page, "Model card")
    expect(page.get_by_role("heading", name="Training data")).to_be_visible()
    open_link(page, "Predicted expression")
    expect(page.get_by_text("TP53: predicted expression of each sample")).to_be_visible()


def test_bad_file_is_an_error_in_words(server: str, page: Page) -> None:
    page.goto(f"{server}/upload")
    upload(page, "letter.txt", b"Dear all,\nplease find attached\n")
    alert = page.get_by_role("alert").filter(has_text="letter.txt")
    expect(alert).to_be_visible()
    settled(page)
    expect(page.get_by_text("Traceback")).to_have_count(0)
    expect(page.get_by_test_id("stException")).to_have_count(0)


def test_two_sessions_at_once_each_get_their_own(
    server: str, new_context: Callable[..., BrowserContext], tmp_path: Path
) -> None:
    data = pd.read_csv(EXAMPLE, sep="\t", index_col="sample")
    pages, results = [new_context().new_page(), new_context().new_page()], []
    for page, factor in zip(pages, (1.0, 50.0), strict=True):
        data.loc["SIM-001", "BRCA1"] *= factor
        page.goto(f"{server}/upload")
        upload(page, "same_name.tsv", data.to_csv(sep="\t").encode())
    for page in pages:
        expect(page.get_by_role("heading", name="What was found")).to_be_visible()
        page.get_by_role("button", name="Predict, reading").click()
    for i, page in enumerate(pages):
        expect(page.locator(".js-plotly-plot")).to_be_visible()
        _, path = download(page, "download_all_csv", tmp_path / str(i))
        results.append(pd.read_csv(path).query("sample == 'SIM-001'")["z"].to_numpy())
    assert abs(results[0] - results[1]).max() > 1e-3


def test_deleted_data_are_gone(server: str, page: Page) -> None:
    page.goto(f"{server}/upload")
    upload(page, "mine.tsv", EXAMPLE.read_bytes())
    page.get_by_role("button", name="Delete my data now").click()
    expect(page.get_by_text("No samples yet")).to_be_visible()
    expect(page.get_by_text("mine.tsv")).to_have_count(0)
    page.reload()
    expect(page.get_by_text("No samples yet")).to_be_visible()
