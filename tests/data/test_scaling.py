from __future__ import annotations

import numpy as np
import pytest

from mtm_core.config import ExpressionScale, ScalingConfig
from mtm_core.data.cohort import scaling
from mtm_core.data.cohort.scaling import TissueScaler, from_scale, to_scale

N, G, T = 60, 7, 3
SCALES: tuple[ExpressionScale, ...] = ("log2", "linear")


@pytest.fixture
def expression(rng: np.random.Generator) -> np.ndarray:
    return rng.gamma(2, 40, size=(N, G)).astype(np.float32)


@pytest.fixture
def tissue(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, T, size=N)


def fit(x: np.ndarray, tissue: np.ndarray, scale: ExpressionScale = "log2", **more) -> TissueScaler:
    return TissueScaler.fit(x, tissue, T, ScalingConfig(scale, **more))


@pytest.mark.parametrize("scale", SCALES)
def test_fit_is_the_mean_and_population_sd_of_each_tissue_and_gene(
    expression: np.ndarray, tissue: np.ndarray, scale: ExpressionScale
) -> None:
    scaler = fit(expression, tissue, scale)
    for t in range(T):
        for g in range(G):
            values = [
                float(x) for x, which in zip(expression[:, g], tissue, strict=True) if which == t
            ]
            if scale == "log2":
                values = [np.log2(1 + value) for value in values]
            mean = sum(values) / len(values)
            variance = sum((value - mean) ** 2 for value in values) / len(values)
            assert scaler.mean[t, g] == pytest.approx(mean, rel=1e-5)
            assert scaler.sd[t, g] == pytest.approx(variance**0.5, rel=1e-5)


@pytest.mark.parametrize("scale", SCALES)
def test_z_scores_go_there_and_back(
    expression: np.ndarray, tissue: np.ndarray, scale: ExpressionScale
) -> None:
    scaler = fit(expression, tissue, scale)
    z = scaler.transform(expression, tissue)
    assert z.dtype == np.float32
    for t in range(T):
        np.testing.assert_allclose(z[tissue == t].mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(z[tissue == t].std(axis=0), 1, rtol=1e-5)
    np.testing.assert_allclose(scaler.inverse(z, tissue), expression, rtol=1e-4)


def test_each_sample_is_scaled_by_its_own_tissue(
    expression: np.ndarray, tissue: np.ndarray
) -> None:
    expression[tissue == 1] *= 30
    scaler = fit(expression, tissue)
    other = np.full(N, 1)
    z = scaler.transform(expression, other)
    expected = (np.log2(1 + expression) - scaler.mean[1]) / scaler.sd[1]
    np.testing.assert_allclose(z, expected, rtol=1e-5)
    assert not np.allclose(z[tissue != 1], scaler.transform(expression, tissue)[tissue != 1])


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("constant", [0.0, 12345.678])
def test_constant_gene_scores_zero_and_comes_back(
    expression: np.ndarray, tissue: np.ndarray, scale: ExpressionScale, constant: float
) -> None:
    expression[tissue == 2, 3] = constant
    scaler = fit(expression, tissue, scale)
    assert scaler.sd[2, 3] == 1
    z = scaler.transform(expression, tissue)
    assert np.isfinite(z).all()
    np.testing.assert_allclose(z[tissue == 2, 3], 0, atol=1e-3)
    np.testing.assert_allclose(
        scaler.inverse(z, tissue)[tissue == 2, 3], np.float32(constant), rtol=1e-5
    )


@pytest.mark.parametrize("scale", SCALES)
def test_low_expression_rule_looks_at_the_linear_mean_in_the_tissue(
    expression: np.ndarray, tissue: np.ndarray, scale: ExpressionScale
) -> None:
    expression[tissue == 0, 1] *= 0.5 / expression[tissue == 0, 1].mean()
    expression[tissue == 0, 2] *= 1.05 / expression[tissue == 0, 2].mean()
    plain = fit(expression, tissue, scale)
    ruled = fit(expression, tissue, scale, low_expression_rule=True)
    assert ruled.sd[0, 1] == 1
    assert plain.sd[0, 1] != 1
    ruled_sd = ruled.sd.copy()
    ruled_sd[0, 1] = plain.sd[0, 1]
    np.testing.assert_array_equal(ruled_sd, plain.sd)  # nothing else is touched
    np.testing.assert_array_equal(ruled.mean, plain.mean)


def test_scaler_knows_only_the_samples_it_was_fitted_on(
    expression: np.ndarray, tissue: np.ndarray
) -> None:
    training = np.arange(N) < 40
    scaler = fit(expression[training], tissue[training])
    z = scaler.transform(expression, tissue)
    changed = expression.copy()
    changed[~training] *= 1000
    again = fit(changed[training], tissue[training])
    np.testing.assert_array_equal(again.mean, scaler.mean)
    np.testing.assert_array_equal(again.sd, scaler.sd)
    np.testing.assert_array_equal(again.transform(changed, tissue)[training], z[training])
    assert not np.allclose(fit(changed, tissue).mean, scaler.mean)


def test_tissue_without_samples_is_left_as_it_is(expression: np.ndarray) -> None:
    scaler = fit(expression, np.zeros(N, dtype=np.int64))
    np.testing.assert_array_equal(scaler.mean[1:], 0)
    np.testing.assert_array_equal(scaler.sd[1:], 1)


@pytest.mark.parametrize("scale", SCALES)
def test_expression_that_comes_back_is_never_negative(scale: ExpressionScale) -> None:
    values = np.array([[-3, 0, 2]], dtype=np.float32)
    linear = from_scale(values, scale)
    assert (linear >= 0).all()
    np.testing.assert_allclose(to_scale(linear, scale)[0, 1:], values[0, 1:], atol=1e-6)


@pytest.mark.parametrize("scale", SCALES)
def test_expression_can_be_written_into_an_array_and_leaves_z_alone(
    expression: np.ndarray,
    tissue: np.ndarray,
    scale: ExpressionScale,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scaler = fit(expression, tissue, scale=scale)
    z = scaler.transform(expression, tissue)
    given, out = z.copy(), np.full_like(z, np.nan)
    at_once = scaler.inverse(z, tissue)
    monkeypatch.setattr(scaling, "_VALUES_AT_ONCE", 4 * G + 1)  # four samples at a time
    assert scaler.inverse(z, tissue, out=out) is out
    np.testing.assert_array_equal(out, at_once)
    np.testing.assert_array_equal(scaler.inverse(z, 1)[7], scaler.inverse(z[7:8], 1)[0])
    np.testing.assert_array_equal(z, given)
