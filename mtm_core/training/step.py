"""One step of training: D, then E, G and M together (He et al. 2023, section 2.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

import torch
from torch import Tensor, nn

from mtm_core.config import LossConfig
from mtm_core.model.losses import (
    cycle_loss,
    discriminator_loss,
    generator_loss,
    individual_loss,
    latent_loss,
    total_loss,
)
from mtm_core.model.mtm import MTM
from mtm_core.training.resident import Batch


def active_weights(weights: LossConfig, epoch: int) -> LossConfig:
    """Return the weights that hold in ``epoch``, from 0: no adversarial term while it warms up."""
    if epoch < weights.adversarial_warmup:
        return replace(weights, adversarial=0.0)
    return weights


def discriminator_terms(model: MTM, batch: Batch) -> dict[str, Tensor]:
    """Return Eq 2 on ``batch``: both observed profiles are real, a decoded noise is not."""
    with torch.no_grad():
        fake = model.decode(model.mapping(batch.noise), batch.drawn)
    # One pass for all three: the spectral norm is computed once, and the products are larger.
    score = model.discriminator(
        torch.cat([batch.source_z, batch.target_z, fake]),
        torch.cat([batch.source, batch.target, batch.drawn]),
    ).float()  # mixed precision gives bfloat16, whose means and sums over an epoch lose digits
    n_real = 2 * len(batch.source)
    return {"discriminator": discriminator_loss(score[:n_real], score[n_real:])}


def generator_terms(model: MTM, batch: Batch, weights: LossConfig) -> dict[str, Tensor]:
    """Return the terms of Eq 6 on ``batch``, by name; a term of weight 0 is not computed.

    Passes through one network are made together: G decodes the donor's code and the noise's at
    once, E then reads both profiles.
    """
    codes, tissues = [model.encode(batch.source_z, batch.source)], [batch.target]
    from_noise = weights.latent > 0 or weights.adversarial > 0
    if from_noise:
        codes.append(model.mapping(batch.noise))
        tissues.append(batch.drawn)
    decoded = model.decode(torch.cat(codes), torch.cat(tissues)).chunk(len(codes))
    terms = {
        "individual": individual_loss(
            decoded[0], batch.target_z, weights.distance, model.error_log_variance(batch.target)
        )
    }

    to_read = ([0] if weights.cycle > 0 else []) + ([1] if weights.latent > 0 else [])
    if to_read:
        read = model.encode(
            torch.cat([decoded[i] for i in to_read]), torch.cat([tissues[i] for i in to_read])
        ).chunk(len(to_read))
        codes_again = dict(zip(to_read, read, strict=True))
        if weights.cycle > 0:
            source_again = model.decode(codes_again[0], batch.source)
            terms["cycle"] = cycle_loss(
                source_again,
                batch.source_z,
                weights.distance,
                model.error_log_variance(batch.source),
            )
        if weights.latent > 0:
            terms["latent"] = latent_loss(codes_again[1], codes[1])
    if weights.adversarial > 0:
        score = model.discriminator(decoded[1], batch.drawn).float()
        terms["adversarial"] = generator_loss(score)
    return terms


def descend(
    loss: Tensor,
    optimiser: torch.optim.Optimizer,
    backward: Callable[[Tensor], None],
    average: Callable[[Sequence[Tensor]], None],
) -> None:
    """Take one optimiser step down ``loss``; ``average`` joins the gradients of all processes."""
    optimiser.zero_grad(set_to_none=True)
    backward(loss)
    average(
        [p.grad for group in optimiser.param_groups for p in group["params"] if p.grad is not None]
    )
    optimiser.step()


def training_step(
    model: MTM,
    batch: Batch,
    weights: LossConfig,
    optimisers: dict[str, torch.optim.Optimizer],
    *,
    autocast: Callable[[], AbstractContextManager[None]],
    backward: Callable[[Tensor], None],
    average: Callable[[Sequence[Tensor]], None],
) -> dict[str, Tensor]:
    """Take one D step, where there is an adversarial term, then one E+G+M step.

    Returns
    -------
    dict
        Every term by name and ``total`` (Eq 6), detached, unweighted but for the total.
    """
    terms: dict[str, Tensor] = {}
    if weights.adversarial > 0:
        with autocast():
            terms = discriminator_terms(model, batch)
        descend(terms["discriminator"], optimisers["discriminator"], backward, average)
    with _frozen(model.discriminator), autocast():
        objective = generator_terms(model, batch, weights)
        loss = total_loss(objective, weights)
    descend(loss, optimisers["generator"], backward, average)
    terms |= objective | {"total": loss}
    return {name: term.detach() for name, term in terms.items()}


class _frozen:
    """Compute no weight gradients of ``module`` inside the block: its inputs' still flow."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def __enter__(self) -> None:
        self.module.requires_grad_(requires_grad=False)

    def __exit__(self, *_: object) -> None:
        self.module.requires_grad_(requires_grad=True)
