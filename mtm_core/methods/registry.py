"""Methods by name."""

from __future__ import annotations

from collections.abc import Callable

from mtm_core.config import RunConfig
from mtm_core.errors import SelectionError
from mtm_core.methods.bgex import BGExMethod
from mtm_core.methods.controls import ControlMethod, CovariatesAloneMethod
from mtm_core.methods.joint_gaussian import JointGaussianMethod
from mtm_core.methods.mlp import MLPMethod, SingleTaskMTMMethod
from mtm_core.methods.mtm_training import MTMMethod
from mtm_core.methods.protocol import Method
from mtm_core.methods.reduced_rank import ReducedRankRidgeMethod
from mtm_core.methods.ridge import RidgeMethod
from mtm_core.methods.stack import StackMethod
from mtm_core.methods.teebot import TEEBoTMethod
from mtm_core.training.trainer import Hardware, TrainingProgress

_BASELINES: dict[str, Callable[[str, RunConfig], Method]] = {
    "single-task-mtm": lambda source, config: SingleTaskMTMMethod(
        config.model, source, scaling=config.scaling
    ),
    "joint-gaussian": lambda source, config: JointGaussianMethod(),
    "ridge": lambda source, config: RidgeMethod(source),
    "ridge-age-sex": lambda source, config: RidgeMethod(
        source, covariates=("age", "sex"), name="ridge-age-sex"
    ),
    "reduced-rank-ridge": lambda source, config: ReducedRankRidgeMethod(source),
    "bgex": lambda source, config: BGExMethod(source),
    "teebot": lambda source, config: TEEBoTMethod(source),
    "mlp": lambda source, config: MLPMethod(source),
    "age-sex": lambda source, config: CovariatesAloneMethod(("age", "sex"), "age-sex"),
    "age-sex-hardy": lambda source, config: CovariatesAloneMethod(
        ("age", "sex", "hardy"), "age-sex-hardy"
    ),
    "training-mean": lambda source, config: ControlMethod("training-mean"),
    "source-as-proxy": lambda source, config: ControlMethod("source-as-proxy"),
}

METHOD_NAMES = ("stack", "mtm", *_BASELINES)


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
    mtm = MTMMethod(config, hardware, on_progress)
    if name == "mtm":
        return mtm
    if name == "stack":
        return StackMethod((JointGaussianMethod(), mtm), source)
    if name not in _BASELINES:
        raise SelectionError.unknown("method", [name], METHOD_NAMES)
    return _BASELINES[name](source, config)
