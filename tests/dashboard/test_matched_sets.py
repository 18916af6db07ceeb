"""Bundled gene sets are matched once for all sessions; a user's own are held nowhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mtm_core.dashboard.state import matched_sets as module
from mtm_core.dashboard.state.matched_sets import matched_sets
from mtm_core.data.gene_sets.gmt import bundled_sets
from mtm_core.studies.result_table import ResultTable

SETS = bundled_sets("go_cellular_component")


def result(genes: list[str]) -> ResultTable:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"gene_id": genes, "gene": genes, "rho": 0.1, "fdr": 0.5})
    return ResultTable.read(table.assign(p=rng.uniform(size=len(genes))))


@pytest.fixture(autouse=True)
def nothing_matched() -> None:
    module._matched.clear()


def test_the_same_genes_are_matched_once_and_others_anew() -> None:
    genes = SETS.genes[:4000]
    first = matched_sets(SETS, result(genes))
    assert matched_sets(SETS, result(genes)) is first
    expected = SETS.match(result(genes).index)
    np.testing.assert_array_equal(first.members, expected.members)
    np.testing.assert_array_equal(first.starts, expected.starts)
    turned = matched_sets(SETS, result(genes[::-1]))
    np.testing.assert_array_equal(turned.members, SETS.match(result(genes[::-1]).index).members)
    assert len(module._matched) == 2


def test_a_users_own_sets_are_not_held() -> None:
    own = replace(SETS)  # the same name and content, from a file
    assert matched_sets(own, result(SETS.genes[:4000])).of is own
    assert not module._matched
