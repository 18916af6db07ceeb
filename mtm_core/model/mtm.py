"""The model: four networks, and the scaler's numbers that lie between them."""

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
    numbers_by_tissue,
)


class MTM(nn.Module):
    """Encoder, generator, discriminator and mapping network over one set of tissues and genes.

    The encoder reads log2(1 + expression) and the generator writes z-scores, so a profile is
    un-standardised on its way into the encoder, with the ``scaler`` that made it.

    Prediction needs encoder and generator alone: without ``for_training`` there are no others.
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
            # At first 0, as of a z-score that nothing predicts.
            self.log_variance = numbers_by_tissue(torch.zeros(config.n_tissues, config.n_genes))

    def encode(self, z: Tensor, tissue: Tensor) -> Tensor:
        """Encode z-scores (B, G) of ``tissue`` (B,) as latent codes (B, C)."""
        code: Tensor = self.encoder(self.to_encoder_input(z, tissue), tissue)
        return code

    def to_encoder_input(self, z: Tensor, tissue: Tensor) -> Tensor:
        """Return what the encoder reads of z-scores (B, G) of ``tissue`` (B,)."""
        if self.config.encoder_input == "z":
            return z
        value = torch.relu(z * self.sd[tissue] + self.mean[tissue])
        return torch.log2(1 + value) if self.scale == "linear" else value

    def decode(self, code: Tensor, tissue: Tensor) -> Tensor:
        """Decode ``code`` (B, C) as z-scores (B, G) of ``tissue`` (B,)."""
        profile: Tensor = self.generator(code, tissue)
        return profile

    def error_log_variance(self, tissue: Tensor) -> Tensor | None:
        """Return ln of the error variance (B, G) of ``tissue`` (B,), where one is learnt."""
        return self.log_variance(tissue) if self.config.variance else None

    def forward(self, z: Tensor, source: Tensor, target: Tensor) -> Tensor:
        """Predict z-scores (B, G) of ``target`` (B,) from ``z`` (B, G) of ``source`` (B,)."""
        return self.decode(self.encode(z, source), target)


def count_parameters(module: nn.Module) -> int:
    """Count the trainable numbers of ``module``."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
