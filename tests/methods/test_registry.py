from __future__ import annotations

from dataclasses import replace

import anndata as ad
import numpy as np
import pytest

from mtm_core.config import RunConfig, preset, with_changes
from mtm_core.errors import SelectionError
from mtm_core.methods.mlp import MLPMethod, NetworkTraining, SingleTaskMTMMethod
from mtm_core.methods.mtm_training import MTMMethod
from mtm_core.methods.on_components import OnComponentsMethod
from mtm_core.methods.registry import METHOD_NAMES, make_method, trainable_methods
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


@pytest.mark.parametrize("name", trainable_methods())
def test_what_only_held_out_donors_have_changes_nothing(
    name: str, config: RunConfig, small_cohort: ad.AnnData
) -> None:
    """A leak, planted: in the donors held out, one gene says how every tissue of theirs will be."""
    donors = sorted(set(small_cohort.obs["donor"]))[:45]
    planted = small_cohort.copy()
    rows = np.flatnonzero(~small_cohort.obs["donor"].isin(donors).to_numpy())
    signal = np.random.default_rng(0).lognormal(6, 2, size=len(small_cohort.uns["donors"]))
    code = small_cohort.uns["donors"].index.get_indexer(small_cohort.obs["donor"].iloc[rows])
    planted.X[rows] = signal[code][:, None]
    table = planted.uns["donors"]
    table.loc[~table.index.isin(donors), "age"] = 99.0

    quick = with_changes(config, {"training.epochs": "1", "training.batch_size": "512"})
    method = make_method(name, source="Whole Blood", config=quick)
    if isinstance(method, MLPMethod | SingleTaskMTMMethod):
        method = replace(method, training=NetworkTraining(epochs=5))
    if isinstance(method, OnComponentsMethod):
        inner = method.inner
        if isinstance(inner, MLPMethod | SingleTaskMTMMethod):
            inner = replace(inner, training=NetworkTraining(epochs=5))
        method = replace(method, inner=inner, n_components=8)
    clean, after = (method.fit(cohort, donors) for cohort in (small_cohort, planted))
    np.testing.assert_array_equal(after.scaler.mean, clean.scaler.mean)
    arrays = clean.arrays()
    assert arrays.keys() == after.arrays().keys()
    for part, array in after.arrays().items():
        np.testing.assert_array_equal(array, arrays[part], err_msg=part)


def test_unknown_method_is_named_with_the_nearest(config: RunConfig) -> None:
    with pytest.raises(SelectionError, match=r"'rigde' \(did you mean 'ridge'\?\)"):
        make_method("rigde", source="Lung", config=config)
