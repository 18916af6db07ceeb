"""One Dask worker, and a model and samples to predict chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from mtm_core.model_places import DEFAULT_MODEL, find_model

if TYPE_CHECKING:
    from distributed import Client


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
    path = Path(__file__).parents[2] / "data_samples" / "blood_tpm.tsv"
    return pd.read_csv(path, sep="\t", index_col="sample").astype(np.float32)
