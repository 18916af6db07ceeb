"""Put fitted methods together again from what they saved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from numpy.typing import NDArray

from mtm_core.data.scaling import TissueScaler
from mtm_core.methods.by_target import FittedByTarget, LinearMap
from mtm_core.methods.calibration import Calibration
from mtm_core.methods.joint_gaussian import FittedJointGaussian
from mtm_core.methods.kernel_factors import FittedKernelFactors
from mtm_core.methods.mlp import NetworkMap
from mtm_core.methods.mtm import FittedMTM
from mtm_core.methods.protocol import FittedMethod, under_prefix
from mtm_core.methods.stack import CALIBRATIONS, FittedStack

Arrays = Mapping[str, NDArray[Any]]


def restore_method(
    name: str,
    arrays: Arrays,
    settings: Mapping[str, Any],
    scaler: TissueScaler,
    tissues: tuple[str, ...],
) -> FittedMethod:
    """Give the method ``name`` from its ``arrays()`` and ``settings()``.

    Raises
    ------
    ValueError
        If there is no such method, or the parts do not fit together.
    """
    if name == "stack":
        calibrations = {
            kind: Calibration(**part) if (part := under_prefix(f"{kind}.", arrays)) else None
            for kind in CALIBRATIONS
        }
        bases = tuple(
            restore_method(
                base["method"], under_prefix(f"{i}.", arrays), base["settings"], scaler, tissues
            )
            for i, base in enumerate(settings["bases"])
        )
        return FittedStack(bases, source=settings["source"], **cast("dict[str, Any]", calibrations))
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

        return FittedControl(cast("ControlKind", name), scaler, tissues)
    if "targets" in settings:
        return _restore_by_target(name, arrays, settings, scaler, tissues)
    raise ValueError(f"the parts of {name!r} are of no method that this program knows")


def _restore_by_target(
    name: str,
    arrays: Arrays,
    settings: Mapping[str, Any],
    scaler: TissueScaler,
    tissues: tuple[str, ...],
) -> FittedByTarget:
    model = settings["model"]
    restore = LinearMap.restore if model["kind"] == "linear" else NetworkMap.restore
    return FittedByTarget(
        name,
        scaler,
        tissues,
        settings["source"],
        tuple(settings["covariates"]),
        {
            target: restore(under_prefix(f"{i}.", arrays), model)
            for i, target in enumerate(settings["targets"])
        },
    )
