"""Networks of one task: their layers by formula, their training by hand, a truth they find."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from mtm_core.config import ModelConfig, preset
from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.methods.mlp import NetworkTraining, SingleTaskMTM, fit_network, perceptron
from mtm_core.model.mtm import MTM
from mtm_core.statistics.correlation import columnwise_correlation

Array = np.ndarray


@pytest.fixture
def data(rng: np.random.Generator) -> tuple[Array, Array]:
    """200 donors; 8 target genes follow 8 source genes, with half their variance."""
    x = rng.normal(size=(200, 8))
    signal = x @ rng.normal(size=(8, 8)) / np.sqrt(8)
    return x.astype(np.float32), (signal + rng.normal(size=(200, 8))).astype(np.float32)


def test_perceptron_equals_its_formula(rng: np.random.Generator) -> None:
    network = perceptron((4, 3, 5, 2), 0.3).double().eval()
    w = {name: value.numpy() for name, value in network.state_dict().items()}
    x = rng.normal(size=(7, 4))
    h = x
    for i in (0, 3, 6):
        h = h @ w[f"{i}.weight"].T + w[f"{i}.bias"]
        if i < 6:
            h = np.where(h > 0, h, 0.01 * h)
    np.testing.assert_allclose(network(torch.from_numpy(x)).detach(), h, rtol=1e-10)
    dropouts = [layer.p for layer in network if isinstance(layer, nn.Dropout)]
    assert dropouts == [0.3, 0.3]


def test_single_task_mtm_is_mtm_between_two_tissues() -> None:
    config = replace(preset("acmg59", 8, 49).model, encoder_widths=(16, 8), generator_widths=(16,))
    network = SingleTaskMTM(config).eval()
    for embedding in (m for m in network.modules() if isinstance(m, nn.Embedding)):
        nn.init.normal_(embedding.weight)
    scaler = TissueScaler(np.zeros((2, 8), np.float32), np.ones((2, 8), np.float32), "log2")
    mtm = MTM(ModelConfig(**{**vars(config), "n_tissues": 2}), scaler).eval()
    mtm.encoder.load_state_dict(network.encoder.state_dict())
    mtm.generator.load_state_dict(network.generator.state_dict())
    z = torch.randn(5, 8)
    zeros = torch.zeros(5, dtype=torch.long)
    torch.testing.assert_close(network(z), mtm(z, zeros, zeros + 1))
    assert not torch.allclose(network(z), mtm(z, zeros, zeros))


def small_network(name: str) -> nn.Module:
    """A network of 8 genes, of either method."""
    if name == "mlp":
        return perceptron((8, 64, 8), 0.1)
    widths = {"encoder_widths": (32,), "n_latent": 8, "generator_widths": (32,)}
    return SingleTaskMTM(ModelConfig(8, 49, **widths, dropout=0.1))


@pytest.mark.parametrize("name", ["mlp", "single-task-mtm"])
def test_learns_a_planted_truth(data: tuple[Array, Array], name: str) -> None:
    x, y = data
    training = NetworkTraining(learning_rate=5e-3, epochs=200)
    model = fit_network(partial(small_network, name), training, x[:150], y[:150])
    rho = columnwise_correlation(model(x[150:]), y[150:])
    assert rho.mean() > 0.55
    assert not model.network.training


def test_last_training_is_on_all_donors(data: tuple[Array, Array]) -> None:
    # Of one epoch, which can be done by hand: Adam's first step is the sign of the gradient.
    first = perceptron((8, 5, 8), 0.0)
    x, y = data
    training = NetworkTraining(epochs=1, learning_rate=0.01)
    model = fit_network(lambda: copy.deepcopy(first), training, x, y)
    loss = ((first(torch.tensor(x)) - torch.tensor(y)) ** 2).mean()
    gradients = torch.autograd.grad(loss, list(first.parameters()))
    for before, gradient, after in zip(
        first.parameters(), gradients, model.network.parameters(), strict=True
    ):
        torch.testing.assert_close(
            after, before - 0.01 * gradient / (gradient.abs() + 1e-8), atol=1e-6, rtol=1e-4
        )


class Counting(nn.Linear):
    """A linear map that counts the epochs it was trained for and the donors it was trained on."""

    def __init__(self) -> None:
        super().__init__(8, 8)
        self.n_donors: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.n_donors.append(len(x))
        return super().forward(x)


def test_training_stops_when_held_out_donors_gain_no_more(data: tuple[Array, Array]) -> None:
    networks: list[Counting] = []

    def build() -> Counting:
        networks.append(Counting())
        return networks[-1]

    still = NetworkTraining(learning_rate=0.0, patience=7, held_out=0.25)
    fit_network(build, still, *data)
    assert [network.n_donors for network in networks] == [[150] * 8, [200]]

    networks.clear()
    fit_network(build, NetworkTraining(epochs=30, learning_rate=1e-2), *data)
    search, last = networks
    assert search.n_donors == [160] * 30
    assert 1 < len(last.n_donors) <= 30
    assert set(last.n_donors) == {200}


def test_same_seed_gives_the_same_network(data: tuple[Array, Array]) -> None:
    def fit(seed: int) -> Array:
        training = NetworkTraining(epochs=4, seed=seed)
        return fit_network(lambda: perceptron((8, 16, 8), 0.3), training, *data)(data[0])

    first = fit(0)
    torch.manual_seed(99)
    state = torch.get_rng_state()
    np.testing.assert_array_equal(fit(0), first)
    assert torch.equal(torch.get_rng_state(), state)  # what others draw is not disturbed
    assert not np.allclose(fit(1), first)


@pytest.mark.parametrize("name", ["mlp", "single-task-mtm"])
def test_networks_trained_in_bfloat16_predict_as_well(data: tuple[Array, Array], name: str) -> None:
    x, y = data
    rho = {}
    for precision in ("32-true", "bf16-mixed"):
        training = NetworkTraining(learning_rate=5e-3, epochs=80, precision=precision)
        model = fit_network(partial(small_network, name), training, x[:150], y[:150])
        predicted = model(x[150:])
        assert {array.dtype for array in (predicted, *model.arrays().values())} == {
            np.dtype(np.float32)
        }
        rho[precision] = columnwise_correlation(predicted, y[150:]).mean()
    assert rho["bf16-mixed"] != rho["32-true"]
    assert rho["bf16-mixed"] == pytest.approx(rho["32-true"], abs=0.03)
