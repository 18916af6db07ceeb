"""Sources of models, and the address of each file there.

- a server's folder that holds a model's files under their own names; or its ``manifest.json``;
- a zip of such a folder;
- ``hf:OWNER/NAME`` or ``hf:OWNER/NAME@REVISION``: a Hugging Face repository, whose files are at
  ``/OWNER/NAME/resolve/REVISION/FILE``;
- a DOI of Zenodo, whose record (``/api/records/ID``) lists its files. Zenodo has no folders, so
  that a model is a zip there, beside its ``manifest.json`` and ``model.json``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from mtm_core.errors import DownloadError, SelectionError
from mtm_core.model_folder import MANIFEST
from mtm_core.sharing.web import check_address, fetch_json

_HUGGING_FACE = re.compile(r"hf:([\w.-]+)/([\w.-]+)(?:@([\w./-]+))?", re.ASCII)
_DOI = re.compile(r"(?:doi:|https?://(?:dx\.)?doi\.org/)?(10\.\d{4,9}/\S+)", re.IGNORECASE)
_ZENODO = re.compile(r"10\.(5281|5072)/zenodo\.(\d+)", re.IGNORECASE)
_MOST_LISTING = 2**23


@dataclass(frozen=True)
class Hosts:
    """Addresses of the services that are known by name."""

    hugging_face: str = "https://huggingface.co"
    zenodo: str = "https://zenodo.org"
    zenodo_sandbox: str = "https://sandbox.zenodo.org"


@dataclass(frozen=True)
class Source:
    """A place that offers a model.

    Attributes
    ----------
    name
        As it was asked for.
    folder
        Address that names of files are put after; empty if there is none.
    listed
        Address of each file that lies there by itself, for places that list them.
    archive
        Address of a zip of the folder; empty if there is none.
    """

    name: str
    folder: str = ""
    listed: Mapping[str, str] | None = None
    archive: str = ""

    def url(self, name: str) -> str | None:
        """Return the address of a file of the model; ``None`` if it is in the zip alone."""
        if self.listed is not None:
            return self.listed.get(name)
        return f"{self.folder}/{quote(name)}" if self.folder else None


def find_source(text: str, hosts: Hosts | None = None) -> Source:
    """Find the place that ``text`` names; only a DOI's record is asked for.

    Raises
    ------
    SelectionError
        If it names none.
    DownloadError
        If its address may not be asked, or there is no such record.
    """
    hosts = hosts or Hosts()
    text = text.strip()
    if text.startswith("hf:"):
        return _on_hugging_face(text, hosts)
    if (doi := _DOI.fullmatch(text)) is not None:
        return _on_zenodo(text, doi[1], hosts)
    if not re.match(r"https?://", text):
        raise SelectionError(
            f"{text!r} is not a place to get a model from. Expected an address (https://...), a DOI"
            " of Zenodo (10.5281/zenodo.123), a Hugging Face repository (hf:OWNER/NAME@REVISION),"
            " or the name of a published model. From a disk: mtm model install FOLDER"
        )
    check_address(text)
    parts = urlsplit(text)
    record = re.fullmatch(r"/records?/(\d+)/?", parts.path)
    if record is not None and text.startswith(f"{hosts.zenodo}/"):
        return _on_zenodo(text, f"10.5281/zenodo.{record[1]}", hosts)
    page = re.fullmatch(r"/([\w.-]+)/([\w.-]+)(?:/tree/([\w./-]+))?/?", parts.path)
    if page is not None and text.startswith(f"{hosts.hugging_face}/"):
        revision = f"@{page[3]}" if page[3] else ""
        return _on_hugging_face(f"hf:{page[1]}/{page[2]}{revision}", hosts)
    if unquote(parts.path).lower().endswith(".zip"):
        return Source(text, archive=text)
    if parts.query or parts.fragment:
        raise SelectionError(
            f"{text}: an address of a folder has nothing after '?' or '#'. Expected for example "
            f"https://host/folder, where the model's files are."
        )
    return Source(text, folder=text.removesuffix(f"/{MANIFEST}").rstrip("/"))


def _on_hugging_face(text: str, hosts: Hosts) -> Source:
    match = _HUGGING_FACE.fullmatch(text)
    if match is None or ".." in text:
        raise SelectionError(
            f"{text!r} names no repository; expected hf:OWNER/NAME or hf:OWNER/NAME@REVISION."
        )
    owner, name, revision = match[1], match[2], match[3] or "main"
    address = f"{hosts.hugging_face}/{owner}/{name}/resolve/{quote(revision, safe='')}"
    return Source(text, folder=address)


def _on_zenodo(text: str, doi: str, hosts: Hosts) -> Source:
    match = _ZENODO.fullmatch(doi)
    if match is None:
        raise SelectionError(
            f"{doi}: only DOIs of Zenodo are supported (10.5281/zenodo.123). Give the address of "
            f"the model's folder or zip instead."
        )
    host = hosts.zenodo if match[1] == "5281" else hosts.zenodo_sandbox
    address = f"{host}/api/records/{match[2]}"
    record = fetch_json(address, _MOST_LISTING)
    listed: dict[str, str] = {}
    files = record.get("files")
    for file in files if isinstance(files, list) else ():
        name = file.get("key", file.get("filename")) if isinstance(file, dict) else None
        if not isinstance(name, str):
            continue
        links = file.get("links")
        url = links.get("self") if isinstance(links, dict) else None
        # Links of its API name the file itself or its content.
        listed[name] = url if isinstance(url, str) else f"{address}/files/{quote(name)}/content"
        if listed[name].endswith(f"/files/{quote(name)}"):
            listed[name] += "/content"
    if not listed:
        raise DownloadError(f"{address} lists no files: the record is empty, or not open.")
    zips = [name for name in listed if name.lower().endswith(".zip")]
    if "model.safetensors" in listed:
        return Source(text, listed=listed)
    if len(zips) != 1:
        there = ", ".join(sorted(listed)[:5])
        raise DownloadError(
            f"{address} holds no model: expected one zip of a model's folder, found {len(zips)}"
            f" among its files ({there})."
        )
    return Source(text, listed=listed, archive=listed[zips[0]])
