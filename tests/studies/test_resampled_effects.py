"""Draws against the same thing done slowly, and what an agreement by chance is worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import pearsonr

from mtm_core.statistics.differential import differential_expression
from mtm_core.statistics.resampling import resampled_counts
from mtm_core.studies.resampled_effects import (
    N_DRAWS,
    GroupEffects,
    LinearTissues,
    TraitEffects,
    chance_of_agreement,
)

N, G = 20, 30
SAMPLES = [f"s{i}" for i in range(N)]


@pytest.fixture
def expression(rng: np.random.Generator) -> xr.DataArray:
    """One tissue, one gene of it constant. Two hidden factors move all other genes."""
    hidden = rng.normal(size=(N, 2)) @ rng.normal(size=(2, G))
    values = np.exp2(5 + hidden + 0.1 * rng.normal(size=(N, G)))
    values[:, 7] = 3.0
    return xr.DataArray(
        values[:, None],
        dims=("sample", "tissue", "gene"),
        coords={"sample": SAMPLES, "tissue": ["Lung"], "gene": [f"g{i}" for i in range(G)]},
    )


@pytest.fixture
def groups() -> pd.Series:
    """Eight cases, nine controls, in the order of no table, and three samples of neither."""
    labels = pd.Series(["case"] * 8 + ["control"] * 9 + ["other", np.nan, np.nan], index=SAMPLES)
    return labels.sample(frac=1, random_state=0)


def test_group_draws_are_comparisons_of_shuffled_and_resampled_samples(
    expression: xr.DataArray, groups: pd.Series
) -> None:
    effects = GroupEffects(LinearTissues(expression), groups, "case", "control")
    shuffled, resampled = effects.draw("Lung")
    assert shuffled.shape == resampled.shape == (N_DRAWS, G)
    values = expression[:, 0].to_pandas()
    labels = groups.reindex(SAMPLES)
    labels = labels[labels.isin(["case", "control"])]
    values, is_case = values.loc[labels.index].to_numpy(), (labels == "case").to_numpy()
    counts = resampled_counts(is_case, N_DRAWS, 0).astype(int)
    rng = np.random.default_rng(0)
    genes = list(expression["gene"].to_numpy())
    for i in range(5):
        dealt = rng.permutation(is_case)
        slow = differential_expression(values[dealt], values[~dealt], genes)
        np.testing.assert_allclose(shuffled[i], slow["log2_fold_change"])
        case = np.repeat(values[is_case], counts[i][is_case], axis=0)
        control = np.repeat(values[~is_case], counts[i][~is_case], axis=0)
        slow = differential_expression(case, control, genes)
        np.testing.assert_allclose(resampled[i], slow["log2_fold_change"])


def test_trait_draws_are_correlations_of_shuffled_and_resampled_samples(
    expression: xr.DataArray, rng: np.random.Generator
) -> None:
    trait = pd.Series(rng.normal(size=N), index=SAMPLES)
    trait.iloc[2] = np.nan
    shuffled, resampled = TraitEffects(LinearTissues(expression), trait).draw("Lung")
    known = trait.notna().to_numpy()
    values = np.log2(1 + expression[:, 0].to_numpy()[known])
    numbers = trait[known].to_numpy()
    counts = resampled_counts(np.zeros(len(numbers)), N_DRAWS, 0).astype(int)
    again = np.random.default_rng(0)
    for i in range(5):
        dealt = again.permutation(numbers)
        chosen = np.repeat(np.arange(len(numbers)), counts[i])
        for gene in (0, 5, 29):
            assert shuffled[i, gene] == pytest.approx(pearsonr(values[:, gene], dealt)[0])
            assert resampled[i, gene] == pytest.approx(
                pearsonr(values[chosen, gene], numbers[chosen])[0]
            )
    assert np.isnan(shuffled[:, 7]).all()


@dataclass(frozen=True)
class Single:
    """Profiles in single precision, as predictions are."""

    profiles: LinearTissues

    @property
    def samples(self) -> pd.Index:
        return self.profiles.samples

    def genes(self, tissue: str) -> pd.Index:
        return self.profiles.genes(tissue)

    def log2(self, tissue: str) -> np.ndarray:
        return self.profiles.log2(tissue).astype(np.float32)

    def may_have(self, tissue: str) -> np.ndarray:
        return self.profiles.may_have(tissue)


def test_draws_in_single_precision_are_those_in_double(
    expression: xr.DataArray, groups: pd.Series, rng: np.random.Generator
) -> None:
    double, trait = LinearTissues(expression), pd.Series(rng.normal(size=N), index=SAMPLES)
    others = [i for i in range(G) if i != 7]
    reference = rng.normal(size=G)[others]
    for make in (
        lambda profiles: GroupEffects(profiles, groups, "case", "control"),
        lambda profiles: TraitEffects(profiles, trait),
    ):
        fast, exact = make(Single(double)).draw("Lung"), make(double).draw("Lung")
        for ours, theirs in zip(fast, exact, strict=True):
            assert ours.dtype == np.float32
            np.testing.assert_allclose(ours, theirs, atol=2e-5)
        worth = [
            chance_of_agreement((a[:, others], b[:, others]), reference, 0.3)
            for a, b in (fast, exact)
        ]
        assert worth[0] == pytest.approx(worth[1], abs=1e-5)


def test_a_shuffle_that_changes_nothing_counts_as_the_observed_agreement(
    expression: xr.DataArray, rng: np.random.Generator
) -> None:
    """Of three samples a shuffle in six is the labels as they are, whatever the rounding."""
    few = Single(LinearTissues(expression[:3, :, :6]))
    trait = pd.Series([1.0, 2.0, 4.0], index=SAMPLES[:3])
    shuffled, resampled = TraitEffects(few, trait).draw("Lung")
    again = np.random.default_rng(0)
    same = [(again.permutation(trait) == trait).all() for _ in range(N_DRAWS)]
    reference = rng.normal(size=6)
    own = [pearsonr(column, trait)[0] for column in few.log2("Lung").astype(float).T]
    observed = pearsonr(own, reference)[0]
    worth = chance_of_agreement((shuffled, resampled), reference, observed)
    others = shuffled[~np.array(same)]
    larger = sum(abs(pearsonr(one, reference)[0]) > abs(observed) for one in others)
    assert worth["p"] == pytest.approx((1 + sum(same) + larger) / (1 + N_DRAWS))


def test_covariates_are_out_of_every_draw(
    expression: xr.DataArray, rng: np.random.Generator
) -> None:
    covariate = pd.DataFrame({"batch": rng.normal(size=N)}, index=SAMPLES)
    trait = pd.Series(rng.normal(size=N), index=SAMPLES)
    without, _ = TraitEffects(LinearTissues(expression), trait, covariate).draw("Lung")
    moved, _ = TraitEffects(
        LinearTissues(expression), trait + 50 * covariate["batch"], covariate
    ).draw("Lung")
    np.testing.assert_allclose(without, moved, atol=1e-9)


def test_chance_agreement_of_correlated_genes_is_not_significant(
    expression: xr.DataArray, groups: pd.Series, rng: np.random.Generator
) -> None:
    """With two factors behind all genes, shuffled labels agree with a reference as they like."""
    effects = GroupEffects(LinearTissues(expression), groups, "case", "control")
    shuffled, resampled = effects.draw("Lung")
    others = [i for i in range(G) if i != 7]
    draws = (shuffled[:, others], resampled[:, others])
    reference = shuffled[50, others]
    worth = chance_of_agreement(draws, reference, 0.5)
    rho = [pearsonr(one, reference)[0] for one in draws[0]]
    assert worth["chance_low"] == pytest.approx(np.quantile(rho, 0.025))
    assert worth["chance_high"] == pytest.approx(np.quantile(rho, 0.975))
    assert worth["p"] == pytest.approx((1 + (np.abs(rho) >= 0.5).sum()) / (1 + N_DRAWS))
    # As if genes were independent, 0.5 over 29 of them would have p = 0.006.
    assert worth["p"] > 0.1


def test_a_true_effect_has_the_smallest_p(expression: xr.DataArray, groups: pd.Series) -> None:
    is_case = (groups.reindex(SAMPLES) == "case").to_numpy()
    change = np.random.default_rng(3).normal(0, 4, G)
    moved = expression.copy(
        data=expression.to_numpy() * np.exp2(np.outer(is_case, change))[:, None]
    )
    draws = GroupEffects(LinearTissues(moved), groups, "case", "control").draw("Lung")
    worth = chance_of_agreement(draws, change, 0.95)
    assert worth["p"] == pytest.approx(1 / (1 + N_DRAWS))
    assert worth["low"] > 0.5
    assert worth["low"] < worth["high"]


def test_samples_in_another_order_give_the_same_distribution(
    expression: xr.DataArray, groups: pd.Series
) -> None:
    first = GroupEffects(LinearTissues(expression), groups, "case", "control").draw("Lung")[0]
    second = GroupEffects(LinearTissues(expression[::-1]), groups, "case", "control").draw("Lung")[
        0
    ]
    spread = first.std(axis=0)
    varies = spread > 0
    np.testing.assert_allclose(first.mean(axis=0), 0, atol=4 * spread.max() / np.sqrt(N_DRAWS))
    np.testing.assert_allclose(second.std(axis=0)[varies] / spread[varies], 1, atol=0.25)
