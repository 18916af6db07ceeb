"""Check that a model predicts here what it predicted where it was made.

``verification.safetensors`` beside a model holds three simulated samples, each gene drawn by itself
from the quantiles of the training cohort, and what the model predicted from them: z-scores of some
genes in every other tissue, and mean and SD over all genes. Processors and versions of libraries
round differently, in the sixth digit; a damaged installation or a fault in arithmetic shows.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from mtm_core.artefact import Artefact
from mtm_core.errors import ArtefactError
from mtm_core.inference.example import default_source
from mtm_core.inference.predictor import Predictor
from mtm_core.methods.protocol import tissue_index
from mtm_core.model_folder import MODEL, VERIFICATION, ModelFolder, seal_folder
from mtm_core.model_reference import QUANTILE_LEVELS
from mtm_core.safe_output import OwnFolder, replacing

TOLERANCE = 1e-3
"""Largest difference of z-scores that rounding explains."""
N_SAMPLES, MOST_GENES = 3, 256
_FORMAT = "mtm-verification-1"
_MOST_BYTES = 2**28
_AGES, _SEXES = (32.0, 55.0, 68.0), ("female", "male", "female")
_LOW, _HIGH = QUANTILE_LEVELS.index(0.05), QUANTILE_LEVELS.index(0.95)


@dataclass(frozen=True)
class Verification:
    """How near a model's predictions are to those of the machine that made it.

    Attributes
    ----------
    largest
        Largest difference of z-scores, over samples, tissues and genes, and of their means and SDs.
    tissue
        Tissue of the value.
    made_on, here
        Machine and libraries, in words.
    """

    largest: float
    tissue: str
    made_on: str
    here: str

    @property
    def agrees(self) -> bool:
        """Whether rounding explains the difference."""
        return self.largest <= TOLERANCE

    def in_words(self) -> str:
        """Say what was found, and what it means."""
        machines = f"made on {self.made_on}; here {self.here}"
        if self.largest == 0:
            return f"Predicts exactly the values that it predicted where it was made ({machines})."
        size = f"{self.largest:.1g} SD, in {self.tissue}"
        if self.agrees:
            return (
                f"Predicts the same values as where it was made: the largest difference is "
                f"{size}, within"
                f" the rounding of other processors and libraries, {TOLERANCE:g} ({machines})."
            )
        return (
            f"Does not predict the same values as where it was made: they differ by up to "
            f"{size}, where"
            f" rounding explains {TOLERANCE:g} ({machines}). Do not use its predictions here:"
            " install the program's own versions of its libraries (constraints.txt) and try again."
        )


def write_verification(folder: Path | str) -> Path:
    """Store simulated samples and what the model in ``folder`` predicts from them, and seal it.

    Raises
    ------
    ArtefactError
        If it is no whole model.
    OutputError
        If it cannot be written.
    """
    folder = Path(folder)
    artefact = Artefact.load(folder)
    source = default_source(artefact)
    profile = _simulated(artefact, source)
    targets, genes, found = _predict(artefact, profile, source)
    about = {
        "format": _FORMAT,
        "model_sha256": artefact.sha256,
        "source": source,
        "targets": json.dumps(targets),
        "machine": machine_in_words(),
    }
    path = folder / VERIFICATION
    with (
        replacing(path)
        if _is_ours(path)
        else OwnFolder.among(folder, MODEL).writing(VERIFICATION) as place
    ):
        save_file({"profile": profile, "genes": genes, **found}, place, about)
        place.chmod(0o644)
    seal_folder(folder, changed=VERIFICATION)
    return path


def verify(folder: Path | str) -> Verification:
    """Predict the stored samples of the model in ``folder``, and compare.

    Raises
    ------
    ArtefactError
        If it is no whole model, has no stored samples, or they are not of this model.
    """
    files = ModelFolder.open(folder)
    artefact = Artefact.load(files)
    path = files.file(VERIFICATION)
    if path is None:
        raise ArtefactError(
            f"{files.path} has no {VERIFICATION}, so it is not known what it should predict. If "
            f"it is known to be right, write it: mtm model verify {files.path} --write"
        )
    about, stored = _read(path)
    if about.get("model_sha256") != artefact.sha256:
        raise ArtefactError(
            f"{path} belongs to another model than the one beside it. If the model is known to "
            f"be right, write it again: mtm model verify {files.path} --write"
        )
    try:
        source, targets = about["source"], json.loads(about["targets"])
        if list(targets) != [t for t in artefact.method.tissues if t != source]:
            raise ValueError("its tissues are not those of the model")
        n_genes = len(artefact.genes)
        shapes = {name: array.shape for name, array in stored.items()}
        shape = (N_SAMPLES, len(targets))
        if shapes != {
            "profile": (N_SAMPLES, n_genes),
            "genes": (min(MOST_GENES, n_genes),),
            "z": (*shape, min(MOST_GENES, n_genes)),
            "mean": shape,
            "sd": shape,
        }:
            raise ValueError("its arrays are not of the model's size")
        if not all(np.isfinite(array).all() for array in stored.values()):
            raise ValueError("it holds numbers that are not finite")
        _, genes, found = _predict(artefact, stored["profile"], source)
        if not np.array_equal(genes, stored["genes"]):
            raise ValueError("its genes are not those that would be compared")
    except (LookupError, ValueError, TypeError) as error:
        raise ArtefactError(f"{path} is damaged ({error}). Copy the folder again.") from error
    by_tissue = np.max(
        [np.abs(found[name] - stored[name]).reshape(*shape, -1).max(axis=(0, 2)) for name in found],
        axis=0,
    )
    worst = int(by_tissue.argmax())
    made_on = str(about.get("machine", ""))[:200]
    return Verification(float(by_tissue[worst]), targets[worst], made_on, machine_in_words())


def machine_in_words() -> str:
    """Say what computes here: system, processor, and the libraries whose rounding counts."""
    return (
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()},"
        f" numpy {np.__version__}, torch {torch.__version__}"
    )


def _simulated(artefact: Artefact, source: str) -> NDArray[np.float32]:
    """Draw samples (N, G) of linear expression, each gene by itself, from the reference."""
    tissue = tissue_index(artefact.method.tissues, source)
    low, high = (artefact.reference.expression[level, tissue] for level in (_LOW, _HIGH))
    drawn = low + np.random.default_rng(0).uniform(size=(N_SAMPLES, len(low))) * (high - low)
    linear = np.exp2(drawn) - 1 if artefact.method.scaler.scale == "log2" else drawn
    return np.asarray(np.maximum(linear, 0), dtype=np.float32)


def _predict(
    artefact: Artefact, profile: NDArray[np.float32], source: str
) -> tuple[Sequence[str], NDArray[np.int64], dict[str, NDArray[np.float32]]]:
    """Predict every other tissue; return tissues, the genes chosen, and what is compared."""
    predictor = Predictor(artefact)
    names = [f"SIM-{number + 1}" for number in range(N_SAMPLES)]
    table = pd.DataFrame(profile, index=names, columns=artefact.genes.index.astype(str))
    prepared = predictor.prepare(table, source=source, unit="tpm", alignment="none")
    people = pd.DataFrame({"age": _AGES, "sex": _SEXES}, index=names)
    targets = predictor.targets_of(source)
    prediction = predictor.predict_prepared(
        prepared, targets, phenotypes=people if predictor.covariates else None
    )
    n_genes = len(artefact.genes)
    genes = np.linspace(0, n_genes - 1, min(MOST_GENES, n_genes)).astype(np.int64)
    parts: dict[str, list[NDArray[Any]]] = {"z": [], "mean": [], "sd": []}
    for target in targets:
        z = prediction["z"].sel(tissue=target).to_numpy()
        parts["z"].append(z[:, genes])
        parts["mean"].append(z.mean(axis=1, dtype=np.float64))
        parts["sd"].append(z.std(axis=1, dtype=np.float64))
    # Of an array that is not in C order, safetensors writes the bytes as they lie.
    stacked = {name: np.stack(part, axis=1) for name, part in parts.items()}
    return targets, genes, {k: np.ascontiguousarray(v, np.float32) for k, v in stacked.items()}


def _is_ours(path: Path) -> bool:
    """Tell whether there is a file of ours to be replaced, in a folder that may have no mark."""
    if path.is_symlink() or not path.is_file():
        return False
    try:
        return bool(_read(path))
    except ArtefactError:
        return False


def _read(path: Path) -> tuple[dict[str, str], dict[str, NDArray[Any]]]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"it has more than {_MOST_BYTES:,} bytes")
        with safe_open(path, framework="np") as file:
            about = file.metadata() or {}
            if about.get("format") != _FORMAT:
                raise ValueError(f"its format is {about.get('format')!r}, expected {_FORMAT!r}")
            return about, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except Exception as error:  # another's file may fail in any way
        raise ArtefactError(f"{path} cannot be read ({error}). Copy the folder again.") from error
