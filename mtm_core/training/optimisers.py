"""Optimisers of the generator and discriminator sides, and averaged weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mtm_core.config import TrainingConfig
from mtm_core.model.mtm import MTM

Optimisers = dict[str, torch.optim.Optimizer]


def optimisers_of(model: MTM, config: TrainingConfig, *, capturable: bool = False) -> Optimisers:
    """Return two Adam optimisers: one of the discriminator, one of all other networks.

    Parameters
    ----------
    model
        The networks.
    config
        Learning rate, betas and weight decay.
    capturable
        Whether their state stays on the device, as a CUDA graph requires.
    """
    named = list(model.named_parameters())
    device = named[0][1].device
    parameters = {
        "discriminator": [p for name, p in named if name.startswith("discriminator.")],
        "generator": [p for name, p in named if not name.startswith("discriminator.")],
    }
    return {
        name: torch.optim.Adam(
            members,
            lr=torch.tensor(config.learning_rate, device=device)
            if capturable
            else config.learning_rate,
            betas=config.betas,
            weight_decay=config.weight_decay,
            fused=True,
            capturable=capturable,
        )
        for name, members in parameters.items()
    }


def set_learning_rate(optimisers: Optimisers, rate: float) -> None:
    """Set the learning rate of all optimisers, in place for one that a CUDA graph captured."""
    for optimiser in optimisers.values():
        for group in optimiser.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate


def averaged_weights(model: MTM, decay: float) -> AveragedModel | None:
    """Return an exponential moving average of the weights of ``model``; ``None`` for decay 0."""
    if decay == 0:
        return None
    average: Any = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return AveragedModel(model, multi_avg_fn=average)
