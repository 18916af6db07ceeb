"""Training: it learns, repeats itself bit for bit, and goes on after whatever stopped it."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch

from mtm_core.config import LossConfig, ModelConfig, RunConfig, ScalingConfig, TrainingConfig
from mtm_core.config import to_json as config_to_json
from mtm_core.data.cohort import tissue_codes, write_cohort
from mtm_core.data.scaling import TissueScaler
from mtm_core.data.splits import hold_out, rows_of
from mtm_core.errors import TrainingError
from mtm_core.training.checkpoint import Checkpoint, under_prefix
from mtm_core.training.held_out import HeldOutPairs
from mtm_core.training.trainer import Hardware, TrainingProgress, TrainingResult, train

CPU = Hardware(accelerator="cpu")
MSE_ONLY = LossConfig(cycle=0, latent=0, adversarial=0, distance="mse")


@pytest.fixture
def donors(factor_cohort: ad.AnnData) -> list[str]:
    return sorted(set(factor_cohort.obs["donor"]))


@pytest.fixture
def everything(factor_model: ModelConfig) -> RunConfig:
    """All that a checkpoint has to bring back: six losses, two optimisers, EMA, rate decay."""
    return RunConfig(
        factor_model,
        loss=LossConfig(adversarial_warmup=2),
        training=TrainingConfig(
            epochs=6,
            batch_size=64,
            learning_rate=5e-3,
            learning_rate_decay=True,
            ema_decay=0.9,
            validation_fraction=0.2,
            pair_weighting="donors",
            tissue_draw="pairs",
        ),
    )


def changed(config: RunConfig, loss: LossConfig | None = None, **training: object) -> RunConfig:
    return dataclasses.replace(
        config,
        loss=loss or config.loss,
        training=dataclasses.replace(config.training, **training),  # type: ignore[arg-type]
    )


def weights_of(result: TrainingResult) -> dict[str, torch.Tensor]:
    return result.model.state_dict()


def assert_same_weights(first: TrainingResult, second: TrainingResult) -> None:
    a, b = weights_of(first), weights_of(second)
    assert a.keys() == b.keys()
    differing = [name for name in a if not torch.equal(a[name], b[name])]
    assert not differing
    columns = [name for name in first.history.columns if name != "seconds"]
    pd.testing.assert_frame_equal(first.history[columns], second.history[columns])
    assert first.best_epoch == second.best_epoch


def after(
    what: Callable[[], object], *, epoch: int, step: int | None = None
) -> Callable[[TrainingProgress], None]:
    """Do ``what`` once: after ``step`` of ``epoch``, or when ``epoch`` is done."""

    def tell(progress: TrainingProgress) -> None:
        at_step = progress.row is None and progress.step == step
        if progress.epoch == epoch and (at_step or (step is None and progress.row is not None)):
            what()

    return tell


def stop() -> None:
    raise ConnectionAbortedError


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


# ---------------------------------------------------------------- what is learnt


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
    watched = HeldOutPairs.of(
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
    kept, held = hold_out(factor_cohort.obs, fraction=0.2, seed=0)
    disturbed = factor_cohort.copy()
    disturbed.X[rows_of(factor_cohort.obs["donor"], held)] *= 1000
    config = changed(everything, epochs=2)
    one, other = (train(c, donors, config, hardware=CPU) for c in (factor_cohort, disturbed))
    pd.testing.assert_series_equal(one.history["total"], other.history["total"])
    assert (one.history["held_out_mae"] != other.history["held_out_mae"]).all()

    rows = rows_of(factor_cohort.obs["donor"], kept)
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


def test_without_watched_donors_the_last_epoch_is_kept(
    factor_cohort: ad.AnnData, donors: list[str], everything: RunConfig
) -> None:
    config = changed(everything, epochs=3, validation_fraction=0.0, patience=1, ema_decay=0.0)
    told: list[TrainingProgress] = []
    result = train(factor_cohort, donors, config, hardware=CPU, on_progress=told.append)
    assert result.best_epoch == len(result.history) == 3
    assert "held_out_rho" not in result.history
    counts = factor_cohort.obs["donor"].value_counts()
    steps = int((counts * (counts - 1)).sum()) // 64
    assert [(p.epoch, p.step, p.n_steps) for p in told if p.row is None] == [
        (epoch, step, steps) for epoch in (1, 2, 3) for step in range(1, steps + 1)
    ]
    rows = [p.row for p in told if p.row is not None]
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


# ---------------------------------------------------------------- the same again


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


@pytest.mark.parametrize(("epoch", "step"), [(1, None), (4, None), (4, 3), (6, 1)])
def test_a_resumed_run_equals_an_uninterrupted_one(
    factor_cohort: ad.AnnData,
    donors: list[str],
    everything: RunConfig,
    tmp_path: Path,
    epoch: int,
    step: int | None,
) -> None:
    whole = train(factor_cohort, donors, everything, hardware=CPU)
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
    assert_same_weights(whole, resumed)
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


def test_without_resume_it_begins_anew(
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
    assert done == [0, 2, 2, 4, 5]  # the last is always kept


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


# ---------------------------------------------------------------- interrupted


def test_ctrl_c_stops_cleanly_and_can_be_resumed(
    factor_cohort: ad.AnnData, donors: list[str], everything: RunConfig, tmp_path: Path
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
    assert_same_weights(train(factor_cohort, donors, everything, hardware=CPU), resumed)


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


SCRIPT = textwrap.dedent("""
    import json, os, signal, sys
    from pathlib import Path

    import torch

    from mtm_core.config import from_json
    from mtm_core.data.cohort import read_cohort
    from mtm_core.training.trainer import Hardware, train

    here = Path(__file__).parent
    torch.set_num_threads(1)
    cohort = read_cohort(here / "cohort.h5ad")
    config = from_json(json.loads((here / "config.json").read_text()))
    donors = sorted(set(cohort.obs["donor"]))
