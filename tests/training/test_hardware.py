"""Training on other hardware and at other precision."""

from __future__ import annotations

import dataclasses

import anndata as ad
import numpy as np
import pytest
import torch

from mtm_core.config import RunConfig
from mtm_core.errors import TrainingError
from mtm_core.training.hardware import Hardware
from mtm_core.training.trainer import train
from tests.training.training_runs import CPU, changed, weights_of


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
