"""A trained model on disk: safetensors for numbers, JSON for everything else, no pickle.

A folder holds::

    model.json           genes, tissues, settings, accuracy by tissue, where it came from
    model.safetensors    weights, scaler, reference distributions
    README.md            the model card
    evaluation/          tables of ``mtm evaluate`` that the accuracy was taken from, if any
    associations/        of the training cohort, by ``mtm study reference``, if any
    studies/             what held-out predictions keep, by ``mtm study``, if any

``model.json`` carries the SHA-256 of ``model.safetensors``, so that a half-copied or altered folder
is noticed before it predicts.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import anndata as ad
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from mtm_core import __version__
from mtm_core.data.cohort import tissue_codes, tissue_names
from mtm_core.data.normalise import NORMALISATIONS, Normalisation
from mtm_core.data.scaling import TissueScaler, to_scale
from mtm_core.errors import ArtefactError
from mtm_core.methods.protocol import FittedMethod, under_prefix
from mtm_core.methods.saved import restore_method
from mtm_core.safe_output import OwnFolder

FORMAT = "mtm-model"
FORMAT_VERSION = 1
MODEL_FILES = ("model.json", "model.safetensors")
MODEL = "a model"
"""What the mark of a model's folder says it is."""
WeightFormat = Literal["fp32", "bf16"]
_GENE_COLUMNS = ("symbol", "entrez")
_TISSUE_COLUMNS = ("abbreviation", "colour", "ontology", "n_samples")
QUANTILE_LEVELS = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@dataclass(frozen=True)
class Reference:
    """What the training cohort looks like, as aggregates. Q levels, T tissues, G genes.

    Attributes
    ----------
    mean
        (T, G) mean linear expression.
    expression
        (Q, T, G) quantiles of expression on the scaler's scale, at ``QUANTILE_LEVELS``.
    distance
        (Q, T) quantiles of a sample's distance from its tissue: the root mean square of its
        z-scores over all genes.
    """

    mean: NDArray[np.float32]
    expression: NDArray[np.float32]
    distance: NDArray[np.float32]

    @classmethod
    def of(cls, cohort: ad.AnnData, scaler: TissueScaler) -> Reference:
        """Take mean and quantiles of every tissue of ``cohort``."""
        values, codes = np.asarray(cohort.X), tissue_codes(cohort)
        z = scaler.transform(values, codes)
        rms = np.sqrt((z.astype(np.float64) ** 2).mean(axis=1))
        on_scale = to_scale(values, scaler.scale)
        tissues = range(len(tissue_names(cohort)))
        levels = np.array(QUANTILE_LEVELS)
        mean = [values[codes == t].mean(axis=0, dtype=np.float64) for t in tissues]
        expression = [np.quantile(on_scale[codes == t], levels, axis=0) for t in tissues]
        distance = [np.quantile(rms[codes == t], levels) for t in tissues]
        return cls(
            np.stack(mean).astype(np.float32),
            np.stack(expression, axis=1).astype(np.float32),
            np.stack(distance, axis=1).astype(np.float32),
        )


