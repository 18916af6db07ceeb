"""Restoring fitted methods with one model per target tissue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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

_Arrays = Mapping[str, NDArray[Any]]
_KINDS: dict[str, Callable[[_Arrays, Mapping[str, Any], int, int], TargetModel]] = {
    "linear": LinearMap.restore,
    "factored": FactoredMap.restore,
    "sparse": SparseMap.restore,
}


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
    restore_map = _KINDS.get(model["kind"], NetworkMap.restore)
    models = {
        target: restore_map(under_prefix(f"{i}.", saved.arrays), model, n_inputs, n_genes)
        for i, target in enumerate(targets)
    }
    return FittedByTarget(saved.name, saved.scaler, saved.tissues, source, covariates, models)
