"""Sign-in with an OpenID Connect provider, from the door to the dashboard and out again."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import SCREENSHOTS, free_port, run_server, wait_until_it_answers
from tests.browser.steps import settled

pytestmark = pytest.mark.browser
NOT_SIGNED_IN = "The last sign-in from this browser did not succeed"


class Provider:
    """An OpenID Connect provider that lets in whoever gives a name."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.port = free_port()
        self.metadata = f"http://127.0.0.1:{self.port}/.well-known/openid-configuration"

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "oidc_provider_mock", "--port", str(self.port)],
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        wait_until_it_answers(self.metadata, self.process, self.log)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=20)


@dataclass(frozen=True)
class Guarded:
    """A dashboard that asks for sign-in, and the provider it asks."""

    url: str
    provider: Provider


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    provider = Provider(folder / "provider.log")
    settings = folder / "secrets.toml"
    settings.write_text(
        "[auth]\n"
        'redirect_uri = "http://127.0.0.1:{port}/oauth2callback"\n'  # Streamlit fills it in
        f'cookie_secret = "{secrets.token_hex()}"\n'
        'client_id = "mtm"\n'
        'client_secret = "any"\n'
        f'server_metadata_url = "{provider.metadata}"\n'
    )
    provider.start()
    try:
        with run_server(folder, f"--secrets.files={settings}") as url:
            yield Guarded(url, provider)
    finally:
        provider.stop()


@pytest.fixture(autouse=True)
def nothing_leaves_this_machine() -> None:
    """The provider's own pages name a style sheet elsewhere; ``strangers`` does not ask for it."""


@pytest.fixture(scope="module")
def strangers(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1360, "height": 900})
    context.route(lambda url: urlsplit(url).hostname != "127.0.0.1", lambda route: route.abort())
    yield context
    context.close()


@pytest.fixture
def stranger(strangers: BrowserContext) -> Iterator[Page]:
    """A page of a browser that nobody has signed in with."""
    strangers.clear_cookies()
    page = strangers.new_page()
    yield page
    page.close()


def expect_door(page: Page) -> None:
    expect(page.get_by_text("This server asks you to sign in.")).to_be_visible()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    expect(page.get_by_test_id("stSidebarNav")).to_have_count(0)
    expect(page.get_by_test_id("stException")).to_have_count(0)


def go_to_provider(page: Page) -> None:
    settled(page)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/oauth2/authorize?*")


def sign_in(page: Page, guarded: Guarded, name: str) -> None:
    page.goto(guarded.url)
    expect_door(page)
    go_to_provider(page)
    page.get_by_placeholder("sub").fill(name)
    page.get_by_role("button", name="Authorize").click()
    shown = name.replace("@", "@\u2060")  # no link
    expect(page.get_by_test_id("stSidebar").get_by_text(f"Signed in as {shown}")).to_be_visible()


def test_dashboard_is_open_from_sign_in_to_sign_out(guarded: Guarded, stranger: Page) -> None:
    sign_in(stranger, guarded, "ada@example.org")
    stranger.goto(f"{guarded.url}/model_card")  # another session: the cookie says who it is
    expect(stranger.get_by_text("Signed in as ada@\u2060example.org")).to_be_visible()
    expect(stranger.get_by_role("heading", name="Model card and training")).to_be_visible()

    stranger.locator(".st-key-sign_out button").click()
    stranger.wait_for_url("**/oauth2/end_session?*")
    stranger.get_by_role("button", name="End session").click()
    expect_door(stranger)
    expect(stranger.get_by_text(NOT_SIGNED_IN)).to_have_count(0)
    stranger.goto(f"{guarded.url}/predicted")
    expect_door(stranger)


def test_refused_sign_in_is_reported(guarded: Guarded, stranger: Page) -> None:
    stranger.goto(guarded.url)
    go_to_provider(stranger)
    stranger.get_by_role("button", name="Deny").click()
    expect_door(stranger)
    expect(stranger.get_by_text(NOT_SIGNED_IN)).to_be_visible()
    settled(stranger)
    SCREENSHOTS.mkdir(exist_ok=True)
    for scheme in ("light", "dark"):
        stranger.emulate_media(color_scheme=scheme)
        stranger.screenshot(path=SCREENSHOTS / f"24_sign_in_refused_{scheme}.png")


def test_a_cookie_not_signed_by_the_server_opens_nothing(guarded: Guarded, stranger: Page) -> None:
    sign_in(stranger, guarded, "ada@example.org")
    cookies = {cookie["name"]: cookie for cookie in stranger.context.cookies()}
    good = cookies["_streamlit_user"]
    for value in ("garbled", f"{good['value'][:-3]}xyz"):
        stranger.context.add_cookies([good | {"value": value}])
        stranger.goto(f"{guarded.url}/predicted")
        expect_door(stranger)


def test_an_address_unknown_to_the_provider_links_to_the_known_one(
    guarded: Guarded, browser: Browser
) -> None:
    page = browser.new_page()
    page.goto(guarded.url.replace("127.0.0.1", "localhost"))
    expect(page.get_by_text("where nobody can sign in")).to_be_visible()
    expect(page.get_by_role("button", name="Sign in")).to_have_count(0)
    expect(page.get_by_role("link", name=guarded.url)).to_have_attribute("href", guarded.url)
    page.close()


def test_an_unreachable_provider_is_named(guarded: Guarded, stranger: Page) -> None:
    stranger.goto(guarded.url)
    go_to_provider(stranger)
    (state,) = parse_qs(urlsplit(stranger.url).query)["state"]
    guarded.provider.stop()
    try:
        stranger.goto(f"{guarded.url}/oauth2callback?code=any&state={state}")  # cannot be checked
        expect_door(stranger)
        expect(stranger.get_by_text(NOT_SIGNED_IN)).to_be_visible()
        stranger.get_by_role("button", name="Sign in").click()
        expect(stranger.get_by_text("does not answer correctly")).to_be_visible()
        expect_door(stranger)
    finally:
        guarded.provider.start()
