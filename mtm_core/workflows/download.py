"""Download a GTEx release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from mtm_core.data.gtex.download import FILE_KINDS, OFFICIAL, FileKind, Release, download_gtex
from mtm_core.data.gtex.resuming import DownloadProgress
from mtm_core.errors import DownloadError
from mtm_core.workflows.plain_values import PlainValues


@dataclass(frozen=True)
class DownloadOptions(PlainValues):
    """Options of a download.

    Attributes
    ----------
    output
        Folder for the files.
    release, files
        GTEx release, and which of its files.
    base_url
        The official server, or a mirror of its layout.
    """

    output: Path = Path("gtex")
    release: Release = "v8"
    files: tuple[FileKind, ...] = FILE_KINDS
    base_url: str = OFFICIAL


def download_release(
    options: DownloadOptions, on_progress: DownloadProgress | None = None
) -> Mapping[FileKind, Path]:
    """Download what is not there yet, going on where an earlier try broke off.

    Raises
    ------
    SelectionError, DownloadError
        As :func:`mtm_core.data.gtex.download.download_gtex`, or if the server is asked without
        encryption and is not this machine.
    """
    check_server(options.base_url)
    return download_gtex(
        options.output,
        options.release,
        options.files,
        base_url=options.base_url,
        progress=on_progress,
    )


def check_server(base_url: str) -> None:
    """Refuse to download in the clear, but from this machine.

    Raises
    ------
    DownloadError
        If ``base_url`` is neither https nor of this machine.
    """
    parts = urlsplit(base_url)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme == "http" and _is_this_machine(parts.hostname or ""):
        return
    raise DownloadError(
        f"{base_url}: expected an address that begins with https://, or http:// of this machine"
        " (127.0.0.1). Files that are sent without encryption can be changed on the way."
    )


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
