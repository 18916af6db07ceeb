"""Distributions of a gene in the reference, cut to what their screen shows."""

from __future__ import annotations

import pandas as pd

from mtm_core.workflows.comparisons import ALL


def strata_table(distributions: pd.DataFrame) -> pd.DataFrame:
    """Order the distributions of one gene and name them: all donors, sexes, ages, then both.

    Parameters
    ----------
    distributions
        Result of :func:`mtm_core.studies.against_reference.distributions_of`.
    """
    table = distributions.reset_index()
    order = (table["age_band"] != ALL).astype(int) + 2 * (table["sex"] != ALL).astype(int)
    # All, each sex, each age, each age of each sex.
    rank = order.map({0: 0, 2: 1, 1: 2, 3: 3})
    named = table.assign(
        stratum=[stratum_name(*pair) for pair in zip(table["sex"], table["age_band"], strict=True)],
        rank=rank,
    ).sort_values(["rank", "sex", "age_band"], kind="stable")
    return named.drop(columns="rank").reset_index(drop=True)


def stratum_name(sex: str, age_band: str) -> str:
    """Name donors by sex and age band: "female, 60-69", "all donors"."""
    return ", ".join(part for part in (sex, age_band) if part != ALL) or "all donors"


def alike_strata(own: pd.DataFrame, sample: str | None) -> list[str]:
    """Name the stratum of ``sample`` in a table of positions; none where it is not known."""
    if sample is None or "donors_alike" not in own:
        return []
    return [name for name in own.loc[own["sample"] == sample, "donors_alike"] if name]
