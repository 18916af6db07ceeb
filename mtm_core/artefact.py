"""A trained model on disk: arrays as safetensors, everything else as JSON, no pickle.

A folder holds::

    model.json           genes, tissues, settings, accuracy by tissue, provenance
    model.safetensors    weights, scaler, reference distributions
    README.md            the model card
    history.csv          training history, optional
    evaluation/          tables of ``mtm evaluate``, optional
    associations/        associations of the training cohort (``mtm study reference``), optional
    studies/             preserved associations (``mtm study``), optional
    manifest.json        sizes and SHA-256 of all these files

Only files that the manifest names are read (:mod:`mtm_core.model_folder`), and their content is
validated (:mod:`mtm_core.model_checks`), because a model may come from anybody. ``model.json``
holds the SHA-256 of ``model.safetensors``, so that its own SHA-256 covers everything that a
prediction depends on.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import anndata as ad
import numpy as np
import pandas as pd

from mtm_core import __version__
from mtm_core.data.cohort.normalise import Normalisation
from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.data.files.what_is_it import what_is_missing
from mtm_core.data.genes.index import GeneIndex
from mtm_core.errors import ArtefactError
from mtm_core.methods.protocol import FittedMethod, check_shape, under_prefix
from mtm_core.methods.stored_arrays import (
    MANY_GENES,
    is_of_wide_factors,
    map_tensors,
    to_arrays,
    write_arrays,
)
from mtm_core.methods.table import SavedMethod
from mtm_core.model_checks import (
    check_numbers,
    check_reference,
)
from mtm_core.model_description import FORMAT, FORMAT_VERSION, damaged_model, describe_model
from mtm_core.model_folder import MANIFEST, MODEL, ModelFolder, seal_folder
from mtm_core.model_places import find_model
from mtm_core.model_reference import Reference
from mtm_core.safe_output import OwnFolder, replacing
from mtm_core.strict_json import read_strict_json

MODEL_FILES = ("model.json", "model.safetensors")
WeightFormat = Literal["fp32", "bf16"]


@dataclass(frozen=True)
class Artefact:
    """A fitted method with its genes, tissues, reference distributions and accuracy.

    Attributes
    ----------
    name
        Name of the model, and of its folder.
    method
        The fitted method.
    genes
        Table of genes, indexed by gene id: ``symbol``, ``entrez``.
    tissues
        Table of tissues, indexed by name: ``abbreviation``, ``colour``, ``ontology``,
        ``n_samples``.
    unit
        Unit of linear expression: "TPM" or "panel CPM".
    normalisation
        How a user's table is converted to that unit.
    reference
        Distributions of the training cohort.
    accuracy
        Result of ``mtm evaluate``: ``summary`` (means over tissues) and ``tissues`` (one object
        for each tissue). Empty if the model was not evaluated.
    provenance
        Cohort, command, date and versions.
    sha256
        SHA-256 of ``model.json``, which covers the weights, too. Empty before the model is saved
        and loaded.

    Examples
    --------
    >>> from mtm_core import Artefact
    >>> artefact = Artefact.load("gtex_v8_acmg59_stack")
    >>> len(artefact.tissues), len(artefact.genes)
    (49, 59)
    """

    name: str
    method: FittedMethod
    genes: pd.DataFrame
    tissues: pd.DataFrame
    unit: str
    normalisation: Normalisation
    reference: Reference
    accuracy: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    sha256: str = ""

    @classmethod
    def of(
        cls, method: FittedMethod, cohort: ad.AnnData, *, name: str, provenance: dict[str, Any]
    ) -> Artefact:
        """Make an artefact of a fitted method.

        Parameters
        ----------
        method
            Method fitted to the donors of ``cohort``.
        cohort
            Training cohort, from which genes, tissues and reference distributions are taken.
        name
            Name of the model.
        provenance
            JSON values to add to the provenance.
        """
        origin = {
            "cohort_sha256": str(cohort.uns["mtm"]["sha256"]),
            "n_donors": int(cohort.obs["donor"].nunique()),
            "n_samples": int(cohort.n_obs),
            "created": datetime.now(UTC).date().isoformat(),
        }
        return cls(
            name=name,
            method=method,
            genes=cohort.var[["symbol", "entrez"]].astype(str),
            tissues=cohort.uns["tissues"],
            unit=str(cohort.uns["mtm"]["unit"]),
            normalisation=cohort.uns["mtm"]["normalise"],
            reference=Reference.of(cohort, method.scaler),
            provenance=origin | provenance,
        )

    def save(self, folder: str | os.PathLike[str], *, weights: WeightFormat | None = None) -> None:
        """Write ``model.safetensors`` and ``model.json`` into ``folder``, and update its manifest.

        Parameters
        ----------
        folder
            Folder of the model.
        weights
            Precision on disk. ``"bf16"`` stores the weight matrices of networks, and factors of
            many genes, as bfloat16 (8 bits of precision); ``None`` only the factors; ``"fp32"``
            nothing. Unless it is ``"fp32"``, quantiles of log2 expression of many genes are stored
            as float16 (11 bits).

        Raises
        ------
        OutputError
            If there are files of these names that are not ours, or they cannot be written.
        """
        folder = Path(folder)
        own = OwnFolder.among(folder, MODEL)
        with own.adding(last=MANIFEST) as place:
            self._write(place, weights)
            seal_folder(folder, new=place)

    def _write(self, folder: Path, weights: WeightFormat | None) -> None:
        arrays = {f"method.{name}": array for name, array in self.method.arrays().items()}
        arrays |= {
            "scaler.mean": self.method.scaler.mean,
            "scaler.sd": self.method.scaler.sd,
        }
        arrays |= {f"reference.{name}": array for name, array in vars(self.reference).items()}
        path = folder / "model.safetensors"
        is_log2 = self.method.scaler.scale == "log2"
        if len(self.genes) > MANY_GENES and is_log2 and weights != "fp32":
            arrays["reference.expression"] = self.reference.expression.astype(np.float16)
        halved = _HALVED[weights]
        write_arrays(arrays, path, halve=halved)
        path.chmod(0o644)  # safetensors makes files private, but models are shared
        is_half = any(halved(name, array.shape) for name, array in arrays.items())
        description = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "code_version": __version__,
            "name": self.name,
            "method": self.method.name,
            "scale": self.method.scaler.scale,
            "unit": self.unit,
            "normalisation": self.normalisation,
            "settings": self.method.settings(),
            "weights": "bf16" if is_half or weights == "bf16" else "fp32",
            "accuracy": self.accuracy,
            "provenance": self.provenance,
            "genes": self.genes.reset_index(names="gene_id").to_dict("records"),
            "tissues": self.tissues.reset_index(names="tissue").to_dict("records"),
            "sha256": _digest(path),
        }
        text = json.dumps(description, indent=1) + "\n"
        (folder / "model.json").write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, model: str | os.PathLike[str] | ModelFolder) -> Artefact:
        """Read a model.

        Parameters
        ----------
        model
            As text: name of a bundled or installed model, or a folder
            (:func:`mtm_core.model_places.find_model`). A path of any other kind is a folder, also
            where its text is a model's name.

        Raises
        ------
        ArtefactError
            If the folder is missing, damaged, not a model, or of another format version.
        """
        if isinstance(model, str):
            model = find_model(model)
        files = model if isinstance(model, ModelFolder) else ModelFolder.open(Path(model))
        description, sha256 = describe_model(files)
        weights = files.file("model.safetensors")
        assert weights is not None
        if files.seals["model.safetensors"].sha256 != description["sha256"]:
            raise ArtefactError(
                f"{weights} is not the file that model.json describes (its SHA-256 differs)."
                " Copy the folder again, whole."
            )
        try:
            return _assemble(description, weights, sha256)
        # A malformed file may fail in any way, in any library.
        except Exception as error:
            raise ArtefactError(damaged_model(files.path, error)) from error


def _assemble(description: dict[str, Any], weights: Path, sha256: str) -> Artefact:
    """Assemble a model from its validated description and the file of its weights."""
    tensors = map_tensors(weights)
    check_numbers(tensors)
    arrays = to_arrays(tensors)
    tissues = pd.DataFrame(description["tissues"]).set_index("tissue")
    genes = pd.DataFrame(description["genes"]).set_index("gene_id")
    GeneIndex(genes).find(list(genes.index[:1]))  # raises if gene names are malformed
    for name in arrays:
        if name.startswith(("scaler.", "reference.")):  # they may be stored in half precision
            arrays[name] = arrays[name].astype(np.float32, copy=False)
    scaler = TissueScaler(arrays["scaler.mean"], arrays["scaler.sd"], description["scale"])
    reference = Reference(**under_prefix("reference.", arrays))
    check_shape("scaler.mean", scaler.mean, (len(tissues), len(genes)))
    check_shape("scaler.sd", scaler.sd, (len(tissues), len(genes)))
    reference.check(len(tissues), len(genes))
    check_reference(
        scaler,
        reference.mean,
        reference.expression,
        reference.distance,
        description["normalisation"],
    )
    method = SavedMethod(
        description["method"],
        under_prefix("method.", arrays),
        description["settings"],
        scaler,
        tuple(tissues.index),
    ).restore()
    _protect((method, reference))
    return Artefact(
        name=description["name"],
        method=method,
        genes=genes,
        tissues=tissues,
        unit=description["unit"],
        normalisation=description["normalisation"],
        reference=reference,
        accuracy=description["accuracy"],
        provenance=description["provenance"],
        sha256=sha256,
    )


def seal_model(folder: Path | str) -> None:
    """Write a new manifest for a model's folder as it is, also for one of an earlier version.

    Raises
    ------
    ArtefactError
        If the folder does not then load as a model.
    OutputError
        If it cannot be written to.
    """
    folder = Path(folder)
    path = folder / "model.json"
    try:
        if path.is_symlink():
            raise ValueError("it is a link, which is never followed")
        description = read_strict_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ArtefactError(f"no model in {folder}: {what_is_missing(error)}.") from error
    if (description.get("format"), description.get("format_version")) == (FORMAT, 1):
        text = json.dumps(description | {"format_version": FORMAT_VERSION}, indent=1) + "\n"
        with replacing(path) as place:
            place.write_text(text, encoding="utf-8")
    seal_folder(folder)
    Artefact.load(folder)


def _is_network_weight(name: str, _shape: tuple[int, ...]) -> bool:
    """Tell whether an array is a weight matrix of a network, by its name."""
    return name.startswith("method.") and name.endswith(".weight")


_HALVED: dict[WeightFormat | None, Callable[[str, tuple[int, ...]], bool]] = {
    None: is_of_wide_factors,
    "fp32": lambda _name, _shape: False,
    "bf16": lambda name, shape: _is_network_weight(name, shape) or is_of_wide_factors(name, shape),
}


def _protect(part: object) -> None:
    """Make all arrays of a model read-only.

    One model serves all sessions of a server, so a change in place would affect every user's
    predictions.
    """
    if isinstance(part, np.ndarray):
        part.flags.writeable = False
    elif isinstance(part, Mapping):
        for inner in part.values():
            _protect(inner)
    elif isinstance(part, tuple | list):
        for inner in part:
            _protect(inner)
    elif is_dataclass(part):
        for field in fields(part):
            _protect(getattr(part, field.name))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
