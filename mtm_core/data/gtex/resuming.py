"""A download over HTTP that goes on where it broke off, for pooch."""

from __future__ import annotations

import base64
import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import pooch
import requests

from mtm_core.errors import DownloadError

logger = logging.getLogger(__name__)

DownloadProgress = Callable[[str, int, int], None]
"""Called with (file name, bytes that are there, bytes of the whole file or 0 if not known)."""

OpenUrl = Callable[[str, dict[str, str]], requests.Response]
"""Called with (address, headers); answers with a response whose body is still to be read."""

_OURS = "mtm-download"
"""Beginning of the tag of a partial download."""
_CHUNK = 1 << 16  # what a broken connection can cost
_ATTEMPTS = 5  # in a row without a byte more
_WAIT = 0.25  # seconds before the second attempt, then twice as long each time
_LONGEST_WAIT = 60  # seconds that a server may ask for
TIMEOUT = (10, 60)  # seconds to connect, and between two reads
# A bucket that may not be listed answers 403 for a file it does not have.
_ABSENT = {HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN, HTTPStatus.GONE}
_NO_HEAD = {HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED}


class AbsentError(DownloadError):
    """The server has no such file; another name may be tried."""


@dataclass(frozen=True)
class ResumingDownloader:
    """A downloader for pooch, which has none that resumes.

    Bytes go to ``<path>.part`` and stay there if the connection breaks. ``<path>.part.tag`` says
    that it is ours, and holds the server's tag of that version; the next request names it, and a
    server whose file has changed since sends the whole file (RFC 9110, 13.1.5 If-Range).

    Attributes
    ----------
    path
        Final place of the file.
    progress
        Called with how far it is.
    open_url
        Asks the server; by default wherever it redirects to.
    n_bytes
        Size that the file must have, where that is known.
    most_bytes
        No more than this is taken.
    by_hand
        Whether a file that is put at ``path`` by hand will do.
    """

    path: Path
    progress: DownloadProgress | None
    open_url: OpenUrl | None = None
    n_bytes: int | None = None
    most_bytes: int | None = None
    by_hand: bool = True

    def __call__(self, url: str, output_file: str, pooch: object) -> None:
        """Download ``url`` to ``output_file``; pooch then checks and renames it."""
        part = self.path.with_name(self.path.name + ".part")
        tag = self.path.with_name(self.path.name + ".part.tag")
        _check_ours(part, tag)
        failures = 0
        while True:
            before = part.stat().st_size if part.exists() else 0
            try:
                self._request(url, part, tag)
                break
            except (requests.RequestException, _BrokenError) as error:
                gained = part.exists() and part.stat().st_size > before
                failures = 1 if gained else failures + 1
                if failures == _ATTEMPTS or not _may_pass(error):
                    raise DownloadError(
                        f"{url}: {_reason(error)}. Check the network (and a proxy, if there is one)"
                        " and run this again: it continues where it stopped."
                        + f" Or download the file by hand into {self.path.parent}."
                        * self.by_hand
                    ) from error
                logger.warning("%s: %s; trying again.", self.path.name, _reason(error))
                time.sleep(max(_WAIT * 2 ** (failures - 1), _asked_wait(error)))
        part.replace(output_file)
        tag.unlink(missing_ok=True)

    def _request(self, url: str, part: Path, tag: Path) -> None:
        """Get what is missing of ``part``; return when it is whole."""
        known = _read_tag(tag) or ""
        start = part.stat().st_size if part.exists() and known else 0
        headers = {"Accept-Encoding": "identity"}  # else a byte range is one of a compressed stream
        if start:
            headers |= {"Range": f"bytes={start}-", "If-Range": known}
        with (self.open_url or _open_url)(url, headers) as response:
            if response.status_code in _ABSENT:
                raise AbsentError(f"{url}: not there (HTTP {response.status_code}).")
            if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                if response.headers.get("Content-Range") != f"bytes */{start}":
                    part.unlink()
                    raise _BrokenError("the partial download is longer than the file")
            else:
                response.raise_for_status()
                if response.status_code != HTTPStatus.PARTIAL_CONTENT:
                    start = 0
                elif not _continues(response, start, headers["If-Range"]):
                    part.unlink()
                    raise _BrokenError("the server sent a part of another version")
                self._receive(response, part, tag, start)
            if not _has_announced_md5(part, response):
                part.unlink()
                tag.unlink(missing_ok=True)
                raise DownloadError(
                    f"{url}: the file does not have the MD5 that the server announced; it was "
                    f"deleted. Run this again."
                )

    def _receive(self, response: requests.Response, part: Path, tag: Path, start: int) -> None:
        length = response.headers.get("Content-Length")
        whole = start + int(length) if length else 0
        self._check_announced(response, whole)
        free = shutil.disk_usage(part.parent).free
        if whole - start > free:
            raise DownloadError(
                f"{self.path.name}: {(whole - start) / 1e9:.1f} GB remain to be downloaded and "
                f"{free / 1e9:.1f}"
                f" GB are free in {part.parent}. Free some space or choose another folder."
            )
        tag.write_text(f"{_OURS}\n")  # ours, and of no version while it is not what the last was
        version = _version(response)
        done, most = start, self.most_bytes if self.n_bytes is None else self.n_bytes
        with part.open("ab" if start else "wb") as file:
            if version:
                tag.write_text(f"{_OURS}\n{version}")
            for chunk in response.iter_content(_CHUNK):
                done += len(chunk)
                if most is not None and done > most:
                    file.truncate(0)
                    raise self._another(response, f"more than {most:,}")
                file.write(chunk)
                if self.progress is not None:
                    self.progress(self.path.name, done, whole)
        if whole and done != whole:
            raise _BrokenError(f"the connection ended at {done} of {whole} bytes")

    def _check_announced(self, response: requests.Response, whole: int) -> None:
        if self.n_bytes is not None and whole not in (0, self.n_bytes):
            raise self._another(response, f"{whole:,}")
        if self.most_bytes is not None and whole > self.most_bytes:
            raise self._another(response, f"{whole:,}")

    def _another(self, response: requests.Response, sent: str) -> DownloadError:
        kind = response.headers.get("Content-Type", "").split(";")[0].strip()
        page = (
            " The server sent a web page: the address may be that of a page about the file, or "
            "the server requires signing in."
        ) * (kind == "text/html")
        most = f"{self.n_bytes:,}" if self.n_bytes is not None else f"at most {self.most_bytes:,}"
        return DownloadError(
            f"{response.url}: expected a file of {most} bytes, the server sends {sent}"
            f"{f' ({kind})' if kind else ''}; it was not saved.{page}"
        )


