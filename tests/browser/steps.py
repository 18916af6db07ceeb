"""What users do, in words."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

_SETTLED = "[data-testid=stApp][data-test-script-state=notRunning]"
_AT_REST = """() => {
    if (!document.querySelector("[data-testid=stApp][data-test-script-state=notRunning]")
        || document.querySelector("[data-testid=stSkeleton]")) {
        window.restsSince = undefined;
        return false;
    }
    window.restsSince ??= performance.now();
    return performance.now() - window.restsSince > 300;
}"""


def settled(page: Page) -> None:
    """Wait until the server has finished with the page, and the page has drawn what came."""
    page.wait_for_selector(_SETTLED)
    page.wait_for_selector("[data-testid=stSkeleton]", state="detached")


def at_rest(page: Page) -> None:
    """Wait until nothing has run for a while: no run has another one follow."""
    page.wait_for_function(_AT_REST)


def open_link(page: Page, name: str) -> None:
    """Go to a page by the menu."""
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=name).click()


def upload(page: Page, name: str, data: bytes) -> None:
    """Give a file to the upload page."""
    settled(page)
    page.locator("[data-testid=stFileUploader] input[type=file]").first.set_input_files(
        {"name": name, "mimeType": "application/octet-stream", "buffer": data}
    )


def download(page: Page, key: str, folder: Path) -> tuple[str, Path]:
    """Press the download button ``key``; give the name the file would get, and where it is."""
    at_rest(page)
    with page.expect_download() as started:
        page.locator(f".st-key-{key} button").click()
    name = started.value.suggested_filename
    folder.mkdir(exist_ok=True)
    started.value.save_as(folder / name)
    return name, folder / name
