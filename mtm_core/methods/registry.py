"""Methods by name."""

from __future__ import annotations

from collections.abc import Callable

from mtm_core.config import RunConfig
from mtm_core.errors import SelectionError
from mtm_core.methods.controls import ControlMethod
from mtm_core.methods.mtm_training import MTMMethod
from mtm_core.methods.protocol import Method
from mtm_core.methods.ridge import RidgeMethod
from mtm_core.training.trainer import Hardware, TrainingProgress

METHOD_NAMES = ("mtm", "ridge", "training-mean", "source-as-proxy")


def make_method(
    name: str,
    *,
    source: str,
    config: RunConfig,
    hardware: Hardware | None = None,
    on_progress: Callable[[TrainingProgress], None] | None = None,
) -> Method:
    """Give the method ``name``; ``config`` and ``hardware`` are MTM's.

    Raises
    ------
    SelectionError
        If there is no such method.
    """
    if name == "mtm":
        return MTMMethod(config, hardware, on_progress)
    if name == "ridge":
        return RidgeMethod(source=source)
    if name == "training-mean":
        return ControlMethod("training-mean")
    if name == "source-as-proxy":
        return ControlMethod("source-as-proxy")
    raise SelectionError.unknown("method", [name], METHOD_NAMES)
