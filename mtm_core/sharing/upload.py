"""The folder to upload: a model for others, with a card, a licence, its metrics and no donors.

No connection is opened. What uploads is a command that the publisher runs, with their own account.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
import shlex
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mtm_core import __version__
from mtm_core.artefact import Artefact
from mtm_core.errors import ArtefactError, SelectionError
from mtm_core.inference.verification import verify
from mtm_core.model_description import read_description
from mtm_core.model_folder import LICENCE, MANIFEST, ModelFolder, seal_folder
from mtm_core.reporting.model_card import FIGURES
from mtm_core.safe_output import check_output, writing
from mtm_core.sharing.donor_rows import find_donor_rows
from mtm_core.sharing.licence import PROGRAM_LICENCE, licence_text

Target = Literal["hugging-face", "zenodo"]
PAPER = "10.1093/bioinformatics/btad363"
_FRONT = re.compile(r"\A---\n.*?\n---\n+", re.DOTALL)
_MOST_CARD_BYTES = 2**22


@dataclass(frozen=True)
class Upload:
    """A folder that is ready to be uploaded.

    Attributes
    ----------
    folder
        Folder of the files.
    manifest_sha256
        SHA-256 that others pin the model by.
    n_bytes
        Size of what is uploaded.
    commands
        Commands that upload it, line by line.
    """

    folder: Path
    manifest_sha256: str
    n_bytes: int
    commands: tuple[str, ...]


def make_upload(
    folder: Path | str,
    output: Path,
    *,
    target: Target = "hugging-face",
    licence: str = PROGRAM_LICENCE,
    licence_file: Path | None = None,
    creators: Sequence[str] = ("The MTM developers",),
    overwrite: bool = False,
) -> Upload:
    """Write the folder to upload.

    Parameters
    ----------
    folder
        A model's folder.
    output
        Folder to write.
    target
        ``"hugging-face"``: the model's folder itself, for any server of files too. ``"zenodo"``,
        which has no folders: a zip of it, beside its manifest and description.
    licence, licence_file
        SPDX id, and its text where it is not the program's own licence.
    creators
        Creators of the model.
    overwrite
        Replace a folder that was written before.

    Raises
    ------
    ArtefactError
        If it is no whole model, predicts something else than is stored, or holds what may be of
        single donors.
    InputFileError
        If there is no text of the licence.
    SelectionError
        If a creator has no name.
    OutputError
        If ``output`` cannot be written.
    """
    folder = Path(folder)
    text = licence_text(licence, licence_file)
    names = tuple(" ".join(name.split()) for name in creators)
    if not names or not all(names):
        raise SelectionError("--creator names nobody. Give a name, or leave the option out.")
    check_output(output, overwrite=overwrite, inputs=[folder], folder=True)
    files = ModelFolder.open(folder)
    artefact = Artefact.load(files)
    description = read_description(files)
    found = find_donor_rows(files, description)
    if found:
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        raise ArtefactError(
            f"{folder} must not be shared, because it may hold data of single donors:"
            f" {'; '.join(found[:5])}{more}. Remove that, then: mtm model seal {folder}"
        )
    verified = verify(folder)
    if not verified.agrees:
        raise ArtefactError(f"{folder}: {verified.in_words()}")
    card = _FRONT.sub("", _card(files) or f"# {artefact.name}\n")
    with writing(
        output, overwrite=overwrite, inputs=[folder], folder=True, kind="a model to upload"
    ) as place:
        model = place / "model"
        for name in files.seals:
            path = files.file(name)
            assert path is not None
            (model / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, model / name)
        (model / LICENCE).write_text(text, encoding="utf-8")
        front = front_matter(description, licence)
        (model / "README.md").write_text(front + card, encoding="utf-8")
        seal_folder(model)
        sha256 = hashlib.sha256((model / MANIFEST).read_bytes()).hexdigest()
        metadata = zenodo_metadata(description, licence, names, sha256)
        (place / ".zenodo.json").write_text(json.dumps(metadata, indent=1) + "\n", encoding="utf-8")
        _lay_out(model, place, artefact.name, target)
        n_bytes = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    commands = _COMMANDS[target](artefact.name, output)
    return Upload(output, sha256, n_bytes, commands)


def front_matter(description: Mapping[str, Any], licence: str) -> str:
    """Return the metadata that a card on Hugging Face begins with: YAML, whose values are JSON."""
    summary = description["accuracy"].get("summary", {})
    metrics = [
        {"type": figure, "name": words, "value": summary[column]}
        for figure, words in FIGURES.items()
        for column in (f"{figure}_mean", figure)
        if column in summary
    ]
    values: dict[str, Any] = {
        "license": licence.lower(),
        "library_name": "mtm",
        "tags": ["gene-expression", "transcriptomics", "gtex", "whole-blood", "biology"],
    }
    if metrics:
        result = {
            "task": {
                "type": "tabular-regression",
                "name": "Expression of other tissues from blood, on donors not seen in training",
            },
            "dataset": {"type": "gtex", "name": "GTEx, open access"},
            "metrics": metrics,
        }
        values["model-index"] = [{"name": description["name"], "results": [result]}]
    lines = "".join(f"{name}: {json.dumps(value)}\n" for name, value in values.items())
    return f"---\n{lines}---\n\n"


def zenodo_metadata(
    description: Mapping[str, Any], licence: str, creators: Sequence[str], sha256: str
) -> dict[str, Any]:
    """Return the metadata of a record of Zenodo."""
    name, n_genes, n_tissues = (
        description["name"],
        len(description["genes"]),
        len(description["tissues"]),
    )
    about = (
        f"A trained model of MTM that predicts {n_genes:,} genes in {n_tissues} tissues from one"
        f" person's blood. For research use, not for diagnosis. To install it: mtm model get DOI"
        f" --sha256 {sha256}"
    )
    return {
        "title": f"{name}: expression of {n_tissues} tissues from blood, a model of MTM",
        "upload_type": "dataset",
        "description": f"<p>{html.escape(about)}</p>",
        "creators": [{"name": creator} for creator in creators],
        "access_right": "open",
        "license": licence.lower(),
        "version": __version__,
        "keywords": ["gene expression", "GTEx", "transcriptome", "blood", "tissue"],
        "related_identifiers": [
            {
                "identifier": PAPER,
                "relation": "cites",
                "resource_type": "publication-article",
            }
        ],
    }


def _card(files: ModelFolder) -> str:
    if "README.md" not in files.seals:
        return ""
    return files.read("README.md", _MOST_CARD_BYTES).decode("utf-8", errors="replace")


def _lay_out(model: Path, place: Path, name: str, target: Target) -> None:
    """Move the files of ``model`` to where ``target`` wants them in ``place``."""
    if target == "zenodo":
        # Weights do not shrink; stored, the zip is made and read at the speed of the disk.
        with zipfile.ZipFile(place / f"{name}.zip", "w", zipfile.ZIP_STORED) as file:
            for path in sorted(p for p in model.rglob("*") if p.is_file()):
                file.write(path, f"{name}/{path.relative_to(model).as_posix()}")
        for beside in (MANIFEST, "model.json", "README.md", LICENCE):
            (model / beside).replace(place / beside)
    else:
        for path in model.iterdir():
            path.replace(place / path.name)
    shutil.rmtree(model)


def _hugging_face_commands(name: str, output: Path) -> tuple[str, ...]:
    return (
        "pip install huggingface_hub && hf auth login",
        f"hf upload OWNER/{name} {shlex.quote(str(output))} . --repo-type model --exclude '.*'",
    )


def _zenodo_commands(name: str, output: Path) -> tuple[str, ...]:
    folder = shlex.quote(str(output))
    header = '-H "Authorization: Bearer $ZENODO_TOKEN"'
    files = f"{name}.zip {MANIFEST} model.json README.md {LICENCE}"
    return (
        "export ZENODO_TOKEN=...  # of zenodo.org/account/settings/applications, deposit:write",
        f"record=$(jq '{{metadata: .}}' {folder}/.zenodo.json | curl -sSf {header}"
        " -H 'Content-Type: application/json' -d @- https://zenodo.org/api/deposit/depositions)",
        'bucket=$(jq -r .links.bucket <<< "$record")',
        f"for file in {files}; do curl -sSf {header} --upload-file {folder}/$file"
        ' "$bucket/$file"; done',
        'jq -r .links.html <<< "$record"  # look at it there, and publish it',
    )


_COMMANDS = {"hugging-face": _hugging_face_commands, "zenodo": _zenodo_commands}
