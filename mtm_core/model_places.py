"""Places of trained models: bundled with the program, or installed by a user."""

from __future__ import annotations

import os
import re
from pathlib import Path

import platformdirs

from mtm_core.errors import ArtefactError, OutputError
from mtm_core.places import place_of

BUNDLED = place_of("trained_models")
DEFAULT_MODEL = "gtex_v8_acmg59_stack"
MODELS_VARIABLE = "MTM_MODELS"
"""Environment variable: the folder of installed models; by default in the user's data folder."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def bundled_models() -> tuple[str, ...]:
    """List the names of the models that come with the program.

    Examples
    --------
    >>> from mtm_core import bundled_models
    >>> bundled_models()
    ('gtex_v8_acmg59', 'gtex_v8_acmg59_stack')
    """
    return tuple(sorted(path.parent.name for path in BUNDLED.glob("*/model.json")))


def models_folder() -> Path | None:
    """Folder for installed models, whether or not it exists; ``None`` if no place is known.

    ``MTM_MODELS``, else ``mtm/models`` in the user's data folder as the platform has it
    (``~/.local/share`` on Linux). A user without a home folder has none.
    """
    given = os.environ.get(MODELS_VARIABLE, "").strip()
    try:
        if given:
            return Path(given).expanduser().absolute()
        if os.environ.get("HOME") == "" and not os.environ.get("XDG_DATA_HOME"):
            return None
        folder = platformdirs.user_data_path("mtm", appauthor=False) / "models"
    except (RuntimeError, OSError):  # "~" of nobody; a current folder that is gone
        return None
    return folder if folder.is_absolute() else None


def folder_to_install_in() -> Path:
    """Return :func:`models_folder`.

    Raises
    ------
    OutputError
        If no place is known.
    """
    folder = models_folder()
    if folder is None:
        raise OutputError(
            f"there is no folder for models, because this user has no home folder. Set the "
            f"environment variable {MODELS_VARIABLE} to a folder."
        )
    return folder


def installed_models() -> dict[str, Path]:
    """List the models in :func:`models_folder`, by name; a bundled model's name is not one."""
    folder, found = models_folder(), {}
    try:
        entries = sorted([] if folder is None else folder.iterdir())
        for path in entries:
            if is_model_name(path.name) and (path / "model.json").is_file():
                found[path.name] = path
    except OSError:  # it is not there, or not to be read
        return found
    return {name: path for name, path in found.items() if name not in bundled_models()}


def is_model_name(name: str) -> bool:
    """Tell whether a model can be installed under ``name``."""
    return _NAME.fullmatch(name) is not None


def find_model(name: str | os.PathLike[str]) -> Path:
    """Find the folder of a bundled or installed model by its name, or take a path.

    A bundled model's name is that model, and then an installed one's, whatever lies where the
    program was started: a folder of the same name is ``./name``.

    Raises
    ------
    ArtefactError
        If it is neither.

    Examples
    --------
    >>> from mtm_core import find_model
    >>> folder = find_model("gtex_v8_acmg59_stack")
    >>> folder.name, (folder / "model.json").is_file()
    ('gtex_v8_acmg59_stack', True)
    """
    text = os.fspath(name)
    if text in bundled_models():
        return BUNDLED / text
    installed = installed_models()
    if text in installed:
        return installed[text]
    try:
        if text and (Path(text) / "model.json").exists():
            return Path(text)
        reason = "it is neither a folder with a model.json nor a model's name"
    except (OSError, ValueError) as error:  # too long, or with a NUL
        reason = str(error)
    known = f"bundled: {', '.join(bundled_models()) or 'none'}"
    known += f"; installed: {', '.join(installed)}" if installed else ""
    raise ArtefactError(f"no model {text!r}: {reason} ({known}).")
