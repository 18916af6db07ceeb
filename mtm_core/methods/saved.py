"""Restoring fitted methods from their saved arrays and settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.methods.protocol import FittedMethod
from mtm_core.methods.table import SavedMethod


def restore_method(
    name: str,
    arrays: Mapping[str, NDArray[Any]],
    settings: Mapping[str, Any],
    scaler: TissueScaler,
    tissues: tuple[str, ...],
) -> FittedMethod:
    """Restore the fitted method ``name`` from its ``arrays()`` and ``settings()``.

    Raises
    ------
    ValueError
        If there is no such method, or the parts do not fit together.
    """
    return SavedMethod(name, arrays, settings, scaler, tissues).restore()
