"""Training: what it learns, from whom, and what it refuses."""

from __future__ import annotations

import dataclasses
import threading
from itertools import pairwise
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch

from mtm_core.config import LossConfig, ModelConfig, RunConfig, ScalingConfig, TrainingConfig
from mtm_core.data.cohort.cohort import tissue_codes
from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.data.cohort.splits import hold_out, rows_of
from mtm_core.errors import TrainingError
from mtm_core.training.checkpoint import Checkpoint, under_prefix
from mtm_core.training.run import TrainingResult
from mtm_core.training.trainer import TrainingProgress, train
from mtm_core.training.validation import ValidationPairs
from tests.training.training_runs import CPU, assert_same_weights, changed, weights_of

MSE_ONLY = LossConfig(cycle=0, latent=0, adversarial=0, distance="mse")


def test_learns_what_tissues_share_and_nothing_from_shuffled_donors(
    factor_cohort: ad.AnnData, donors: list[str], factor_model: ModelConfig
) -> None:
    config = RunConfig(
        factor_model,
        loss=MSE_ONLY,
        training=TrainingConfig(
            epochs=25, batch_size=32, learning_rate=5e-3, validation_fraction=0.5
        ),
    )
    learnt = train(factor_cohort, donors, config, hardware=CPU)

    shuffled = factor_cohort.copy()
    rng, codes = np.random.default_rng(0), tissue_codes(factor_cohort)
    for t in np.unique(codes):
        rows = np.flatnonzero(codes == t)
        shuffled.X[rows] = factor_cohort.X[rng.permutation(rows)]
    chance = train(shuffled, donors, config, hardware=CPU)

    assert learnt.history["held_out_rho"].iloc[-1] > 0.6
    assert abs(chance.history["held_out_rho"].iloc[-1]) < 0.2
    assert learnt.history["total"].iloc[-1] < 0.7 * learnt.history["total"].iloc[0]


def test_all_six_losses_learn_too(
    factor_cohort: ad.AnnData, donors: list[str], everything: RunConfig
) -> None:
    config = changed(everything, epochs=20, learning_rate_decay=False)
    result = train(factor_cohort, donors, config, hardware=CPU)
    assert result.history["held_out_rho"].iloc[-1] > 0.3


def test_gives_the_averaged_model_of_the_best_epoch_in_evaluation_mode(
    factor_cohort: ad.AnnData, donors: list[str], everything: RunConfig
) -> None:
    result = train(factor_cohort, donors, everything, hardware=CPU)
    assert result.finished
    assert not any(module.training for module in result.model.modules())
    score = result.history["held_out_rho"]
    assert result.best_epoch == score.idxmax() + 1
    _, held = hold_out(factor_cohort.obs, fraction=0.2, seed=0)
    watched = ValidationPairs.of(
        factor_cohort,
        rows_of(factor_cohort.obs["donor"], held),
        result.scaler,
        "Whole Blood",
        torch.device("cpu"),
    )
    assert watched.score(result.model)[0] == score.max()


def test_scaler_and_weights_know_nothing_of_the_watched_donors(
    factor_cohort: ad.AnnData, donors: list[str], everything: RunConfig
) -> None:
    remaining, held = hold_out(factor_cohort.obs, fraction=0.2, seed=0)
    disturbed = factor_cohort.copy()
    disturbed.X[rows_of(factor_cohort.obs["donor"], held)] *= 1000
    config = changed(everything, epochs=2)
    one, other = (train(c, donors, config, hardware=CPU) for c in (factor_cohort, disturbed))
    pd.testing.assert_series_equal(one.history["total"], other.history["total"])
    assert (one.history["held_out_mae"] != other.history["held_out_mae"]).all()

    rows = rows_of(factor_cohort.obs["donor"], remaining)
    expected = TissueScaler.fit(
        factor_cohort.X[rows], tissue_codes(factor_cohort)[rows], 4, ScalingConfig()
    )
    np.testing.assert_array_equal(other.scaler.mean, expected.mean)
    np.testing.assert_array_equal(other.scaler.sd, expected.sd)


def test_only_the_given_donors_are_learnt_from(
    factor_cohort: ad.AnnData, donors: list[str], everything: RunConfig
) -> None:
    given = factor_cohort[factor_cohort.obs["donor"].isin(donors[:50])].copy()
    config = changed(everything, epochs=2)
    from_all = train(factor_cohort, donors[:50], config, hardware=CPU)
    assert_same_weights(from_all, train(given, donors[:50], config, hardware=CPU))


def test_without_watched_donors_the_last_epoch_is_selected(
    factor_cohort: ad.AnnData, donors: list[str], everything: RunConfig
) -> None:
    config = changed(everything, epochs=3, validation_fraction=0.0, patience=1, ema_decay=0.0)
    reported: list[TrainingProgress] = []
    result = train(factor_cohort, donors, config, hardware=CPU, on_progress=reported.append)
    assert result.best_epoch == len(result.history) == 3
    assert "held_out_rho" not in result.history
    counts = factor_cohort.obs["donor"].value_counts()
    steps = int((counts * (counts - 1)).sum()) // 64
    assert [(p.epoch, p.step, p.n_steps) for p in reported if p.row is None] == [
        (epoch, step, steps) for epoch in (1, 2, 3) for step in range(1, steps + 1)
    ]
    rows = [p.row for p in reported if p.row is not None]
    pd.testing.assert_frame_equal(pd.DataFrame(rows), result.history)


