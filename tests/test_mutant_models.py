"""Model folders that others altered and sealed again: refused in words, or they predict.

Mutants are drawn by seed from the description, the manifest and the arrays of small models of every
kind. What loads must predict finite numbers; what does not must say so as an ArtefactError.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load, save

from mtm_core.artefact import Artefact
from mtm_core.config import preset, with_changes
from mtm_core.data.cohort.simulate import SimulationConfig, simulate_cohort
from mtm_core.errors import ArtefactError
from mtm_core.inference.predictor import Predictor
from mtm_core.methods.mlp import MLPMethod, NetworkTraining, SingleTaskMTMMethod
from mtm_core.methods.protocol import Method
from mtm_core.methods.registry import make_method
from mtm_core.methods.stack import StackMethod
from mtm_core.model_folder import MANIFEST, seal_folder

BLOOD = "Whole Blood"
CONFIG = with_changes(preset("acmg59", 15, 5), {"training.epochs": "1"})
N_MUTANTS = 100
"""Of each model; more with ``MTM_MUTANTS``."""


@pytest.fixture(scope="module")
def cohort() -> ad.AnnData:
    return simulate_cohort(SimulationConfig(n_donors=60, n_genes=15))


def small_methods() -> dict[str, Method]:
    ridge, kernel, mtm = (
        make_method(name, source=BLOOD, config=CONFIG)
        for name in ("ridge", "kernel-factors", "mtm")
    )
    short = NetworkTraining(epochs=2)
    others: dict[str, Method] = {}
    if "MTM_MUTANTS" in os.environ:  # it is slow to put together
        others["single-task-mtm"] = SingleTaskMTMMethod(CONFIG.model, training=short)
    return {
        "stack": StackMethod((kernel, mtm), n_inner=2),
        "ridge": ridge,
        "mlp": MLPMethod(training=short),
        **others,
    }


@dataclass
class Model:
    """A model's folder in memory, to be written with changes."""

    description: dict[str, Any]
    arrays: dict[str, np.ndarray]

    @classmethod
    def of(cls, folder: Path) -> Model:
        return cls(
            json.loads((folder / "model.json").read_text()),
            load((folder / "model.safetensors").read_bytes()),
        )

    def write(self, folder: Path) -> None:
        """Write and seal, as who means harm does."""
        weights = save({n: np.ascontiguousarray(a) for n, a in self.arrays.items()})
        (folder / "model.safetensors").write_bytes(weights)
        if isinstance(self.description.get("sha256"), str):
            self.description["sha256"] = hashlib.sha256(weights).hexdigest()
        (folder / "model.json").write_text(json.dumps(self.description))
        seal_folder(folder)


@pytest.fixture(scope="module")
def models(cohort: ad.AnnData, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folders = {}
    donors = sorted(set(cohort.obs["donor"]))
    for name, method in small_methods().items():
        folders[name] = tmp_path_factory.mktemp(name)
        fitted = method.fit(cohort, donors)
        Artefact.of(fitted, cohort, name=name, provenance={"n_donors": 60}).save(folders[name])
    return folders


@pytest.fixture(scope="module")
def blood(cohort: ad.AnnData) -> pd.DataFrame:
    return cohort[cohort.obs["tissue"] == BLOOD][:3].to_df()


VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 10**9, 10**30, 2.5, -1e308, 1e400, float("nan"), "", "x", "../../x"),
    *("\ud800", "a\0b", [], {}, [[]], [10**9], {"a": 1}, "Whole Blood", ["Lung", "Lung"], "log2"),
)


