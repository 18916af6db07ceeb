"""Who moves which weights, and how fast."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mtm_core.config import ModelConfig, TrainingConfig
from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.model.mtm import MTM
from mtm_core.training.optimisers import averaged_weights, optimisers_of, set_learning_rate


@pytest.fixture
def model(factor_model: ModelConfig) -> MTM:
    shape = (factor_model.n_tissues, factor_model.n_genes)
    blank = np.zeros(shape, dtype=np.float32)
    return MTM(factor_model, TissueScaler(blank, blank + 1, "log2"))


def test_every_weight_is_moved_by_one_side(model: MTM) -> None:
    sides = {
        name: {id(p) for group in optimiser.param_groups for p in group["params"]}
        for name, optimiser in optimisers_of(model, TrainingConfig()).items()
    }
    assert sides["discriminator"] == {id(p) for p in model.discriminator.parameters()}
    assert not sides["discriminator"] & sides["generator"]
    assert sides["discriminator"] | sides["generator"] == {id(p) for p in model.parameters()}


def test_rate_is_set_for_all_and_in_place_where_a_graph_holds_it(model: MTM) -> None:
    optimisers = optimisers_of(model, TrainingConfig())
    held = torch.tensor(1.0)
    optimisers["generator"].param_groups[0]["lr"] = held
    set_learning_rate(optimisers, 0.25)
    assert optimisers["discriminator"].param_groups[0]["lr"] == 0.25
    assert optimisers["generator"].param_groups[0]["lr"] is held
    assert held.item() == 0.25


def test_average_follows_by_its_decay(model: MTM) -> None:
    assert averaged_weights(model, 0.0) is None
    averaged = averaged_weights(model, 0.75)
    assert averaged is not None
    averaged.update_parameters(model)  # the first copies
    before = model.encoder.to_code.bias.detach().clone()
    with torch.no_grad():
        model.encoder.to_code.bias.add_(1.0)
    averaged.update_parameters(model)
    torch.testing.assert_close(averaged.module.encoder.to_code.bias, before + 0.25)
