"""Download a GTEx release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mtm_core.data.download import FILE_KINDS, OFFICIAL, FileKind, Release, download_gtex
from mtm_core.data.resuming import DownloadProgress


@dataclass(frozen=True)
class DownloadOptions:
    """What to download.

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
        As :func:`mtm_core.data.download.download_gtex`.
    """
    return download_gtex(
        options.output,
        options.release,
        options.files,
        base_url=options.base_url,
        progress=on_progress,
    )
