"""Methods by name.

A name that ends in ``-age-sex`` is of a method that is told a donor's age and sex. Some are fitted
for that alone; others, of ``OPTIONALLY_INFORMED``, are the same fit as without the ending, and work
with or without.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mtm_core.config import RunConfig
from mtm_core.errors import SelectionError
from mtm_core.methods.bgex import BGExMethod
from mtm_core.methods.controls import ControlMethod, CovariatesAloneMethod
from mtm_core.methods.covariates import AGE_SEX
from mtm_core.methods.factor_stack import FactorStackMethod, FitProgress
from mtm_core.methods.joint_gaussian import JointGaussianMethod
from mtm_core.methods.kept import KeptMethod
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

OPTIONALLY_INFORMED = ("stack", "factor-stack", "compact-stack", "kernel-factors", "joint-gaussian")
METHOD_NAMES: tuple[str, ...] = (
    *(name + ending for name in OPTIONALLY_INFORMED for ending in ("", AGE_SEX)),
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
    keep: Path | None = None,
    on_step: FitProgress | None = None,
) -> Method:
    """Give the method ``name``; ``config`` and ``hardware`` are MTM's.

    Fits of MTM and of stacks are kept in the folder ``keep``, where there is one. ``on_progress``
    is told of MTM's steps, ``on_step`` of those of a factor stack.

    Raises
    ------
    SelectionError
        If there is no such method.
    """

    def kept(method: Method) -> Method:
        return method if keep is None else KeptMethod(method, keep)

    mtm = kept(MTMMethod(config, hardware, on_progress))
    if name == "mtm":
        return mtm
    compact = kept(OnComponentsMethod(MTMMethod(config, hardware, on_progress)))
    if name == compact.name:
        return compact
    if name in _BASELINES:
        return _BASELINES[name](source, config)
    joint = JointGaussianMethod(covariates=("age", "sex"), choose_from=source)
    match name.removesuffix(AGE_SEX):
        case "stack":
            bases = (KernelFactorsMethod(joint), mtm)
            return kept(StackMethod(bases, source, n_further=3, name=name))
        case "factor-stack":
            return kept(FactorStackMethod(source, on_step=on_step, name=name))
        case "compact-stack":
            return kept(FactorStackMethod(source, others=(compact,), on_step=on_step, name=name))
        case "kernel-factors":
            return KernelFactorsMethod(joint, name=name)
        case "joint-gaussian":
            return replace(joint, name=name)
    raise SelectionError.unknown("method", [name], METHOD_NAMES)


def trainable_methods() -> tuple[str, ...]:
    """Give the names of methods to train a model by: each fit once."""
    return tuple(name for name in METHOD_NAMES if not _is_optionally_informed(name))


def _is_optionally_informed(name: str) -> bool:
    return name.endswith(AGE_SEX) and name.removesuffix(AGE_SEX) in OPTIONALLY_INFORMED


def is_told_phenotypes(name: str) -> bool:
    """Tell whether the method ``name`` is to be told donors' phenotypes when it predicts."""
    return name not in OPTIONALLY_INFORMED
