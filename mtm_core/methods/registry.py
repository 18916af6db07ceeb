"""Methods by name.

A name that ends in ``-age-sex`` is of a method that reads a donor's age and sex. Some are fitted
for that alone; others, of ``OPTIONAL_AGE_SEX``, are the same fit as without the ending, and work
with or without.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mtm_core.config import RunConfig
from mtm_core.errors import SelectionError
from mtm_core.methods.bgex import BGExMethod
from mtm_core.methods.cached import CachedMethod
from mtm_core.methods.controls import ControlMethod, CovariatesAloneMethod
from mtm_core.methods.covariates import AGE_SEX
from mtm_core.methods.factor_stack import FactorStackMethod, FitProgress
from mtm_core.methods.joint_gaussian import JointGaussianMethod
from mtm_core.methods.kernel_factors import KernelFactorsMethod
from mtm_core.methods.mlp import MLPMethod, SingleTaskMTMMethod
from mtm_core.methods.mtm_training import MTMMethod
from mtm_core.methods.on_components import OnComponentsMethod
from mtm_core.methods.protocol import Method
from mtm_core.methods.reduced_rank import ReducedRankRidgeMethod
from mtm_core.methods.ridge import RidgeMethod
from mtm_core.methods.stack import StackMethod
from mtm_core.methods.teebot import TEEBoTMethod
from mtm_core.training.hardware import Hardware
from mtm_core.training.trainer import TrainingProgress

_BASELINES: dict[str, Callable[[str, RunConfig], Method]] = {
    "single-task-mtm": lambda source, config: SingleTaskMTMMethod(
        config.model, source, scaling=config.scaling
    ),
    "ridge": lambda source, config: RidgeMethod(source),
    "ridge-age-sex": lambda source, config: RidgeMethod(
        source, covariates=("age", "sex"), name="ridge-age-sex"
    ),
    "reduced-rank-ridge": lambda source, config: ReducedRankRidgeMethod(source),
    "bgex": lambda source, config: BGExMethod(source),
    "teebot": lambda source, config: TEEBoTMethod(source),
    "mlp": lambda source, config: MLPMethod(source),
    "compact-mlp": lambda source, config: OnComponentsMethod(MLPMethod(source), name="compact-mlp"),
    "compact-single-task-mtm": lambda source, config: OnComponentsMethod(
        SingleTaskMTMMethod(config.model, source), name="compact-single-task-mtm"
    ),
    "age-sex": lambda source, config: CovariatesAloneMethod(("age", "sex"), "age-sex"),
    "age-sex-hardy": lambda source, config: CovariatesAloneMethod(
        ("age", "sex", "hardy"), "age-sex-hardy"
    ),
    "training-mean": lambda source, config: ControlMethod("training-mean"),
    "source-as-proxy": lambda source, config: ControlMethod("source-as-proxy"),
}

OPTIONAL_AGE_SEX = ("stack", "factor-stack", "compact-stack", "kernel-factors", "joint-gaussian")
METHOD_NAMES: tuple[str, ...] = (
    *(name + ending for name in OPTIONAL_AGE_SEX for ending in ("", AGE_SEX)),
    "mtm",
    "compact-mtm",
    *_BASELINES,
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

    def cached(method: Method) -> Method:
        return method if cache is None else CachedMethod(method, cache)

    mtm = cached(MTMMethod(config, hardware, on_progress))
    if name == "mtm":
        return mtm
    compact = cached(OnComponentsMethod(MTMMethod(config, hardware, on_progress)))
    if name == compact.name:
        return compact
    if name in _BASELINES:
        return _BASELINES[name](source, config)
    joint = JointGaussianMethod(covariates=("age", "sex"), choose_from=source)
    match name.removesuffix(AGE_SEX):
        case "stack":
            bases = (KernelFactorsMethod(joint), mtm)
            return cached(StackMethod(bases, source, n_further=3, name=name))
        case "factor-stack":
            return cached(FactorStackMethod(source, on_step=on_step, name=name))
        case "compact-stack":
            return cached(FactorStackMethod(source, others=(compact,), on_step=on_step, name=name))
        case "kernel-factors":
            return KernelFactorsMethod(joint, name=name)
        case "joint-gaussian":
            return replace(joint, name=name)
    raise SelectionError.unknown("method", [name], METHOD_NAMES)


def trainable_methods() -> tuple[str, ...]:
    """Return the names of methods to train a model by: each fit once."""
    return tuple(name for name in METHOD_NAMES if not _is_optional_age_sex(name))


def _is_optional_age_sex(name: str) -> bool:
    return name.endswith(AGE_SEX) and name.removesuffix(AGE_SEX) in OPTIONAL_AGE_SEX


def reads_phenotypes(name: str) -> bool:
    """Tell whether the method ``name`` reads donors' phenotypes when it predicts."""
    return name not in OPTIONAL_AGE_SEX