def places(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give every place in nested JSON."""
    items = value.items() if isinstance(value, dict) else enumerate(value)  # type: ignore[arg-type]
    for key, item in items:
        yield (*path, key)
        if isinstance(item, dict | list):
            yield from places(item, (*path, key))


def mutate_description(model: Model, rng: np.random.Generator) -> str:
    """Replace, delete, add, swap or repeat something anywhere in it."""
    every = list(places(model.description))
    path = every[rng.integers(len(every))]
    if path[0] in ("genes", "tissues") and rng.random() < 0.7:  # most places are there
        rest = [p for p in every if p[0] not in ("genes", "tissues", "accuracy", "provenance")]
        path = rest[rng.integers(len(rest))]
    parent: Any = model.description
    for key in path[:-1]:
        parent = parent[key]
    kind = rng.integers(4)
    if kind == 0:
        del parent[path[-1]]
    elif kind == 1 and isinstance(parent, list):
        parent.append(deepcopy(parent[path[-1]]))
    elif kind == 2 and isinstance(parent, dict):
        parent["spare"] = VALUES[rng.integers(len(VALUES))]
    else:
        parent[path[-1]] = VALUES[rng.integers(len(VALUES))]
    return f"{kind} at {path}"


def mutate_arrays(model: Model, rng: np.random.Generator) -> str:
    """Change one array: its name, shape, type or numbers."""
    names = sorted(model.arrays)  # a file lists them in any order
    name = names[rng.integers(len(names))]
    array = model.arrays[name].copy()
    kind = int(rng.integers(9))
    number = rng.choice([np.nan, np.inf, -np.inf, -1.0, 0.0, 1e30, 3e38, 1e8, -1e8])
    if kind == 0:
        model.arrays[f"{name}x"] = model.arrays.pop(name)
        return f"{name} renamed"
    if kind == 1:
        del model.arrays[name]
        return f"{name} deleted"
    if kind == 2:
        array = array[: len(array) // 2]
    elif kind == 3:
        array = np.concatenate([array, array])
    elif kind == 4:
        array = array.reshape(-1) if array.ndim > 1 else array[None]
    elif kind == 5:
        array = array.astype([np.float64, np.float16, np.int64, np.uint8][rng.integers(4)])
    elif kind == 6:
        array = np.zeros((0, 10**9), array.dtype)
    elif kind == 7:
        array = np.full_like(array, number)
    else:
        array.reshape(-1)[rng.integers(array.size)] = number
    model.arrays[name] = array
    return f"{name}: {kind}, {number}"


def outcome(folder: Path, blood: pd.DataFrame) -> str:
    """Load and predict: refused, or finite."""
    try:
        predictor = Predictor(Artefact.load(folder))
        if BLOOD not in predictor.tissues:
            return "of other tissues"
        found = predictor.genes.find(list(blood.columns)) >= 0
        if found.mean() <= 0.5:
            return "of other genes"
        targets = getattr(predictor.artefact.method, "models", None) or None
        unit = "tpm" if predictor.artefact.unit == "TPM" else "cpm"
        prediction = predictor.predict(
            blood, unit=unit, targets=None if targets is None else list(targets)
        )
    except ArtefactError as error:
        return "refused" if 20 < len(str(error)) < 2000 else f"refused without a word: {error}"
    for name in {"z", "expression", "lower", "upper"} & set(prediction):
        assert np.isfinite(prediction[name]).all()
    return "predicted"


@pytest.mark.parametrize("name", list(small_methods()))
def test_no_mutant_escapes(
    name: str, models: dict[str, Path], blood: pd.DataFrame, tmp_path: Path
) -> None:
    whole = Model.of(models[name])
    whole.write(tmp_path)
    assert outcome(tmp_path, blood) == "predicted"
    outcomes: dict[str, int] = {}
    for seed in range(int(os.environ.get("MTM_MUTANTS", N_MUTANTS))):
        rng = np.random.default_rng(seed)
        model = Model(deepcopy(whole.description), dict(whole.arrays))
        mutate = mutate_arrays if seed % 2 else mutate_description
        said = mutate(model, rng)
        try:
            model.write(tmp_path)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                ended = outcome(tmp_path, blood)
        except Exception as error:
            raise AssertionError(f"{name}, seed {seed}: {said}") from error
        outcomes[ended] = outcomes.get(ended, 0) + 1
    assert outcomes["refused"] > N_MUTANTS / 2


@pytest.mark.parametrize("name", list(small_methods()))
def test_numbers_of_another_precision_are_read(
    name: str, models: dict[str, Path], blood: pd.DataFrame, tmp_path: Path
) -> None:
    """A folder that another program wrote with double precision predicts, or is refused."""
    whole = Model.of(models[name])
    of_method = sorted(name for name in whole.arrays if name.startswith("method."))
    beside = [name for name in whole.arrays if not name.startswith("method.")]
    for array in beside + of_method[:: len(of_method) // 5]:
        for precision in (np.float64, np.float16):
            changed = whole.arrays[array].astype(precision)
            Model(whole.description, whole.arrays | {array: changed}).write(tmp_path)
            ended = outcome(tmp_path, blood)
            assert ended == "predicted" or (ended == "refused" and array.startswith("method."))


def cut(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: rng.integers(len(data))]


def flip(data: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(data)
    changed[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def repeat(data: bytes, rng: np.random.Generator) -> bytes:
    return data + data[: rng.integers(1, len(data))]


@pytest.mark.parametrize("damage", [cut, flip, repeat])
@pytest.mark.parametrize("file", ["model.json", "model.safetensors", MANIFEST])
def test_no_damaged_byte_escapes(
    file: str,
    damage: Callable[[bytes, np.random.Generator], bytes],
    models: dict[str, Path],
    blood: pd.DataFrame,
    tmp_path: Path,
) -> None:
    folder = Path(shutil.copytree(models["ridge"], tmp_path / "model"))
    whole = (folder / file).read_bytes()
    for seed in range(25):
        (folder / file).write_bytes(damage(whole, np.random.default_rng(seed)))
        assert outcome(folder, blood) == "refused"  # as it is, its seal broken
        if file != MANIFEST:
            seal_folder(folder)
            outcome(folder, blood)
            seal_whole(folder, file, whole)


def seal_whole(folder: Path, file: str, whole: bytes) -> None:
    (folder / file).write_bytes(whole)
    seal_folder(folder)
