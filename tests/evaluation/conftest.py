"""Out-of-fold predictions of made-up methods on the same donors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import xarray as xr

N_DONORS, N_GENES = 90, 8
SHARE = {"Liver": 1.0, "Lung": 0.8, "Spleen": 0.4}  # of the donors that have the tissue


@pytest.fixture
def phenotypes(rng: np.random.Generator) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "sex": rng.choice(["male", "female"], size=N_DONORS),
            "age": rng.choice([35.5, 44.5, 54.5, 64.5], size=N_DONORS),
            "hardy": rng.choice([0.0, 1.0, 2.0, np.nan], size=N_DONORS, p=[0.5, 0.1, 0.35, 0.05]),
        },
        index=pd.Index([f"D{i:02d}" for i in range(N_DONORS)], name="donor"),
    )


@pytest.fixture
def observed(rng: np.random.Generator, phenotypes: pd.DataFrame) -> xr.Dataset:
    """What was measured; ``predicted`` is still 0. Pairs are in random order."""
    parts = [
        pd.DataFrame({"donor": i, "tissue": name}, index=[0])
        for name, share in SHARE.items()
        for i in rng.permutation(N_DONORS)[: round(share * N_DONORS)]
    ]
    pairs = pd.concat(parts).sample(frac=1, random_state=0)
    values = rng.normal(size=(len(pairs), N_GENES)).astype(np.float32)
    return xr.Dataset(
        {
            "predicted": (("pair", "gene"), np.zeros_like(values)),
            "observed": (("pair", "gene"), values),
        },
        coords={
            "donor": ("pair", phenotypes.index.to_numpy()[pairs["donor"]].astype(str)),
            "tissue": ("pair", pairs["tissue"].to_numpy().astype(str)),
            "fold": ("pair", pairs["donor"].to_numpy() % 3),
            "gene": [f"G{g}" for g in range(N_GENES)],
        },
    )


@pytest.fixture
def predict(rng: np.random.Generator, observed: xr.Dataset) -> Callable[[float], xr.Dataset]:
    """Return the predictions of a method as good as its signal: 0 knows nothing."""

    def method(signal: float) -> xr.Dataset:
        truth = observed["observed"].to_numpy()
        predicted = signal * truth + rng.normal(size=truth.shape)
        return observed.assign(predicted=(("pair", "gene"), predicted.astype(np.float32)))

    return method
