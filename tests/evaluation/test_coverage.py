from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from scipy.stats import norm

from mtm_core.evaluation.accuracy import accuracy
from mtm_core.evaluation.coverage import coverage

Predict = Callable[[float], xr.Dataset]
DIMS = ("pair", "gene")


@pytest.fixture
def with_bounds(predict: Predict, rng: np.random.Generator) -> xr.Dataset:
    predicted = predict(0.5)
    half = rng.uniform(0, 2, size=predicted["predicted"].shape)
    half[::7, 2] = np.nan
    middle = predicted["predicted"].to_numpy()
    return predicted.assign(lower_90=(DIMS, middle - half), upper_90=(DIMS, middle + half))


def by_loop(dataset: xr.Dataset, tissue: str | None) -> float:
    low, high, value = (dataset[n].to_numpy() for n in ("lower_90", "upper_90", "observed"))
    inside = []
    for i, name in enumerate(dataset["tissue"].to_numpy()):
        for g in range(dataset.sizes["gene"]):
            if tissue in (None, name) and not np.isnan(low[i, g]):
                inside.append(low[i, g] <= value[i, g] <= high[i, g])
    return float(np.mean(inside))


def test_share_inside_equals_a_loop(with_bounds: xr.Dataset) -> None:
    table = coverage(with_bounds)
    assert table.columns.tolist() == ["coverage_90"]
    assert table.index.tolist() == ["Liver", "Lung", "Spleen"]
    for tissue in table.index:
        expected = by_loop(with_bounds, tissue)
        assert 0.3 < expected < 0.8
        assert table.loc[tissue, "coverage_90"] == pytest.approx(expected)


def test_overall_is_over_all_values_not_over_tissues(with_bounds: xr.Dataset) -> None:
    whole = with_bounds.fillna({"lower_90": -9.0, "upper_90": 9.0})
    liver = (whole["tissue"] == "Liver").to_numpy()
    whole["upper_90"][np.flatnonzero(~liver)] = -10  # nothing inside but in the largest tissue
    scored = accuracy(whole)
    assert scored.tissues["coverage_90"].tolist()[1:] == [0, 0]
    assert scored.summary()["coverage_90"] == pytest.approx(by_loop(whole, None))
    assert scored.summary()["coverage_90"] > scored.tissues["coverage_90"].mean() + 0.05
    assert "coverage_90_mean" not in scored.summary()


def test_a_standard_deviation_is_that_of_a_normal(
    predict: Predict, rng: np.random.Generator
) -> None:
    predicted = predict(0.5)
    sd = rng.uniform(0.2, 2, size=predicted["predicted"].shape)
    truth = predicted["predicted"].to_numpy() + sd * rng.normal(size=sd.shape)
    calibrated = predicted.assign(predicted_sd=(DIMS, sd), observed=(DIMS, truth))
    table = coverage(calibrated)
    assert table.columns.tolist() == [f"coverage_{level}" for level in (50, 80, 90, 95)]
    np.testing.assert_allclose(table.mean(), [0.5, 0.8, 0.9, 0.95], atol=0.03)
    z = np.abs(truth - predicted["predicted"].to_numpy()) / sd
    inside = (z <= norm.ppf(0.84)).mean(axis=1)
    liver = (calibrated["tissue"] == "Liver").to_numpy()
    assert coverage(calibrated, [68]).loc["Liver", "coverage_68"] == pytest.approx(
        inside[liver].mean()
    )

    # Bounds that are given go before it.
    both = calibrated.assign(lower_90=(DIMS, truth + 1), upper_90=(DIMS, truth + 2))
    assert (coverage(both)["coverage_90"] == 0).all()
    assert (coverage(both)["coverage_80"] == table["coverage_80"]).all()


def test_a_method_without_intervals_has_no_coverage(predict: Predict) -> None:
    predicted = predict(0.5)
    assert coverage(predicted).columns.tolist() == []
    assert not any("coverage" in name for name in accuracy(predicted).summary())
