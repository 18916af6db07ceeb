from __future__ import annotations

import pytest

from mtm_core.config import ModelConfig


@pytest.fixture
def small_model() -> ModelConfig:
    """8 genes, 3 tissues; every width another number, so that none can stand for another."""
    return ModelConfig(
        n_genes=8,
        n_tissues=3,
        encoder_widths=(7, 6),
        n_latent=4,
        generator_widths=(5, 9),
        discriminator_widths=(10, 11),
        n_noise=2,
        mapping_widths=(12, 13),
    )
