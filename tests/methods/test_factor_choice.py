"""Settings chosen by inner folds: near the best there are, by donors that chose nothing."""

from __future__ import annotations

from dataclasses import replace

import anndata as ad
import numpy as np
import pytest

from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.data.cohort.simulate import SimulationConfig, simulate_cohort
from mtm_core.methods.factor_choice import Grid, choose_settings
from mtm_core.methods.factor_fit import collect_factors, fit_blocks
from mtm_core.methods.factors import FactorSettings, TrainingDonors
from mtm_core.methods.joint_gaussian import MIN_DONORS_TO_CHOOSE, JointGaussianMethod

GRID = Grid(
    ridge=(1.0, 10.0, 100.0), shrinkage=(1.0, 30.0, 1000.0, 30_000.0), sizes=((1,), (2, 4), (9,))
)


def planted(n_genes: int, n_donors: int, seed: int) -> TrainingDonors:
    """Four tissues with four factors in common and, in each, as strong a structure of its own."""
    rng = np.random.default_rng(seed)
    truth = np.random.default_rng(9)
    factors = rng.normal(size=(n_donors, 4))
    samples = []
    for _ in range(4):
        common, own = truth.normal(size=(2, 4, n_genes))
        y = factors @ common * 0.25 + rng.normal(size=(n_donors, 4)) @ own * 0.3
        y += rng.normal(size=y.shape) * 0.8
        samples.append((np.arange(n_donors), y.astype(np.float32)))
    unit = np.zeros((4, n_genes), dtype=np.float32)
    return TrainingDonors(
        TissueScaler(unit, unit + 1, "log2"),
        ("Liver", "Lung", "Muscle", "Whole Blood"),
        tuple(samples),
        np.empty((n_donors, 0)),
    )


def rho_of_new_donors(data: TrainingDonors, new: TrainingDonors, settings: FactorSettings) -> float:
    """Return gene-wise rho, by numpy's own, of donors who took no part in anything."""
    predicted = np.zeros_like(new.samples[0][1], dtype=np.float64)
    given = {3: np.asarray(new.samples[3][1], dtype=np.float64)}
    for k in settings.n_factors:
        model = collect_factors(
            fit_blocks(
                data, k, n_iterations=20, ridge=settings.ridge, shrinkage=settings.shrinkage, seed=0
            )
        )
        predicted += model.posterior(given, np.empty((len(predicted), 0)))[0] @ model.loadings[0].T
    observed = new.samples[0][1]
    genes = range(0, data.n_genes, max(1, data.n_genes // 400))
    return float(np.mean([np.corrcoef(predicted[:, g], observed[:, g])[0, 1] for g in genes]))


@pytest.mark.parametrize("n_genes", [59, 2000])
def test_choice_is_near_the_best_of_the_grid_on_new_donors(n_genes: int) -> None:
    data, new = planted(n_genes, 160, seed=0), planted(n_genes, 200, seed=1)
    begin = FactorSettings((9,), 1.0, 30_000.0)
    choice = choose_settings(data, 3, begin, grid=GRID)
    scores = {
        settings: rho_of_new_donors(data, new, settings)
        for settings in {
            begin,
            choice.settings,
            *(replace(choice.settings, shrinkage=value) for value in GRID.shrinkage),
            *(replace(choice.settings, ridge=value) for value in GRID.ridge),
            *(replace(choice.settings, n_factors=value) for value in GRID.sizes),
        }
    }
    assert scores[choice.settings] > max(scores.values()) - 0.02
    assert scores[choice.settings] > scores[begin] + 0.03


def test_present_settings_hold_where_nothing_is_there_to_be_found() -> None:
    rng = np.random.default_rng(0)
    data = planted(60, 160, seed=0)
    noise = tuple((donor, rng.normal(size=y.shape).astype(np.float32)) for donor, y in data.samples)
    begin = FactorSettings((2, 4), 10.0, 30.0)
    choice = choose_settings(replace(data, samples=noise), 3, begin, grid=GRID)
    assert abs(choice.scores[choice.settings]) < 0.05


def test_few_donors_keep_the_settings(cohort: ad.AnnData, donors: list[str]) -> None:
    method = JointGaussianMethod(n_factors=(2,), n_iterations=3, choose_from="Whole Blood")
    few = donors[: MIN_DONORS_TO_CHOOSE - 1]
    assert method.fit(cohort, few).fitted_with == FactorSettings((2,), 300.0, 100.0)


def test_choice_reads_the_training_donors_alone() -> None:
    cohort = simulate_cohort(SimulationConfig(n_donors=240, n_genes=15, presence=(1.0, 0.9)))
    everyone = sorted(set(cohort.obs["donor"]))
    method = JointGaussianMethod(n_factors=(2, 4), choose_from="Whole Blood", grid=GRID)
    broken = cohort.copy()
    broken.X[~cohort.obs["donor"].isin(everyone[:180]).to_numpy()] = 1e6
    chosen = [method.choose(method.training(c, everyone[:180])) for c in (cohort, broken)]
    settings = [choice.settings for choice in chosen if choice is not None]
    assert settings[0] == settings[1] != FactorSettings((2, 4), 300.0, 100.0)
