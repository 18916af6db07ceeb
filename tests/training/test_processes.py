"""Training in processes of its own: one that is killed, and two that learn together."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd

from mtm_core.config import RunConfig
from mtm_core.config import to_json as config_to_json
from mtm_core.data.cohort.cohort import write_cohort
from mtm_core.training.checkpoint import Checkpoint
from mtm_core.training.trainer import train
from tests.training.training_runs import CPU, assert_same_weights, changed, weights_of

SCRIPT = textwrap.dedent("""
    import json, os, signal, sys
    from pathlib import Path

    import torch

    from mtm_core.config import from_json
    from mtm_core.data.cohort.cohort import read_cohort
    from mtm_core.training.hardware import Hardware
    from mtm_core.training.trainer import train

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
            if saves == 5:  # after two with their histories: written, not yet in its place
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
    assert len(list((tmp_path / "run").glob(".checkpoint.safetensors.mtm-partial-*"))) == 1

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
            assert os.environ["LOCAL_RANK"] == "0"  # the others do not get it
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
