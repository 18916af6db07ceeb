"""One step against a plain one that makes every pass by itself, in the order of the equations."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import nullcontext

import anndata as ad
import numpy as np
import pytest
import torch
from torch import Tensor

from mtm_core.config import LossConfig, ModelConfig, ScalingConfig, TrainingConfig
from mtm_core.data.cohort.cohort import tissue_codes, tissue_names
from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.model.mtm import MTM
from mtm_core.training.resident import Batch, ResidentPairs
from mtm_core.training.step import (
    active_weights,
    descend,
    discriminator_terms,
    generator_terms,
    training_step,
)

ALL = LossConfig(individual=1, cycle=0.5, latent=2, adversarial=0.25)


@pytest.fixture
def model(factor_cohort: ad.AnnData, factor_model: ModelConfig) -> MTM:
    """No dropout; every weight drawn anew, so that tissues differ."""
    codes, n_tissues = tissue_codes(factor_cohort), len(tissue_names(factor_cohort))
    scaler = TissueScaler.fit(factor_cohort.X, codes, n_tissues, ScalingConfig())
    model = MTM(dataclasses.replace(factor_model, dropout=0.0), scaler)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return model


@pytest.fixture
def batch(factor_cohort: ad.AnnData) -> Batch:
    codes, n_tissues = tissue_codes(factor_cohort), len(tissue_names(factor_cohort))
    scaler = TissueScaler.fit(factor_cohort.X, codes, n_tissues, ScalingConfig())
    data = ResidentPairs(
        factor_cohort,
        np.arange(factor_cohort.n_obs),
        scaler,
        TrainingConfig(batch_size=16),
        n_noise=4,
        device=torch.device("cpu"),
    )
    return next(iter(data.batches(0)))


def plain_terms(model: MTM, b: Batch) -> dict[str, Tensor]:
    """Eqs 1-5 as they are written in section 2.2 of the paper, one pass after the other."""
    x_t = model.decode(model.encode(b.source_z, b.source), b.target)
    x_s_again = model.decode(model.encode(x_t, b.target), b.source)
    code = model.mapping(b.noise)
    made = model.decode(code, b.drawn)
    real_s = model.discriminator(b.source_z, b.source)
    real_t = model.discriminator(b.target_z, b.target)
    fake = model.discriminator(made, b.drawn)
    return {
        "individual": (x_t - b.target_z).abs().mean(),
        "cycle": (x_s_again - b.source_z).abs().mean(),
        "latent": (model.encode(made, b.drawn) - code).abs().mean(),
        "adversarial": -fake.mean(),
        "discriminator": (1 - torch.cat([real_s, real_t])).clamp(min=0).mean()
        + (1 + fake).clamp(min=0).mean(),
    }


def optimisers_of(model: MTM, rate: float = 0.1) -> dict[str, torch.optim.Optimizer]:
    others = [p for n in (model.encoder, model.generator, model.mapping) for p in n.parameters()]
    return {
        "discriminator": torch.optim.SGD(model.discriminator.parameters(), lr=rate),
        "generator": torch.optim.SGD(others, lr=rate),
    }


def step(
    model: MTM,
    batch: Batch,
    weights: LossConfig,
    optimisers: dict[str, torch.optim.Optimizer] | None = None,
    backward: Callable[[Tensor], None] = torch.Tensor.backward,
) -> dict[str, Tensor]:
    return training_step(
        model,
        batch,
        weights,
        optimisers or optimisers_of(model),
        autocast=nullcontext,
        backward=backward,
        average=lambda gradients: None,
    )


def weights_of(module: torch.nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in module.named_parameters()}


def changed(module: torch.nn.Module, before: dict[str, Tensor]) -> bool:
    return any(not torch.equal(p, before[name]) for name, p in module.named_parameters())


def test_terms_equal_separate_passes(model: MTM, batch: Batch) -> None:
    model.eval()  # or the power iteration moves between one pass and the next
    plain = plain_terms(model, batch)
    together = discriminator_terms(model, batch) | generator_terms(model, batch, ALL)
    assert together.keys() == plain.keys()
    for name, term in plain.items():
        torch.testing.assert_close(together[name], term, msg=name)


def test_gradients_equal_separate_passes(model: MTM, batch: Batch) -> None:
    model.eval()
    members = [p for n in (model.encoder, model.generator, model.mapping) for p in n.parameters()]
    plain = plain_terms(model, batch)
    expected = torch.autograd.grad(
        plain["individual"]
        + 0.5 * plain["cycle"]
        + 2 * plain["latent"]
        + 0.25 * plain["adversarial"],
        members,
    )
    before = [p.detach().clone() for p in members]
    weights = dataclasses.replace(ALL)
    frozen_d = {"discriminator": torch.optim.SGD(model.discriminator.parameters(), lr=0.0)}
    step(model, batch, weights, optimisers_of(model) | frozen_d)
    for p, was, gradient in zip(members, before, expected, strict=True):
        torch.testing.assert_close(was - p.detach(), 0.1 * gradient, rtol=1e-3, atol=1e-6)


def test_total_is_eq_6_of_the_terms(model: MTM, batch: Batch) -> None:
    terms = step(model, batch, ALL)
    expected = (
        terms["individual"]
        + 0.5 * terms["cycle"]
        + 2 * terms["latent"]
        + 0.25 * terms["adversarial"]
    )
    torch.testing.assert_close(terms["total"], expected)
    assert not any(term.requires_grad for term in terms.values())


def test_likelihood_learns_the_squared_error_of_each_tissue_and_gene(
    factor_cohort: ad.AnnData, factor_model: ModelConfig, model: MTM, batch: Batch
) -> None:
    scaler = TissueScaler(model.mean.numpy(), model.sd.numpy(), model.scale)
    spread = MTM(dataclasses.replace(factor_model, dropout=0.0, variance=True), scaler)
    assert not spread.load_state_dict(model.state_dict(), strict=False).unexpected_keys
    frozen = [p for n, p in spread.named_parameters() if n != "log_variance.weight"]
    for parameter in frozen:
        parameter.requires_grad_(requires_grad=False)
    weights = LossConfig(cycle=0, latent=0, adversarial=0, distance="nll")
    optimisers = {"generator": torch.optim.Adam([spread.log_variance.weight], lr=0.1)}
    for _ in range(400):
        step(spread, batch, weights, optimisers)
    predicted = spread(batch.source_z, batch.source, batch.target).detach()
    square = (predicted - batch.target_z) ** 2
    for tissue in batch.target.unique():
        own = batch.target == tissue
        learnt = torch.exp(spread.log_variance.weight[tissue])
        torch.testing.assert_close(learnt, square[own].mean(dim=0), rtol=0.02, atol=1e-3)


@pytest.mark.parametrize("distance", ["l1", "mse", "huber"])
def test_losses_are_float32_in_mixed_precision(model: MTM, batch: Batch, distance: str) -> None:
    weights = dataclasses.replace(ALL, distance=distance)  # type: ignore[arg-type]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model.encode(batch.source_z, batch.source).dtype == torch.bfloat16
        terms = discriminator_terms(model, batch) | generator_terms(model, batch, weights)
    assert {name: term.dtype for name, term in terms.items()} == dict.fromkeys(terms, torch.float32)


@pytest.mark.parametrize("distance", ["mse", "huber"])
def test_distance_is_of_the_two_reconstruction_terms(
    model: MTM, batch: Batch, distance: str
) -> None:
    model.eval()
    plain = generator_terms(model, batch, ALL)
    other = generator_terms(model, batch, dataclasses.replace(ALL, distance=distance))  # type: ignore[arg-type]
    for name in ("individual", "cycle"):
        assert not torch.allclose(plain[name], other[name])
    for name in ("latent", "adversarial"):
        torch.testing.assert_close(plain[name], other[name])


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (LossConfig(cycle=0, latent=0, adversarial=0), {"individual"}),
        (LossConfig(latent=0, adversarial=0), {"individual", "cycle"}),
        (LossConfig(cycle=0, adversarial=0), {"individual", "latent"}),
        (LossConfig(cycle=0, latent=0), {"individual", "adversarial", "discriminator"}),
    ],
)
def test_a_term_of_weight_0_is_absent_and_the_rest_as_before(
    model: MTM, batch: Batch, weights: LossConfig, expected: set[str]
) -> None:
    model.eval()
    plain = plain_terms(model, batch)
    terms = step(model, batch, weights, optimisers_of(model, rate=0.0))
    assert terms.keys() == expected | {"total"}
    for name in expected:
        torch.testing.assert_close(terms[name], plain[name], msg=name)


def test_networks_of_terms_that_are_off_are_not_trained(model: MTM, batch: Batch) -> None:
    before = {n: weights_of(getattr(model, n)) for n in ("discriminator", "mapping", "generator")}
    step(model, batch, LossConfig(cycle=1, latent=0, adversarial=0))
    assert not changed(model.discriminator, before["discriminator"])
    assert not changed(model.mapping, before["mapping"])
    assert changed(model.generator, before["generator"])


def test_every_network_is_trained_with_all_terms_on(model: MTM, batch: Batch) -> None:
    before = {name: weights_of(network) for name, network in model.named_children()}
    step(model, batch, ALL)
    for name, network in model.named_children():
        assert changed(network, before[name]), name


def test_discriminator_s_turn_trains_it_alone(model: MTM, batch: Batch) -> None:
    (loss,) = discriminator_terms(model, batch).values()
    loss.backward()
    assert all(p.grad is not None for p in model.discriminator.parameters())
    for network in (model.encoder, model.generator, model.mapping):
        assert all(p.grad is None for p in network.parameters())


def test_discriminator_gets_no_gradient_in_the_generator_s_turn(model: MTM, batch: Batch) -> None:
    seen = []

    def backward(loss: Tensor) -> None:
        for p in model.discriminator.parameters():
            p.grad = None
        loss.backward()
        seen.append(
            {
                "discriminator": [p.grad is not None for p in model.discriminator.parameters()],
                "mapping": [p.grad is not None for p in model.mapping.parameters()],
            }
        )

    step(model, batch, ALL, backward=backward)
    first, second = seen
    assert all(first["discriminator"])
    assert not any(second["discriminator"])
    assert all(second["mapping"])
    assert all(p.requires_grad for p in model.parameters())


def test_discriminator_can_be_trained_again_after_an_error(model: MTM, batch: Batch) -> None:
    broken = batch._replace(target=batch.target + 99)
    with pytest.raises(IndexError):
        step(model, broken, LossConfig(cycle=0, latent=0, adversarial=0))
    assert all(p.requires_grad for p in model.parameters())


def test_the_adversarial_term_reaches_the_mapping_through_the_frozen_discriminator(
    model: MTM, batch: Batch
) -> None:
    weights = LossConfig(cycle=0, latent=0, adversarial=1)
    before = weights_of(model.mapping)
    step(model, batch, weights)
    assert changed(model.mapping, before)


def test_descend_averages_gradients_before_the_step() -> None:
    weight = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    idle = torch.nn.Parameter(torch.tensor([5.0]))
    optimiser = torch.optim.SGD([weight, idle], lr=1.0)
    weight.grad = torch.full((2,), 100.0)  # of the last step: to be forgotten

    def halve(gradients: list[Tensor]) -> None:
        assert len(gradients) == 1
        for gradient in gradients:
            gradient.mul_(0.5)

    descend((weight**2).sum(), optimiser, torch.Tensor.backward, halve)
    torch.testing.assert_close(weight.detach(), torch.tensor([0.0, 0.0]))
    assert idle.item() == 5


@pytest.mark.parametrize(("epoch", "expected"), [(0, 0.0), (2, 0.0), (3, 0.7), (9, 0.7)])
def test_adversarial_term_waits_for_its_warm_up(epoch: int, expected: float) -> None:
    weights = LossConfig(cycle=0.5, adversarial=0.7, adversarial_warmup=3)
    active = active_weights(weights, epoch)
    assert active.adversarial == expected
    assert dataclasses.replace(active, adversarial=0.7) == weights
