"""The table of methods: where each is made to be fitted, and where it is restored from disk.

A new method is a module beside this one and a line in ``TABLE``. The module has ``make(wanted)``,
which gives the method to fit, and ``restore(saved)``, which puts a fitted one together again;
``restore`` may be another module's, as that of all methods with one model a target tissue is.
Modules are imported when they are asked for: predicting loads nothing of training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from numpy.typing import NDArray

from mtm_core.config import RunConfig
from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.methods.covariates import AGE_SEX
from mtm_core.methods.protocol import FittedMethod, Method

if TYPE_CHECKING:
    from mtm_core.methods.factor_stack import FitProgress
    from mtm_core.training.hardware import Hardware
    from mtm_core.training.trainer import TrainingProgress


@dataclass(frozen=True)
class Home:
    """The modules of a method.

    Attributes
    ----------
    made_in
        Module of ``methods`` whose ``make`` gives the method.
    restored_in
        Module whose ``restore`` reads it; the same if empty.
    optional_age_sex
        Whether one fit predicts with age and sex or without. The method is then listed under two
        names: its own, and its own with ``-age-sex``.
    slow
        Whether fits are worth a place on disk, where the caller has a folder for them.
    takes_several
        Whether it predicts from several tissues of a donor together.
    """

    made_in: str
    restored_in: str = ""
    optional_age_sex: bool = False
    slow: bool = False
    takes_several: bool = False


TABLE: dict[str, Home] = {
    "stack": Home("stack", optional_age_sex=True, slow=True, takes_several=True),
    "factor-stack": Home(
        "factor_stack", "stack", optional_age_sex=True, slow=True, takes_several=True
    ),
    "compact-stack": Home(
        "factor_stack", "stack", optional_age_sex=True, slow=True, takes_several=True
    ),
    "kernel-factors": Home("kernel_factors", optional_age_sex=True, takes_several=True),
    "joint-gaussian": Home("joint_gaussian", optional_age_sex=True, takes_several=True),
    "mtm": Home("mtm_training", "mtm", slow=True, takes_several=True),
    "compact-mtm": Home("on_components", slow=True, takes_several=True),
    "single-task-mtm": Home("mlp", "saved_by_target"),
    "ridge": Home("ridge", "saved_by_target"),
    "ridge-age-sex": Home("ridge", "saved_by_target"),
    "reduced-rank-ridge": Home("reduced_rank", "saved_by_target"),
    "bgex": Home("bgex", "saved_by_target"),
    "teebot": Home("teebot", "saved_by_target"),
    "mlp": Home("mlp", "saved_by_target"),
    "compact-mlp": Home("on_components"),
    "compact-single-task-mtm": Home("on_components"),
    "age-sex": Home("controls", "saved_by_target"),
    "age-sex-hardy": Home("controls", "saved_by_target"),
    "training-mean": Home("controls"),
    "source-as-proxy": Home("controls"),
}


def own_name(name: str) -> str:
    """Return the name that ``name`` has in ``TABLE``: without ``-age-sex`` where that is optional.

    ``name`` itself where it is not listed.
    """
    own = name.removesuffix(AGE_SEX)
    return own if own in TABLE and TABLE[own].optional_age_sex else name


@dataclass(frozen=True)
class Wanted:
    """What a method is to be made of.

    Attributes
    ----------
    name
        One of ``registry.METHOD_NAMES``; a module that makes several methods goes by it.
    source
        Tissue to predict from.
    config, hardware, on_progress
        Sizes, training and device of MTM, and what is called at its steps.
    on_step
        Called at the steps of a factor stack.
    part
        Makes another listed method, for one that is made of others.
    part_as_slow
        The same, its fits on disk where those of slow methods are.
    """

    name: str
    source: str
    config: RunConfig
    hardware: Hardware | None
    on_progress: Callable[[TrainingProgress], None] | None
    on_step: FitProgress | None
    part: Callable[[str], Method]
    part_as_slow: Callable[[str], Method]

    def make(self) -> Method:
        """Make the method, in its module."""
        module = import_module(f"mtm_core.methods.{TABLE[own_name(self.name)].made_in}")
        return cast("Method", module.make(self))


@dataclass(frozen=True)
class Saved:
    """A fitted method as it lies on disk: its ``arrays()``, ``settings()`` and scaler."""

    name: str
    arrays: Mapping[str, NDArray[Any]]
    settings: Mapping[str, Any]
    scaler: TissueScaler
    tissues: tuple[str, ...]

    def restore(self) -> FittedMethod:
        """Restore the method, in its module.

        Raises
        ------
        ValueError
            If there is no such method, or the parts do not fit together.
        """
        home = TABLE.get(own_name(self.name))
        if home is None:
            raise ValueError(f"the parts of {self.name!r} are of no method that this program knows")
        module = import_module(f"mtm_core.methods.{home.restored_in or home.made_in}")
        return cast("FittedMethod", module.restore(self))
