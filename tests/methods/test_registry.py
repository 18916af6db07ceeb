from __future__ import annotations

import pytest

from mtm_core.config import RunConfig, preset
from mtm_core.errors import SelectionError
from mtm_core.methods.mlp import NetworkTraining, SingleTaskMTMMethod
from mtm_core.methods.mtm_training import MTMMethod
from mtm_core.methods.registry import METHOD_NAMES, make_method
from mtm_core.methods.ridge import RidgeMethod
from mtm_core.training.hardware import Hardware


@pytest.fixture
def config() -> RunConfig:
    return preset("acmg59", 40, 5)


@pytest.mark.parametrize("name", METHOD_NAMES)
def test_every_method_has_the_name_it_is_asked_for_by(name: str, config: RunConfig) -> None:
    assert make_method(name, source="Lung", config=config).name == name


def test_settings_are_passed_on(config: RunConfig) -> None:
    hardware = Hardware("cpu", precision="bf16-mixed")
    mtm = make_method("mtm", source="Lung", config=config, hardware=hardware, on_progress=print)
    assert mtm == MTMMethod(config, hardware, print)
    assert make_method("ridge", source="Lung", config=config) == RidgeMethod(source="Lung")
    single = make_method("single-task-mtm", source="Lung", config=config)
    assert single == SingleTaskMTMMethod(config.model, "Lung", scaling=config.scaling)
    for name in ("single-task-mtm", "mlp", "compact-mlp"):
        method = make_method(name, source="Lung", config=config, hardware=hardware)
        network = getattr(method, "inner", method)
        assert network.training == NetworkTraining(precision="bf16-mixed")


def test_age_and_sex_are_read_where_the_name_says_so(config: RunConfig) -> None:
    methods = {name: make_method(name, source="Lung", config=config) for name in METHOD_NAMES}
    reading = {name: getattr(method, "covariates", ()) for name, method in methods.items()}
    assert {name: covariates for name, covariates in reading.items() if covariates} == {
        "joint-gaussian": ("age", "sex"),
        "joint-gaussian-age-sex": ("age", "sex"),
        "ridge-age-sex": ("age", "sex"),
        "age-sex": ("age", "sex"),
        "age-sex-hardy": ("age", "sex", "hardy"),
    }


def test_unknown_method_is_named_with_the_nearest(config: RunConfig) -> None:
    with pytest.raises(SelectionError, match=r"'rigde' \(did you mean 'ridge'\?\)"):
        make_method("rigde", source="Lung", config=config)
