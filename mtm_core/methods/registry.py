"""Methods by name.

A name that ends in ``-age-sex`` is that of a method that uses a donor's age and sex. The methods of
``OPTIONAL_AGE_SEX`` are the same fit as without the ending and predict with or without; all others
need age and sex. All methods are listed in :mod:`mtm_core.methods.table`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mtm_core.config import RunConfig
from mtm_core.errors import SelectionError
from mtm_core.methods.cached import CachedMethod
from mtm_core.methods.covariates import AGE_SEX
from mtm_core.methods.protocol import Method
from mtm_core.methods.table import TABLE, MethodRequest, own_name

if TYPE_CHECKING:
    from mtm_core.methods.factor_stack import FitProgress
    from mtm_core.training.hardware import Hardware
    from mtm_core.training.trainer import TrainingProgress

OPTIONAL_AGE_SEX = tuple(name for name, entry in TABLE.items() if entry.optional_age_sex)
"""Methods whose fits predict both with and without age and sex."""
METHOD_NAMES: tuple[str, ...] = tuple(
    name + ending
    for name, entry in TABLE.items()
    for ending in (("", AGE_SEX) if entry.optional_age_sex else ("",))
)


def make_method(
    name: str,
    *,
    source: str,
    config: RunConfig,
    hardware: Hardware | None = None,
    on_progress: Callable[[TrainingProgress], None] | None = None,
    cache: Path | None = None,
    on_step: FitProgress | None = None,
) -> Method:
    """Make a method by its name.

    Parameters
    ----------
    name
        One of ``METHOD_NAMES``.
    source
        Tissue to predict from.
    config
        Sizes and training of MTM; other methods ignore it.
    hardware
        Devices that MTM trains on.
    on_progress
        Called at each step of MTM's training.
    cache
        Folder in which fits of slow methods (MTM and stacks) are cached; ``None`` for no cache.
    on_step
        Called at each step of a factor stack's fit.

    Raises
    ------
    SelectionError
        If there is no such method.
    """
    if name not in METHOD_NAMES:
        raise SelectionError.unknown("method", [name], METHOD_NAMES)

    def make(name: str) -> Method:
        return MethodRequest(
            name, source, config, hardware, on_progress, on_step, make, make_listed
        ).make()

    def make_listed(name: str) -> Method:
        method = make(name)
        slow = TABLE[own_name(name)].slow
        return CachedMethod(method, cache) if slow and cache is not None else method

    return make_listed(name)


def trainable_methods() -> tuple[str, ...]:
    """Return the names of the methods that differ in their fit, to train a model by."""
    return tuple(name for name in METHOD_NAMES if not _is_optional_age_sex(name))


def takes_several(name: str) -> bool:
    """Tell whether the method ``name`` predicts from several tissues of a donor together."""
    return TABLE[own_name(name)].takes_several


def _is_optional_age_sex(name: str) -> bool:
    return own_name(name) != name


def reads_phenotypes(name: str) -> bool:
    """Tell whether the method ``name`` uses donors' phenotypes when it predicts."""
    return name not in OPTIONAL_AGE_SEX
