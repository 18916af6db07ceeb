"""Long work reports how far it is, and ends when asked to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mtm_core.studies.against_reference import agreement
from mtm_core.studies.cohort_comparison import compare_groups, correlate_trait
from mtm_core.studies.own_cohort import OwnCohort
from mtm_core.studies.resampled_effects import GroupEffects
from tests.studies.own_cohorts import cohort_of

TISSUES = ["Whole Blood", "Lung", "Liver"]


class Enough(Exception):
    pass


@pytest.fixture
def cohort(rng: np.random.Generator) -> OwnCohort:
    """20 samples, 3 tissues, 5 genes."""
    expression = xr.DataArray(
        rng.lognormal(size=(20, 3, 5)),
        dims=("sample", "tissue", "gene"),
        coords={
            "sample": [f"S{i}" for i in range(20)],
            "tissue": TISSUES,
            "gene": [f"E{i}" for i in range(5)],
            "origin": ("tissue", ["measured", "predicted", "predicted"]),
            "symbol": ("gene", list("ABCDE")),
        },
    )
    return cohort_of(expression)


@pytest.fixture
def groups(cohort: OwnCohort) -> pd.Series:
    return pd.Series(["case", "control"] * 10, index=cohort.samples)


Work = Callable[[Callable[[int, int], None] | None], pd.DataFrame]


@pytest.fixture(params=["groups", "trait", "agreement"])
def work(request: pytest.FixtureRequest, cohort: OwnCohort, groups: pd.Series) -> Work:
    if request.param == "groups":
        return lambda tell: compare_groups(
            cohort, groups, case="case", control="control", on_progress=tell
        )
    if request.param == "trait":
        trait = pd.Series(np.arange(20.0), index=groups.index)
        return lambda tell: correlate_trait(cohort, trait, on_progress=tell)
    points = pd.DataFrame(
        {
            "tissue": np.repeat(TISSUES, 5),
            "origin": "predicted",
            "gene_id": [f"E{i}" for i in range(5)] * 3,
            "own": np.sin(np.arange(15.0)),
            "reference": np.cos(np.arange(15.0)),
            "n_reference": 100,
        }
    )
    effects = GroupEffects(cohort, groups, "case", "control")
    return lambda tell: agreement(points, effects, on_progress=tell)


def test_each_tissue_is_reported_before_it_is_done(work: Work) -> None:
    reported: list[tuple[int, int]] = []
    table = work(lambda done, total: reported.append((done, total)))
    assert reported == [(0, 3), (1, 3), (2, 3)]
    pd.testing.assert_frame_equal(table, work(None))


def test_an_error_in_the_report_ends_the_work(work: Work) -> None:
    reported: list[int] = []

    def stop(done: int, total: int) -> None:
        reported.append(done)
        if done == 1:
            raise Enough

    with pytest.raises(Enough):
        work(stop)
    assert reported == [0, 1]
