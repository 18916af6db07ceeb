"""Needs of a build (disk, memory, network), known before any work begins."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mtm_core.errors import NeedsError
from mtm_core.memory_budget import available_memory, in_words, machine_memory


@dataclass(frozen=True)
class Needs:
    """Bytes that are needed, and that are available.

    Attributes
    ----------
    disk
        Bytes of disk by purpose: files to download, the cohort, ...
    disk_at
        Folder for all of it.
    memory
        Most that any step will hold.
    server
        Server to download from; empty if nothing is downloaded.
    network_error
        Why the server cannot be reached; empty if it was.
    """

    disk: dict[str, int]
    disk_at: Path
    memory: int
    server: str = ""
    network_error: str = ""

    @property
    def disk_free(self) -> int:
        """Free bytes on that disk."""
        return shutil.disk_usage(existing(self.disk_at)).free

    def lines(self) -> list[str]:
        """Say what is needed and what is there, a line each."""
        parts = ", ".join(f"{name} {in_words(n)}" for name, n in self.disk.items() if n)
        total = sum(self.disk.values())
        said = [
            f"disk: {in_words(total)} needed ({parts}), {in_words(self.disk_free)} free in"
            f" {existing(self.disk_at)}",
            f"memory: about {in_words(self.memory)} needed, {in_words(available_memory())} free of"
            f" {in_words(machine_memory())}",
        ]
        if self.server:
            reached = self.network_error or "reached"
            said.append(f"network: {self.server} {reached}")
        return said

    def check(self) -> None:
        """Refuse to begin what cannot end.

        Raises
        ------
        NeedsError
            If disk, memory or network are lacking, with the numbers and what to do.
        """
        lacking: list[str] = []
        total, free = sum(self.disk.values()), self.disk_free
        if total > free:
            lacking.append(
                f"disk: about {in_words(total)} are needed in {existing(self.disk_at)},"
                f" {in_words(free)} are free. Free some space, or name another folder with --work."
            )
        if self.memory > machine_memory():
            lacking.append(
                f"memory: about {in_words(self.memory)} are needed, this machine or container has"
                f" {in_words(machine_memory())}. Build fewer genes (--genes), or on a larger one."
            )
        elif self.memory > available_memory():
            lacking.append(
                f"memory: about {in_words(self.memory)} are needed, {in_words(available_memory())}"
                " are free now. Stop other programs, or build fewer genes (--genes)."
            )
        if self.network_error:
            lacking.append(
                f"network: {self.server} {self.network_error}. Check the network and a proxy, or"
                " use files on this machine with --from."
            )
        if lacking:
            raise NeedsError("nothing was started. " + " ".join(_sentences(lacking)))


def _sentences(lacking: Sequence[str]) -> list[str]:
    return [f"Lacking {what}" for what in lacking]


def existing(path: Path) -> Path:
    """Return ``path``, or the nearest folder above it that is there."""
    path = path.absolute()
    return next(place for place in (path, *path.parents) if place.exists())
