"""Models and samples to predict; and one Dask worker, to predict them chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from mtm_core.artefact import Artefact
from mtm_core.inference.predictor import Predictor
from mtm_core.model_places import DEFAULT_MODEL, find_model

if TYPE_CHECKING:
    import anndata as ad
    from distributed import Client

_SAMPLES = Path(__file__).parents[2] / "data_samples"


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """One worker in this process: what it does is the same in another."""
    distributed = pytest.importorskip("distributed")
    with distributed.Client(
        processes=False, n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0"
    ) as client:
        yield client


@pytest.fixture(scope="module")
def model() -> Path:
    return find_model(DEFAULT_MODEL).resolve()


@pytest.fixture(scope="module")
def blood() -> pd.DataFrame:
    """40 simulated samples, float32 as a stored table has them."""
    return pd.read_csv(_SAMPLES / "blood_tpm.tsv", sep="\t", index_col="sample").astype(np.float32)


@pytest.fixture(scope="module")
def bundled() -> Predictor:
    """59 genes in panel CPM."""
    return Predictor.load(find_model(DEFAULT_MODEL))


@pytest.fixture(scope="module")
def small(small_artefact: Artefact) -> Predictor:
    """40 made-up genes in TPM."""
    return Predictor(small_artefact)


@pytest.fixture(scope="module")
def counts() -> pd.DataFrame:
    """The first eight people of the sample data: (samples, Ensembl ids), read counts."""
    table = pd.read_csv(_SAMPLES / "blood_counts.csv", index_col="gene_id").T
    return table.iloc[:8]


@pytest.fixture
def six_bloods(small_cohort: ad.AnnData) -> pd.DataFrame:
    """Six donors' blood of the small cohort: TPM."""
    rows = np.flatnonzero(small_cohort.obs["tissue"] == "Whole Blood")[:6]
    return small_cohort[rows].to_df()
