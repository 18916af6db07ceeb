"""Download the official GTEx files, going on where a broken download stopped.

A file is written as ``<name>.part`` and gets its name only when it is whole. What makes it whole:

- its length, and its MD5 where the server gives one (Google Cloud Storage does, ``x-goog-hash``);
- its SHA-256 where the caller gives one. The GTEx Portal publishes none that we know of, so the
  first download is taken on trust; its SHA-256 goes to ``SHA256SUMS.json`` beside the files, and
  every later call checks the file against that.
"""

from __future__ import annotations

import errno
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

import pooch

from mtm_core.data.gtex.resuming import (
    AbsentError,
    DownloadProgress,
    ResumingDownloader,
    size_on_server,
)
from mtm_core.errors import DownloadError, SelectionError
from mtm_core.safe_output import replacing

logger = logging.getLogger(__name__)

Release = Literal["v8", "v10"]
FileKind = Literal["expression", "sample-attributes", "subject-phenotypes", "genes"]

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

_FULL = {errno.ENOSPC, errno.EDQUOT}


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
        Folder for the files and ``SHA256SUMS.json``.
    release
        ``"v8"`` (the paper's; its expression matrix is 1.5 GB) or ``"v10"``.
    files
        Which of them.
    base_url
        Server, or mirror of the same layout.
    sha256
        Known SHA-256 by file name; each comes before what ``SHA256SUMS.json`` says.
    progress
        Called with how far each file is.

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
                f"{folder}: the disk is full. Free some space and run this again: it continues "
                f"where it stopped."
            ) from error
        raise DownloadError(
            f"{folder}: cannot write here ({error.strerror or error}). Choose another folder."
        ) from error


def bytes_to_come(
    folder: Path, release: Release, *, base_url: str = OFFICIAL
) -> dict[FileKind, tuple[int, int]]:
    """Ask the server how large each file is, and look how much of it is in ``folder``.

    Returns
    -------
    dict
        By file: bytes of the whole, 0 where the server does not say, and bytes still to come.

    Raises
    ------
    DownloadError
        If the server cannot be reached, or lacks a file that is not in ``folder`` either.
    """
    found = {}
    for kind, paths in _PATHS[release].items():
        there = [folder / Path(path).name for path in paths]
        whole = [path.stat().st_size for path in there if path.is_file()]
        if whole:
            found[kind] = (whole[0], 0)
            continue
        size, name = _size_of_first(base_url.rstrip("/"), paths)
        part = folder / f"{name}.part"
        begun = part.stat().st_size if part.is_file() else 0
        found[kind] = (size, max(size - begun, 0))
    return found


def _size_of_first(base_url: str, paths: Sequence[str]) -> tuple[int, str]:
    """Ask for the size of the first of ``paths`` that the server has; return its name too."""
    absent: AbsentError | None = None
    for path in paths:
        try:
            return size_on_server(f"{base_url}/{path}"), Path(path).name
        except AbsentError as error:
            absent = error
    raise DownloadError(f"{base_url} does not have {Path(paths[0]).name}.") from absent


def names_of(kind: FileKind) -> tuple[str, ...]:
    """List the names that a file has gone by, in any release."""
    return tuple(Path(path).name for files in _PATHS.values() for path in files[kind])


def _fetch_first(
    folder: Path,
    base_url: str,
    paths: Sequence[str],
    sha256: Mapping[str, str],
    progress: DownloadProgress | None,
) -> Path:
    """Return the first of ``paths`` that is in ``folder``, or else that the server has."""
    paths = sorted(paths, key=lambda path: not (folder / Path(path).name).exists())
    for path in paths:
        try:
            found = _fetch(folder, f"{base_url}/{path}", sha256, progress)
        except AbsentError as error:
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
            logger.info("%s: exists already; used as it is.", path.name)
        elif found != known.lower():
            raise DownloadError(
                f"{path}: expected SHA-256 {known}, got {found}. The file has changed since it was"
                " recorded or is another one: delete it to download it again."
            )
    else:
        # pooch tells its own users what to do with the hash; ours read SHA256SUMS.json.
        pooch.get_logger().setLevel(logging.WARNING)
        try:
            pooch.retrieve(
                url,
                known_hash=known,
                fname=path.name,
                path=folder,
                downloader=ResumingDownloader(path, progress),
            )
        except ValueError as error:
            raise DownloadError(
                f"{url}: expected SHA-256 {known}, got another file; it was deleted. If the"
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
            f"{path}: expected JSON of file names and SHA-256: {error}. Delete it to record the "
            f"hashes again."
        ) from error


def _write_sums(folder: Path, sums: Mapping[str, str]) -> None:
    with replacing(folder / SUMS) as place:
        place.write_text(json.dumps(dict(sorted(sums.items())), indent=1) + "\n")
