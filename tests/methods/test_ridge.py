"""Ridge against normal equations and a leave-one-out that refits without each donor."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from mtm_core.config import ScalingConfig
from mtm_core.data.cohort.cohort import tissue_codes, tissue_names
from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.methods.by_target import LinearMap
from mtm_core.methods.covariates import CovariateName
from mtm_core.methods.ridge import PENALTIES, RidgeMethod

BLOOD = "Whole Blood"
Array = np.ndarray


def solve(x: Array, y: Array, penalty: float) -> tuple[Array, Array]:
    """Minimise |y - x b - a|^2 + penalty |b|^2; the intercept a is not penalised."""
    design = np.hstack([x, np.ones((len(x), 1))])
    punished = penalty * np.diag([*np.ones(x.shape[1]), 0.0])
    solution = np.linalg.solve(design.T @ design + punished, design.T @ y)
    return solution[:-1], solution[-1]


def leave_one_out_error(x: Array, y: Array, penalty: float) -> float:
    errors = []
    for i in range(len(x)):
        rest = np.arange(len(x)) != i
        b, a = solve(x[rest], y[rest], penalty)
        errors.append((y[i] - x[i] @ b - a) ** 2)
    return float(np.mean(errors))


@pytest.fixture
def donors(small_cohort: ad.AnnData) -> list[str]:
    return sorted(set(small_cohort.obs["donor"]))[:40]


@pytest.mark.parametrize("target", ["Lung", "Liver"])
@pytest.mark.parametrize("covariates", [(), ("age", "sex")])
def test_equals_a_dense_ridge_with_an_explicit_leave_one_out(
    small_cohort: ad.AnnData, donors: list[str], target: str, covariates: tuple[CovariateName, ...]
) -> None:
    fitted = RidgeMethod(covariates=covariates).fit(small_cohort, donors)
    names, codes = tissue_names(small_cohort), tissue_codes(small_cohort)
    given = small_cohort.obs["donor"].isin(donors).to_numpy()
    scaler = TissueScaler.fit(small_cohort.X[given], codes[given], 5, ScalingConfig())
    z = scaler.transform(small_cohort.X, codes).astype(np.float64)
    obs = small_cohort.obs.reset_index(drop=True)
    row = {(d, t): i for i, d, t in obs[["donor", "tissue"]].itertuples()}
    both = [d for d in donors if (d, BLOOD) in row and (d, target) in row]
    assert len(both) < len(donors)
    table = small_cohort.uns["donors"]
    known = np.stack([(table["age"] - 50) / 15, np.where(table["sex"] == "male", 1, -1)], axis=1)
    traits = pd.DataFrame(known[:, : len(covariates)], index=table.index)
    x = np.hstack([z[[row[d, BLOOD] for d in both]], traits.loc[both]])
    y = z[[row[d, target] for d in both]]
    penalty = min(PENALTIES, key=lambda p: leave_one_out_error(x, y, p))
    assert PENALTIES[0] < penalty < PENALTIES[-1]
    b, a = solve(x, y, penalty)

    new = codes == names.index(BLOOD)
    whose = obs["donor"][new]
    predicted = fitted.predict({BLOOD: z[new].astype(np.float32)}, target, table.loc[whose])
    assert predicted.mean.dtype == np.float32
    assert predicted.sd is None
    expected = np.hstack([z[new], traits.loc[whose]]) @ b + a
    np.testing.assert_allclose(predicted.mean, expected, atol=1e-4)


def test_may_start_from_another_tissue(
    small_cohort: ad.AnnData, donors: list[str], rng: np.random.Generator
) -> None:
    fitted = RidgeMethod(source="Lung").fit(small_cohort, donors)
    assert set(fitted.models) == set(tissue_names(small_cohort)) - {"Lung"}
    z = rng.normal(size=(3, 40)).astype(np.float32)
    model = fitted.models[BLOOD]
    assert isinstance(model, LinearMap)
    np.testing.assert_allclose(
        fitted.predict({"Lung": z}, BLOOD).mean, z @ model.coefficients + model.intercept, rtol=1e-5
    )
