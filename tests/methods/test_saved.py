"""Any method can be saved and served: what comes back predicts what went in."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from mtm_core.artefact import Artefact
from mtm_core.config import preset, with_changes
from mtm_core.data.cohort.simulate import SimulationConfig, simulate_cohort
from mtm_core.inference.predictor import Predictor
from mtm_core.methods.mlp import MLPMethod, NetworkTraining, SingleTaskMTMMethod
from mtm_core.methods.protocol import Method
from mtm_core.methods.registry import make_method, trainable_methods
from mtm_core.methods.saved import restore_method

CONFIG = with_changes(preset("acmg59", 15, 5), {"training.epochs": "1"})
SHORT = NetworkTraining(epochs=3)
QUICK: dict[str, Method] = {
    "mlp": MLPMethod(training=SHORT),
    "single-task-mtm": SingleTaskMTMMethod(CONFIG.model, training=SHORT),
}


@pytest.fixture(scope="module")
def cohort() -> ad.AnnData:
    return simulate_cohort(SimulationConfig(n_donors=60, n_genes=15))


@pytest.mark.parametrize("name", [name for name in trainable_methods() if name != "stack"])
def test_every_method_is_served_from_its_folder(
    name: str, cohort: ad.AnnData, tmp_path: Path
) -> None:
    method = QUICK.get(name) or make_method(name, source="Whole Blood", config=CONFIG)
    fitted = method.fit(cohort, sorted(set(cohort.obs["donor"])))
    Artefact.of(fitted, cohort, name="mine", provenance={}).save(tmp_path)
    predictor = Predictor.load(tmp_path)
    z = np.random.default_rng(0).normal(size=(4, cohort.n_vars)).astype(np.float32)
    people = pd.DataFrame(
        {"age": [30.0, 50.0, 70.0, np.nan], "sex": ["male", "female", "male", "male"],
         "hardy": [0.0, 1.0, 2.0, 3.0]}
    )  # fmt: skip
    for known in (None, people):
        expected = fitted.predict({"Whole Blood": z}, "Liver", known).mean
        got = predictor.artefact.method.predict({"Whole Blood": z}, "Liver", known).mean
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4)
    blood = cohort[cohort.obs["tissue"] == "Whole Blood"][:5].to_df()
    assert predictor.predict(blood, unit="tpm").sizes["tissue"] == 4


def test_parts_of_no_known_method_are_refused(cohort: ad.AnnData) -> None:
    fitted = make_method("ridge", source="Whole Blood", config=CONFIG).fit(
        cohort, sorted(set(cohort.obs["donor"]))
    )
    with pytest.raises(ValueError, match="'oracle' are of no method"):
        restore_method("oracle", {}, {}, fitted.scaler, fitted.tissues)
