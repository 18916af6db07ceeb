from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import fisher_exact, kstest

from mtm_core.statistics.enrichment import (
    RestrictedSets,
    _drawn,
    leading_edge,
    over_representation,
    preranked,
)

GENES = 1500


def flat(sets: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    starts = np.concatenate([[0], np.cumsum([len(s) for s in sets])])
    return starts, np.concatenate([np.sort(s) for s in sets])


@pytest.fixture(scope="module")
def world() -> tuple[np.ndarray, list[np.ndarray]]:
    rng = np.random.default_rng(3)
    scores = rng.normal(size=GENES)
    sets = [rng.choice(GENES, int(rng.integers(8, 120)), replace=False) for _ in range(60)]
    top = np.argsort(-scores)[:200]
    sets[7] = rng.choice(top, 30, replace=False)  # planted at the top
    sets[8] = rng.choice(np.argsort(scores)[:300], 40, replace=False)  # and at the bottom
    return scores, sets


def test_over_representation_is_fishers_exact_test_within_the_background(world):
    scores, sets = world
    rng = np.random.default_rng(0)
    background = rng.random(GENES) < 0.6
    selected = scores > 1  # some of them outside the background
    cut = RestrictedSets.restrict(*flat(sets), background, minimum=5, maximum=60)
    table = over_representation(selected, background, cut)
    inside = [np.intersect1d(s, np.flatnonzero(background)) for s in sets]
    expected = [i for i, s in enumerate(inside) if 5 <= len(s) <= 60]
    assert cut.sets.tolist() == expected
    assert len(expected) < len(sets)
    for row, number in zip(table.itertuples(), expected, strict=True):
        a = int(selected[inside[number]].sum())
        b = len(inside[number]) - a
        c = int((selected & background).sum()) - a
        d = int(background.sum()) - a - b - c
        odds, p = fisher_exact([[a, b], [c, d]], alternative="greater")
        assert (row.overlap, row.size) == (a, a + b)
        assert row.p == pytest.approx(p, rel=1e-9)
        assert row.odds_ratio == pytest.approx(odds)


def test_scores_are_gseapys_and_so_are_the_rest_within_chance(world):
    gseapy = pytest.importorskip("gseapy")
    scores, sets = world
    names = [f"g{i}" for i in range(GENES)]
    cut = RestrictedSets.restrict(*flat(sets), np.ones(GENES, bool), minimum=5, maximum=500)
    own = preranked(scores, np.ones(GENES, bool), cut, n_permutations=1000, seed=1)
    theirs = gseapy.prerank(
        rnk=pd.Series(scores, index=names).sort_values(ascending=False),
        gene_sets={f"s{i}": [names[g] for g in s] for i, s in enumerate(sets)},
        min_size=5,
        max_size=500,
        permutation_num=1000,
        seed=2,
        threads=1,
        no_plot=True,
        outdir=None,
    ).res2d.set_index("Term")
    theirs = theirs.loc[[f"s{i}" for i in cut.sets]]
    np.testing.assert_allclose(own["es"], theirs["ES"].astype(float), atol=1e-9)
    np.testing.assert_allclose(own["nes"], theirs["NES"].astype(float), rtol=0.12)
    np.testing.assert_allclose(own["p"], theirs["NOM p-val"].astype(float), atol=0.1)
    assert abs((own["p"].to_numpy() - theirs["NOM p-val"].astype(float)).mean()) < 0.03
    fdr = theirs["FDR q-val"].to_numpy(dtype=float)
    # Ours is a q-value: never above that of a less extreme set.
    assert (own["fdr"] <= fdr + 0.12).all()
    np.testing.assert_allclose(own["fdr"][fdr < 0.3], fdr[fdr < 0.3], atol=0.08)
    for i, lead in zip(cut.sets, theirs["Lead_genes"], strict=True):
        place = int(np.flatnonzero(cut.sets == i)[0])
        row, members = own.iloc[place], cut.members[cut.starts[place] : cut.starts[place + 1]]
        genes = leading_edge(scores, members, row["es"], int(row["n_leading"]))
        assert {names[g] for g in genes} == set(lead.split(";"))
    assert own["fdr"].nsmallest(2).index.tolist() in ([7, 8], [8, 7])
    assert own.loc[7, "nes"] > 2
    assert own.loc[8, "nes"] < -2


def test_random_sets_are_the_same_whatever_was_tested_before(world):
    """Draws are held by the number of genes: sets of other sizes, and more of them, come first."""
    scores, sets = world
    background = np.ones(GENES, bool)
    cut, small = (
        RestrictedSets.restrict(*flat(sets), background, minimum=5, maximum=most)
        for most in (500, 30)
    )
    options = {"n_permutations": 50, "seed": 4}
    first = preranked(scores, background, cut, **options)
    preranked(scores[::-1], background, small, **options)
    pd.testing.assert_frame_equal(preranked(scores, background, cut, **options), first)
    other = preranked(scores, background, cut, n_permutations=50, seed=5)
    assert (other["nes"] != first["nes"]).any()


def test_shuffled_ranks_give_uniform_p():
    rng = np.random.default_rng(11)
    background = rng.random(GENES) < 0.8
    sets = [rng.choice(GENES, int(k), replace=False) for k in rng.integers(15, 300, 150)]
    cut = RestrictedSets.restrict(*flat(sets), background, minimum=10, maximum=500)
    p, discoveries = [], 0
    for seed in range(4):
        scores = np.abs(rng.normal(size=GENES)) * rng.choice([-1, 1], GENES, p=[0.4, 0.6])
        table = preranked(scores, background, cut, n_permutations=400, seed=seed)
        p.append(table["p"].to_numpy())
        discoveries += int((table["fdr"] <= 0.05).sum())
        assert (table["p"] > 0).all()
    assert kstest(np.concatenate(p), "uniform").pvalue > 0.01
    assert discoveries <= 3


@pytest.mark.parametrize("size", [61, 64, 70])
def test_a_size_between_those_drawn_gets_the_p_of_its_own(size):
    rng = np.random.default_rng(5)
    scores = rng.normal(size=GENES)
    everywhere = np.ones(GENES, bool)
    target = rng.choice(GENES, size, replace=False, p=(w := np.exp(0.35 * scores)) / w.sum())
    others = [rng.choice(GENES, k, replace=False) for k in range(55, 75)]
    between = RestrictedSets.restrict(*flat([target, *others]), everywhere)
    alone = RestrictedSets.restrict(*flat([target]), everywhere)
    a = preranked(scores, everywhere, between, n_permutations=4000, seed=1).iloc[0]
    b = preranked(scores, everywhere, alone, n_permutations=4000, seed=2).iloc[0]
    assert a["nes"] == pytest.approx(b["nes"], rel=0.03)
    assert a["p"] == pytest.approx(b["p"], rel=0.4, abs=0.004)


def test_no_set_of_a_size_to_be_tested_gives_an_empty_table():
    cut = RestrictedSets.restrict(*flat([np.arange(3)]), np.ones(GENES, bool))
    assert preranked(np.arange(GENES, dtype=float), np.ones(GENES, bool), cut).empty
    assert over_representation(np.ones(GENES, bool), np.ones(GENES, bool), cut).empty


def test_a_ranking_without_scores_counts_every_gene_alike():
    everywhere = np.ones(GENES, bool)
    cut = RestrictedSets.restrict(*flat([np.arange(20)]), everywhere)
    row = preranked(np.zeros(GENES), everywhere, cut, n_permutations=200).iloc[0]
    assert row["es"] == 1.0  # ties keep the order of the genes


def test_a_ranking_without_scores_is_no_evidence():
    everywhere = np.ones(GENES, bool)
    cut = RestrictedSets.restrict(*flat([np.arange(20), np.arange(GENES - 20, GENES)]), everywhere)
    table = preranked(np.full(GENES, 0.5), everywhere, cut, n_permutations=200)
    assert table["p"].tolist() == table["fdr"].tolist() == [1.0, 1.0]


def test_many_permutations_are_drawn_but_not_held_in_memory():
    scores = np.random.default_rng(0).normal(size=GENES)
    cut = RestrictedSets.restrict(*flat([range(40)]), np.ones(GENES, bool))
    _drawn.cache_clear()
    preranked(scores, np.ones(GENES, bool), cut, n_permutations=200)
    assert _drawn.cache_info().currsize == 1
    preranked(scores, np.ones(GENES, bool), cut, n_permutations=5000)
    assert _drawn.cache_info().currsize == 1
