"""A run that was stopped goes on, and ends as one that never was."""

from __future__ import annotations

import signal
from pathlib import Path

import anndata as ad
import pandas as pd
import pytest

from mtm_core.config import RunConfig
from mtm_core.errors import TrainingError
from mtm_core.training.checkpoint import Checkpoint
from mtm_core.training.run import TrainingResult
from mtm_core.training.trainer import TrainingProgress, train
from tests.training.training_runs import CPU, after, assert_same_weights, changed, interrupt, stop


@pytest.fixture(scope="module")
def uninterrupted(
    factor_cohort: ad.AnnData, donors: list[str], everything: RunConfig
) -> TrainingResult:
    return train(factor_cohort, donors, everything, hardware=CPU)


@pytest.mark.parametrize(("epoch", "step"), [(1, None), (4, None), (4, 3), (6, 1)])
def test_a_resumed_run_equals_an_uninterrupted_one(
    factor_cohort: ad.AnnData,
    donors: list[str],
    everything: RunConfig,
    uninterrupted: TrainingResult,
    tmp_path: Path,
    epoch: int,
    step: int | None,
) -> None:
    with pytest.raises(ConnectionAbortedError):
        train(
            factor_cohort,
            donors,
            everything,
            hardware=CPU,
            folder=tmp_path,
            on_progress=after(stop, epoch=epoch, step=step),
        )
    resumed = train(factor_cohort, donors, everything, hardware=CPU, folder=tmp_path, resume=True)
    assert_same_weights(uninterrupted, resumed)
    written = pd.read_csv(tmp_path / "history.csv")
    pd.testing.assert_frame_equal(written, resumed.history)


def test_a_finished_run_is_not_run_again(
    factor_cohort: ad.AnnData, donors: list[str], everything: RunConfig, tmp_path: Path
) -> None:
    first = train(factor_cohort, donors, everything, hardware=CPU, folder=tmp_path)
    again = train(
        factor_cohort,
        donors,
        everything,
        hardware=CPU,
        folder=tmp_path,
        resume=True,
        on_progress=lambda progress: stop(),
    )
    assert again.finished
    assert_same_weights(first, again)


def test_without_resume_training_starts_again(
    factor_cohort: ad.AnnData, donors: list[str], everything: RunConfig, tmp_path: Path
) -> None:
    train(factor_cohort, donors, everything, hardware=CPU, folder=tmp_path)
    other = changed(everything, seed=1, epochs=2)
    anew = train(factor_cohort, donors, other, hardware=CPU, folder=tmp_path)
    assert_same_weights(anew, train(factor_cohort, donors, other, hardware=CPU))


def test_checkpoints_may_be_rare(
    factor_cohort: ad.AnnData, donors: list[str], everything: RunConfig, tmp_path: Path
) -> None:
    folder, done = tmp_path / "not" / "there yet", []

    def look(progress: TrainingProgress) -> None:
        if progress.row is not None:
            saved = Checkpoint.load(folder)
            done.append(0 if saved is None else saved.state["standing"]["epochs_done"])

    config = changed(everything, epochs=5, checkpoint_every=2)
    train(factor_cohort, donors, config, hardware=CPU, folder=folder, on_progress=look)
    assert done == [0, 2, 2, 4, 5]  # the last is always saved


@pytest.mark.parametrize("what", ["config", "cohort", "donors"])
def test_a_checkpoint_of_another_run_is_refused(
    factor_cohort: ad.AnnData,
    donors: list[str],
    everything: RunConfig,
    tmp_path: Path,
    what: str,
) -> None:
    config = changed(everything, epochs=2)
    train(factor_cohort, donors, config, hardware=CPU, folder=tmp_path)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    other = factor_cohort.copy()
    other.uns["mtm"] = {**other.uns["mtm"], "sha256": "0" * 64}
    arguments = {
        "config": (factor_cohort, donors, changed(config, learning_rate=1e-3)),
        "cohort": (other, donors, config),
        "donors": (factor_cohort, donors[1:], config),
    }[what]
    with pytest.raises(TrainingError, match=rf"another run: its {what} differ.*another folder"):
        train(*arguments, hardware=CPU, folder=tmp_path, resume=True)
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before


def test_ctrl_c_stops_cleanly_and_can_be_resumed(
    factor_cohort: ad.AnnData,
    donors: list[str],
    everything: RunConfig,
    uninterrupted: TrainingResult,
    tmp_path: Path,
) -> None:
    handler = signal.getsignal(signal.SIGINT)
    stopped = train(
        factor_cohort,
        donors,
        everything,
        hardware=CPU,
        folder=tmp_path,
        on_progress=after(interrupt, epoch=4, step=2),
    )
    assert signal.getsignal(signal.SIGINT) is handler
    assert not stopped.finished
    assert len(stopped.history) == 3
    assert stopped.best_epoch == stopped.history["held_out_rho"].idxmax() + 1
    assert not stopped.model.training
    resumed = train(factor_cohort, donors, everything, hardware=CPU, folder=tmp_path, resume=True)
    assert resumed.finished
    assert_same_weights(uninterrupted, resumed)


def test_a_second_ctrl_c_ends_at_once(
    factor_cohort: ad.AnnData, donors: list[str], everything: RunConfig
) -> None:
    def twice() -> None:
        interrupt()
        interrupt()

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(
            factor_cohort,
            donors,
            everything,
            hardware=CPU,
            on_progress=after(twice, epoch=1, step=2),
        )
    assert signal.getsignal(signal.SIGINT) is handler
