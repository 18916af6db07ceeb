"""Restoring fitted methods with one model per target tissue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from numpy.typing import NDArray

from mtm_core.methods.by_target import (
    FactoredMap,
    FittedByTarget,
    LinearMap,
    SparseMap,
    TargetModel,
)
from mtm_core.methods.covariates import encode_covariates
from mtm_core.methods.mlp import NetworkMap
from mtm_core.methods.protocol import check_covariates, check_names, under_prefix
from mtm_core.methods.table import SavedMethod

_MAPS = {one.kind: one for one in (LinearMap, FactoredMap, SparseMap)}


def restore(saved: SavedMethod) -> FittedByTarget:
    """Restore a method with one model per target tissue, whatever its name.

    Raises
    ------
    ValueError
        If the parts do not fit together.
    """
    settings = saved.settings
    model, source, targets = settings["model"], settings["source"], settings["targets"]
    covariates = check_covariates(settings["covariates"])
    if source is not None and source not in saved.tissues:
        raise ValueError(f"the source {source!r} is not one of the tissues")
    if not set(targets) <= set(saved.tissues) - {source} or len(set(targets)) < len(targets):
        raise ValueError("the targets are not some of the other tissues, each once")
    if not targets:
        raise ValueError("there is nothing that it predicts")
    n_genes = saved.scaler.mean.shape[1]
    n_inputs = encode_covariates(None, covariates, 1).shape[1] + (n_genes if source else 0)
    numbers = {str(i) for i in range(len(targets))}
    check_names(saved.arrays, [name for name in saved.arrays if name.split(".")[0] in numbers])
    models = {
        target: restore_map(under_prefix(f"{i}.", saved.arrays), model, n_inputs, n_genes)
        for i, target in enumerate(targets)
    }
    return FittedByTarget(saved.name, saved.scaler, saved.tissues, source, covariates, models)


def restore_map(
    arrays: Mapping[str, NDArray[Any]], settings: Mapping[str, Any], n_inputs: int, n_genes: int
) -> TargetModel:
    """Restore the map of one target, checked against P inputs and G genes."""
    if settings["kind"] not in _MAPS:
        return NetworkMap.restore(arrays, settings, n_inputs, n_genes)
    kind = _MAPS[settings["kind"]]
    check_names(arrays, [field.name for field in fields(kind)])
    restored = kind(**arrays)
    restored.check(n_inputs, n_genes)
    return restored
