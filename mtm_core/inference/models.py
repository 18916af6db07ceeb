"""Where trained models are."""

from __future__ import annotations

from pathlib import Path

from mtm_core.errors import ArtefactError

BUNDLED = Path(__file__).parents[2] / "trained_models"
DEFAULT_MODEL = "gtex_v8_acmg59_stack"


def bundled_models() -> tuple[str, ...]:
    """Give the names of the models that come with the program."""
    return tuple(sorted(path.parent.name for path in BUNDLED.glob("*/model.json")))


def find_model(name: str) -> Path:
    """Give the folder of a bundled model's name, or of a path.

    Raises
    ------
    ArtefactError
        If it is neither.
    """
    for folder in (Path(name), BUNDLED / name):
        if (folder / "model.json").exists():
            return folder
    known = ", ".join(bundled_models()) or "none"
    raise ArtefactError(
        f"no model {name!r}: it is neither a folder with a model.json nor a bundled model"
        f" (bundled: {known})."
    )
