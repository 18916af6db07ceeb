"""Bad files in a real browser: a message that names the next step, and nothing lost."""

from __future__ import annotations

import gzip
import io
import time
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from mtm_core.dashboard.state.resources import EXAMPLE
from tests.browser.steps import open_link, settled, upload

pytestmark = pytest.mark.browser

OWN = EXAMPLE.read_bytes().replace(b"SIM-", b"P-")
HANGS = Path(__file__).parents[1] / "data" / "bad_files" / "hangs.h5ad.gz"
SECONDS_OF_A_READER = 120


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("notes.txt", b"nothing of any gene")
    return file.getvalue()


def twice(table: bytes) -> bytes:
    lines = table.splitlines()
    return b"\n".join([*lines, lines[1]])


BAD = {
    "page.csv": (b"<!DOCTYPE html><html>404</html>", "a web page"),
    "notes.zip": (zipped(), "a header and no rows below it"),
    "cut.tsv.gz": (gzip.compress(OWN)[:-20], "ends early. Upload it again"),
    "old.xlsx": (b"\xd0\xcf\x11\xe0" + bytes(700), "an old Excel file"),
    "cut.parquet": (b"PAR1" + b"junk" * 50, "the parquet file is damaged"),
    "cut.h5ad": (b"\x89HDF\r\n\x1a\n" + b"junk" * 50, "the .h5ad is damaged"),
    "twice.tsv": (twice(OWN), "duplicated"),
    "words.tsv": (OWN.replace(b"\t0.0", b"\tlow", 1), "not a number"),
}


def alert(page: Page, name: str, words: str) -> None:
    expect(
        page.get_by_role("alert").filter(has_text=f"{name}: ").filter(has_text=words)
    ).to_be_visible()


def nothing_broken(page: Page) -> None:
    settled(page)
    expect(page.get_by_text("Traceback")).to_have_count(0)
    expect(page.get_by_test_id("stException")).to_have_count(0)


def test_each_bad_file_says_what_it_is_and_leaves_what_was_there(server: str, page: Page) -> None:
    page.goto(f"{server}/upload")
    upload(page, "mine.tsv", OWN)
    expect(page.get_by_role("heading", name="What was found in mine.tsv")).to_be_visible()
    page.get_by_role("button", name="Predict, reading the values as TPM").click()
    expect(page.locator(".st-key-figure_z .js-plotly-plot")).to_be_visible()
    open_link(page, "Upload")
    for name, (data, words) in BAD.items():
        upload(page, name, data)
        alert(page, name, words)
        expect(
            page.get_by_text("Your previous samples, from mine.tsv, are still here")
        ).to_be_visible()
        nothing_broken(page)
    open_link(page, "Predicted expression")
    expect(page.locator(".st-key-figure_z .js-plotly-plot")).to_be_visible()
    expect(page.get_by_text("Choose tissues, then press")).to_have_count(0)

    open_link(page, "Upload")
    upload(page, "other.tsv", OWN.replace(b"P-", b"Q-"))
    expect(page.get_by_role("heading", name="What was found in other.tsv")).to_be_visible()
    expect(page.get_by_text("are still here")).to_have_count(0)


def test_findings_of_a_table_stand_on_the_page(server: str, page: Page) -> None:
    """An earlier name, a date for a gene, a row of metadata, a sample without values."""
    lines = OWN.decode().splitlines()
    lines[0] = lines[0].replace("\tTP53", "\tp53").replace("\tLMNA", "\t1-Mar")
    assert "p53" in lines[0]
    assert "1-Mar" in lines[0]
    page.goto(f"{server}/upload")
    upload(page, "mine.tsv", "\n".join(lines).encode())
    expect(page.get_by_role("heading", name="What was found in mine.tsv")).to_be_visible()
    expect(page.get_by_text("'p53 for TP53'")).to_be_visible()
    expect(
        page.get_by_role("alert").filter(has_text="1 gene id is a date: '1-Mar'")
    ).to_be_visible()
    expect(page.get_by_role("alert").filter(has_text="Missing: 'LMNA'")).to_be_visible()
    nothing_broken(page)


def test_a_file_that_hangs_its_reader_delays_nobody_else(server: str, page: Page) -> None:
    """The reader never ends by itself; others go on, and the user can end it."""
    page.goto(f"{server}/upload")
    upload(page, "odd.h5ad", gzip.decompress(HANGS.read_bytes()))
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    other = page.context.new_page()
    started = time.monotonic()
    other.goto(f"{server}/upload")
    upload(other, "mine.tsv", OWN)
    expect(other.get_by_role("heading", name="What was found in mine.tsv")).to_be_visible()
    assert time.monotonic() - started < SECONDS_OF_A_READER / 2
    other.close()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Reading odd.h5ad: cancelled")).to_be_visible()
    nothing_broken(page)