""")


def write_script(
    folder: Path, cohort: ad.AnnData, config: RunConfig, body: str
) -> tuple[Path, dict[str, str]]:
    """Write a script that trains, and the environment to run it in: one thread, no cluster."""
    bare = cohort.copy()
    del bare.uns["truth"]
    write_cohort(bare, folder / "cohort.h5ad")
    (folder / "config.json").write_text(json.dumps(config_to_json(config)))
    script = folder / "script.py"
    script.write_text(SCRIPT + textwrap.dedent(body))
    cluster = ("MASTER_ADDR", "MASTER_PORT", "LOCAL_RANK", "NODE_RANK", "WORLD_SIZE")
    environment = {name: value for name, value in os.environ.items() if name not in cluster}
    return script, environment | {"OMP_NUM_THREADS": "1"}


def test_a_run_that_is_killed_twice_ends_with_the_same_weights(
    factor_cohort: ad.AnnData, donors: list[str], everything: RunConfig, tmp_path: Path
) -> None:
    config = changed(everything, epochs=40)
    script, environment = write_script(
        tmp_path,
        factor_cohort,
        config,
        """
        saves = 0

        def killed_in_the_third_save(file):
            global saves
            saves += 1
            if saves == 3:  # written, not yet in its place
                os.kill(os.getpid(), signal.SIGKILL)

        if sys.argv[1] == "saving":
            os.fsync = killed_in_the_third_save
        train(cohort, donors, config, hardware=Hardware("cpu"), folder=here / "run", resume=True,
              on_progress=lambda progress: print(progress.epoch, flush=True))
        """,
    )

    def start(when: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, script, when], env=environment, stdout=subprocess.PIPE, text=True
        )

    def epochs_done() -> int:
        saved = Checkpoint.load(tmp_path / "run")
        assert saved is not None
        return int(saved.state["standing"]["epochs_done"])

    with start("saving") as process:
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert epochs_done() == 2
    assert (tmp_path / "run" / "checkpoint.safetensors.partial").exists()

    with start("at random") as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "3"  # it goes on where it was
        time.sleep(random.SystemRandom().uniform(0, 0.8))
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert 2 <= epochs_done() < 40

    folder = tmp_path / "run"
    resumed = train(factor_cohort, donors, config, hardware=CPU, folder=folder, resume=True)
    assert_same_weights(train(factor_cohort, donors, config, hardware=CPU), resumed)


# ---------------------------------------------------------------- hardware


def test_two_processes_learn_what_one_does_and_stop_together(
    factor_cohort: ad.AnnData, donors: list[str], everything: RunConfig, tmp_path: Path
) -> None:
    model = dataclasses.replace(everything.model, dropout=0.0)
    config = changed(dataclasses.replace(everything, model=model), epochs=4)
    script, environment = write_script(
        tmp_path,
        factor_cohort,
        config,
        """
        def interrupt_one(progress):
            assert os.environ["LOCAL_RANK"] == "0"  # the others are not told
            if (progress.epoch, progress.step) == (2, 3):
                signal.raise_signal(signal.SIGINT)

        def run(name, on_progress=None):
            result = train(cohort, donors, config, hardware=Hardware("cpu", devices=2),
                           folder=here / name, on_progress=on_progress)
            rank = os.environ["LOCAL_RANK"]
            assert result.is_first_process == (rank == "0")
            weights = {n: t.tolist() for n, t in result.model.state_dict().items()}
            (here / f"{name}-{rank}.json").write_text(json.dumps([result.finished, weights]))

        run("whole")
        run("interrupted", interrupt_one)
        """,
    )
    done = subprocess.run(
        [sys.executable, script], env=environment, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr

    def read(name: str, rank: int) -> tuple[bool, dict[str, list[float]]]:
        finished, weights = json.loads((tmp_path / f"{name}-{rank}.json").read_text())
        return finished, weights

    one = train(factor_cohort, donors, config, hardware=CPU)
    assert read("whole", 0) == read("whole", 1)
    finished, weights = read("whole", 0)
    assert finished
    history = pd.read_csv(tmp_path / "whole" / "history.csv")
    assert len(history) == 4
    losses = ["individual", "cycle", "latent", "adversarial", "discriminator", "total"]
    np.testing.assert_allclose(history[losses], one.history[losses], rtol=2e-3)
    np.testing.assert_allclose(history["held_out_mae"], one.history["held_out_mae"], rtol=2e-3)
    for name, tensor in weights_of(one).items():
        np.testing.assert_allclose(weights[name], tensor, atol=5e-3, err_msg=name)

    assert read("interrupted", 0) == read("interrupted", 1)
    assert not read("interrupted", 0)[0]
    assert len(pd.read_csv(tmp_path / "interrupted" / "history.csv")) == 1


def test_mixed_precision_stays_near_float32(
    factor_cohort: ad.AnnData, donors: list[str], everything: RunConfig
) -> None:
    mixed = Hardware(accelerator="cpu", precision="bf16-mixed")
    config = changed(everything, epochs=4)
    exact = train(factor_cohort, donors, config, hardware=CPU)
    rounded = train(factor_cohort, donors, config, hardware=mixed)
    losses = ["individual", "cycle", "latent", "adversarial", "discriminator"]
    np.testing.assert_allclose(rounded.history[losses], exact.history[losses], rtol=0.1, atol=0.1)
    assert not rounded.history["total"].equals(exact.history["total"])
    assert {t.dtype for t in weights_of(rounded).values()} == {torch.float32}


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_hardware_that_is_not_there_is_named(
    factor_cohort: ad.AnnData, donors: list[str], everything: RunConfig
) -> None:
    with pytest.raises(TrainingError, match=r"cannot train on Hardware\(accelerator='cuda'"):
        train(factor_cohort, donors, everything, hardware=Hardware(accelerator="cuda"))


def test_graph_is_refused_where_there_is_no_one_gpu(
    factor_cohort: ad.AnnData, donors: list[str], everything: RunConfig
) -> None:
    with pytest.raises(TrainingError, match="a CUDA graph needs one GPU; got 1 of 'cpu'"):
        train(factor_cohort, donors, everything, hardware=dataclasses.replace(CPU, cuda_graph=True))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_graph_trains_as_steps_one_by_one_do(
    factor_cohort: ad.AnnData, donors: list[str], everything: RunConfig
) -> None:
    gpu = Hardware(accelerator="cuda")
    # The adversarial term comes in the second epoch: another graph.
    warm = dataclasses.replace(everything.loss, adversarial_warmup=1)
    config = changed(everything, epochs=3, ema_decay=0.9, learning_rate_decay=True)
    config = dataclasses.replace(
        config, loss=warm, model=dataclasses.replace(config.model, dropout=0.0)
    )
    plain = train(factor_cohort, donors, config, hardware=gpu)
    graph = train(factor_cohort, donors, config, hardware=dataclasses.replace(gpu, cuda_graph=True))
    losses = ["individual", "cycle", "latent", "total"]
    np.testing.assert_allclose(graph.history[losses], plain.history[losses], rtol=1e-3)


# ---------------------------------------------------------------- what cannot be trained


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