def _open_url(url: str, headers: dict[str, str]) -> requests.Response:
    return requests.get(url, headers=headers, stream=True, timeout=TIMEOUT)


def size_on_server(url: str) -> int:
    """Ask how large a file is, without getting it: 0 where the server does not say.

    Raises
    ------
    AbsentError
        If the server has no such file.
    DownloadError
        If it cannot be asked.
    """
    headers = {"Accept-Encoding": "identity"}
    try:
        with requests.head(url, headers=headers, timeout=TIMEOUT, allow_redirects=True) as answer:
            found = answer
        if found.status_code in _NO_HEAD:
            with requests.get(url, headers=headers, timeout=TIMEOUT, stream=True) as answer:
                found = answer
        if found.status_code in _ABSENT:
            raise AbsentError(f"{url}: not there (HTTP {found.status_code}).")
        found.raise_for_status()
    except requests.RequestException as error:
        raise DownloadError(f"{url}: {_reason(error)}.") from error
    return int(found.headers.get("Content-Length", 0))


def _check_ours(part: Path, tag: Path) -> None:
    """Refuse to write over a file that only looks like a part of ours."""
    for path in (part, tag):
        if path.is_symlink() or (path.exists() and _read_tag(tag) is None):
            raise DownloadError(
                f"{path} exists already, and is not part of a download by this program. Move it, "
                f"or choose another folder."
            )


def _read_tag(tag: Path) -> str | None:
    """Get the version that a tag of ours names, "" where none; ``None`` if there is no tag."""
    try:
        ours, _, version = tag.read_text(encoding="utf-8").partition("\n")
    except (OSError, UnicodeDecodeError):
        return None
    return version if ours == _OURS else None


class _BrokenError(Exception):
    """The server sent something other than it announced; another request may help."""


def _version(response: requests.Response) -> str | None:
    """Return what names this version of the file: a strong ETag, or else the date."""
    tag = response.headers.get("ETag", "W/")
    return response.headers.get("Last-Modified") if tag.startswith("W/") else tag


def _continues(response: requests.Response, start: int, version: str) -> bool:
    """Tell whether a part goes on at ``start`` in ``version``: not every server heeds If-Range."""
    at_start = response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
    return at_start and _version(response) in (None, version)


def _has_announced_md5(part: Path, response: requests.Response) -> bool:
    """Compare with the MD5 that Google Cloud Storage sends; true where it sends none."""
    sums = dict(
        item.strip().split("=", 1)
        for item in response.headers.get("x-goog-hash", "").split(",")
        if "=" in item
    )
    # Of the stored bytes, which are not those that came if the store unpacked them on the way.
    unpacked = response.headers.get("x-goog-stored-content-encoding", "identity") != "identity"
    if "md5" not in sums or unpacked:
        return True
    found: str = pooch.file_hash(str(part), alg="md5")
    return found == base64.b64decode(sums["md5"]).hex()


def _may_pass(error: Exception) -> bool:
    """Tell whether the same request may succeed in a moment."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return error.response.status_code in {408, 429} or error.response.status_code >= 500
    passing = (
        _BrokenError,
        requests.ConnectionError,
        requests.Timeout,
        requests.exceptions.ChunkedEncodingError,
    )
    return isinstance(error, passing)


def _asked_wait(error: Exception) -> float:
    """Return the seconds that the server asks to wait (Retry-After), at most a minute."""
    answered = error.response if isinstance(error, requests.HTTPError) else None
    asked = "" if answered is None else answered.headers.get("Retry-After", "")
    return min(float(asked), _LONGEST_WAIT) if asked.isdecimal() else 0.0


def _reason(error: Exception) -> str:
    """Say in a few words why a request failed."""
    if isinstance(error, requests.exceptions.HTTPError) and error.response is not None:
        return f"the server answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke"
    if isinstance(error, requests.exceptions.Timeout):
        return "the server does not answer"
    if isinstance(error, requests.exceptions.ConnectionError):
        return "no connection to the server"
    return str(error)
