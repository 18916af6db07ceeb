"""Resampled scores against gathering the donors of each resample and scoring them in a loop."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from joblib import parallel_config

from mtm_core.evaluation.accuracy import MINIMUM_DONORS, accuracy
from mtm_core.evaluation.bootstrap import resample_donors
from mtm_core.statistics import blocks
from mtm_core.statistics.correlation import fisher_mean
from mtm_core.statistics.resampling import resampled_counts

Predict = Callable[[float], xr.Dataset]


def correlation(x: np.ndarray, y: np.ndarray) -> float:
    if np.ptp(y) == 0:
        return np.nan
    return 0.0 if np.ptp(x) == 0 else float(np.corrcoef(x.astype(float), y.astype(float))[0, 1])


def by_loop(out_of_fold: xr.Dataset, n_resamples: int, seed: int) -> np.ndarray:
    donor, tissue, fold = (out_of_fold[name].to_numpy() for name in ("donor", "tissue", "fold"))
    p, o = out_of_fold["predicted"].to_numpy(), out_of_fold["observed"].to_numpy()
    everyone = sorted(set(zip(fold, donor, strict=True)))
    counts = resampled_counts([k for k, _ in everyone], n_resamples, seed).astype(int)
    result = np.empty((n_resamples, len(set(tissue))))
    for r in range(n_resamples):
        for t, name in enumerate(sorted(set(tissue))):
            folds = []
            for k in sorted(set(fold)):
                rows = []
                for times, (of, d) in zip(counts[r], everyone, strict=True):
                    own = np.flatnonzero((donor == d) & (tissue == name))
                    rows += own.tolist() * times if of == k else []
                if len(set(donor[rows])) >= MINIMUM_DONORS:
                    folds.append([correlation(p[rows, g], o[rows, g]) for g in range(p.shape[1])])
            result[r, t] = np.nan_to_num(fisher_mean(folds)).mean() if folds else np.nan
    return result


def test_resamples_equal_a_loop(predict: Predict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "GENES_AT_ONCE", 3)  # more than one block, the last not full
    predicted = predict(0.5)
    predicted["predicted"][:, 3] = 0.1  # nothing to say about a gene
    predicted["predicted"][predicted["fold"].to_numpy() == 1, 4] = 0.1
    predicted["observed"][:, 5] = 0  # a gene that does not vary
    few = (predicted["tissue"] == "Spleen").to_numpy() & (predicted["fold"] == 2).to_numpy()
    predicted = predicted.isel(pair=~few | (np.cumsum(few) <= 6))
    resampled = resample_donors(predicted, n_resamples=15, seed=3)
    assert resampled.tissues == ("Liver", "Lung", "Spleen")
    np.testing.assert_allclose(resampled.by_tissue, by_loop(predicted, 15, 3), atol=1e-6)
    means = resampled.by_tissue.mean(axis=1)
    np.testing.assert_allclose(np.diff(resampled.mean), np.diff(means))
    assert resampled.mean.mean() == pytest.approx(resampled.estimate)
    whole = accuracy(predicted).summary()["gene_rho_by_fold_mean"]
    assert resampled.estimate == pytest.approx(whole, abs=1e-6)


def test_a_resample_without_enough_donors_of_a_tissue_has_no_score(predict: Predict) -> None:
    predicted = predict(0.5)
    spleen = (predicted["tissue"] == "Spleen").to_numpy()
    predicted = predicted.isel(pair=~spleen | (np.cumsum(spleen) <= 12))
    resampled = resample_donors(predicted, n_resamples=40, seed=0)
    np.testing.assert_allclose(resampled.by_tissue, by_loop(predicted, 40, 0), atol=1e-6)
    lacking = np.isnan(resampled.by_tissue)
    assert lacking[:, :2].sum() == 0
    assert 0 < lacking[:, 2].sum() < 40
    means = np.nanmean(resampled.by_tissue, axis=1)
    np.testing.assert_allclose(np.diff(resampled.mean), np.diff(means))
    assert np.isfinite(resampled.interval()).all()


def test_interval_is_as_wide_as_new_donors_make_it(
    rng: np.random.Generator, predict: Predict
) -> None:
    # 60 cohorts from the same law: how far their scores scatter is what an interval should say.
    predicted, signal = predict(0.5), 0.5
    scores = []
    for _ in range(60):
        truth = rng.normal(size=predicted["observed"].shape)
        guess = signal * truth + rng.normal(size=truth.shape)
        fresh = predicted.assign(predicted=(("pair", "gene"), guess),
                                 observed=(("pair", "gene"), truth))  # fmt: skip
        scores.append(accuracy(fresh).summary()["gene_rho_by_fold_mean"])
    low, high = resample_donors(predicted, seed=0).interval()
    assert (high - low) / (2 * 1.96) == pytest.approx(np.std(scores), rel=0.3)
    assert low < np.mean(scores) < high
    own = accuracy(predicted).summary()["gene_rho_by_fold_mean"]
    assert own - low == pytest.approx(high - own, rel=0.3)  # not moved by donors drawn twice


def test_order_of_pairs_does_not_matter(predict: Predict, rng: np.random.Generator) -> None:
    predicted = predict(0.5)
    first = resample_donors(predicted, n_resamples=10)
    shuffled = predicted.isel(pair=rng.permutation(predicted.sizes["pair"]))
    np.testing.assert_allclose(
        resample_donors(shuffled, n_resamples=10).by_tissue, first.by_tissue, rtol=1e-6
    )
    other = resample_donors(predicted, n_resamples=10, seed=1)
    assert (other.by_tissue != first.by_tissue).all()


def test_differences_are_paired(predict: Predict, rng: np.random.Generator) -> None:
    good = predict(0.5)
    noise = 0.05 * rng.normal(size=good["predicted"].shape)
    nearly = good.assign(predicted=good["predicted"] + noise.astype(np.float32))
    first, second = (resample_donors(part, n_resamples=200) for part in (good, nearly))
    difference = first.difference_from(second)
    low, high = first.interval()
    # The two share nearly all their scatter: apart, each moves ten times as far.
    assert difference.high - difference.low < (high - low) / 10
    mirrored = second.difference_from(first)
    assert (mirrored.low, mirrored.high) == pytest.approx((-difference.high, -difference.low))
    assert mirrored.p == difference.p

    worse = first.difference_from(resample_donors(predict(0.0), n_resamples=200))
    assert worse.low > 0.2
    assert worse.p == pytest.approx(2 / 201)
    itself = first.difference_from(first)
    assert (itself.low, itself.high, itself.p) == (0, 0, 1)


def test_methods_scored_on_other_samples_are_not_paired(predict: Predict) -> None:
    predicted = predict(0.5)
    first = resample_donors(predicted, n_resamples=10)
    with pytest.raises(ValueError, match="resampled on the same samples"):
        first.difference_from(resample_donors(predicted.isel(pair=slice(1, None)), n_resamples=10))
    with pytest.raises(ValueError, match="resampled on the same samples"):
        first.difference_from(resample_donors(predicted, n_resamples=11))


def test_threads_change_nothing(predict: Predict) -> None:
    predicted = predict(0.5)
    alone = resample_donors(predicted, n_resamples=20)
    with parallel_config(n_jobs=2):
        together = resample_donors(predicted, n_resamples=20)
    np.testing.assert_array_equal(together.by_tissue, alone.by_tissue)
