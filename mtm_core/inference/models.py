"""Where trained models are."""

from __future__ import annotations

import os
from pathlib import Path

from mtm_core.errors import ArtefactError
from mtm_core.places import place_of

BUNDLED = place_of("trained_models")
DEFAULT_MODEL = "gtex_v8_acmg59_stack"


def bundled_models() -> tuple[str, ...]:
    """Give the names of the models that come with the program."""
    return tuple(sorted(path.parent.name for path in BUNDLED.glob("*/model.json")))


def find_model(name: str | os.PathLike[str]) -> Path:
    """Give the folder of a bundled model's name, or of a path.

    A bundled model's name is that model, whatever lies where the program was started: a folder of
    the same name is ``./name``.

    Raises
    ------
    ArtefactError
        If it is neither.
    """
    text = os.fspath(name)
    if text in bundled_models():
        return BUNDLED / text
    try:
        if text and (Path(text) / "model.json").exists():
            return Path(text)
        reason = "it is neither a folder with a model.json nor a bundled model"
    except (OSError, ValueError) as error:  # too long, or with a NUL
        reason = str(error)
    known = ", ".join(bundled_models()) or "none"
    raise ArtefactError(f"no model {text!r}: {reason} (bundled: {known}).")
