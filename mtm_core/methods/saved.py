"""Put fitted methods together again from what they saved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, cast

from numpy.typing import NDArray

from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.methods.by_target import (
    FactoredMap,
    FittedByTarget,
    LinearMap,
    SparseMap,
    TargetModel,
)
from mtm_core.methods.calibration import Calibration
from mtm_core.methods.covariates import encode_covariates
from mtm_core.methods.joint_gaussian import FittedJointGaussian
from mtm_core.methods.kernel_factors import FittedKernelFactors
from mtm_core.methods.mlp import NetworkMap
from mtm_core.methods.mtm import FittedMTM
from mtm_core.methods.on_components import FittedOnComponents
from mtm_core.methods.protocol import (
    FittedMethod,
    check_covariates,
    check_names,
    under_prefix,
)
from mtm_core.methods.stack import CALIBRATIONS, FittedStack

Arrays = Mapping[str, NDArray[Any]]
_MOST_BASES = 32
ON_COMPONENTS = ("mtm", "mlp", "single-task-mtm")
_STACKS = ("stack", "factor-stack", "compact-stack")


def restore_method(
    name: str,
    arrays: Arrays,
    settings: Mapping[str, Any],
    scaler: TissueScaler,
    tissues: tuple[str, ...],
) -> FittedMethod:
    """Return the method ``name`` from its ``arrays()`` and ``settings()``.

    Raises
    ------
    ValueError
        If there is no such method, or the parts do not fit together.
    """
    if name in _STACKS:
        return _restore_stack(name, arrays, settings, scaler, tissues)
    if name == "kernel-factors":
        return FittedKernelFactors.restore(arrays, settings, scaler, tissues)
    if name == "joint-gaussian":
        return FittedJointGaussian.restore(arrays, settings, scaler, tissues)
    if name == "mtm":
        return FittedMTM.restore(arrays, settings, scaler, tissues)
    if name in ("training-mean", "source-as-proxy"):
        from mtm_core.methods.controls import (  # scikit-learn loads slowly
            ControlKind,
            FittedControl,
        )

        check_names(arrays, ())
        return FittedControl(cast("ControlKind", name), scaler, tissues)
    if "inner" in settings:
        inner = settings["inner"]
        if inner["method"] not in ON_COMPONENTS:
            raise ValueError(f"expected one of {', '.join(ON_COMPONENTS)} on components")
        return FittedOnComponents.restore(
            name,
            arrays,
            settings,
            scaler,
            lambda own, of_scores: restore_method(
                inner["method"], own, inner["settings"], of_scores, tissues
            ),
        )
    if "targets" in settings:
        return _restore_by_target(name, arrays, settings, scaler, tissues)
    raise ValueError(f"the parts of {name!r} are of no method that this program knows")


def _restore_stack(
    name: str,
    arrays: Arrays,
    settings: Mapping[str, Any],
    scaler: TissueScaler,
    tissues: tuple[str, ...],
) -> FittedStack:
    parts, source = settings["bases"], settings["source"]
    if not 0 < len(parts) <= _MOST_BASES or any(base["method"] in _STACKS for base in parts):
        raise ValueError(f"expected a stack of 1 to {_MOST_BASES} methods that are no stacks")
    if source not in tissues:
        raise ValueError(f"the stack's source {source!r} is none of the tissues")
    bases = tuple(
        restore_method(
            base["method"], under_prefix(f"{i}.", arrays), base["settings"], scaler, tissues
        )
        for i, base in enumerate(parts)
    )
    members = [member.name for member in fields(Calibration)]
    calibrations: dict[str, Calibration | None] = {}
    for kind, stored in CALIBRATIONS.items():
        own = under_prefix(f"{stored}.", arrays)
        calibrations[kind] = None
        if own:
            check_names(own, members)
            calibrations[kind] = made = Calibration(**own)
            made.check(len(bases), scaler.mean.shape)
    known = (*CALIBRATIONS.values(), *(str(i) for i in range(len(bases))))
    check_names(arrays, [name for name in arrays if name.split(".")[0] in known])
    fitted = FittedStack(bases, source=source, name=name, **cast("dict[str, Any]", calibrations))
    for kind in ("plain", "with_covariates") if fitted.covariates else ("plain",):
        if calibrations[kind] is None:
            raise ValueError(f"the stack has no calibration {CALIBRATIONS[kind]!r}")
    return fitted


_TARGET_MODELS: dict[str, Callable[[Arrays, Mapping[str, Any], int, int], TargetModel]] = {
    "linear": LinearMap.restore,
    "factored": FactoredMap.restore,
    "sparse": SparseMap.restore,
}


def _restore_by_target(
    name: str,
    arrays: Arrays,
    settings: Mapping[str, Any],
    scaler: TissueScaler,
    tissues: tuple[str, ...],
) -> FittedByTarget:
    model, source, targets = settings["model"], settings["source"], settings["targets"]
    covariates = check_covariates(settings["covariates"])
    if source is not None and source not in tissues:
        raise ValueError(f"the source {source!r} is none of the tissues")
    if not set(targets) <= set(tissues) - {source} or len(set(targets)) < len(targets):
        raise ValueError("the targets are not some of the other tissues, each once")
    if not targets:
        raise ValueError("there is nothing that it predicts")
    n_genes = scaler.mean.shape[1]
    n_inputs = encode_covariates(None, covariates, 1).shape[1] + (n_genes if source else 0)
    numbers = {str(i) for i in range(len(targets))}
    check_names(arrays, [name for name in arrays if name.split(".")[0] in numbers])
    restore = _TARGET_MODELS.get(model["kind"], NetworkMap.restore)
    models = {
        target: restore(under_prefix(f"{i}.", arrays), model, n_inputs, n_genes)
        for i, target in enumerate(targets)
    }
    return FittedByTarget(name, scaler, tissues, source, covariates, models)
