"""Checks of a model's folder before it is installed, however it came."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtm_core.artefact import Artefact
from mtm_core.errors import ArtefactError, OutputError, SelectionError
from mtm_core.inference.verification import verify
from mtm_core.model_description import parse_description
from mtm_core.model_folder import MANIFEST, VERIFICATION, ModelFolder, Seal, read_manifest
from mtm_core.model_places import bundled_models, is_model_name
from mtm_core.studies.beside_model import (
    associations_of,
    card_of,
    evaluation_of,
    history_of,
    studies_of,
)

_SPARE_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Offer:
    """A model that is offered: its manifest, and what identifies that.

    Attributes
    ----------
    manifest
        Bytes of ``manifest.json``.
    sha256
        SHA-256 of these bytes.
    seals
        Expected size and SHA-256 of each file.
    is_pinned
        Whether the caller or the registry named ``sha256``.
    """

    manifest: bytes
    sha256: str
    seals: Mapping[str, Seal]
    is_pinned: bool

    @classmethod
    def of(cls, manifest: bytes, place: str, pin: str | None) -> Offer:
        """Read a manifest that came from ``place``, and compare it with the SHA-256 ``pin``.

        Raises
        ------
        ArtefactError
            If it is none, is of another version, or has another SHA-256.
        """
        sha256 = hashlib.sha256(manifest).hexdigest()
        if pin is not None and sha256 != pin:
            raise ArtefactError(
                f"{place}: its {MANIFEST} has SHA-256 {sha256}, expected {pin}. It is another "
                f"model or version than the one named, or it was changed: ask its publisher. "
                f"Nothing was installed."
            )
        try:
            seals = read_manifest(manifest)
        except ValueError as error:
            raise ArtefactError(
                f"{place}: its {MANIFEST} is damaged, or of another version of the program"
                f" ({error}). Nothing was installed."
            ) from error
        return cls(manifest, sha256, seals, pin is not None)

    @property
    def n_bytes(self) -> int:
        """Size of the model's folder."""
        return len(self.manifest) + sum(seal.n_bytes for seal in self.seals.values())

    def description(self, data: bytes, place: str) -> dict[str, Any]:
        """Read its ``model.json``: what the model is, before its weights are looked at.

        Raises
        ------
        ArtefactError
            If it is not the one that the manifest names, is of another format, or its name is none
            that a model can be installed under.
        """
        if hashlib.sha256(data).hexdigest() != self.seals["model.json"].sha256:
            raise ArtefactError(
                f"{place}: its model.json is not the file that its {MANIFEST} names. Nothing was"
                " installed."
            )
        description = parse_description(data, f"{place}: its model.json")
        name = description["name"]
        if not is_model_name(name):
            raise ArtefactError(
                f"{place}: it cannot be installed under its name {name!r}; expected letters,"
                " digits, dots, - and _."
            )
        if name in bundled_models():
            raise ArtefactError(
                f"{place} is called {name}, as a model that comes with the program. That name"
                " always means the bundled one, so this one is not installed; use it by its path."
            )
        return description


def check_pin(sha256: str | None) -> str | None:
    """Return ``sha256`` in the form in which it is compared.

    Raises
    ------
    SelectionError
        If it is not a SHA-256.
    """
    if sha256 is None:
        return None
    pin = sha256.strip().lower().removeprefix("sha256:")
    if not re.fullmatch(r"[0-9a-f]{64}", pin):
        raise SelectionError(
            f"{sha256!r} is not a SHA-256; expected 64 hexadecimal digits (0-9, a-f)."
        )
    return pin


def check_room(folder: Path, n_bytes: int) -> None:
    """Refuse an installation that does not fit on the disk.

    Raises
    ------
    OutputError
        If the disk of ``folder`` has less than ``n_bytes`` and a margin free.
    """
    there = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(there).free
    needed = n_bytes + _SPARE_BYTES
    if free < needed:
        raise OutputError(
            f"{folder}: {_gigabytes(needed)} are needed and {_gigabytes(free)} are free. Free "
            f"some space there, or set MTM_MODELS to a folder on another disk."
        )


def check_whole(folder: Path, offer: Offer) -> tuple[Artefact, str]:
    """Read a folder as the dashboard does: check every file against its seal, then its content.

    Returns
    -------
    tuple
        The model, and how its predictions here compare with those where it was made; empty if
        it holds no stored samples.

    Raises
    ------
    ArtefactError, InputFileError
        If a file is damaged, or the model predicts here something else than where it was
        made: a wrong number is worse than none.
    """
    files = ModelFolder.open(folder)
    if dict(files.seals) != dict(offer.seals):
        raise ArtefactError(f"{folder / MANIFEST} has changed in the meantime. Try again.")
    for name in files.seals:
        files.file(name)
    artefact = Artefact.load(files)
    evaluation_of(files, artefact)
    associations_of(files, artefact)
    studies_of(files, artefact)
    history_of(files)
    card_of(files)
    if VERIFICATION not in files.seals:
        return artefact, ""
    found = verify(folder)
    if not found.agrees:
        raise ArtefactError(f"{artefact.name} is not installed. {found.in_words()}")
    return artefact, found.in_words()


def _gigabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:,.2f} GB"
