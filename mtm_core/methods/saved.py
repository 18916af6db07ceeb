"""Put fitted methods together again from what they saved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtm_core.data.scaling import TissueScaler
from mtm_core.methods.joint_gaussian import FittedJointGaussian
from mtm_core.methods.mtm import FittedMTM
from mtm_core.methods.protocol import SavableMethod
from mtm_core.methods.stack import FittedStack

Arrays = Mapping[str, NDArray[Any]]


def restore_method(
    name: str,
    arrays: Arrays,
    settings: Mapping[str, Any],
    scaler: TissueScaler,
    tissues: tuple[str, ...],
) -> SavableMethod:
    """Give the method ``name`` from its ``arrays()`` and ``settings()``.

    Raises
    ------
    ValueError
        If there is no such method, or the parts do not fit together.
    """
    if name == "stack":
        bases = tuple(
            restore_method(
                base["method"], under_prefix(f"{i}.", arrays), base["settings"], scaler, tissues
            )
            for i, base in enumerate(settings["bases"])
        )
        return FittedStack(
            bases,
            weights=np.asarray(arrays["weights"]),
            error=np.asarray(arrays["error"]),
            multipliers=np.asarray(arrays["multipliers"]),
            source=settings["source"],
        )
    if name == "joint-gaussian":
        return FittedJointGaussian.restore(arrays, settings, scaler, tissues)
    if name == "mtm":
        return FittedMTM.restore(arrays, settings, scaler, tissues)
    raise ValueError(f"expected a method out of stack, joint-gaussian and mtm; got {name!r}")


def under_prefix(prefix: str, arrays: Arrays) -> dict[str, NDArray[Any]]:
    """Give the arrays whose names begin with ``prefix``, without it."""
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
