"""The MTM model: its networks, joined by the scaler."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mtm_core.config import ExpressionScale, ModelConfig
from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.model.networks import (
    Discriminator,
    Encoder,
    Generator,
    MappingNetwork,
    tissue_embedding,
)


class MTM(nn.Module):
    """Encoder, generator, discriminator and mapping network for a set of tissues and genes.

    By default the encoder takes log2(1 + expression) while the generator returns z-scores, so
    profiles are un-standardised before they are encoded.

    Parameters
    ----------
    config
        Sizes of the networks.
    scaler
        Scaler of the z-scores.
    for_training
        Whether to include discriminator and mapping network, which prediction does not need.

    Raises
    ------
    ValueError
        If the scaler is not one of the configured numbers of tissues and genes.
    """

    mean: Tensor
    sd: Tensor

    def __init__(
        self, config: ModelConfig, scaler: TissueScaler, *, for_training: bool = True
    ) -> None:
        super().__init__()
        if scaler.mean.shape != (config.n_tissues, config.n_genes):
            raise ValueError(
                f"expected a scaler of ({config.n_tissues}, {config.n_genes}) tissues and genes,"
                f" got {scaler.mean.shape}"
            )
        self.config = config
        self.scale: ExpressionScale = scaler.scale
        self.register_buffer("mean", torch.from_numpy(scaler.mean.copy()), persistent=False)
        self.register_buffer("sd", torch.from_numpy(scaler.sd.copy()), persistent=False)
        self.encoder = Encoder(config)
        self.generator = Generator(config)
        if for_training:
            self.discriminator = Discriminator(config)
            self.mapping = MappingNetwork(config)
        if config.variance:
            # Initially 0, the log variance of an unpredicted z-score.
            self.log_variance = tissue_embedding(torch.zeros(config.n_tissues, config.n_genes))

    def encode(self, z: Tensor, tissue: Tensor) -> Tensor:
        """Encode z-scores (B, G) of ``tissue`` (B,) as latent codes (B, C)."""
        code: Tensor = self.encoder(self.to_encoder_input(z, tissue), tissue)
        return code

    def to_encoder_input(self, z: Tensor, tissue: Tensor) -> Tensor:
        """Convert z-scores (B, G) of ``tissue`` (B,) to the input of the encoder."""
        if self.config.encoder_input == "z":
            return z
        value = torch.relu(z * self.sd[tissue] + self.mean[tissue])
        return torch.log2(1 + value) if self.scale == "linear" else value

    def decode(self, code: Tensor, tissue: Tensor) -> Tensor:
        """Decode ``code`` (B, C) as z-scores (B, G) of ``tissue`` (B,)."""
        profile: Tensor = self.generator(code, tissue)
        return profile

    def error_log_variance(self, tissue: Tensor) -> Tensor | None:
        """Return the log of the error variance (B, G) of ``tissue`` (B,), if it is estimated."""
        return self.log_variance(tissue) if self.config.variance else None

    def forward(self, z: Tensor, source: Tensor, target: Tensor) -> Tensor:
        """Predict z-scores (B, G) of ``target`` (B,) from ``z`` (B, G) of ``source`` (B,)."""
        return self.decode(self.encode(z, source), target)


def count_parameters(module: nn.Module) -> int:
    """Return the number of trainable parameters of ``module``."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
