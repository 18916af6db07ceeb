"""Models from servers: folder, zip, Zenodo, Hugging Face; whole and checked, or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mtm_core.data.gtex import resuming
from mtm_core.errors import ArtefactError, DownloadError, MTMError, OutputError, SelectionError
from mtm_core.inference.verification import verify
from mtm_core.model_folder import MANIFEST, seal_folder
from mtm_core.model_places import find_model, installed_models
from mtm_core.sharing.getting import get_model, install_model
from mtm_core.sharing.sources import Hosts, find_source
from tests.gtex_server import Server
from tests.sharing.conftest import Shared
from tests.sharing_server import files_of, put_on_zenodo, zip_of


def same(folder: Path, shared: Shared) -> bool:
    return files_of(folder) == files_of(shared.folder)


def offer(server: Server, shared: Shared, at: str = "/m") -> str:
    """Serve the folder; give its address."""
    server.files |= files_of(shared.folder, at)
    return f"{server.url}{at}"


def offer_in_words(server: Server, shared: Shared, how: str) -> str:
    """Serve the model in one of the ways; give what a user asks for."""
    if how in ("folder", "manifest"):
        return offer(server, shared) + (f"/{MANIFEST}" if how == "manifest" else "")
    if how == "zip":
        server.files["/small.zip"] = zip_of(shared.folder, "small/")
        return f"{server.url}/small.zip"
    if how.startswith("hf:"):
        offer(server, shared, f"/hf/owner/small/resolve/{how.partition('@')[2] or 'main'}")
        return how
    beside = {name: (shared.folder / name).read_bytes() for name in (MANIFEST, "model.json")}
    put_on_zenodo(server, 12, beside | {"small.zip": zip_of(shared.folder)})
    return how


@pytest.mark.parametrize(
    "how",
    [
        *("folder", "manifest", "zip", "hf:owner/small", "hf:owner/small@v1"),
        *("10.5281/zenodo.12", "doi:10.5072/zenodo.12", "https://doi.org/10.5281/zenodo.12"),
    ],
)
def test_a_model_is_got_as_it_was_published(
    how: str, server: Server, hosts: Hosts, shared: Shared, models: Path
) -> None:
    source = offer_in_words(server, shared, how)
    done = get_model(source, sha256=shared.pin.upper(), hosts=hosts)
    assert done.folder == models / "small" == find_model("small")
    assert done.is_pinned
    assert done.manifest_sha256 == shared.pin
    assert same(done.folder, shared)
    assert verify(done.folder).agrees
    assert sorted(path.name for path in models.iterdir()) == ["small"]


@pytest.mark.parametrize("how", ["folder", "zip", "10.5281/zenodo.12"])
def test_without_a_pin_nothing_is_installed_unasked(
    how: str, server: Server, hosts: Hosts, shared: Shared, models: Path
) -> None:
    source = offer_in_words(server, shared, how)
    with pytest.raises(SelectionError, match="--unverified") as error:
        get_model(source, hosts=hosts)
    assert how == "zip" or f"--sha256 {shared.pin}" in str(error.value)
    assert not any("safetensors" in path or path.endswith("zip") for path, _ in server.requests)
    assert installed_models() == {}
    done = get_model(source, unverified=True, hosts=hosts)
    assert not done.is_pinned
    assert same(done.folder, shared)


def test_a_download_that_is_cut_goes_on(
    server: Server, shared: Shared, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resuming, "_WAIT", 0.001)
    weights = "/m/model.safetensors"
    source = offer(server, shared)
    original = server.files.pop(weights)
    with pytest.raises(DownloadError, match="not there"):  # the server loses a file on the way
        get_model(source, sha256=shared.pin)
    assert installed_models() == {}
    server.files[weights] = original
    before = len(server.requests)
    done = get_model(source, sha256=shared.pin)
    again = [path for path, _ in server.requests[before:]]
    assert weights in again
    assert "/m/README.md" not in again  # it was there
    assert same(done.folder, shared)


def test_a_broken_download_resumes_where_it_broke(
    server: Server, shared: Shared, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resuming, "_WAIT", 0.001)
    monkeypatch.setattr(resuming, "_CHUNK", 512)
    source, weights = offer(server, shared), "/m/model.safetensors"
    manifest, description = (len(server.files[f"/m/{name}"]) for name in (MANIFEST, "model.json"))
    after = max(manifest, description) + 1
    assert after < len(server.files[weights])
    server.cut(after, 20)  # all that is longer than the description: the weights, twice or more
    get_model(source, sha256=shared.pin)
    starts = [asked for path, asked in server.requests if path == weights]
    assert starts[0] is None
    at = int(starts[1].removeprefix("bytes=").removesuffix("-"))
    assert 0 < at <= after
    assert same(models / "small", shared)


@pytest.mark.parametrize("file", ["model.safetensors", "README.md", "model.json"])
@pytest.mark.parametrize("how", ["other", "short", "long", "page"])
def test_another_file_is_refused_and_named(
    file: str, how: str, server: Server, shared: Shared, models: Path
) -> None:
    source = offer(server, shared)
    data = server.files[f"/m/{file}"]
    server.files[f"/m/{file}"] = {
        "other": data[:-1] + bytes([data[-1] ^ 1]),
        "short": data[:-1],
        "long": data + b" ",
        "page": b"<!DOCTYPE html><html>Sign in</html>",
    }[how]
    with pytest.raises((DownloadError, ArtefactError)) as error:
        get_model(source, sha256=shared.pin)
    assert file in str(error.value)
    assert installed_models() == {}
    server.files[f"/m/{file}"] = data  # mended: nothing of the wrong one stays
    assert same(get_model(source, sha256=shared.pin).folder, shared)


def test_another_manifest_than_the_pinned_is_refused(
    server: Server, shared: Shared, models: Path
) -> None:
    source = offer(server, shared)
    with pytest.raises(ArtefactError, match=f"has SHA-256 {shared.pin}, expected 0{{64}}"):
        get_model(source, sha256="0" * 64)
    assert [path for path, _ in server.requests] == [f"/m/{MANIFEST}"]
    with pytest.raises(SelectionError, match="is not a SHA-256"):
        get_model(source, sha256="12")


def change_manifest(shared: Shared, how: Callable[[dict], object]) -> None:
    path = shared.folder / MANIFEST
    values = json.loads(path.read_text())
    how(values)
    path.write_text(json.dumps(values))


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (lambda m: m.update(format_version=2), "format version 2; this program reads version 1"),
        (lambda m: m.update(format="other"), "not a manifest of a model"),
        (lambda m: m["files"].update({"../x": m["files"]["README.md"]}), "no file of a model"),
        (lambda m: m["files"].update({"/etc/x": m["files"]["README.md"]}), "no file of a model"),
        (lambda m: m["files"].update({"evaluation/a/../../x": {}}), "no file of a model"),
        (lambda m: m["files"].update({".profile": {}}), "no file of a model"),
        (lambda m: m["files"]["README.md"].update(sha256="12"), "no size and SHA-256"),
        (lambda m: m["files"]["model.safetensors"].update(bytes=2**40), "more than any of ours"),
        (lambda m: m["files"].pop("model.json"), "does not name model.json"),
    ],
)
def test_a_manifest_of_something_else_is_refused_before_anything_is_got(
    how: Callable[[dict], object], words: str, server: Server, shared: Shared, models: Path
) -> None:
    change_manifest(shared, how)
    source = offer(server, shared)
    with pytest.raises(ArtefactError, match=words):
        get_model(source, sha256=shared.pin)
    assert [path for path, _ in server.requests] == [f"/m/{MANIFEST}"]
    assert not models.exists() or not list(models.iterdir())


@pytest.mark.parametrize("how", ["folder", "10.5281/zenodo.12"])
def test_another_format_is_refused_before_the_weights(
    how: str, server: Server, hosts: Hosts, shared: Shared, models: Path
) -> None:
    path = shared.folder / "model.json"
    path.write_text(path.read_text().replace('"format_version": 2', '"format_version": 3'))
    seal_folder(shared.folder)
    source = offer_in_words(server, shared, how)
    with pytest.raises(ArtefactError, match=r"format version 3; this program .* reads version 2"):
        get_model(source, sha256=shared.pin, hosts=hosts)
    assert not any("safetensors" in path or path.endswith("zip") for path, _ in server.requests)


def test_a_model_whose_meaning_is_wrong_is_not_installed(
    server: Server, shared: Shared, models: Path
) -> None:
    (shared.folder / "history.csv").write_text("no,epochs\n1,2\n")
    seal_folder(shared.folder)
    with pytest.raises(MTMError, match="history"):
        get_model(offer(server, shared), sha256=shared.pin)
    assert installed_models() == {}


def test_an_installed_model_is_replaced_only_on_request(
    server: Server, shared: Shared, models: Path
) -> None:
    source = offer(server, shared)
    get_model(source, sha256=shared.pin)
    (shared.folder / "README.md").write_text("# newer\n")
    seal_folder(shared.folder)
    offer(server, shared)
    n = len(server.requests)
    with pytest.raises(OutputError, match="--overwrite"):
        get_model(source, sha256=shared.pin)
    assert not any("safetensors" in path for path, _ in server.requests[n:])
    get_model(source, sha256=shared.pin, overwrite=True)
    assert (models / "small" / "README.md").read_text() == "# newer\n"


def test_a_bundled_name_is_not_taken(server: Server, shared: Shared, models: Path) -> None:
    path = shared.folder / "model.json"
    path.write_text(path.read_text().replace('"small"', '"gtex_v8_acmg59"'))
    seal_folder(shared.folder)
    for install in (
        lambda: get_model(offer(server, shared), sha256=shared.pin),
        lambda: install_model(shared.folder),
    ):
        with pytest.raises(ArtefactError, match="always means the bundled one"):
            install()


def test_redirects_are_followed_to_encrypted_places_alone(
    server: Server, shared: Shared, models: Path
) -> None:
    offer(server, shared, "/cdn")
    server.redirects = {f"/m/{name}": f"/cdn/{name}" for name in (MANIFEST, "model.json")}
    server.redirects |= {
        name.replace("/cdn", "/m"): server.url + name for name in server.files if "/cdn" in name
    }
    assert same(get_model(f"{server.url}/m", sha256=shared.pin).folder, shared)
    server.redirects[f"/m/{MANIFEST}"] = "http://example.org/manifest.json"
    with pytest.raises(DownloadError, match="is not encrypted"):
        get_model(f"{server.url}/m", sha256=shared.pin)
    server.redirects[f"/m/{MANIFEST}"] = f"/m/{MANIFEST}"
    with pytest.raises(DownloadError, match="without end"):
        get_model(f"{server.url}/m", sha256=shared.pin)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("http://example.org/model", "not encrypted"),
        ("https://me:secret@example.org/model", "with a name or password"),
        ("ftp://example.org/model", "is not a place"),
        ("https://example.org:port/model", "not an address"),
        ("hf:owner", "hf:OWNER/NAME"),
        ("hf:../..", "hf:OWNER/NAME"),
        ("10.1000/182", "DOIs of Zenodo"),
        ("https://example.org/folder?x=1", "nothing after"),
        ("no/where", "mtm model install"),
    ],
)
def test_an_invalid_address_is_refused_without_a_request(
    source: str, words: str, models: Path
) -> None:
    with pytest.raises(MTMError, match=words) as error:
        get_model(source, sha256="0" * 64)
    assert "secret" not in str(error.value)


def test_addresses_of_pages_are_those_of_their_models(hosts: Hosts) -> None:
    known = Hosts()
    page = find_source("https://huggingface.co/owner/name/tree/v2", known)
    assert page.url("model.json") == ("https://huggingface.co/owner/name/resolve/v2/model.json")
    file = find_source("hf:owner/name", known).url("evaluation/genes of all.parquet")
    assert file == (
        "https://huggingface.co/owner/name/resolve/main/evaluation/genes%20of%20all.parquet"
    )


@pytest.mark.parametrize(
    ("status", "words"),
    [(404, "holds no model"), (403, "private"), (401, "private"), (500, "answered 500")],
)
def test_a_server_that_refuses_is_quoted(
    status: int, words: str, server: Server, shared: Shared, models: Path
) -> None:
    source = offer(server, shared)
    server.status = status
    with pytest.raises(DownloadError, match=words):
        get_model(source, sha256=shared.pin)


def test_a_page_in_place_of_a_manifest_is_reported(server: Server, models: Path) -> None:
    server.files[f"/m/{MANIFEST}"] = b"<!doctype html><html></html>"
    with pytest.raises(DownloadError, match="a web page came"):
        get_model(f"{server.url}/m", unverified=True)


def test_a_missing_server_is_reported(models: Path) -> None:
    with pytest.raises(DownloadError, match="no answer from the server"):
        get_model("http://127.0.0.1:9/m", unverified=True)


def test_records_without_a_model_are_reported(
    server: Server, hosts: Hosts, shared: Shared, models: Path
) -> None:
    put_on_zenodo(server, 12, {"paper.pdf": b""})
    with pytest.raises(DownloadError, match=r"found 0 among its files \(paper.pdf\)"):
        get_model("10.5281/zenodo.12", unverified=True, hosts=hosts)
    put_on_zenodo(server, 12, {})
    with pytest.raises(DownloadError, match="lists no files"):
        get_model("10.5281/zenodo.12", unverified=True, hosts=hosts)
    with pytest.raises(DownloadError, match="not there"):
        get_model("10.5281/zenodo.13", unverified=True, hosts=hosts)


def test_a_name_that_nobody_published_says_how_to_build_it(models: Path) -> None:
    with pytest.raises(SelectionError, match=r"knows of none that is published.*mtm build"):
        get_model("gtex_v8")


def test_a_full_disk_is_reported_before_anything_is_got(
    server: Server, shared: Shared, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(shared.folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(OutputError, match=r"are needed and 0.00 GB are free"):
        get_model(offer(server, shared), sha256=shared.pin)
    assert not any("safetensors" in path for path, _ in server.requests)