def test_patience_stops_early(
    factor_cohort: ad.AnnData, donors: list[str], everything: RunConfig
) -> None:
    config = changed(everything, epochs=50, learning_rate=0.0, ema_decay=0.0, patience=2)
    result = train(factor_cohort, donors, config, hardware=CPU)
    assert result.finished
    assert result.best_epoch == 1
    assert len(result.history) == 3


def test_history_holds_the_terms_that_were_on(
    factor_cohort: ad.AnnData, donors: list[str], everything: RunConfig
) -> None:
    history = train(factor_cohort, donors, changed(everything, epochs=3), hardware=CPU).history
    assert history["adversarial"].isna().tolist() == [True, True, False]  # the warm-up
    assert history["discriminator"].isna().tolist() == [True, True, False]
    terms = ["individual", "cycle", "latent", "adversarial"]
    np.testing.assert_allclose(history["total"], history[terms].sum(axis=1), rtol=1e-4)


@pytest.fixture
def one_step_an_epoch(everything: RunConfig) -> RunConfig:
    return changed(everything, loss=MSE_ONLY, epochs=8, batch_size=100_000, validation_fraction=0.0)


def weights_by_epoch(
    cohort: ad.AnnData, donors: list[str], config: RunConfig, folder: Path
) -> tuple[TrainingResult, list[dict[str, torch.Tensor]]]:
    """Read the raw encoder and generator after every epoch out of its checkpoint."""
    seen = []

    def read(progress: TrainingProgress) -> None:
        saved = Checkpoint.load(folder) if progress.row is not None else None
        if saved is not None:
            model = under_prefix("model", saved.tensors)
            seen.append({n: t for n, t in model.items() if n.startswith(("enc", "gen"))})

    return train(cohort, donors, config, hardware=CPU, folder=folder, on_progress=read), seen


def test_averaged_weights_are_an_exponential_moving_average_over_steps(
    factor_cohort: ad.AnnData, donors: list[str], one_step_an_epoch: RunConfig, tmp_path: Path
) -> None:
    result, raw = weights_by_epoch(factor_cohort, donors, one_step_an_epoch, tmp_path)
    assert len(raw) == 8
    average = raw[0]
    for weights in raw[1:]:
        average = {name: 0.9 * average[name] + 0.1 * weights[name] for name in average}
    for name, tensor in average.items():
        torch.testing.assert_close(weights_of(result)[name], tensor, rtol=1e-5, atol=1e-6)
    assert not torch.equal(average["encoder.to_code.weight"], raw[-1]["encoder.to_code.weight"])


def test_learning_rate_falls_along_a_cosine(
    factor_cohort: ad.AnnData, donors: list[str], one_step_an_epoch: RunConfig, tmp_path: Path
) -> None:
    moved = {}
    for decay in (False, True):
        config = changed(one_step_an_epoch, learning_rate_decay=decay)
        _, raw = weights_by_epoch(factor_cohort, donors, config, tmp_path / str(decay))
        name = "generator.to_profile.weight"
        moved[decay] = [(b[name] - a[name]).norm().item() for a, b in pairwise(raw)]
    ratio = np.array(moved[True]) / np.array(moved[False])
    expected = 0.5 * (1 + np.cos(np.pi * np.arange(1, 8) / 8))
    np.testing.assert_allclose(ratio, expected, rtol=0.35)


def test_same_seed_gives_the_same_weights_bit_for_bit(
    factor_cohort: ad.AnnData, donors: list[str], everything: RunConfig
) -> None:
    first = train(factor_cohort, donors, everything, hardware=CPU)
    torch.manual_seed(123)
    np.random.seed(123)  # noqa: NPY002 - whatever others have drawn must not matter
    assert_same_weights(first, train(factor_cohort, donors[::-1], everything, hardware=CPU))
    other = train(factor_cohort, donors, changed(everything, seed=1), hardware=CPU)
    name = "encoder.to_code.weight"
    assert not torch.equal(weights_of(first)[name], weights_of(other)[name])


def test_trains_outside_the_main_thread(
    factor_cohort: ad.AnnData, donors: list[str], everything: RunConfig
) -> None:
    results = []
    config = changed(everything, epochs=1)

    def work() -> None:
        torch.set_num_threads(1)
        results.append(train(factor_cohort, donors, config, hardware=CPU))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert_same_weights(results[0], train(factor_cohort, donors, config, hardware=CPU))


def test_training_that_diverges_is_named(
    factor_cohort: ad.AnnData, donors: list[str], everything: RunConfig, tmp_path: Path
) -> None:
    config = changed(everything, learning_rate=1e30)
    with pytest.raises(TrainingError, match=r"diverged in epoch 1.*learning rate"):
        train(factor_cohort, donors, config, hardware=CPU, folder=tmp_path)
    assert Checkpoint.load(tmp_path) is None


def test_a_model_of_another_size_than_the_cohort_is_refused(
    factor_cohort: ad.AnnData, donors: list[str], everything: RunConfig
) -> None:
    model = dataclasses.replace(everything.model, n_genes=11)
    with pytest.raises(ValueError, match=r"a scaler of \(4, 11\) .* got \(4, 12\)"):
        train(factor_cohort, donors, dataclasses.replace(everything, model=model), hardware=CPU)


def test_too_few_watched_donors_are_refused(
    factor_cohort: ad.AnnData, donors: list[str], everything: RunConfig
) -> None:
    config = changed(everything, validation_fraction=0.02)
    with pytest.raises(TrainingError, match="larger validation fraction"):
        train(factor_cohort, donors, config, hardware=CPU)
