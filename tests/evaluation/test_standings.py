"""A comparison turned round against the comparison made the other way round."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest
import xarray as xr

from mtm_core.evaluation.accuracy import Accuracy, accuracy
from mtm_core.evaluation.bootstrap import ResampledRho, resample_donors
from mtm_core.evaluation.comparison import compare_methods
from mtm_core.evaluation.standings import standings, standings_by_tissue, strata_of_methods

Scored = tuple[dict[str, Accuracy], dict[str, ResampledRho]]


@pytest.fixture
def scored(predict: Callable[[float], xr.Dataset]) -> Scored:
    parts = {name: predict(signal) for name, signal in (("x", 0.2), ("y", 0.7), ("z", 0.4))}
    return (
        {name: accuracy(part) for name, part in parts.items()},
        {name: resample_donors(part, n_resamples=50) for name, part in parts.items()},
    )


@pytest.mark.parametrize("method", ["x", "y", "z"])
def test_a_method_against_all_others(scored: Scored, method: str) -> None:
    accuracies, resampled = scored
    others = [name for name in accuracies if name != method]
    pairs, tissues = compare_methods(accuracies, resampled)
    seen, by_tissue = standings(pairs, method), standings_by_tissue(tissues, method)
    assert seen.index.tolist() == others
    assert not seen.isna().to_numpy().all(axis=0).any()
    # The method run first: every pair of it is as it is to be seen.
    expected, expected_tissues = compare_methods(
        {name: accuracies[name] for name in (method, *others)}, resampled
    )
    own = expected[expected["method"] == method].set_index("other")
    pd.testing.assert_frame_equal(seen, own[seen.columns])
    assert {"method", "fold_change_vs_n"} == set(own).difference(seen) - {
        "fold_change_p",
        "n_fold_change",
    }
    own = expected_tissues[expected_tissues["method"] == method]
    pd.testing.assert_frame_equal(
        by_tissue.set_index(["other", "tissue"]),
        own.set_index(["other", "tissue"])[by_tissue.columns.drop(["other", "tissue"])],
    )


def test_a_comparison_without_bootstrap_is_turned_too(scored: Scored) -> None:
    accuracies, _ = scored
    pairs, _ = compare_methods(accuracies)
    seen = standings(pairs, "z")
    assert "difference_low" not in seen
    assert (
        seen.loc["x", "difference"]
        == -pairs.set_index(["method", "other"]).loc[("x", "z"), "difference"]
    )


def test_without_comparisons_the_table_is_empty() -> None:
    assert standings(pd.DataFrame(), "x").empty
    assert standings_by_tissue(pd.DataFrame(), "x").empty


def test_groups_of_donors_keep_their_order() -> None:
    strata = pd.DataFrame(
        {
            "method": ["z", "z", "a", "a"],
            "stratum": ["ventilator", "other deaths"] * 2,
            "rho": [0.4, 0.3, 0.2, 0.1],
        }
    )
    table = strata_of_methods(strata, "rho")
    assert table.index.tolist() == ["z", "a"]
    assert table.columns.tolist() == ["ventilator", "other deaths"]
    assert table.to_numpy().tolist() == [[0.4, 0.3], [0.2, 0.1]]
