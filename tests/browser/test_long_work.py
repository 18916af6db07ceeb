"""Work that takes seconds, in a real browser: its progress, its end, and whose it is."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from mtm_core.dashboard.state.resources import EXAMPLE
from mtm_core.inference.predictor import Predictor
from mtm_core.model_places import DEFAULT_MODEL, find_model
from tests.browser.conftest import SCREENSHOTS
from tests.browser.steps import download, open_link, settled, upload

pytestmark = pytest.mark.browser
LONG = 180_000
"""Milliseconds that it may take where others use the machine too."""
N_MANY = 12_000
"""Samples that take seconds to read."""
N_TOO_MANY = 40_000
"""Samples that take longer to read than a user to cancel it."""


CANCEL = ".st-key-cancel_table button"
"""Ends the reading; while the file is on its way, the field for files has a "Cancel" of its own."""


def people(n: int) -> bytes:
    """Return the example's people over and over, each a little different."""
    table = pd.read_csv(EXAMPLE, sep="\t", index_col="sample")
    rng = np.random.default_rng(0)
    rows = table.to_numpy()[rng.integers(0, len(table), n)]
    values = rows * np.exp(0.1 * rng.normal(size=rows.shape))
    names = pd.Index([f"P{i}" for i in range(n)], name="sample")
    return pd.DataFrame(values.round(3), names, table.columns).to_csv(sep="\t").encode()


def read_many(server: str, page: Page, many: bytes) -> None:
    """Upload many samples, whose reading goes on in the background."""
    page.goto(f"{server}/upload")
    upload(page, "many.tsv", many)
    expect(page.locator(CANCEL)).to_be_visible()


def test_long_work_shows_its_progress_and_can_be_cancelled(
    server: str, new_context: Callable[..., BrowserContext]
) -> None:
    SCREENSHOTS.mkdir(exist_ok=True)
    page = new_context(color_scheme="dark").new_page()
    read_many(server, page, people(N_TOO_MANY))
    expect(page.get_by_role("progressbar").first).to_be_visible()
    page.screenshot(path=SCREENSHOTS / "21_progress_dark.png")
    page.locator(CANCEL).click()
    expect(page.get_by_text("Reading many.tsv: cancelled.")).to_be_visible()
    expect(page.get_by_role("heading", name="What was found in many.tsv")).to_have_count(0)
    page.close()


def test_many_samples_are_read_and_predicted_in_all_tissues(server: str, page: Page) -> None:
    read_many(server, page, people(N_MANY))
    found = page.get_by_role("heading", name="What was found in many.tsv")
    expect(found).to_be_visible(timeout=LONG)
    open_link(page, "Predicted expression")
    expect(page.get_by_text("Choose tissues, then press")).to_be_visible()
    page.get_by_role("combobox", name="Tissues to predict").click()
    page.get_by_role("option", name="Select all").click()
    page.keyboard.press("Escape")
    settled(page)
    page.locator(".st-key-predict button").click()
    samples = page.get_by_text(f"{N_MANY:,} samples of Whole Blood · 48 tissues")
    expect(samples).to_be_visible(timeout=LONG)
    expect(page.get_by_role("progressbar")).to_have_count(0)


def test_two_sessions_at_once_with_files_that_differ_in_one_value(
    server: str, new_context: Callable[..., BrowserContext], tmp_path: Path
) -> None:
    """Same name, same length, one digit apart: each gets what the library makes of its own."""
    first = EXAMPLE.read_bytes().replace(b"SIM-", b"P-")
    second = first.replace(b"53.9320", b"83.9320", 1)
    assert sum(a != b for a, b in zip(first, second, strict=True)) == 1
    predictor = Predictor.load(find_model(DEFAULT_MODEL))
    files, pages = (first, second), [new_context().new_page() for _ in range(2)]
    for page, data in zip(pages, files, strict=True):
        page.goto(f"{server}/upload")
        upload(page, "mine.tsv", data)
    for page in pages:
        page.get_by_role("button", name="Predict, reading").click()
    shown = []
    for i, (page, data) in enumerate(zip(pages, files, strict=True)):
        expect(page.locator(".js-plotly-plot")).to_be_visible()
        _, path = download(page, "download_all_csv", tmp_path / str(i))
        written = pd.read_csv(path)
        own = pd.read_csv(StringIO(data.decode()), sep="\t", index_col="sample")
        expected = predictor.predict(own, targets=written["tissue"].unique().tolist(), unit="tpm")
        by_rows = written["z"].to_numpy().reshape(expected["z"].shape)
        np.testing.assert_allclose(by_rows, expected["z"].to_numpy(), rtol=1e-4, atol=1e-5)
        shown.append(written["z"].to_numpy())
        page.close()
    assert np.abs(shown[0] - shown[1]).max() > 1e-4
