"""The networks of MTM, all built from one tissue-conditioned layer.

Shapes, here and in all of ``mtm_core.model``:
    B samples in a batch, G genes, T tissues, U units of a layer, C size of a latent code,
    Z size of the noise.

Reference: He et al. 2023, Bioinformatics 39(6):btad363, section 2.2 and Figure 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from mtm_core.config import ModelConfig
from mtm_core.model.dropout import Dropout

MAX_LAYERS = 64
_WIDEST = 2**20


def check_sizes(config: ModelConfig) -> None:
    """Check sizes that a file gives, before networks are put together.

    Raises
    ------
    ValueError
        If they are beyond any network of ours.
    """
    widths = (*config.encoder_widths, *config.generator_widths, config.n_latent)
    if len(widths) > 2 * MAX_LAYERS or not all(0 < width <= _WIDEST for width in widths):
        raise ValueError(f"networks of widths {widths[:5]} and on are beyond any of ours")


def check_weights(weights: Mapping[str, Tensor], network: nn.Module) -> None:
    """Hold weights that a file gives to the sizes of ``network``, and to single precision.

    Raises
    ------
    ValueError
        If a weight of the network is of another size or type; which ones it lacks, loading tells.
    """
    for name, own in network.state_dict().items():
        if name in weights and weights[name].shape != own.shape:
            raise ValueError(
                f"weights of another size than the config's: {name} has shape"
                f" {tuple(weights[name].shape)}, expected {tuple(own.shape)}"
            )
        if name in weights and weights[name].dtype != own.dtype:
            raise ValueError(f"{name} is of type {weights[name].dtype}, expected {own.dtype}")


class TissueConditioning(nn.Module):
    """Tissue conditioning module (TCM): a shared linear map, then an affine of the tissue's own.

    For a sample of tissue ``t``:

        ``y = LeakyReLU(scale[t] * standardise(W x + b) + shift[t])``

    All tissues train ``W`` and ``b``, so a tissue with few donors borrows from the others;
    only ``scale`` and ``shift``, 2U numbers a tissue, are its own.

    ``spectral`` bounds the spectral norm of ``W`` (Miyato et al. 2018). It is put on the linear
    weight: on the module as a whole it would land on ``scale`` and all but silence the layer.
    """

    def __init__(self, n_in: int, n_out: int, n_tissues: int, *, spectral: bool = False) -> None:
        super().__init__()
        linear = nn.Linear(n_in, n_out)
        self.shared = spectral_norm(linear) if spectral else linear
        # The identity: before training, every tissue is treated alike.
        self.scale = numbers_by_tissue(torch.ones(n_tissues, n_out))
        self.shift = numbers_by_tissue(torch.zeros(n_tissues, n_out))

    def forward(self, x: Tensor, tissue: Tensor) -> Tensor:
        """Map ``x`` (B, n_in) to (B, n_out), given ``tissue`` (B,), int64 in [0, T)."""
        h = self.shared(x)
        # Each sample over its own U units, so batch mates cannot leak into it.
        h = F.layer_norm(h, h.shape[-1:])
        return F.leaky_relu(torch.addcmul(self.shift(tissue), self.scale(tissue), h))


def numbers_by_tissue(start: Tensor) -> nn.Embedding:
    """Return a trainable row of numbers for each tissue, from ``start`` (T, U) on."""
    table: nn.Embedding = nn.Embedding.from_pretrained(start, freeze=False)  # type: ignore[no-untyped-call]
    return table


class ConditionedStack(nn.Module):
    """TCMs one after the other, dropout after each."""

    def __init__(
        self, widths: Sequence[int], n_tissues: int, *, dropout: float, spectral: bool = False
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            TissueConditioning(n_in, n_out, n_tissues, spectral=spectral)
            for n_in, n_out in pairwise(widths)
        )
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, tissue: Tensor) -> Tensor:
        """Map ``x`` (B, first width) to (B, last width), given ``tissue`` (B,)."""
        for layer in self.layers:
            x = self.dropout(layer(x, tissue))
        return x


class Encoder(nn.Module):
    """Embed a profile of any tissue in the one latent space that all tissues share."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        widths = (config.n_genes, *config.encoder_widths)
        self.n_genes = config.n_genes
        self.body = ConditionedStack(widths, config.n_tissues, dropout=config.dropout)
        self.to_code = nn.Linear(widths[-1], config.n_latent)

    def forward(self, profile: Tensor, tissue: Tensor) -> Tensor:
        """Encode ``profile`` (B, G) of ``tissue`` (B,) as latent codes (B, C).

        Raises
        ------
        ValueError
            If ``profile`` has another number of genes than the network.
        """
        if profile.shape[-1] != self.n_genes:
            raise ValueError(
                f"expected {self.n_genes} genes in the last axis, got {tuple(profile.shape)}"
            )
        code: Tensor = self.to_code(self.body(profile, tissue))
        return code


class Generator(nn.Module):
    """Decode a latent code as the z-scored profile of any tissue."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        widths = (config.n_latent, *config.generator_widths)
        self.body = ConditionedStack(widths, config.n_tissues, dropout=config.dropout)
        self.to_profile = nn.Linear(widths[-1], config.n_genes)

    def forward(self, code: Tensor, tissue: Tensor) -> Tensor:
        """Decode ``code`` (B, C) as z-scores (B, G) of ``tissue`` (B,)."""
        profile: Tensor = self.to_profile(self.body(code, tissue))
        return profile


class Discriminator(nn.Module):
    """Score how much a z-scored profile looks like a real one of its tissue."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        widths = (config.n_genes, *config.discriminator_widths)
        self.body = ConditionedStack(widths, config.n_tissues, dropout=0.0, spectral=True)
        self.to_score = spectral_norm(nn.Linear(widths[-1], 1))

    def forward(self, z: Tensor, tissue: Tensor) -> Tensor:
        """Score ``z`` (B, G) of ``tissue`` (B,) as (B, 1), higher for more real."""
        score: Tensor = self.to_score(self.body(z, tissue))
        return score


class MappingNetwork(nn.Module):
    """Map Gaussian noise into the latent space, so that all of it decodes to a profile."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise((config.n_noise, *config.mapping_widths)):
            layers += [nn.Linear(n_in, n_out), nn.LeakyReLU(), Dropout(config.dropout)]
        layers.append(nn.Linear(config.mapping_widths[-1], config.n_latent))
        self.layers = nn.Sequential(*layers)

    def forward(self, noise: Tensor) -> Tensor:
        """Map ``noise`` (B, Z), standard normal, to latent codes (B, C)."""
        code: Tensor = self.layers(noise)
        return code
