"""Download the official GTEx files, going on where a broken download stopped.

A file is written as ``<name>.part`` and gets its name only when it is whole. What makes it whole:

- its length, and its MD5 where the server gives one (Google Cloud Storage does, ``x-goog-hash``);
- its SHA-256 where the caller gives one. The GTEx Portal publishes none that we know of, so the
  first download is taken on trust; its SHA-256 goes to ``SHA256SUMS.json`` beside the files, and
  every later call checks the file against that.
"""

from __future__ import annotations

import base64
import errno
import json
import logging
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Literal, get_args

import pooch
import requests

from mtm_core.errors import DownloadError, SelectionError

logger = logging.getLogger(__name__)

Release = Literal["v8", "v10"]
FileKind = Literal["expression", "sample-attributes", "subject-phenotypes", "genes"]
DownloadProgress = Callable[[str, int, int], None]
"""Called with (file name, bytes that are there, bytes of the whole file or 0 if not known)."""

OFFICIAL = "https://storage.googleapis.com/adult-gtex"
FILE_KINDS: tuple[FileKind, ...] = get_args(FileKind)
SUMS = "SHA256SUMS.json"

_ANNOTATIONS = "annotations/{0}/metadata-files/GTEx_Analysis_{0}_Annotations_{1}DS.txt"
_PATHS: dict[Release, dict[FileKind, tuple[str, ...]]] = {
    "v8": {
        "expression": (
            "bulk-gex/v8/rna-seq/GTEx_Analysis_2017-06-05_v8_RNASeQCv1.1.9_gene_tpm.gct.gz",
        ),
        "sample-attributes": (_ANNOTATIONS.format("v8", "SampleAttributes"),),
        "subject-phenotypes": (_ANNOTATIONS.format("v8", "SubjectPhenotypes"),),
        "genes": ("references/v8/reference-tables/gencode.v26.GRCh38.genes.gtf",),
    },
    "v10": {
        # The whole matrix has gone by both names.
        "expression": (
            "bulk-gex/v10/rna-seq/GTEx_Analysis_v10_RNASeQCv2.4.2_gene_tpm.gct.gz",
            "bulk-gex/v10/rna-seq/GTEx_Analysis_v10_RNASeQCv2.4.2_gene_tpm_non_lcm.gct.gz",
        ),
        "sample-attributes": (_ANNOTATIONS.format("v10", "SampleAttributes"),),
        "subject-phenotypes": (_ANNOTATIONS.format("v10", "SubjectPhenotypes"),),
        "genes": ("references/v10/reference-tables/gencode.v39.GRCh38.genes.gtf",),
    },
}
RELEASES: tuple[Release, ...] = tuple(_PATHS)

_CHUNK = 1 << 16  # what a broken connection can cost
_ATTEMPTS = 5  # in a row without a byte more
_WAIT = 0.25  # seconds before the second attempt, then twice as long each time
_TIMEOUT = (10, 60)  # seconds to connect, and between two reads
# A bucket that may not be listed answers 403 for a file it does not have.
_ABSENT = {HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN, HTTPStatus.GONE}
_FULL = {errno.ENOSPC, errno.EDQUOT}


class _AbsentError(DownloadError):
    """The server has no such file; another name may be tried."""


def download_gtex(
    folder: Path | str,
    release: Release = "v8",
    files: Sequence[FileKind] = FILE_KINDS,
    *,
    base_url: str = OFFICIAL,
    sha256: Mapping[str, str] | None = None,
    progress: DownloadProgress | None = None,
) -> dict[FileKind, Path]:
    """Download files of a GTEx release, or check those that are there.

    Parameters
    ----------
    folder
        Where the files and ``SHA256SUMS.json`` go.
    release
        ``"v8"`` (the paper's; its expression matrix is 1.5 GB) or ``"v10"``.
    files
        Which of them.
    base_url
        Server, or mirror of the same layout.
    sha256
        Known SHA-256 by file name; each comes before what ``SHA256SUMS.json`` says.
    progress
        Told how far each file is.

    Returns
    -------
    dict
        Path of each file. A file that was there already and is unchanged is not downloaded again;
        one that was put there by hand is taken as it is and its SHA-256 is recorded.

    Raises
    ------
    SelectionError
        If there is no such release or file.
    DownloadError
        If there is no network, no such file on the server, no room, or a hash differs.
    """
    if release not in _PATHS:
        raise SelectionError.unknown("GTEx release", [release], RELEASES)
    unknown = [kind for kind in files if kind not in FILE_KINDS]
    if unknown:
        raise SelectionError.unknown("GTEx file", unknown, FILE_KINDS)
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return {
            kind: _fetch_first(
                folder, base_url.rstrip("/"), _PATHS[release][kind], sha256 or {}, progress
            )
            for kind in files
        }
    except OSError as error:
        if error.errno in _FULL:
            raise DownloadError(
                f"{folder}: the disk is full. Make room and run this again: it goes on where it"
                " stopped."
            ) from error
        raise DownloadError(
            f"{folder}: cannot write here ({error.strerror or error}). Choose another folder."
        ) from error


