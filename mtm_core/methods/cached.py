"""Cache of fitted methods on disk.

A stack fits its methods in every inner fold, and an evaluation scores the stack, its methods and
the stack under other conditions on the same folds, so the same fits recur. A cached method is
fitted once for each set of donors and read back afterwards, also by a later run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path

import anndata as ad
from safetensors import safe_open

from mtm_core import __version__
from mtm_core.data.cohort.cohort import tissue_names
from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.methods.protocol import FittedMethod, Method, under_prefix
from mtm_core.methods.stored_arrays import map_tensors, to_arrays, write_arrays
from mtm_core.methods.table import SavedMethod
from mtm_core.safe_output import replacing


def identity(value: object) -> object:
    """Return everything that a method's result depends on, as JSON values.

    These are the fields of a dataclass, recursively, but for those with ``compare=False`` (a
    progress callback, a folder).
    """
    if is_dataclass(value) and not isinstance(value, type):
        own = {f.name: identity(getattr(value, f.name)) for f in fields(value) if f.compare}
        return {"class": type(value).__name__, **own}
    if isinstance(value, Mapping):
        return {str(name): identity(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [identity(part) for part in value]
    return value


@dataclass(frozen=True)
class CachedMethod:
    """A method whose fits are cached in ``folder``."""

    method: Method
    folder: Path = field(compare=False)

    @property
    def name(self) -> str:
        """Name of the method."""
        return self.method.name

    def fit(self, cohort: ad.AnnData, donors: Sequence[str]) -> FittedMethod:
        """Read the fit to ``donors`` from the cache, or make and save it."""
        digest = self._digest(cohort, donors)
        path = self.folder / f"{type(self.method).__name__}-{digest}.safetensors"
        if not path.exists():
            self._save(self.method.fit(cohort, donors), path)
        return self._load(path, tissue_names(cohort))

    def _digest(self, cohort: ad.AnnData, donors: Sequence[str]) -> str:
        determinants = {
            "version": __version__,
            "cohort_sha256": str(cohort.uns["mtm"]["sha256"]),
            "method": identity(self.method),
            "donors": sorted(donors),
        }
        return hashlib.sha256(json.dumps(determinants, sort_keys=True).encode()).hexdigest()[:16]

    def _save(self, fitted: FittedMethod, path: Path) -> None:
        arrays = {f"method.{name}": array for name, array in fitted.arrays().items()}
        arrays |= {"scaler.mean": fitted.scaler.mean, "scaler.sd": fitted.scaler.sd}
        about = {
            "method": fitted.name,
            "settings": json.dumps(fitted.settings()),
            "scale": fitted.scaler.scale,
        }
        with replacing(path) as place:
            write_arrays(arrays, place, about=about)

    @staticmethod
    def _load(path: Path, tissues: tuple[str, ...]) -> FittedMethod:
        with safe_open(path, framework="numpy") as file:
            about = file.metadata()
        arrays = to_arrays(map_tensors(path))
        scaler = TissueScaler(arrays["scaler.mean"], arrays["scaler.sd"], about["scale"])
        own = under_prefix("method.", arrays)
        return SavedMethod(
            about["method"], own, json.loads(about["settings"]), scaler, tissues
        ).restore()
