"""A bundle described as an RO-Crate 1.1, for repositories and workflow programs.

See https://w3id.org/ro/crate/1.1; the run is described as a Process Run Crate,
https://w3id.org/ro/wfrun/process/0.5. Author, publisher and time of the run are not known to the
program, and left out.
JSON-LD, written by hand so that the same prediction gives the same bytes; that the library
``rocrate`` reads it is tested.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

FILE_NAME = "ro-crate-metadata.json"
_CONTEXT = "https://w3id.org/ro/crate/1.1/context"
_PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
_PAPER = "https://doi.org/10.1093/bioinformatics/btad363"
"""Paper of the method."""
_PROGRAM, _MODEL, _RUN, _INPUT = "#mtm", "#model", "#prediction", "#input"
_LICENSE = "#license"
_MEDIA = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".parquet": "application/vnd.apache.parquet",
    ".sh": "application/x-sh",
    ".txt": "text/plain",
}
_VALUES = ("predicted.parquet", "predicted.csv")


def ro_crate(settings: Mapping[str, Any], files: Mapping[str, str]) -> bytes:
    """Return ``ro-crate-metadata.json`` of a bundle.

    Parameters
    ----------
    settings
        Settings of the prediction: :func:`mtm_core.reporting.bundle.settings_of`.
    files
        Description of each file of the bundle, by its name.
    """
    model, given = settings["model"], settings["input"]
    kind = "simulated samples" if given["simulated"] else "samples"
    about = (
        f"Expression of {len(settings['targets'])} tissues, predicted from {settings['source']} of"
        f" the {kind} in {given['file']}. {settings['use']} The date is"
        " that of every file in the bundle, not when it was made: the same prediction gives the"
        " same bytes."
    )
    graph: list[dict[str, Any]] = [
        {
            "@id": FILE_NAME,
            "@type": "CreativeWork",
            "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
            "about": {"@id": "./"},
        },
        {
            "@id": "./",
            "@type": "Dataset",
            "name": f"Predicted by MTM: {given['file']}",
            "description": about,
            "datePublished": "1980-01-01",
            "conformsTo": {"@id": _PROFILE},
            "license": {"@id": _LICENSE},
            "hasPart": [{"@id": name} for name in files],
            "mentions": {"@id": _RUN},
        },
        *(_file(name, words) for name, words in files.items()),
        {
            "@id": _RUN,
            "@type": "CreateAction",
            "name": "Prediction",
            "description": " ".join(settings["command"]),
            "instrument": {"@id": _PROGRAM},
            "object": [{"@id": _INPUT}, {"@id": _MODEL}],
            "result": [{"@id": name} for name in _VALUES if name in files],
        },
        {
            "@id": _PROFILE,
            "@type": "CreativeWork",
            "name": "Process Run Crate",
            "version": "0.5",
        },
        {
            "@id": _LICENSE,
            "@type": "CreativeWork",
            "name": "License of the samples",
            "description": "To be chosen by whoever gave the samples; not chosen by the program.",
        },
        {
            "@id": _PROGRAM,
            "@type": "SoftwareApplication",
            "name": "MTM",
            "url": _PAPER,
            "softwareVersion": settings["versions"]["mtm"],
        },
        {
            "@id": _MODEL,
            "@type": "CreativeWork",
            "name": model["name"],
            "description": f"A fitted model of method {model['method']}.",
            "identifier": f"sha256:{model['sha256']}",
        },
        {
            "@id": _INPUT,
            "@type": "CreativeWork",
            "name": given["file"],
            "description": "The table of expression; it is not in the bundle.",
            "identifier": f"sha256:{given['sha256']}",
        },
    ]
    text = json.dumps({"@context": _CONTEXT, "@graph": graph}, indent=1, ensure_ascii=False)
    return (text + "\n").encode()


def _file(name: str, words: str) -> dict[str, Any]:
    ending = name[name.rfind(".") :]
    file = {"@id": name, "@type": "File", "name": name, "description": words}
    return file | ({"encodingFormat": _MEDIA[ending]} if ending in _MEDIA else {})