def _fetch_first(
    folder: Path,
    base_url: str,
    paths: Sequence[str],
    sha256: Mapping[str, str],
    progress: DownloadProgress | None,
) -> Path:
    """Give the first of ``paths`` that is in ``folder``, or else that the server has."""
    paths = sorted(paths, key=lambda path: not (folder / Path(path).name).exists())
    for path in paths:
        try:
            found = _fetch(folder, f"{base_url}/{path}", sha256, progress)
        except _AbsentError as error:
            logger.info("%s", error)
            continue
        if len(paths) > 1:
            logger.info("of %d known names, %s was found.", len(paths), found.name)
        return found
    tried = " or ".join(Path(path).name for path in paths)
    raise DownloadError(
        f"{base_url} does not have {tried}. The release may have moved: download the file from"
        f" https://gtexportal.org/home/downloads/adult-gtex and put it into {folder}."
    )


def _fetch(
    folder: Path, url: str, sha256: Mapping[str, str], progress: DownloadProgress | None
) -> Path:
    """Download one file if it is not there, check its SHA-256, and record it."""
    path = folder / url.rsplit("/", 1)[-1]
    sums = _read_sums(folder)
    known = sha256.get(path.name, sums.get(path.name))
    if path.exists():
        found = pooch.file_hash(str(path))
        if known is None:
            logger.info("%s: was there already; taken as it is.", path.name)
        elif found != known.lower():
            raise DownloadError(
                f"{path}: expected SHA-256 {known}, got {found}. The file has changed since it was"
                " recorded or is another one: delete it to download it again."
            )
    else:
        # pooch tells its own users what to do with the hash; ours are told by SHA256SUMS.json.
        pooch.get_logger().setLevel(logging.WARNING)
        try:
            pooch.retrieve(
                url,
                known_hash=known,
                fname=path.name,
                path=folder,
                downloader=_ResumingDownloader(path, progress),
            )
        except ValueError as error:
            raise DownloadError(
                f"{url}: expected SHA-256 {known}, got another file; it was not kept. If the"
                f" release was replaced on purpose, remove {path.name} from {folder / SUMS}."
            ) from error
        found = pooch.file_hash(str(path))
    if sums.get(path.name) != found:
        _write_sums(folder, {**sums, path.name: found})
    return path


def _read_sums(folder: Path) -> dict[str, str]:
    path = folder / SUMS
    if not path.exists():
        return {}
    try:
        return {str(name): str(digest) for name, digest in json.loads(path.read_text()).items()}
    except (ValueError, AttributeError) as error:
        raise DownloadError(
            f"{path}: expected JSON of file names and SHA-256: {error}. Delete it to record the"
            " hashes anew."
        ) from error


def _write_sums(folder: Path, sums: Mapping[str, str]) -> None:
    partial = folder / (SUMS + ".part")
    partial.write_text(json.dumps(dict(sorted(sums.items())), indent=1) + "\n")
    partial.replace(folder / SUMS)


@dataclass(frozen=True)
class _ResumingDownloader:
    """A downloader for pooch, which has none that resumes.

    Bytes go to ``<path>.part`` and stay there if the connection breaks. ``<path>.part.tag`` holds
    the server's tag of that version; the next request names it, and a server whose file has
    changed since sends the whole file (RFC 9110, 13.1.5 If-Range).
    """

    path: Path
    progress: DownloadProgress | None

    def __call__(self, url: str, output_file: str, pooch: object) -> None:
        """Download ``url`` to ``output_file``; pooch then checks and renames it."""
        part = self.path.with_name(self.path.name + ".part")
        tag = self.path.with_name(self.path.name + ".part.tag")
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
                        " and run this again: it goes on where it stopped. Or download the file by"
                        f" hand into {self.path.parent}."
                    ) from error
                logger.warning("%s: %s; trying again.", self.path.name, _reason(error))
                time.sleep(_WAIT * 2 ** (failures - 1))
        part.replace(output_file)
        tag.unlink(missing_ok=True)

    def _request(self, url: str, part: Path, tag: Path) -> None:
        """Get what is missing of ``part``; return when it is whole."""
        start = part.stat().st_size if part.exists() and tag.exists() else 0
        headers = {"Accept-Encoding": "identity"}  # else a byte range is one of a compressed stream
        if start:
            headers |= {"Range": f"bytes={start}-", "If-Range": tag.read_text()}
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
            if response.status_code in _ABSENT:
                raise _AbsentError(f"{url}: not there (HTTP {response.status_code}).")
            if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                if response.headers.get("Content-Range") != f"bytes */{start}":
                    part.unlink()
                    raise _BrokenError("the part that is here is longer than the file")
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
                    f"{url}: what came has not the MD5 that the server announced; it was not kept."
                    " Run this again."
                )

    def _receive(self, response: requests.Response, part: Path, tag: Path, start: int) -> None:
        length = response.headers.get("Content-Length")
        whole = start + int(length) if length else 0
        free = shutil.disk_usage(part.parent).free
        if whole - start > free:
            raise DownloadError(
                f"{self.path.name}: {(whole - start) / 1e9:.1f} GB are to come and {free / 1e9:.1f}"
                f" GB are free in {part.parent}. Make room or choose another folder."
            )
        tag.unlink(missing_ok=True)
        version = _version(response)
        done = start
        with part.open("ab" if start else "wb") as file:
            if version:
                tag.write_text(version)
            for chunk in response.iter_content(_CHUNK):
                file.write(chunk)
                done += len(chunk)
                if self.progress is not None:
                    self.progress(self.path.name, done, whole)
        if whole and done != whole:
            raise _BrokenError(f"the connection ended at {done} of {whole} bytes")


class _BrokenError(Exception):
    """What came is not what was announced; asking again may help."""


def _version(response: requests.Response) -> str | None:
    """Give what names this version of the file: a strong ETag, or else the date."""
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
