"""Fixtures for all tests: seeds, one small simulated cohort, and the real one where it is there."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
import torch

from mtm_core.artefact import Artefact
from mtm_core.config import LossConfig, ModelConfig, RunConfig, TrainingConfig
from mtm_core.data.cohort.cohort import build_cohort
from mtm_core.data.cohort.simulate import SimulationConfig, simulate_cohort
from mtm_core.data.gtex.annotations import (
    read_gene_table,
    read_sample_attributes,
    read_subject_phenotypes,
)
from mtm_core.data.gtex.gct import read_gct
from mtm_core.methods.mtm_training import MTMMethod
from mtm_core.training.hardware import Hardware

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="session")
def no_models_installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Whatever the user who runs the tests has installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MTM_MODELS", str(tmp_path_factory.getbasetemp() / "no-models"))
        yield


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def small_cohort() -> ad.AnnData:
    """60 simulated donors, 5 tissues, 40 genes. Shared by all tests: copy it before changing it."""
    return simulate_cohort(SimulationConfig())


@pytest.fixture(scope="session")
def small_artefact(small_cohort: ad.AnnData) -> Artefact:
    """A small MTM after five epochs on ``small_cohort``: in TPM, 5 tissues, 40 genes."""
    config = RunConfig(
        ModelConfig(
            n_genes=40,
            n_tissues=5,
            encoder_widths=(32, 16),
            n_latent=8,
            generator_widths=(16, 32),
            discriminator_widths=(8, 4),
            n_noise=3,
            mapping_widths=(5,),
            dropout=0.0,
            encoder_input="z",
        ),
        loss=LossConfig(cycle=0, latent=0, adversarial=0, distance="mse"),
        training=TrainingConfig(
            epochs=5, batch_size=32, learning_rate=5e-3, validation_fraction=0.0
        ),
    )
    donors = sorted(set(small_cohort.obs["donor"]))
    fitted = MTMMethod(config, hardware=Hardware("cpu")).fit(small_cohort, donors)
    return Artefact.of(
        fitted,
        small_cohort,
        name="small",
        provenance={"command": "mtm train small.h5ad", "epochs": 5, "best_epoch": 5},
    )


@pytest.fixture(scope="session")
def reference_data() -> Path:
    """The folder of real data; tests that use it carry the marker ``reference``."""
    folder = Path(os.environ.get("MTM_REFERENCE_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "gtex_v8_acmg59").is_dir():
        pytest.skip(f"no real GTEx data at {folder}; set MTM_REFERENCE_DATA to its folder")
    return folder


@pytest.fixture(scope="session")
def reference_cohort(reference_data: Path) -> ad.AnnData:
    """The real cohort, panel CPM of 59 genes. Shared by all tests: copy it before changing it."""
    gtex = reference_data / "gtex_v8_acmg59"
    (expression,) = gtex.glob("*.gct.gz")
    return build_cohort(
        read_gct(expression),
        read_sample_attributes(gtex / "SampleAttributes_minimal.txt"),
        read_subject_phenotypes(gtex / "GTEx_Analysis_v8_Annotations_SubjectPhenotypesDS.txt"),
        gene_table=read_gene_table(reference_data / "gencode_v26" / "gene_types.tsv.gz"),
        normalisation="panel-cpm",
    )


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 kB, where this user may mount one."""
    place = tmp_path / "full"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)]
    try:
        done = subprocess.run(command, check=False, capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no command 'mount'")
    if done.returncode:
        pytest.skip("no disk can be mounted by this user")
    yield place
    subprocess.run(["umount", str(place)], check=True)
