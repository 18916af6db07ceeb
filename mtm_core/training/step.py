"""One training step: discriminator D, then E, G and M together (He et al. 2023, section 2.2)."""

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
    """Return the loss weights of ``epoch``, from 0; no adversarial term in its warm-up."""
    if epoch < weights.adversarial_warmup:
        return replace(weights, adversarial=0.0)
    return weights


def discriminator_terms(model: MTM, batch: Batch) -> dict[str, Tensor]:
    """Return the loss of D (Eq 2): observed profiles are real, those from noise are not."""
    with torch.no_grad():
        fake = model.decode(model.mapping(batch.noise), batch.drawn)
    # One pass for all three profiles, so that the spectral norm is computed once.
    score = model.discriminator(
        torch.cat([batch.source_z, batch.target_z, fake]),
        torch.cat([batch.source, batch.target, batch.drawn]),
    ).float()  # bfloat16, of mixed precision, is too imprecise for means and sums over an epoch
    n_real = 2 * len(batch.source)
    return {"discriminator": discriminator_loss(score[:n_real], score[n_real:])}


def generator_terms(model: MTM, batch: Batch, weights: LossConfig) -> dict[str, Tensor]:
    """Return the terms of Eq 6 by name, without those of weight 0.

    Passes through the same network are batched: G decodes the codes of the donor and of the noise
    together, and E encodes both profiles together.
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

    to_encode = ([0] if weights.cycle > 0 else []) + ([1] if weights.latent > 0 else [])
    if to_encode:
        encoded = model.encode(
            torch.cat([decoded[i] for i in to_encode]), torch.cat([tissues[i] for i in to_encode])
        ).chunk(len(to_encode))
        codes_again = dict(zip(to_encode, encoded, strict=True))
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
    """Take one optimiser step on ``loss``; ``average`` averages gradients over processes."""
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
    """Take one step of D, if there is an adversarial term, then one of E, G and M together.

    Parameters
    ----------
    model
        The networks.
    batch
        This process's part of the batch.
    weights
        Loss weights.
    optimisers
        The two optimisers of :func:`mtm_core.training.optimisers.optimisers_of`.
    autocast, backward
        Mixed-precision context and backward pass.
    average
        Averages gradients over processes, in place.

    Returns
    -------
    dict
        Unweighted loss terms by name, and ``total``, the weighted sum (Eq 6); all detached.
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
    """Context in which ``module`` gets no weight gradients, while gradients of its inputs flow."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def __enter__(self) -> None:
        self.module.requires_grad_(requires_grad=False)

    def __exit__(self, *_: object) -> None:
        self.module.requires_grad_(requires_grad=True)
