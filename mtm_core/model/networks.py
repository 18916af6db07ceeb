"""Networks of MTM, built from tissue-conditioned layers.

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
    """Check sizes read from a file, before networks are built.

    Raises
    ------
    ValueError
        If there are more or wider layers than any network here has.
    """
    widths = (*config.encoder_widths, *config.generator_widths, config.n_latent)
    if len(widths) > 2 * MAX_LAYERS or not all(0 < width <= _WIDEST for width in widths):
        raise ValueError(f"networks of widths {widths[:5]} and on are beyond any of ours")


def check_weights(weights: Mapping[str, Tensor], network: nn.Module) -> None:
    """Check shapes and types of weights read from a file against ``network``.

    Raises
    ------
    ValueError
        If the shape or type of a weight differs. Missing weights are reported when they are loaded.
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
    """Tissue conditioning module (TCM): a shared linear layer and a tissue-specific affine map.

    For a sample of tissue ``t``:

        ``y = LeakyReLU(scale[t] * standardise(W x + b) + shift[t])``

    ``W`` and ``b`` are trained by all tissues, so that tissues with few donors borrow strength from
    the others; only ``scale`` and ``shift``, 2U parameters, are specific to a tissue.

    Parameters
    ----------
    n_in, n_out
        Numbers of input and output units.
    n_tissues
        Number of tissues.
    spectral
        Whether to apply spectral normalisation to ``W`` (Miyato et al. 2018). It must not be
        applied to the module as a whole, where it would normalise ``scale`` instead.
    """

    def __init__(self, n_in: int, n_out: int, n_tissues: int, *, spectral: bool = False) -> None:
        super().__init__()
        linear = nn.Linear(n_in, n_out)
        self.shared = spectral_norm(linear) if spectral else linear
        # Initially the identity, the same for every tissue.
        self.scale = tissue_embedding(torch.ones(n_tissues, n_out))
        self.shift = tissue_embedding(torch.zeros(n_tissues, n_out))

    def forward(self, x: Tensor, tissue: Tensor) -> Tensor:
        """Map ``x`` (B, n_in) to (B, n_out), given ``tissue`` (B,), int64 in [0, T)."""
        h = self.shared(x)
        # Layer, not batch, normalisation, so that a sample does not depend on its batch.
        h = F.layer_norm(h, h.shape[-1:])
        return F.leaky_relu(torch.addcmul(self.shift(tissue), self.scale(tissue), h))


def tissue_embedding(start: Tensor) -> nn.Embedding:
    """Return a trainable embedding with one row per tissue, initialised to ``start`` (T, U)."""
    table: nn.Embedding = nn.Embedding.from_pretrained(start, freeze=False)  # type: ignore[no-untyped-call]
    return table


class ConditionedStack(nn.Module):
    """Sequence of tissue conditioning modules, each followed by dropout."""

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
    """Encoder of profiles of any tissue into the latent space shared by all tissues."""

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
    """Generator of z-scored profiles of any tissue from latent codes."""

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
    """Discriminator between real and generated z-scored profiles of a tissue."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        widths = (config.n_genes, *config.discriminator_widths)
        self.body = ConditionedStack(widths, config.n_tissues, dropout=0.0, spectral=True)
        self.to_score = spectral_norm(nn.Linear(widths[-1], 1))

    def forward(self, z: Tensor, tissue: Tensor) -> Tensor:
        """Return scores (B, 1) of ``z`` (B, G) of ``tissue`` (B,), higher for real profiles."""
        score: Tensor = self.to_score(self.body(z, tissue))
        return score


class MappingNetwork(nn.Module):
    """Map from Gaussian noise to latent codes, by which the latent space is regularised."""

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
