"""What the laboratory gives to blood and tissue alike scores until it is taken out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mtm_core.errors import CohortError
from mtm_core.evaluation.technical import (
    DONOR_OUT,
    LABORATORY_OUT,
    accuracy_without_laboratory,
)

Predict = Callable[[float], xr.Dataset]
DIMS = ("pair", "gene")


@pytest.fixture
def samples(observed: xr.Dataset) -> pd.DataFrame:
    """Every sample of the pairs, and each donor's blood."""
    pairs = pd.DataFrame({name: observed[name].to_numpy() for name in ("donor", "tissue")})
    blood = pd.DataFrame({"donor": pairs["donor"].unique(), "tissue": "Whole Blood"})
    both = pd.concat([pairs, blood], ignore_index=True)
    both.index = pd.Index(both["donor"] + "-" + both["tissue"], name="sample")
    return both


@pytest.fixture
def technical(samples: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    n = len(samples)
    return pd.DataFrame(
        {
            "rin": rng.normal(7, 1, size=n),
            "centre": rng.choice(["B1", "C1"], size=n),
            "mapped_reads": rng.integers(5_000_000, 90_000_000, size=n).astype(float),
        },
        index=samples.index,
    )


def test_a_technical_signal_is_removed(
    observed: xr.Dataset, samples: pd.DataFrame, technical: pd.DataFrame, phenotypes: pd.DataFrame
) -> None:
    rin = technical["rin"].to_numpy()[: observed.sizes["pair"]]  # of the targets, in their order
    shared = np.repeat(rin[:, None], observed.sizes["gene"], axis=1).astype(np.float32)
    read_off = observed.assign(
        predicted=(DIMS, shared), observed=(DIMS, observed["observed"].to_numpy() + shared)
    ).assign_attrs(source="Whole Blood")
    table = accuracy_without_laboratory(read_off, phenotypes, samples, technical)
    figure = table["gene_adjusted_rho_pooled_mean"]
    assert figure[DONOR_OUT] > 0.4
    assert abs(figure[LABORATORY_OUT]) < 1e-6
    assert table["n_samples"].tolist() == [observed.sizes["pair"]] * 2


def test_a_signal_that_is_not_technical_remains(
    predict: Predict, samples: pd.DataFrame, technical: pd.DataFrame, phenotypes: pd.DataFrame
) -> None:
    known = predict(1.0).assign_attrs(source="Whole Blood")
    figure = accuracy_without_laboratory(known, phenotypes, samples, technical)[
        "gene_adjusted_rho_pooled_mean"
    ]
    assert figure[LABORATORY_OUT] == pytest.approx(figure[DONOR_OUT], abs=0.05)
    assert figure[LABORATORY_OUT] > 0.5


def test_only_pairs_of_two_known_samples_count(
    predict: Predict, samples: pd.DataFrame, technical: pd.DataFrame, phenotypes: pd.DataFrame
) -> None:
    known = predict(1.0).assign_attrs(source="Whole Blood")
    no_lung = technical.drop(samples.index[samples["tissue"] == "Lung"])
    table = accuracy_without_laboratory(known, phenotypes, samples, no_lung)
    assert table["n_tissues"].tolist() == [2, 2]
    no_blood = technical.drop(samples.index[samples["tissue"] == "Whole Blood"])
    with pytest.raises(CohortError, match="known of no tissue's samples"):
        accuracy_without_laboratory(known, phenotypes, samples, no_blood)