@dataclass(frozen=True)
class Artefact:
    """A fitted method with all that is needed to serve it and to know how far to trust it.

    Attributes
    ----------
    name
        Of the model: the folder's name.
    method
        The fitted method.
    genes
        Indexed by gene id: ``symbol``, ``entrez``.
    tissues
        Indexed by tissue: ``abbreviation``, ``colour``, ``ontology``, ``n_samples``.
    unit
        Of linear expression: "TPM" or "panel CPM".
    normalisation
        How a user's table is brought to that unit.
    reference
        Distributions of the training cohort.
    accuracy
        ``summary`` (means over tissues) and ``tissues`` (one object a tissue), from
        ``mtm evaluate``; empty where the model was not evaluated.
    provenance
        Cohort, command, date, versions.
    sha256
        Of ``model.safetensors``; empty before the model is saved and loaded.
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
        """Join ``method``, fitted on the donors of ``cohort``, with what serving it needs."""
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

    def save(self, folder: Path, *, weights: WeightFormat = "fp32") -> None:
        """Write ``model.safetensors`` and ``model.json`` into ``folder``, the JSON last.

        With ``"bf16"`` the weight matrices of networks take half the space, at 8 binary digits of
        precision; all else stays as it is, and what is loaded is float32 either way.

        Raises
        ------
        OutputError
            If there are files of these names that are not ours, or they cannot be written.
        """
        own = OwnFolder.among(folder, MODEL)
        with own.adding(last="model.json") as place:
            self._write(place, weights)

    def _write(self, folder: Path, weights: WeightFormat) -> None:
        arrays = {f"method.{name}": array for name, array in self.method.arrays().items()}
        arrays |= {
            "scaler.mean": self.method.scaler.mean,
            "scaler.sd": self.method.scaler.sd,
        }
        arrays |= {f"reference.{name}": array for name, array in vars(self.reference).items()}
        path = folder / "model.safetensors"
        _write_arrays(arrays, path, weights)
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
            "weights": weights,
            "accuracy": self.accuracy,
            "provenance": self.provenance,
            "genes": self.genes.reset_index(names="gene_id").to_dict("records"),
            "tissues": self.tissues.reset_index(names="tissue").to_dict("records"),
            "sha256": _digest(path),
        }
        text = json.dumps(description, indent=1) + "\n"
        (folder / "model.json").write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path | str) -> Artefact:
        """Read a model's folder.

        Raises
        ------
        ArtefactError
            If the folder is missing, foreign, damaged, or of a newer format.
        """
        folder = Path(folder)
        description = read_description(folder)
        path = folder / "model.safetensors"
        try:
            digest = _digest(path)
            if digest != description["sha256"]:
                raise ArtefactError(
                    f"{path} is not the file that model.json describes (its SHA-256 differs)."
                    " Copy the folder again, whole."
                )
            arrays = _map_arrays(path)
            scaler = TissueScaler(arrays["scaler.mean"], arrays["scaler.sd"], description["scale"])
            reference = Reference(**under_prefix("reference.", arrays))
            tissues = _table(description["tissues"], "tissue", _TISSUE_COLUMNS)
            genes = _table(description["genes"], "gene_id", _GENE_COLUMNS)
            _check_shapes(scaler, reference, len(tissues), len(genes))
            method = restore_method(
                description["method"],
                under_prefix("method.", arrays),
                description["settings"],
                scaler,
                tuple(tissues.index),
            )
            return cls(
                name=description["name"],
                method=method,
                genes=genes,
                tissues=tissues,
                unit=description["unit"],
                normalisation=description["normalisation"],
                reference=reference,
                accuracy=description["accuracy"],
                provenance=description["provenance"],
                sha256=digest,
            )
        except OSError as error:
            raise ArtefactError(f"cannot read {path}: {error.strerror or error}.") from error
        except (KeyError, TypeError, ValueError, SafetensorError) as error:
            raise ArtefactError(
                f"{folder} does not hold a model of this program, or is damaged"
                f" ({type(error).__name__}: {error}). Copy the folder again, whole."
            ) from error


def read_description(folder: Path | str) -> dict[str, Any]:
    """Read ``model.json`` alone: what the model is, without its weights.

    Raises
    ------
    ArtefactError
        If it is not there, not JSON, foreign or of a newer format.
    """
    path = Path(folder) / "model.json"
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ArtefactError(
            f"no model in {folder}: cannot read model.json ({error.strerror or error}). Expected"
            " a folder that 'mtm train' wrote."
        ) from error
    except ValueError as error:
        raise ArtefactError(f"{path} is damaged: {error}. Copy the folder again.") from error
    if not isinstance(description, dict) or description.get("format") != FORMAT:
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
    return description


def _table(records: list[dict[str, Any]], index: str, columns: tuple[str, ...]) -> pd.DataFrame:
    """Give a table of ``model.json`` that has ``columns`` and names nothing twice."""
    table = pd.DataFrame(records).set_index(index)
    lacking = [name for name in columns if name not in table]
    if lacking:
        raise ValueError(f"the {index}s have no {', '.join(lacking)}")
    if table.index.has_duplicates:
        raise ValueError(f"{index} {table.index[table.index.duplicated()][0]!r} stands twice")
    return table


def _check_shapes(scaler: TissueScaler, reference: Reference, n_tissues: int, n_genes: int) -> None:
    """Hold every array beside the weights to the number of tissues and genes."""
    by_gene, n_levels = (n_tissues, n_genes), len(QUANTILE_LEVELS)
    for name, array, expected in (
        ("scaler.mean", scaler.mean, by_gene),
        ("scaler.sd", scaler.sd, by_gene),
        ("reference.mean", reference.mean, by_gene),
        ("reference.expression", reference.expression, (n_levels, *by_gene)),
        ("reference.distance", reference.distance, (n_levels, n_tissues)),
    ):
        if array.shape != expected:
            raise ValueError(
                f"{name} has shape {array.shape}, expected {expected} for {n_tissues} tissues and"
                f" {n_genes} genes"
            )


def _write_arrays(
    arrays: dict[str, NDArray[Any]], path: Path, weights: WeightFormat = "fp32"
) -> None:
    """Write arrays as safetensors."""
    tensors = {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in arrays.items()}
    if weights == "bf16":
        tensors = {
            name: tensor.bfloat16() if _is_network_weight(name) else tensor
            for name, tensor in tensors.items()
        }
    save_file(tensors, path)
    path.chmod(0o644)  # safetensors writes for the owner alone; a model is to be shared


def _is_network_weight(name: str) -> bool:
    """Tell matrices of neural networks by the name that torch gives them."""
    return name.startswith("method.") and name.endswith(".weight")


def _map_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Map the arrays of a file into memory: pages are read when used, and shared by processes."""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return {
        name: (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
        for name, tensor in tensors.items()
    }


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
