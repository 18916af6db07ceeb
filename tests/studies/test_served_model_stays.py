"""One model serves every session: what is done with it leaves it as it is."""

from __future__ import annotations

import numpy as np
import pytest

from mtm_core.artefact import Artefact
from mtm_core.inference.predictor import Predictor
from mtm_core.methods.reference_covariance import covariance_along, factor_model
from mtm_core.model_places import DEFAULT_MODEL, find_model


def test_arrays_of_a_model_cannot_be_changed() -> None:
    artefact = Artefact.load(find_model(DEFAULT_MODEL))
    factors = factor_model(artefact.method)
    assert factors is not None
    for array in (factors.loadings, factors.weights, factors.noise, artefact.reference.expression):
        with pytest.raises(ValueError, match="read-only"):
            array[0] *= 2
    with pytest.raises(ValueError, match="read-only"):
        artefact.method.scaler.mean[:] = 0


def test_a_covariance_of_the_reference_changes_no_prediction() -> None:
    predictor = Predictor.load(find_model(DEFAULT_MODEL))
    method, n = predictor.artefact.method, len(predictor.artefact.genes)
    before = {name: np.array(array) for name, array in method.arrays().items()}
    code = predictor.tissues.index("Whole Blood")
    found = covariance_along(method, code, np.arange(n), np.eye(n)[:, :3], 2.0)
    assert found is not None
    for name, array in method.arrays().items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)
