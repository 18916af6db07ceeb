"""Ridge against normal equations and a leave-one-out that refits without each donor."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest

from mtm_core.config import ScalingConfig
from mtm_core.data.cohort import tissue_codes, tissue_names
from mtm_core.data.scaling import TissueScaler
from mtm_core.errors import SelectionError
from mtm_core.methods.ridge import PENALTIES, FittedRidge, RidgeMethod

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


@pytest.fixture
def fitted(small_cohort: ad.AnnData, donors: list[str]) -> FittedRidge:
    return RidgeMethod().fit(small_cohort, donors)


@pytest.mark.parametrize("target", ["Lung", "Liver"])
def test_equals_a_dense_ridge_with_an_explicit_leave_one_out(
    small_cohort: ad.AnnData, donors: list[str], fitted: FittedRidge, target: str
) -> None:
    names, codes = tissue_names(small_cohort), tissue_codes(small_cohort)
    given = small_cohort.obs["donor"].isin(donors).to_numpy()
    scaler = TissueScaler.fit(small_cohort.X[given], codes[given], 5, ScalingConfig())
    z = scaler.transform(small_cohort.X, codes).astype(np.float64)
    obs = small_cohort.obs.reset_index(drop=True)
    row = {(d, t): i for i, d, t in obs[["donor", "tissue"]].itertuples()}
    both = [d for d in donors if (d, BLOOD) in row and (d, target) in row]
    assert len(both) < len(donors)
    x = z[[row[d, BLOOD] for d in both]]
    y = z[[row[d, target] for d in both]]
    penalty = min(PENALTIES, key=lambda p: leave_one_out_error(x, y, p))
    assert PENALTIES[0] < penalty < PENALTIES[-1]
    b, a = solve(x, y, penalty)

    new = z[codes == names.index(BLOOD)]
    predicted = fitted.predict({BLOOD: new.astype(np.float32)}, target)
    assert predicted.mean.dtype == np.float32
    assert predicted.sd is None
    np.testing.assert_allclose(predicted.mean, new @ b + a, atol=1e-4)


def test_learns_from_the_given_donors_alone(
    small_cohort: ad.AnnData, donors: list[str], fitted: FittedRidge
) -> None:
    disturbed = small_cohort.copy()
    disturbed.X[~small_cohort.obs["donor"].isin(donors).to_numpy()] *= 100
    again = RidgeMethod().fit(disturbed, donors)
    np.testing.assert_array_equal(again.scaler.mean, fitted.scaler.mean)
    for target in fitted.tissues:
        if target != BLOOD:
            np.testing.assert_array_equal(again.coefficients[target], fitted.coefficients[target])


def test_may_start_from_another_tissue(small_cohort: ad.AnnData, donors: list[str]) -> None:
    fitted = RidgeMethod(source="Lung").fit(small_cohort, donors)
    assert set(fitted.coefficients) == set(tissue_names(small_cohort)) - {"Lung"}
    z = np.zeros((1, 40), dtype=np.float32)
    np.testing.assert_array_equal(
        fitted.predict({"Lung": z}, BLOOD).mean[0], fitted.intercepts[BLOOD]
    )


@pytest.mark.parametrize("sources", [["Lung"], [BLOOD, "Lung"], []])
def test_any_other_source_is_refused(fitted: FittedRidge, sources: list[str]) -> None:
    z = np.zeros((2, 40), dtype=np.float32)
    with pytest.raises(SelectionError, match="predicts from 'Whole Blood' alone"):
        fitted.predict(dict.fromkeys(sources, z), "Liver")


def test_unknown_tissue_is_named_with_the_nearest(
    small_cohort: ad.AnnData, donors: list[str], fitted: FittedRidge
) -> None:
    z = np.zeros((2, 40), dtype=np.float32)
    with pytest.raises(SelectionError, match=r"'Livr' \(did you mean 'Liver'\?\)"):
        fitted.predict({BLOOD: z}, "Livr")
    with pytest.raises(SelectionError, match=r"'Blood' \(did you mean 'Whole Blood'\?\)"):
        RidgeMethod(source="Blood").fit(small_cohort, donors)


def test_a_target_that_no_donor_has_beside_blood_is_refused(
    small_cohort: ad.AnnData, donors: list[str]
) -> None:
    blood = small_cohort.obs["donor"][(small_cohort.obs["tissue"] == BLOOD).to_numpy()]
    liver = (small_cohort.obs["tissue"] == "Liver").to_numpy()
    kept = ~(liver & small_cohort.obs["donor"].isin(blood).to_numpy())
    fitted = RidgeMethod().fit(small_cohort[kept].copy(), donors)
    assert "Liver" in fitted.tissues
    with pytest.raises(SelectionError, match="had both 'Whole Blood' and 'Liver'"):
        fitted.predict({BLOOD: np.zeros((2, 40), dtype=np.float32)}, "Liver")
