"""The TCM against its formula, the sizes of the paper, and the invariances the design promises."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from mtm_core.config import ModelConfig, preset
from mtm_core.model.mtm import count_parameters
from mtm_core.model.networks import (
    ConditionedStack,
    Discriminator,
    Encoder,
    Generator,
    MappingNetwork,
    TissueConditioning,
)

N_GENES, N_TISSUES = 19_291, 49  # of the paper


def leaky_relu(y: np.ndarray) -> np.ndarray:
    return np.where(y > 0, y, 0.01 * y)


def randomise(module: nn.Module) -> None:
    """Make every weight matter: at initialisation all tissues are alike."""
    for parameter in module.parameters():
        nn.init.normal_(parameter)


def tcm_in_numpy(w: dict[str, np.ndarray], x: np.ndarray, tissue: np.ndarray) -> np.ndarray:
    h = x @ w["shared.weight"].T + w["shared.bias"]
    z = (h - h.mean(1, keepdims=True)) / np.sqrt(h.var(1, keepdims=True) + 1e-5)
    return leaky_relu(w["scale.weight"][tissue] * z + w["shift.weight"][tissue])


def test_tcm_equals_its_formula_in_numpy(rng: np.random.Generator) -> None:
    layer = TissueConditioning(n_in=4, n_out=3, n_tissues=2).double()
    randomise(layer)
    w = {name: value.numpy() for name, value in layer.state_dict().items()}
    x, tissue = rng.normal(size=(5, 4)), np.array([0, 1, 1, 0, 1])
    actual = layer(torch.from_numpy(x), torch.from_numpy(tissue)).detach().numpy()
    np.testing.assert_allclose(actual, tcm_in_numpy(w, x, tissue), rtol=1e-10)


def test_tcm_treats_all_tissues_alike_before_training() -> None:
    layer = TissueConditioning(n_in=4, n_out=3, n_tissues=2)
    x = torch.randn(5, 4)
    first, second = (layer(x, torch.full((5,), t)) for t in (0, 1))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert count_parameters(layer) == 4 * 3 + 3 + 2 * (2 * 3)  # 2U numbers a tissue


def test_only_the_sampled_tissue_gets_gradient() -> None:
    layer = TissueConditioning(n_in=4, n_out=3, n_tissues=2)
    layer(torch.randn(5, 4), torch.zeros(5, dtype=torch.long)).sum().backward()
    for table in (layer.scale, layer.shift):
        assert table.weight.grad is not None
        assert table.weight.grad[0].abs().sum() > 0
        assert table.weight.grad[1].abs().sum() == 0
    assert isinstance(layer.shared, nn.Linear)
    assert layer.shared.weight.grad is not None
    assert layer.shared.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("name", ["encoder", "generator", "mapping"])
def test_networks_equal_their_layers_in_numpy(
    small_model: ModelConfig, rng: np.random.Generator, name: str
) -> None:
    network = {"encoder": Encoder, "generator": Generator, "mapping": MappingNetwork}[name]
    module = network(small_model).double().eval()
    randomise(module)
    w = {key: value.numpy() for key, value in module.state_dict().items()}
    tissue = np.array([0, 1, 2, 2])
    if name == "mapping":
        x = rng.normal(size=(4, 2))
        h = leaky_relu(x @ w["layers.0.weight"].T + w["layers.0.bias"])
        h = leaky_relu(h @ w["layers.3.weight"].T + w["layers.3.bias"])
        expected = h @ w["layers.6.weight"].T + w["layers.6.bias"]
        actual = module(torch.from_numpy(x))
    else:
        last = {"encoder": "to_code", "generator": "to_profile"}[name]
        x = rng.normal(size=(4, {"encoder": 8, "generator": 4}[name]))
        h = x
        for layer in range(2):
            start = f"body.layers.{layer}."
            own = {k.removeprefix(start): v for k, v in w.items() if k.startswith(start)}
            h = tcm_in_numpy(own, h, tissue)
        expected = h @ w[f"{last}.weight"].T + w[f"{last}.bias"]
        actual = module(torch.from_numpy(x), torch.from_numpy(tissue))
    np.testing.assert_allclose(actual.detach().numpy(), expected, rtol=1e-9)


def test_a_sample_does_not_depend_on_its_batch(small_model: ModelConfig) -> None:
    tissue = torch.tensor([0, 1, 2, 0, 1, 2])
    for network, n_in in ((Encoder, 8), (Generator, 4), (Discriminator, 8)):
        module = network(small_model).eval()
        randomise(module)
        x = torch.randn(6, n_in)
        others_changed = torch.cat([x[:1], 100 * torch.randn(5, n_in)])
        torch.testing.assert_close(module(x, tissue)[:1], module(x[:1], tissue[:1]))
        torch.testing.assert_close(module(x, tissue)[:1], module(others_changed, tissue)[:1])


def test_every_network_but_the_mapping_depends_on_the_tissue(small_model: ModelConfig) -> None:
    for network, n_in in ((Encoder, 8), (Generator, 4), (Discriminator, 8)):
        module = network(small_model).eval()
        randomise(module)
        x = torch.randn(1, n_in).expand(3, -1)
        output = module(x, torch.arange(3))
        assert output.std(dim=0).min() > 1e-3, network.__name__


def test_dropout_is_after_each_layer_and_off_in_evaluation() -> None:
    stack = ConditionedStack((50, 60, 70), 2, dropout=0.3)
    x, tissue = torch.randn(200, 50), torch.zeros(200, dtype=torch.long)
    after = {}
    for i, layer in enumerate(stack.layers):
        layer.register_forward_hook(lambda _, args, __, i=i: after.update({i: args[0]}))
    dropped = stack(x, tissue)
    assert (after[0] == 0).float().mean() == 0  # none before the first
    for h in (after[1], dropped):
        assert abs((h == 0).float().mean() - 0.3) < 0.02
    assert (stack.eval()(x, tissue) == 0).float().mean() == 0


def test_discriminator_and_last_layers_have_no_dropout(small_model: ModelConfig) -> None:
    discriminator = Discriminator(dataclasses.replace(small_model, dropout=0.9))
    discriminator.train()
    x, tissue = torch.randn(5, 8), torch.zeros(5, dtype=torch.long)
    for _ in range(100):  # until the power iteration has converged
        discriminator(x, tissue)
    torch.testing.assert_close(discriminator(x, tissue), discriminator(x, tissue))


def test_wrong_gene_count_is_named(small_model: ModelConfig) -> None:
    with pytest.raises(ValueError, match=r"expected 8 genes .* got \(2, 7\)"):
        Encoder(small_model)(torch.randn(2, 7), torch.zeros(2, dtype=torch.long))


def test_spectral_norm_is_on_every_linear_weight_of_the_discriminator(
    small_model: ModelConfig,
) -> None:
    discriminator = Discriminator(small_model).train()
    with torch.no_grad():
        for name, parameter in discriminator.named_parameters():
            if name.endswith("original"):
                parameter.mul_(7)
    for _ in range(100):
        discriminator(torch.randn(2, 8), torch.tensor([0, 2]))
    linears = [m for m in discriminator.modules() if isinstance(m, nn.Linear)]
    assert len(linears) == 3
    for linear in linears:
        largest = torch.linalg.svdvals(linear.weight)[0].item()
        assert largest == pytest.approx(1, abs=1e-3)
    for table in (m for m in discriminator.modules() if isinstance(m, nn.Embedding)):
        assert not nn.utils.parametrize.is_parametrized(table)


def discriminator_with_norm_on_the_embedding(config: ModelConfig) -> nn.Module:
    """Build what the design warns of: the norm lands on the scale table of each TCM."""
    discriminator = Discriminator(config)
    for (n_in, n_out), layer in zip(
        pairwise((config.n_genes, *config.discriminator_widths)),
        discriminator.body.layers,
        strict=True,
    ):
        assert isinstance(layer, TissueConditioning)
        layer.shared = nn.Linear(n_in, n_out)
        spectral_norm(layer.scale)
    return discriminator


def test_discriminator_separates_samples_at_initialisation() -> None:
    config = preset("paper", 200, N_TISSUES).model
    x, tissue = torch.randn(256, 200), torch.randint(N_TISSUES, (256,))
    with torch.no_grad():
        spread = Discriminator(config)(x, tissue).std().item()
        blind = discriminator_with_norm_on_the_embedding(config)(x, tissue).std().item()
    assert spread > 0.02
    assert blind < spread / 20


def n_linear(*widths: int) -> int:
    return sum(n_in * n_out + n_out for n_in, n_out in pairwise(widths))


def n_conditioned(*widths: int) -> int:
    return n_linear(*widths) + 2 * N_TISSUES * sum(widths[1:])


def test_the_paper_preset_has_the_paper_s_sizes() -> None:
    config = preset("paper", N_GENES, N_TISSUES).model
    with torch.device("meta"):  # sizes only: no memory, no time
        counts = [
            count_parameters(network(config))
            for network in (Encoder, Generator, Discriminator, MappingNetwork)
        ]
    assert counts == [
        n_conditioned(N_GENES, 2048, 1024, 512) + n_linear(512, 256),
        n_conditioned(256, 1024, 1024, 2048) + n_linear(2048, N_GENES),
        n_conditioned(N_GENES, 2048, 1024, 100) + n_linear(100, 1),
        n_linear(32, 64, 128, 256, 256),
    ]
    assert [round(count / 1e6, 1) for count in counts] == [42.6, 43.3, 42.0, 0.1]
    assert sum(counts) == 128_087_084
