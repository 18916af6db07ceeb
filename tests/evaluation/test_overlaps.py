"""Shared pGenes against Python's sets."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest

from mtm_core.evaluation.overlaps import predictable_by_tissue, set_sizes, shared_sets

METHODS = ["c", "a", "b"]


@pytest.fixture
def genes(rng: np.random.Generator) -> pd.DataFrame:
    rows = pd.DataFrame(
        list(product(["a", "b", "c", "d"], ["Liver", "Lung"], [f"G{i}" for i in range(40)])),
        columns=["method", "tissue", "gene_id"],
    )
    rows["rho_pooled"] = rng.uniform(0.0, 0.7, len(rows))
    rows["is_predictable"] = rows["rho_pooled"] > 0.3
    # One method has nothing in Lung, and not even a row for some of its genes there.
    rows.loc[(rows["method"] == "b") & (rows["tissue"] == "Lung"), "is_predictable"] = False
    lost = (rows["method"] == "b") & (rows["tissue"] == "Lung") & (rows["gene_id"] < "G2")
    return rows[~lost].sample(frac=1, random_state=1)


@pytest.mark.parametrize("tissue", [None, "Liver", "Lung"])
def test_every_gene_is_in_the_one_set_of_its_methods(
    genes: pd.DataFrame, tissue: str | None
) -> None:
    members: dict[str, set[tuple[str, str]]] = {
        name: {
            (row["tissue"], row["gene_id"])
            for row in genes.to_dict("records")
            if row["method"] == name and row["is_predictable"] and tissue in (None, row["tissue"])
        }
        for name in METHODS
    }
    sets = shared_sets(genes, METHODS, tissue)
    assert sets.columns.tolist() == [*METHODS, "n"]
    assert sets["n"].is_monotonic_decreasing
    counted = {tuple(row[:3]): row[3] for row in sets.itertuples(index=False)}
    for combination in product([True, False], repeat=3):
        inside = [members[m] for m, is_in in zip(METHODS, combination, strict=True) if is_in]
        outside = [members[m] for m, is_in in zip(METHODS, combination, strict=True) if not is_in]
        own = set.intersection(*inside) - set().union(*outside) if inside else set()
        assert counted.get(combination, 0) == len(own)
    assert set_sizes(sets).to_dict() == {name: len(members[name]) for name in METHODS}


def test_an_evaluation_of_before_is_counted_by_the_paper_s_rule(genes: pd.DataFrame) -> None:
    liver = genes[genes["tissue"] == "Liver"]
    old = shared_sets(liver.drop(columns="is_predictable"), METHODS)
    pd.testing.assert_frame_equal(old, shared_sets(liver, METHODS))


def test_without_a_predictable_gene_there_is_no_set(genes: pd.DataFrame) -> None:
    sets = shared_sets(genes.assign(is_predictable=False), METHODS)
    assert sets.columns.tolist() == [*METHODS, "n"]
    assert sets.empty
    assert set_sizes(sets).to_dict() == dict.fromkeys(METHODS, 0)


def test_a_method_that_a_tissue_lacks_has_no_gene_there(genes: pd.DataFrame) -> None:
    without = genes[(genes["method"] != "b") | (genes["tissue"] != "Lung")]
    pd.testing.assert_frame_equal(
        shared_sets(without, METHODS, "Lung"), shared_sets(genes, METHODS, "Lung")
    )


def test_numbers_of_two_methods_stand_side_by_side() -> None:
    tissues = pd.DataFrame(
        {
            "method": ["a", "a", "a", "b", "b"],
            "tissue": ["Lung", "Liver", "Spleen", "Liver", "Lung"],
            "n": [90, 300, 120, 300, 90],
            "n_predictable": [4, 0, 7, 6, 0],
        }
    )
    table = predictable_by_tissue(tissues, "a", "b")
    expected = pd.DataFrame(
        {
            "n": [90, 300],
            "n_predictable": [4, 0],
            "n_predictable_other": [0, 6],
            "fold_change": [np.nan, 0.0],
        },
        index=pd.Index(["Lung", "Liver"], name="tissue"),
    )
    pd.testing.assert_frame_equal(table, expected, check_dtype=False)
    back = predictable_by_tissue(tissues, "b", "a")
    assert back.loc["Lung", "fold_change"] == 0
    assert np.isnan(back.loc["Liver", "fold_change"])
