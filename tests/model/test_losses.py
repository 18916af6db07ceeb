"""Eqs 1-6 against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from mtm_core.config import Distance, LossConfig
from mtm_core.model.losses import (
    cycle_loss,
    discriminator_loss,
    generator_loss,
    individual_loss,
    latent_loss,
    total_loss,
)


def huber(x: np.ndarray, y: np.ndarray) -> float:
    d = np.abs(x - y)
    return float(np.where(d < 1, d**2 / 2, d - 0.5).mean())


IN_NUMPY = {
    "l1": lambda x, y: np.abs(x - y).mean(),
    "mse": lambda x, y: ((x - y) ** 2).mean(),
    "huber": huber,
}


@pytest.fixture
def pair(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Far enough apart for both branches of Huber's loss."""
    return 3 * rng.normal(size=(6, 9)), rng.normal(size=(6, 9))


def test_eq_1_latent(pair: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = pair
    actual = latent_loss(torch.from_numpy(x), torch.from_numpy(y)).item()
    assert actual == pytest.approx(np.abs(x - y).mean(), rel=1e-12)


def test_eq_2_discriminator(rng: np.random.Generator) -> None:
    real, fake = 2 * rng.normal(size=(8, 1)), 2 * rng.normal(size=(4, 1))
    expected = np.mean([max(0, 1 - s) for s in real[:, 0]]) + np.mean(
        [max(0, 1 + s) for s in fake[:, 0]]
    )
    actual = discriminator_loss(torch.from_numpy(real), torch.from_numpy(fake)).item()
    assert actual == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("real", "fake", "expected"),
    [
        (1.0, -1.0, 0.0),  # at the hinge
        (5.0, -5.0, 0.0),  # beyond it nothing more is won
        (0.0, -1.0, 1.0),
        (1.0, 0.0, 1.0),
        (-2.0, 3.0, 7.0),
    ],
)
def test_eq_2_hinges_at_one(real: float, fake: float, expected: float) -> None:
    loss = discriminator_loss(torch.full((3, 1), real), torch.full((3, 1), fake))
    assert loss.item() == expected


def test_eq_3_generator_is_not_hinged(rng: np.random.Generator) -> None:
    score = rng.normal(size=(5, 1))
    assert generator_loss(torch.from_numpy(score)).item() == pytest.approx(-score.mean(), rel=1e-12)
    assert generator_loss(torch.full((3, 1), 5.0)).item() == -5


@pytest.mark.parametrize("loss", [individual_loss, cycle_loss])
@pytest.mark.parametrize("distance", ["l1", "mse", "huber"])
def test_eqs_4_and_5(loss, distance: Distance, pair: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = pair
    actual = loss(torch.from_numpy(x), torch.from_numpy(y), distance).item()
    assert actual == pytest.approx(IN_NUMPY[distance](x, y), rel=1e-12)


@pytest.mark.parametrize("loss", [individual_loss, cycle_loss])
def test_eqs_4_and_5_as_a_likelihood(
    loss, pair: tuple[np.ndarray, np.ndarray], rng: np.random.Generator
) -> None:
    x, y = pair
    variance = rng.uniform(0.2, 3, size=x.shape)
    predicted, observed = torch.from_numpy(x), torch.from_numpy(y)
    actual = loss(predicted, observed, "nll", torch.from_numpy(np.log(variance)))
    log_density = stats.norm.logpdf(y, loc=x, scale=np.sqrt(variance)).mean()
    assert actual.item() == pytest.approx(-log_density - np.log(2 * np.pi) / 2, rel=1e-12)
    with pytest.raises(ValueError, match="expected the variance that a likelihood needs"):
        loss(predicted, observed, "nll")


@pytest.mark.parametrize("loss", [individual_loss, cycle_loss])
def test_eqs_4_and_5_are_l1_unless_reported(loss, pair: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = pair
    actual = loss(torch.from_numpy(x), torch.from_numpy(y)).item()
    assert actual == pytest.approx(np.abs(x - y).mean(), rel=1e-12)


@pytest.mark.parametrize("loss", [individual_loss, cycle_loss, latent_loss])
def test_size_does_not_grow_with_genes_or_samples(
    loss, pair: tuple[np.ndarray, np.ndarray]
) -> None:
    x, y = (torch.from_numpy(array) for array in pair)
    torch.testing.assert_close(loss(x.repeat(3, 5), y.repeat(3, 5)), loss(x, y))


def test_eq_6_weighs_the_terms_that_are_there() -> None:
    weights = LossConfig(individual=2, cycle=3, latent=5, adversarial=7)
    terms = {
        "individual": torch.tensor(1.0),
        "cycle": torch.tensor(10.0),
        "latent": torch.tensor(100.0),
        "adversarial": torch.tensor(-1000.0),
    }
    assert total_loss(terms, weights).item() == 2 + 30 + 500 - 7000
    del terms["cycle"], terms["adversarial"]
    assert total_loss(terms, weights).item() == 2 + 500


def test_eq_6_passes_each_weight_on_to_the_gradient() -> None:
    individual, latent = torch.ones((), requires_grad=True), torch.ones((), requires_grad=True)
    weights = LossConfig(individual=2, latent=0)
    total_loss({"individual": individual, "latent": latent}, weights).backward()
    assert individual.grad == 2
    assert latent.grad == 0
