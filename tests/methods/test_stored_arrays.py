"""Factors of many genes are stored in half the space, and predict the same to three digits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import anndata as ad
import ml_dtypes
import numpy as np
import pytest
from safetensors import safe_open

from mtm_core.artefact import Artefact
from mtm_core.data.cohort.simulate import SimulationConfig, simulate_cohort
from mtm_core.methods.cached import CachedMethod
from mtm_core.methods.factor_stack import FactorStackMethod
from mtm_core.methods.factors import Factors
from mtm_core.methods.joint_gaussian import JointGaussianMethod
from mtm_core.methods.kernel_factors import FittedKernelFactors, KernelFactorsMethod
from mtm_core.methods.stack import FittedStack
from mtm_core.methods.stored_arrays import MANY_GENES, map_tensors, to_arrays, write_arrays
from mtm_core.model_description import read_description

BLOOD = "Whole Blood"
METHOD = FactorStackMethod(
    factors=KernelFactorsMethod(
        JointGaussianMethod(n_factors=(3, 5), covariates=("age", "sex"), gene_ridge=None),
        n_points=20,
    )
)


@pytest.fixture(scope="module")
def wide() -> ad.AnnData:
    config = SimulationConfig(n_donors=60, n_tissues=3, n_genes=MANY_GENES + 50)
    return simulate_cohort(config)


@pytest.fixture(scope="module")
def fitted(wide: ad.AnnData) -> FittedStack:
    return METHOD.fit(wide, sorted(set(wide.obs["donor"])))


def factors_of(method: object) -> Factors:
    assert isinstance(method, FittedStack)
    base = method.bases[0]
    assert isinstance(base, FittedKernelFactors)
    return base.joint.models[0]


def test_wide_factors_are_stored_in_half_and_used_as_they_are_stored(
    fitted: FittedStack, wide: ad.AnnData, tmp_path: Path
) -> None:
    artefact = Artefact.of(fitted, wide, name="wide", provenance={})
    sizes = {}
    for weights in (None, "fp32"):
        folder = tmp_path / str(weights)
        artefact.save(folder, weights=weights)
        sizes[weights] = (folder / "model.safetensors").stat().st_size
    assert read_description(tmp_path / "None")["weights"] == "bf16"
    assert read_description(tmp_path / "fp32")["weights"] == "fp32"
    n_factors, by_gene = 3 + 5, 3 * wide.n_vars
    assert sizes["fp32"] - sizes[None] == pytest.approx(
        by_gene * 2 * (2 * n_factors + 2 + 7), rel=0.01
    )
    loaded = Artefact.load(tmp_path / "None")
    model, whole = factors_of(loaded.method), factors_of(fitted)
    assert model.loadings.dtype == model.weights.dtype == ml_dtypes.bfloat16
    np.testing.assert_allclose(model.loadings.astype(np.float32), whole.loadings, rtol=2**-8)
    z = np.random.default_rng(0).normal(size=(20, wide.n_vars)).astype(np.float32)
    people = wide.uns["donors"].iloc[:20]
    for known in (None, people):
        for profiles in ({BLOOD: z}, {BLOOD: z, "Liver": z}):
            expected = fitted.predict(profiles, "Muscle - Skeletal", known)
            got = loaded.method.predict(profiles, "Muscle - Skeletal", known)
            assert got.mean.dtype == np.float32
            assert np.corrcoef(got.mean.ravel(), expected.mean.ravel())[0, 1] > 0.9999
            np.testing.assert_allclose(got.mean, expected.mean, atol=0.02)
            if len(profiles) == 1:
                np.testing.assert_allclose(got.sd, expected.sd, rtol=1e-6)
            else:  # no interval was learnt from these two
                assert got.sd is expected.sd is None
    # And again: what was loaded is written as it is.
    replace(loaded, name="wide").save(tmp_path / "again")
    both = [
        (tmp_path / name / "model.safetensors").read_bytes()[2000:] for name in ("None", "again")
    ]
    assert both[0] == both[1]


def test_cached_fits_predict_as_those_that_are_stored(
    fitted: FittedStack, wide: ad.AnnData, tmp_path: Path
) -> None:
    donors = sorted(set(wide.obs["donor"]))
    cached, again = (CachedMethod(METHOD, tmp_path).fit(wide, donors) for _ in range(2))
    assert factors_of(cached).loadings.dtype == ml_dtypes.bfloat16
    z = np.random.default_rng(1).normal(size=(3, wide.n_vars)).astype(np.float32)
    first, second = (method.predict({BLOOD: z}, "Liver").mean for method in (cached, again))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, fitted.predict({BLOOD: z}, "Liver").mean, atol=0.02)


def test_few_genes_lose_nothing(tmp_path: Path, rng: np.random.Generator) -> None:
    arrays = {
        "0.loadings": rng.normal(size=(2, 30, 4)).astype(np.float32),
        "plain.weights": rng.normal(size=(2, 3000)),
        "0.noise": rng.normal(size=(2, MANY_GENES + 1)).astype(np.float32),
    }
    path = tmp_path / "arrays.safetensors"
    write_arrays(arrays, path, about={"method": "any"})
    read = to_arrays(map_tensors(path))
    np.testing.assert_array_equal(read["0.loadings"], arrays["0.loadings"])
    np.testing.assert_array_equal(read["plain.weights"], arrays["plain.weights"])
    assert read["0.noise"].dtype == ml_dtypes.bfloat16
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {"method": "any"}
