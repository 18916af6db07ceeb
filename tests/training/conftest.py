from __future__ import annotations

from collections.abc import Iterator

import anndata as ad
import pytest
import torch

from mtm_core.config import LossConfig, ModelConfig, RunConfig, TrainingConfig
from mtm_core.data.cohort.simulate import SimulationConfig, simulate_cohort


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Sums over threads may round otherwise in a process that has another number of them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def factor_cohort() -> ad.AnnData:
    """90 donors, 4 tissues, 12 genes, nearly all variance shared by a donor's tissues."""
    return simulate_cohort(
        SimulationConfig(
            n_donors=90,
            n_tissues=4,
            n_genes=12,
            n_factors=2,
            shared_variance=0.9,
            common_loading=0.8,
            trait_effect=0.0,
        )
    )


@pytest.fixture(scope="session")
def factor_model() -> ModelConfig:
    """Small networks for ``factor_cohort``."""
    return ModelConfig(
        n_genes=12,
        n_tissues=4,
        encoder_widths=(32, 16),
        n_latent=8,
        generator_widths=(16, 32),
        discriminator_widths=(16, 8),
        n_noise=4,
        mapping_widths=(8,),
        dropout=0.1,
    )


@pytest.fixture(scope="session")
def donors(factor_cohort: ad.AnnData) -> list[str]:
    return sorted(set(factor_cohort.obs["donor"]))


@pytest.fixture(scope="session")
def everything(factor_model: ModelConfig) -> RunConfig:
    """All that a checkpoint has to bring back: six losses, two optimisers, EMA, rate decay."""
    return RunConfig(
        factor_model,
        loss=LossConfig(adversarial_warmup=2),
        training=TrainingConfig(
            epochs=6,
            batch_size=64,
            learning_rate=5e-3,
            learning_rate_decay=True,
            ema_decay=0.9,
            validation_fraction=0.2,
            pair_weighting="donors",
            tissue_draw="pairs",
        ),
    )
