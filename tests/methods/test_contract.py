"""What holds of every method: a new one is checked by being listed in ``methods/table.py``."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, cast

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from mtm_core.artefact import Artefact
from mtm_core.config import preset, with_changes
from mtm_core.data.cohort.simulate import SimulationConfig, simulate_cohort
from mtm_core.errors import SelectionError
from mtm_core.inference.predictor import Predictor
from mtm_core.methods import by_target
from mtm_core.methods.mlp import NetworkTraining
from mtm_core.methods.protocol import FittedMethod, Method
from mtm_core.methods.registry import make_method, trainable_methods

BLOOD, N_GENES = "Whole Blood", 10
CONFIG = with_changes(
    preset("acmg59", N_GENES, 4), {"training.epochs": "1", "training.batch_size": "512"}
)
PEOPLE = pd.DataFrame(
    {
        "age": [30.0, 50.0, 70.0, np.nan],
        "sex": ["male", "female", "male", "male"],
        "hardy": [0.0, 1.0, 2.0, 3.0],
    }
)
Z = np.random.default_rng(0).normal(size=(4, N_GENES)).astype(np.float32)


@cache
def cohort() -> ad.AnnData:
    return simulate_cohort(SimulationConfig(n_donors=60, n_factors=2, n_genes=N_GENES, n_tissues=4))


def made_quick(name: str) -> Method:
    """The method as it is listed, its networks trained for three epochs."""

    def short(method: Any) -> Any:
        if isinstance(getattr(method, "training", None), NetworkTraining):
            method = replace(method, training=NetworkTraining(epochs=3))
        return replace(method, inner=short(method.inner)) if hasattr(method, "inner") else method

    return cast("Method", short(make_method(name, source=BLOOD, config=CONFIG)))


@cache
def fitted(name: str) -> FittedMethod:
    donors = sorted(set(cohort().obs["donor"]))
    return made_quick(name).fit(cohort(), donors)


@pytest.mark.parametrize("name", trainable_methods())
def test_every_method_predicts_every_tissue(name: str) -> None:
    method = fitted(name)
    targets = [tissue for tissue in method.tissues if tissue != BLOOD]
    for people in (None, PEOPLE):
        for target in targets:
            predicted = method.predict({BLOOD: Z}, target, people)
            assert predicted.mean.shape == Z.shape
            assert predicted.mean.dtype == np.float32
            assert np.isfinite(predicted.mean).all()
            if predicted.sd is not None:
                assert predicted.sd.shape == Z.shape
                assert (predicted.sd > 0).all()
            again = method.predict({BLOOD: Z.copy()}, target, people)
            np.testing.assert_array_equal(again.mean, predicted.mean)
            alone = [
                method.predict(
                    {BLOOD: Z[i : i + 1]}, target, None if people is None else people[i : i + 1]
                )
                for i in range(len(Z))
            ]
            rows = np.concatenate([one.mean for one in alone])
            np.testing.assert_allclose(rows, predicted.mean, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", trainable_methods())
def test_an_unknown_tissue_is_refused(name: str) -> None:
    with pytest.raises(SelectionError, match="Long"):
        fitted(name).predict({BLOOD: Z}, "Long")


@pytest.mark.parametrize("name", trainable_methods())
def test_a_reloaded_method_predicts_the_same(name: str, tmp_path: Path) -> None:
    method = fitted(name)
    Artefact.of(method, cohort(), name="mine", provenance={}).save(tmp_path)
    predictor = Predictor.load(tmp_path)
    again = predictor.artefact.method
    assert (again.name, again.tissues, again.covariates) == (
        method.name,
        method.tissues,
        method.covariates,
    )
    for people in (None, PEOPLE):
        expected = method.predict({BLOOD: Z}, "Lung", people)
        got = again.predict({BLOOD: Z}, "Lung", people)
        np.testing.assert_allclose(got.mean, expected.mean, rtol=1e-3, atol=1e-4)
        assert (got.sd is None) == (expected.sd is None)
    blood = cohort()[cohort().obs["tissue"] == BLOOD][:5].to_df()
    assert predictor.predict(blood, unit="tpm").sizes == {"sample": 5, "tissue": 3, "gene": N_GENES}


def test_a_wide_bgex_model_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many genes it stores which it chose, by whole numbers, which loading refused."""
    monkeypatch.setattr(by_target, "_FEW_INPUTS", 5)
    method = made_quick("bgex").fit(cohort(), sorted(set(cohort().obs["donor"])))
    Artefact.of(method, cohort(), name="mine", provenance={}).save(tmp_path)
    again = Predictor.load(tmp_path).artefact.method
    expected = method.predict({BLOOD: Z}, "Lung").mean
    np.testing.assert_allclose(again.predict({BLOOD: Z}, "Lung").mean, expected, atol=1e-5)


def test_a_fit_on_disk_is_read_back_under_the_name_with_age_and_sex(tmp_path: Path) -> None:
    """A fit of ``factor-stack-age-sex`` could be put on disk, and not be read back."""
    name = "factor-stack-age-sex"
    method = make_method(name, source=BLOOD, config=CONFIG, cache=tmp_path)
    donors = sorted(set(cohort().obs["donor"]))
    got = method.fit(cohort(), donors)
    assert got.name == name
    expected = fitted("factor-stack").predict({BLOOD: Z}, "Lung", PEOPLE).mean
    np.testing.assert_allclose(got.predict({BLOOD: Z}, "Lung", PEOPLE).mean, expected, rtol=1e-3)


@pytest.mark.parametrize("name", trainable_methods())
def test_data_of_held_out_donors_change_nothing(name: str) -> None:
    """A leak, planted: in the donors held out, all genes say how every tissue of theirs will be."""
    clean = cohort()
    donors = sorted(set(clean.obs["donor"]))[:45]
    planted = clean.copy()
    rows = np.flatnonzero(~clean.obs["donor"].isin(donors).to_numpy())
    planted.X[rows] = np.random.default_rng(0).lognormal(6, 2, size=(len(rows), 1))
    table = planted.uns["donors"]
    table.loc[~table.index.isin(donors), "age"] = 99.0
    method = made_quick(name)
    before, after = method.fit(clean, donors), method.fit(planted, donors)
    np.testing.assert_array_equal(after.scaler.mean, before.scaler.mean)
    arrays, changed = before.arrays(), after.arrays()
    assert arrays.keys() == changed.keys()
    for part, array in changed.items():
        np.testing.assert_array_equal(array, arrays[part], err_msg=part)
