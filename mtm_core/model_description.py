"""The description of a model, ``model.json``: read and validated, without the weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtm_core import __version__
from mtm_core.accuracy_names import current_name
from mtm_core.data.cohort.normalise import NORMALISATIONS
from mtm_core.errors import ArtefactError
from mtm_core.model_checks import check_description
from mtm_core.model_folder import ModelFolder
from mtm_core.strict_json import read_strict_json

FORMAT = "mtm-model"
FORMAT_VERSION = 2
MOST_DESCRIPTION_BYTES = 256 * 2**20


def read_description(folder: Path | str | ModelFolder) -> dict[str, Any]:
    """Read the description of a model, ``model.json``, without its weights.

    Raises
    ------
    ArtefactError
        If it is missing, altered, not of a model, or of another format version.
    """
    return describe_model(folder if isinstance(folder, ModelFolder) else ModelFolder.open(folder))[
        0
    ]


def describe_model(files: ModelFolder) -> tuple[dict[str, Any], str]:
    """Read and validate ``model.json``; return it with its SHA-256."""
    data = files.read("model.json", MOST_DESCRIPTION_BYTES)
    return parse_description(data, files.path / "model.json"), files.seals["model.json"].sha256


def parse_description(data: bytes, path: Path | str) -> dict[str, Any]:
    """Parse and validate the content of a ``model.json``.

    Parameters
    ----------
    data
        Content of the file.
    path
        Name of the file in errors.

    Raises
    ------
    ArtefactError
        If it is damaged, not of a model, or of another format version.
    """
    try:
        description = read_strict_json(data)
    except ValueError as error:
        raise ArtefactError(f"{path} is damaged: {error}. Copy the folder again.") from error
    if description.get("format") != FORMAT:
        raise ArtefactError(f"{path} does not describe an MTM model (no format {FORMAT!r}).")
    version = description.get("format_version")
    if version != FORMAT_VERSION:
        raise ArtefactError(
            f"{path} has format version {version!r}; this program ({__version__}) reads version"
            f" {FORMAT_VERSION}. Use the program's version that wrote it, or train again."
        )
    if description.get("normalisation") not in NORMALISATIONS:
        raise ArtefactError(
            f"{path}: unknown normalisation {description.get('normalisation')!r}; expected one of"
            f" {', '.join(NORMALISATIONS)}."
        )
    try:
        check_description(description)
    except (ValueError, TypeError) as error:
        raise ArtefactError(damaged_model(path, error)) from error
    return description | {"accuracy": _with_current_names(description["accuracy"])}


def _with_current_names(accuracy: Mapping[str, Any]) -> dict[str, Any]:
    """Return the accuracy of a model with today's names of its figures."""
    if not accuracy:
        return {}
    summary = {current_name(name): value for name, value in accuracy["summary"].items()}
    tissues = [
        {current_name(name): value for name, value in row.items()} for row in accuracy["tissues"]
    ]
    return {**accuracy, "summary": summary, "tissues": tissues}


def damaged_model(place: Path | str, error: Exception) -> str:
    """Say that a folder or file does not hold a model, and why."""
    reason = " ".join(str(error).split())[:500]
    return (
        f"{place} does not hold a model of this program, or is damaged"
        f" ({type(error).__name__}: {reason}). Copy the folder again, whole."
    )
