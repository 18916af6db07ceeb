"""Table of methods: the module that makes each, and the module that restores it from disk.

A new method is a module beside this one and a line in ``TABLE``. The module has ``make(request)``,
which returns the method to fit, and ``restore(saved)``, which returns a fitted method; ``restore``
may be in another module, as for all methods with one model per target tissue. Modules are imported
on demand, so that predicting imports no training code.
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
class Entry:
    """Entry of the table: the modules of a method, and its properties.

    Attributes
    ----------
    made_in
        Module in ``methods`` whose ``make`` returns the method.
    restored_in
        Module whose ``restore`` reads it from disk; ``made_in`` if empty.
    optional_age_sex
        Whether one fit can predict both with and without age and sex. The method is then listed
        under two names: its own, and its own with ``-age-sex``.
    slow
        Whether fits are cached on disk if the caller has a cache folder.
    takes_several
        Whether it predicts from several tissues of a donor together.
    """

    made_in: str
    restored_in: str = ""
    optional_age_sex: bool = False
    slow: bool = False
    takes_several: bool = False


TABLE: dict[str, Entry] = {
    "stack": Entry("stack", optional_age_sex=True, slow=True, takes_several=True),
    "factor-stack": Entry(
        "factor_stack", "stack", optional_age_sex=True, slow=True, takes_several=True
    ),
    "compact-stack": Entry(
        "factor_stack", "stack", optional_age_sex=True, slow=True, takes_several=True
    ),
    "kernel-factors": Entry("kernel_factors", optional_age_sex=True, takes_several=True),
    "joint-gaussian": Entry("joint_gaussian", optional_age_sex=True, takes_several=True),
    "mtm": Entry("mtm_training", "mtm", slow=True, takes_several=True),
    "compact-mtm": Entry("on_components", slow=True, takes_several=True),
    "single-task-mtm": Entry("mlp", "saved_by_target"),
    "ridge": Entry("ridge", "saved_by_target"),
    "ridge-age-sex": Entry("ridge", "saved_by_target"),
    "reduced-rank-ridge": Entry("reduced_rank", "saved_by_target"),
    "bgex": Entry("bgex", "saved_by_target"),
    "teebot": Entry("teebot", "saved_by_target"),
    "mlp": Entry("mlp", "saved_by_target"),
    "compact-mlp": Entry("on_components"),
    "compact-single-task-mtm": Entry("on_components"),
    "age-sex": Entry("controls", "saved_by_target"),
    "age-sex-hardy": Entry("controls", "saved_by_target"),
    "training-mean": Entry("controls"),
    "source-as-proxy": Entry("controls"),
}


def own_name(name: str) -> str:
    """Return the key of ``name`` in ``TABLE``: without ``-age-sex`` if that is optional.

    A name that is not listed is returned unchanged.
    """
    own = name.removesuffix(AGE_SEX)
    return own if own in TABLE and TABLE[own].optional_age_sex else name


@dataclass(frozen=True)
class MethodRequest:
    """Name and options of a method to make.

    Attributes
    ----------
    name
        One of ``registry.METHOD_NAMES``; a module that makes several methods chooses by it.
    source
        Tissue to predict from.
    config
        Sizes and training of MTM.
    hardware
        Devices that MTM trains on.
    on_progress
        Called at each step of MTM's training.
    on_step
        Called at each step of a factor stack's fit.
    part
        Makes another listed method, for methods that combine several.
    part_with_cache
        The same, with its fits cached like those of slow methods.
    """

    name: str
    source: str
    config: RunConfig
    hardware: Hardware | None
    on_progress: Callable[[TrainingProgress], None] | None
    on_step: FitProgress | None
    part: Callable[[str], Method]
    part_with_cache: Callable[[str], Method]

    def make(self) -> Method:
        """Make the method with ``make`` of its module."""
        module = import_module(f"mtm_core.methods.{TABLE[own_name(self.name)].made_in}")
        return cast("Method", module.make(self))


@dataclass(frozen=True)
class SavedMethod:
    """A fitted method as stored on disk.

    Attributes
    ----------
    name
        Name of the method.
    arrays, settings
        Results of :meth:`~mtm_core.methods.protocol.FittedMethod.arrays` and
        :meth:`~mtm_core.methods.protocol.FittedMethod.settings`.
    scaler
        Scaler of the method.
    tissues
        Names of the tissues.
    """

    name: str
    arrays: Mapping[str, NDArray[Any]]
    settings: Mapping[str, Any]
    scaler: TissueScaler
    tissues: tuple[str, ...]

    def restore(self) -> FittedMethod:
        """Restore the method with ``restore`` of its module.

        Raises
        ------
        ValueError
            If there is no such method, or the parts do not fit together.
        """
        entry = TABLE.get(own_name(self.name))
        if entry is None:
            raise ValueError(f"the parts of {self.name!r} are of no method that this program knows")
        module = import_module(f"mtm_core.methods.{entry.restored_in or entry.made_in}")
        return cast("FittedMethod", module.restore(self))
