"""Samples exchanged between people: planted swaps are found, others are not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mtm_core.errors import SelectionError
from mtm_core.studies.sample_swaps import match_repeated, match_tables, swaps_in_words

P, G, N_OWN = 24, 600, 40


def two_tables(rng: np.random.Generator, own: float = 2.0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two tables of the same people, who have ``N_OWN`` genes of their own of SD ``own``."""
    people, genes = [f"P{i:02}" for i in range(P)], [f"G{i}" for i in range(G)]
    common = np.zeros((P, G))
    common[:, :N_OWN] = rng.normal(0, own, (P, N_OWN))
    batch = rng.normal(0, 3, (2, 1, G))
    a, b = common + batch + rng.normal(size=(2, P, G))
    return pd.DataFrame(a, people, genes), pd.DataFrame(b, people, genes)


def test_exchanged_samples_are_named_and_no_others(rng: np.random.Generator) -> None:
    first, second = two_tables(rng)
    right = match_tables(first, second)
    assert (right["verdict"] == "same person").all()
    assert swaps_in_words(right).endswith("None is suspected.")
    swapped = second.rename(index={"P03": "P11", "P11": "P03"})
    found = match_tables(first, swapped)
    assert list(found.index[found["verdict"] == "exchanged"]) == ["P03", "P11"]
    assert (found["verdict"] == "same person").sum() == P - 2
    assert found["nearest"]["P03"] == "P11"
    assert "P03 (most like P11)" in swaps_in_words(found)


def test_tables_without_anything_of_their_own_say_nothing(rng: np.random.Generator) -> None:
    first, second = two_tables(rng, own=0.0)
    found = match_tables(first, second)
    assert (found["verdict"] == "unclear").all()
    assert "too few to suspect any" in swaps_in_words(found)
    # A sample has no part in the choice of its genes: else a third would be nearest to their own.
    tables = [two_tables(np.random.default_rng(seed), own=0.0) for seed in range(12)]
    assert np.mean([(match_tables(*pair)["rank"] == 1).mean() for pair in tables]) < 0.1


def test_samples_without_a_gene_to_judge_by_are_not_called_right(rng: np.random.Generator) -> None:
    """Of 59 genes that are nobody's own none may be chosen: that is not the same person."""
    names = [f"P{i:02}" for i in range(P)]
    for _ in range(5):
        first, second = (pd.DataFrame(rng.normal(size=(P, 59)), names) for _ in range(2))
        between = match_tables(first, second)
        table = pd.concat([first, second]).set_axis([f"S{i}" for i in range(2 * P)])
        within = match_repeated(table, pd.Series([*first.index] * 2, table.index))
        for found in (between, within):
            assert (found["verdict"] == "unclear").all()
            assert (found["rank"] == 1).mean() < 0.3
            assert (found["own_rho"].isna() == (found["nearest"] == "")).all()
        assert "by chance 1 would be" in swaps_in_words(between)


def test_right_samples_are_rarely_suspected_where_little_is_anybodys_own() -> None:
    n_tables = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        own = rng.normal(size=(8, 2000)) * np.where(np.arange(2000) < 20, 1.5, 0)
        first, second = (
            pd.DataFrame(own + rng.normal(size=own.shape), [f"P{i}" for i in range(8)])
            for _ in range(2)
        )
        found = match_tables(first, second)
        n_tables += found["verdict"].isin(["exchanged", "more like another"]).any()
    assert n_tables <= 4


def test_repeated_samples_under_the_wrong_name_are_found(rng: np.random.Generator) -> None:
    first, second = two_tables(rng)
    third = second - second.mean() + first.mean() + rng.normal(size=second.shape)
    table = pd.concat([first, third]).set_axis([f"S{i}" for i in range(2 * P)])
    people = pd.Series([*first.index, *third.index], table.index)
    right = match_repeated(table, people)
    assert (right["verdict"] == "same person").mean() > 0.95
    assert set(right["verdict"]) <= {"same person", "unclear"}
    wrong = people.copy()
    wrong["S5"] = "P20"
    found = match_repeated(table, wrong)
    assert found["nearest"]["S5"] == "P05"
    assert found["verdict"]["S5"] == "more like another"
    shuffled = people.set_axis(rng.permutation(people.index))
    assert (match_repeated(table, shuffled)["verdict"] == "unclear").all()


def test_too_few_people_are_refused(rng: np.random.Generator) -> None:
    first, second = two_tables(rng)
    with pytest.raises(SelectionError, match="3 people and 600 genes are in both"):
        match_tables(first.iloc[:3], second)
    with pytest.raises(SelectionError, match="0 people have two samples or more"):
        match_repeated(first, pd.Series(first.index, first.index))
