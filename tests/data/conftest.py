from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.data.user_tables import SAMPLES, SYMBOLS


@pytest.fixture
def values(rng: np.random.Generator) -> pd.DataFrame:
    """Four samples of six genes and of two that the model does not have, as counts."""
    counts = rng.poisson(300, size=(4, 8)).astype(float)
    return pd.DataFrame(counts, index=SAMPLES, columns=[*SYMBOLS, "ACTB", "GAPDH"])
