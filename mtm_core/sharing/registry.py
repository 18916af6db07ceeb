"""Published models by name: where each is, and the SHA-256 that its manifest must have.

``registry.json`` comes with the program. Whoever publishes a model adds a line to it::

    "gtex_v8": {"source": "doi:10.5281/zenodo.123", "manifest_sha256": "…", "about": "…"}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mtm_core.errors import SelectionError
from mtm_core.strict_json import read_strict_json

REGISTRY = Path(__file__).with_name("registry.json")
BUILD_COMMAND = "mtm build --release v8 --output trained_models/gtex_v8"
"""Makes the model of all genes where none is published."""


@dataclass(frozen=True)
class Published:
    """A model that is published.

    Attributes
    ----------
    name
        Name of the model.
    source
        Source of the model, as :func:`mtm_core.sharing.sources.find_source` reads it.
    manifest_sha256
        SHA-256 of its ``manifest.json``, which holds that of every file.
    about
        Description, in a line.
    """

    name: str
    source: str
    manifest_sha256: str
    about: str = ""


def published_models(path: Path = REGISTRY) -> Mapping[str, Published]:
    """List the published models that this version of the program knows, by name."""
    entries = read_strict_json(path.read_bytes())["models"]
    return {name: Published(name, **entry) for name, entry in entries.items()}


def find_published(name: str, path: Path = REGISTRY) -> Published:
    """Find a published model.

    Raises
    ------
    SelectionError
        If there is none of that name.
    """
    known = published_models(path)
    if name in known:
        return known[name]
    if known:
        there = f"published are {', '.join(known)}"
    else:
        there = "this version of the program knows of none that is published"
    raise SelectionError(
        f"no published model {name!r}: {there}. Build it on your own machine: {BUILD_COMMAND} Or"
        " give an address, a DOI of Zenodo or hf:OWNER/NAME."
    )


def looks_like_a_name(text: str) -> bool:
    """Tell a name from an address, a DOI or a path."""
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", text) is not None
