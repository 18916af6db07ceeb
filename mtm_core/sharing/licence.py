"""A model's licence: a file beside it whose first line is its SPDX id."""

from __future__ import annotations

import re
from pathlib import Path

from mtm_core.data.files.what_is_it import what_it_is
from mtm_core.errors import InputFileError
from mtm_core.model_folder import LICENCE, ModelFolder
from mtm_core.places import place_of

SPDX = "SPDX-License-Identifier:"
"""Begins the first line of a model's licence."""
PROGRAM_LICENCE = "BSD-3-Clause"
_MOST_LICENCE_BYTES = 2**20


def licence_of(files: ModelFolder) -> str:
    """Return the short name of a model's licence; empty if none is given.

    Raises
    ------
    ArtefactError
        If the file is not what was sealed.
    """
    if LICENCE not in files.seals:
        return ""
    text = files.read(LICENCE, _MOST_LICENCE_BYTES).decode("utf-8", errors="replace")
    first = text.split("\n", 1)[0].removeprefix(SPDX).strip()
    return "".join(letter for letter in first if letter.isprintable())[:80]


def licence_text(licence: str, file: Path | None = None) -> str:
    """Return a licence's text, its id in the first line.

    Parameters
    ----------
    licence
        SPDX id.
    file
        Its text; not needed for the program's own licence.

    Raises
    ------
    InputFileError
        If it is not an SPDX id, or there is no text of it.
    """
    if not re.fullmatch(r"[A-Za-z0-9.+-]{2,60}", licence):
        raise InputFileError(f"--licence: {licence!r} is not an SPDX id, such as CC-BY-4.0.")
    if file is None and licence != PROGRAM_LICENCE:
        raise InputFileError(
            f"the text of {licence} is not known here. Give it by --licence-file, from"
            f" https://spdx.org/licenses/{licence}.html"
        )
    path = place_of("LICENSE") if file is None else file
    try:
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
    except (OSError, UnicodeDecodeError):
        text = ""
    if not text.strip():
        found = what_it_is(path) if path.exists() else "no such file"
        raise InputFileError(
            f"--licence-file: {path}: expected the text of {licence}, got {found}."
        )
    return f"{SPDX} {licence}\n\n{text}"
