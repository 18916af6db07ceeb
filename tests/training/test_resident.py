"""Batches: complete, the same on every run, and drawn as often as the settings say."""

from __future__ import annotations

from collections import Counter

import anndata as ad
import numpy as np
import pytest
import torch

from mtm_core.config import ScalingConfig, TrainingConfig
from mtm_core.data.cohort.cohort import tissue_codes, tissue_names
from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.errors import TrainingError
from mtm_core.training.resident import Batch, ResidentPairs

CPU = torch.device("cpu")


def resident(
    cohort: ad.AnnData,
    config: TrainingConfig,
    *,
    rows: np.ndarray | None = None,
    rank: int = 0,
    world_size: int = 1,
) -> ResidentPairs:
    rows = np.arange(cohort.n_obs) if rows is None else rows
    codes, n_tissues = tissue_codes(cohort), len(tissue_names(cohort))
    scaler = TissueScaler.fit(cohort.X[rows], codes[rows], n_tissues, ScalingConfig())
    return ResidentPairs(
        cohort, rows, scaler, config, n_noise=4, device=CPU, rank=rank, world_size=world_size
    )


def keys(z: torch.Tensor) -> list[bytes]:
    return [row.tobytes() for row in z.numpy()]


def assert_same(first: Batch, second: Batch) -> None:
    for a, b in zip(first, second, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def n_pairs(cohort: ad.AnnData) -> int:
    counts = cohort.obs["donor"].value_counts()
    return int((counts * (counts - 1)).sum())


@pytest.fixture
def few(small_cohort: ad.AnnData) -> ad.AnnData:
    """10 donors, so that every pair can be listed."""
    donors = sorted(set(small_cohort.obs["donor"]))[:10]
    return small_cohort[small_cohort.obs["donor"].isin(donors)].copy()


def test_an_epoch_holds_every_ordered_pair_once(few: ad.AnnData) -> None:
    z = resident(few, TrainingConfig()).z
    sample = {key: i for i, key in enumerate(keys(z))}
    assert len(sample) == few.n_obs
    data = resident(few, TrainingConfig(batch_size=n_pairs(few)))
    (batch,) = data.batches(epoch=3)
    seen = Counter(
        (sample[a], sample[b])
        for a, b in zip(keys(batch.source_z), keys(batch.target_z), strict=True)
    )
    donor = few.obs["donor"].to_numpy()
    expected = {
        (i, j)
        for i in range(few.n_obs)
        for j in range(few.n_obs)
        if i != j and donor[i] == donor[j]
    }
    assert seen == Counter(expected)
    codes = tissue_codes(few)
    for z_of, tissue in ((batch.source_z, batch.source), (batch.target_z, batch.target)):
        assert [codes[sample[key]] for key in keys(z_of)] == tissue.tolist()


def test_batches_of_an_epoch_share_no_pair(few: ad.AnnData) -> None:
    data = resident(few, TrainingConfig(batch_size=16))
    batches = list(data.batches(0))
    assert len(batches) == data.steps_per_epoch == n_pairs(few) // 16
    seen = [pair for b in batches for pair in zip(keys(b.source_z), keys(b.target_z), strict=True)]
    assert len(seen) == len(set(seen)) == 16 * len(batches)


def test_profiles_are_the_scaler_s_z_scores(few: ad.AnnData) -> None:
    z, codes = resident(few, TrainingConfig()).z.numpy(), tissue_codes(few)
    y = np.log2(1 + few.X.astype(np.float64))
    for t in np.unique(codes):
        own = y[codes == t]
        expected = (own - own.mean(0)) / np.where(own.std(0) < 1e-6, 1, own.std(0))
        np.testing.assert_allclose(z[codes == t], expected, atol=1e-4)


def test_only_the_given_rows_are_drawn(few: ad.AnnData) -> None:
    half = np.flatnonzero(few.obs["donor"].isin(sorted(set(few.obs["donor"]))[:5]))
    data = resident(few, TrainingConfig(), rows=half)
    assert len(data.z) == len(half)
    assert len(data.pairs) == n_pairs(few[half])


def test_seed_and_epoch_alone_decide_the_batches(small_cohort: ad.AnnData) -> None:
    config = TrainingConfig(batch_size=32, seed=1)
    first, second = (resident(small_cohort, config) for _ in range(2))
    list(second.batches(0))  # what was drawn before must not matter
    torch.randn(3)
    for a, b in zip(first.batches(5), second.batches(5), strict=True):
        assert_same(a, b)


@pytest.mark.parametrize(("seed", "epoch"), [(1, 6), (2, 5)])
def test_another_seed_or_epoch_gives_others(
    small_cohort: ad.AnnData, seed: int, epoch: int
) -> None:
    first = next(iter(resident(small_cohort, TrainingConfig(seed=1)).batches(5)))
    other = next(iter(resident(small_cohort, TrainingConfig(seed=seed)).batches(epoch)))
    assert not torch.equal(first.source_z, other.source_z)
    assert not torch.equal(first.noise, other.noise)
    assert not torch.equal(first.drawn, other.drawn)


@pytest.mark.parametrize("world_size", [2, 4])
def test_rows_of_all_processes_join_to_the_batch_of_one(
    small_cohort: ad.AnnData, world_size: int
) -> None:
    config = TrainingConfig(batch_size=32)
    whole = resident(small_cohort, config)
    ranks = [
        resident(small_cohort, config, rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]
    for batch, *shares in zip(whole.batches(2), *(part.batches(2) for part in ranks), strict=True):
        joined = Batch(*(torch.cat(tensors) for tensors in zip(*shares, strict=True)))
        assert_same(batch, joined)


def test_a_batch_that_does_not_divide_over_the_processes_is_refused(
    small_cohort: ad.AnnData,
) -> None:
    with pytest.raises(TrainingError, match="batch of 32 pairs does not divide over 3 processes"):
        resident(small_cohort, TrainingConfig(batch_size=32), world_size=3)


def test_a_batch_larger_than_the_cohort_is_all_of_it(few: ad.AnnData) -> None:
    rows = np.flatnonzero(few.obs["donor"] == few.obs["donor"].value_counts().index[0])[:3]
    one = resident(few, TrainingConfig(batch_size=256), rows=rows)
    assert [len(batch.source) for batch in one.batches(0)] == [6]
    four = resident(few, TrainingConfig(batch_size=256), rows=rows, rank=3, world_size=4)
    assert [len(batch.source) for batch in four.batches(0)] == [1]


def test_donors_without_two_tissues_are_refused(few: ad.AnnData) -> None:
    rows = np.flatnonzero(~few.obs["donor"].duplicated())
    with pytest.raises(TrainingError, match="10 training samples make 0 same-donor pairs"):
        resident(few, TrainingConfig(), rows=rows)


def test_donor_weighting_gives_a_donor_of_n_tissues_the_weight_n(
    small_cohort: ad.AnnData,
) -> None:
    data = resident(small_cohort, TrainingConfig(pair_weighting="donors"))
    assert data.weights is not None
    donor = small_cohort.obs["donor"].to_numpy()
    total: Counter[str] = Counter()
    for (source, _), weight in zip(data.pairs.tolist(), data.weights.tolist(), strict=True):
        total[donor[source]] += weight
    tissues = Counter(donor)
    assert len(set(tissues.values())) > 2
    assert {d: round(w, 9) for d, w in total.items()} == dict(tissues)


def test_pairs_are_drawn_as_their_weights_say(few: ad.AnnData) -> None:
    data = resident(few, TrainingConfig(batch_size=n_pairs(few), pair_weighting="donors"))
    sample = {key: i for i, key in enumerate(keys(data.z))}
    donor = few.obs["donor"].to_numpy()
    drawn: Counter[str] = Counter()
    for epoch in range(100):
        drawn.update(donor[sample[key]] for b in data.batches(epoch) for key in keys(b.source_z))
    tissues = Counter(donor)
    for name, n in tissues.items():
        expected = n / few.n_obs
        share = drawn[name] / drawn.total()
        assert share == pytest.approx(expected, abs=4 * np.sqrt(expected / drawn.total()))


@pytest.mark.parametrize("weighting", ["pairs", "donors"])
@pytest.mark.parametrize("share", [0.05, 0.5])
def test_source_share_is_reached(small_cohort: ad.AnnData, weighting: str, share: float) -> None:
    config = TrainingConfig(
        batch_size=100,
        pair_weighting=weighting,
        source_share=share,  # type: ignore[arg-type]
    )
    data = resident(small_cohort, config)
    blood = tissue_names(small_cohort).index("Whole Blood")
    sources = torch.cat([b.source for epoch in range(20) for b in data.batches(epoch)])
    reached = (sources == blood).double().mean().item()
    assert reached == pytest.approx(share, abs=4 * np.sqrt(share / len(sources)))
    assert (resident(small_cohort, TrainingConfig()).tissue == blood).double().mean() > 0.2


def test_source_share_of_an_unknown_tissue_is_refused(small_cohort: ad.AnnData) -> None:
    with pytest.raises(TrainingError, match="no tissue 'Blood' to draw sources from"):
        resident(small_cohort, TrainingConfig(source_share=0.5, validation_source="Blood"))


@pytest.mark.parametrize("tissue_draw", ["uniform", "pairs"])
def test_tissues_are_drawn_as_often_as_reported(small_cohort: ad.AnnData, tissue_draw: str) -> None:
    config = TrainingConfig(batch_size=100, tissue_draw=tissue_draw)  # type: ignore[arg-type]
    data = resident(small_cohort, config)
    drawn = torch.cat([b.drawn for epoch in range(40) for b in data.batches(epoch)])
    counts = np.bincount(drawn, minlength=5) / len(drawn)
    codes, donor = tissue_codes(small_cohort), small_cohort.obs["donor"]
    others = donor.map(donor.value_counts()).to_numpy() - 1  # pairs that end in a sample
    by_pairs = np.bincount(codes, weights=others) / others.sum()
    assert by_pairs.max() > 1.3 * by_pairs.min()
    expected = by_pairs if tissue_draw == "pairs" else np.full(5, 0.2)
    np.testing.assert_allclose(counts, expected, atol=4 * np.sqrt(0.2 / len(drawn)))


def test_noise_is_standard_normal(small_cohort: ad.AnnData) -> None:
    data = resident(small_cohort, TrainingConfig(batch_size=100))
    noise = torch.cat([batch.noise for batch in data.batches(0)])
    assert noise.shape[1] == 4
    assert abs(noise.mean()) < 4 / np.sqrt(noise.numel())
    assert abs(noise.std() - 1) < 4 / np.sqrt(noise.numel())
