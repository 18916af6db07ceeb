"""Methods by name.

A name that ends in ``-age-sex`` is of a method that reads a donor's age and sex. Some are fitted
for that alone; others, of ``OPTIONAL_AGE_SEX``, are the same fit as without the ending, and work
with or without. They are listed in :mod:`mtm_core.methods.table`.
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
from mtm_core.methods.table import TABLE, Wanted, own_name

if TYPE_CHECKING:
    from mtm_core.methods.factor_stack import FitProgress
    from mtm_core.training.hardware import Hardware
    from mtm_core.training.trainer import TrainingProgress

OPTIONAL_AGE_SEX = tuple(name for name, home in TABLE.items() if home.optional_age_sex)
METHOD_NAMES: tuple[str, ...] = tuple(
    name + ending
    for name, home in TABLE.items()
    for ending in (("", AGE_SEX) if home.optional_age_sex else ("",))
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
    """Return the method ``name``; ``config`` and ``hardware`` are MTM's.

    Fits of MTM and of stacks are cached in the folder ``cache``, where there is one.
    ``on_progress`` gets MTM's steps, ``on_step`` those of a factor stack.

    Raises
    ------
    SelectionError
        If there is no such method.
    """
    if name not in METHOD_NAMES:
        raise SelectionError.unknown("method", [name], METHOD_NAMES)

    def make(name: str) -> Method:
        return Wanted(
            name, source, config, hardware, on_progress, on_step, make, make_listed
        ).make()

    def make_listed(name: str) -> Method:
        method = make(name)
        slow = TABLE[own_name(name)].slow
        return CachedMethod(method, cache) if slow and cache is not None else method

    return make_listed(name)


def trainable_methods() -> tuple[str, ...]:
    """Return the names of methods to train a model by: each fit once."""
    return tuple(name for name in METHOD_NAMES if not _is_optional_age_sex(name))


def takes_several(name: str) -> bool:
    """Tell whether the method ``name`` predicts from several tissues of a donor together."""
    return TABLE[own_name(name)].takes_several


def _is_optional_age_sex(name: str) -> bool:
    return own_name(name) != name


def reads_phenotypes(name: str) -> bool:
    """Tell whether the method ``name`` reads donors' phenotypes when it predicts."""
    return name not in OPTIONAL_AGE_SEX
