"""The peer that training is timed against learns the same: what is compared is the speed alone."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import fields, replace

import anndata as ad
import numpy as np
import pytest
import torch

from benchmarks.plain_training import PairDataset, PlainMTM, PlainTraining, Sizes
from mtm_core.config import LossConfig, ModelConfig, ScalingConfig, TrainingConfig
from mtm_core.data.cohort.cohort import tissue_codes, tissue_names
from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.model.mtm import MTM, count_parameters
from mtm_core.training.optimisers import optimisers_of
from mtm_core.training.resident import ResidentPairs
from mtm_core.training.step import training_step


def copy_weights(ours: MTM, plain: PlainMTM) -> None:
    """Both declare their layers in one order."""
    for name in ("encoder", "generator", "discriminator", "mapping"):
        mine, theirs = getattr(ours, name), getattr(plain, name)
        for kind in ("parameters", "buffers"):
            for a, b in zip(getattr(mine, kind)(), getattr(theirs, kind)(), strict=True):
                b.data.copy_(a.data)


def test_losses_fall_alike(factor_cohort: ad.AnnData, factor_model: ModelConfig) -> None:
    config = replace(factor_model, dropout=0.0, encoder_input="log2")
    tissue, n_tissues = tissue_codes(factor_cohort), len(tissue_names(factor_cohort))
    scaler = TissueScaler.fit(factor_cohort.X, tissue, n_tissues, ScalingConfig())
    training = TrainingConfig(batch_size=64, learning_rate=2e-3)
    torch.manual_seed(0)
    model = MTM(config, scaler).train()
    sizes = Sizes(**{f.name: getattr(config, f.name) for f in fields(Sizes)})
    plain = PlainMTM(sizes, torch.from_numpy(scaler.mean), torch.from_numpy(scaler.sd)).train()
    assert count_parameters(plain) == count_parameters(model)
    copy_weights(model, plain)
    peer, optimisers = PlainTraining(plain, 2e-3), optimisers_of(model, training)
    data = ResidentPairs(
        factor_cohort,
        np.arange(factor_cohort.n_obs),
        scaler,
        training,
        n_noise=config.n_noise,
        device=torch.device("cpu"),
    )
    ours, theirs = [], []
    for batch in (b for epoch in range(4) for b in data.batches(epoch)):
        terms = training_step(
            model,
            batch,
            LossConfig(),
            optimisers,
            autocast=nullcontext,
            backward=torch.Tensor.backward,
            average=lambda _: None,
        )
        ours.append({name: term.item() for name, term in terms.items()})
        read = plain.log2_of(batch.source_z, batch.source)
        pairs = (read, batch.source_z, batch.source, batch.target_z, batch.target)
        theirs.append(peer.step(pairs, batch.noise, batch.drawn))
    # The first step is the same; then the peer iterates the spectral norm once a pass, ours once
    # for all that are made together.
    for name in theirs[0]:
        assert ours[0][name] == pytest.approx(theirs[0][name], rel=0.02, abs=0.02), name
    for name in ("individual", "cycle", "latent"):
        a, b = (np.array([step[name] for step in run]) for run in (ours, theirs))
        np.testing.assert_allclose(a, b, rtol=0.1, err_msg=name)
    individual = [step["individual"] for step in ours]
    assert np.mean(individual[-10:]) < np.mean(individual[:10])


def test_pairs_are_the_same(factor_cohort: ad.AnnData) -> None:
    donor = factor_cohort.obs["donor"].astype("category").cat.codes.tolist()
    blank = torch.zeros(factor_cohort.n_obs, 1)
    pairs = PairDataset(blank, blank, torch.zeros(len(donor)), donor).pairs
    same = [(i, j) for i, a in enumerate(donor) for j, b in enumerate(donor) if a == b and i != j]
    assert sorted(pairs) == same
