"""Requests to servers that offer models: encrypted at every step, of a known size."""

from __future__ import annotations

import ipaddress
import json
from http import HTTPStatus
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

from mtm_core.data.gtex.resuming import TIMEOUT, AbsentError
from mtm_core.errors import DownloadError

_MOST_REDIRECTS = 10
_REDIRECTS = {301, 302, 303, 307, 308}
_ABSENT = {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}


def check_address(url: str) -> None:
    """Refuse what is not an address of a server that this program would ask.

    Raises
    ------
    DownloadError
        If it is not encrypted and not on this machine, or holds a password.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise DownloadError(f"{url} is not an address ({error}).") from error
    if parts.scheme not in ("http", "https") or not host:
        raise DownloadError(f"{url} is not an address; expected for example https://host/folder.")
    if parts.username is not None or parts.password is not None:
        raise DownloadError("addresses with a name or password are not used. Remove it.")
    if parts.scheme == "http" and not is_loopback(url):
        raise DownloadError(
            f"{url} is not encrypted: anybody on the way could change the files. Use https."
        )


def is_loopback(url: str) -> bool:
    """Tell whether an address is on this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def open_checked(url: str, headers: dict[str, str]) -> requests.Response:
    """Ask for ``url`` and follow redirects, each of them checked.

    Raises
    ------
    DownloadError
        If an address on the way may not be asked, or the server asks to sign in.
    requests.RequestException
        If there is no answer.
    """
    check_address(url)
    asked, begins_here = url, is_loopback(url)
    for _ in range(_MOST_REDIRECTS):
        response = requests.get(
            asked, headers=headers, stream=True, timeout=TIMEOUT, allow_redirects=False
        )
        if response.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            response.close()
            raise DownloadError(
                f"{url}: the server refuses access (HTTP {response.status_code}). There is no "
                f"such model, or it is private: download it by hand, then:"
                " mtm model install FOLDER"
            )
        location = response.headers.get("Location")
        if response.status_code not in _REDIRECTS or not location:
            return response
        response.close()
        onward = urljoin(asked, location)
        try:
            check_address(onward)
            if is_loopback(onward) and not begins_here:
                raise DownloadError(
                    f"{onward} is on this machine; another server must not refer to it."
                )
        except DownloadError as error:
            raise DownloadError(
                f"{url} redirects elsewhere, which is not followed: {error}"
            ) from error
        asked = onward
    raise DownloadError(f"{url} redirects without end.")


def fetch_small(url: str, most_bytes: int) -> bytes:
    """Return what is at ``url``, if that is small.

    Raises
    ------
    AbsentError
        If it is not there.
    DownloadError
        If it is larger than ``most_bytes``, or there is no answer.
    """
    try:
        with open_checked(url, {"Accept-Encoding": "identity"}) as response:
            if response.status_code in _ABSENT:
                raise AbsentError(f"{url}: not there (HTTP {response.status_code}).")
            response.raise_for_status()
            data = bytearray()
            for chunk in response.iter_content(1 << 16):
                data += chunk
                if len(data) > most_bytes:
                    raise DownloadError(
                        f"{url}: the server sends more than {most_bytes:,} bytes. It is not the "
                        f"file that was requested."
                    )
            announced = response.headers.get("Content-Length", "")
            if announced.isdecimal() and int(announced) != len(data):
                raise DownloadError(
                    f"{url}: the connection ended at {len(data):,} of {int(announced):,} bytes."
                    " Run this again."
                )
            return bytes(data)
    except requests.HTTPError as error:
        raise DownloadError(f"{url}: the server answered {error}. Try again later.") from error
    except requests.RequestException as error:
        raise DownloadError(
            f"{url}: no answer from the server ({type(error).__name__}). Check the address and the"
            " network (and a proxy, if there is one), and run this again."
        ) from error


def fetch_json(url: str, most_bytes: int) -> dict[str, Any]:
    """Return the JSON object at ``url``.

    Raises
    ------
    DownloadError
        As :func:`fetch_small`, or if it is none.
    """
    data = fetch_small(url, most_bytes)
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise DownloadError(f"{url}: expected JSON, {what_came(data)} came.")
    return values


def what_came(data: bytes) -> str:
    """Say in a few words what ``data`` look like."""
    start = data[:200].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page"
    if start.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS instead of the file"
    return f"something else of {len(data):,} bytes"
