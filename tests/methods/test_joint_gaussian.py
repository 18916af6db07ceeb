"""The joint Gaussian against the conditional of its own dense covariance, and on planted truth."""

from __future__ import annotations

from dataclasses import replace

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from mtm_core.data.cohort.cohort import tissue_names
from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.data.cohort.simulate import SimulationConfig, simulate_cohort
from mtm_core.data.cohort.splits import donor_folds
from mtm_core.evaluation.accuracy import accuracy
from mtm_core.evaluation.cross_validation import cross_validate
from mtm_core.methods.factors import Factors
from mtm_core.methods.gene_factors import GeneFactors
from mtm_core.methods.joint_gaussian import FittedJointGaussian, JointGaussianMethod
from mtm_core.methods.table import SavedMethod

TISSUES = ("Liver", "Lung", "Whole Blood")
N_GENES, N_FACTORS = 4, 2


@pytest.fixture
def covariances(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Loadings (T, G, K) and full noise (T, G, G) of three tissues."""
    roots = rng.normal(size=(3, N_GENES, N_GENES))
    return rng.normal(size=(3, N_GENES, N_FACTORS)), roots @ roots.transpose(0, 2, 1) + np.eye(4)


@pytest.fixture
def fitted(covariances: tuple[np.ndarray, np.ndarray]) -> FittedJointGaussian:
    loadings, noise = covariances
    factors = Factors(
        loadings,
        np.linalg.solve(noise, loadings),
        np.diagonal(noise, axis1=1, axis2=2),
        np.empty((0, N_FACTORS)),
        np.empty((0, N_FACTORS)),
    )
    unit = np.zeros((3, N_GENES), dtype=np.float32)
    return FittedJointGaussian(TissueScaler(unit, unit + 1, "log2"), TISSUES, (factors,))


@pytest.mark.parametrize("sources", [("Whole Blood",), ("Liver", "Whole Blood")])
def test_prediction_is_the_conditional_of_the_dense_gaussian(
    fitted: FittedJointGaussian,
    covariances: tuple[np.ndarray, np.ndarray],
    rng: np.random.Generator,
    sources: tuple[str, ...],
) -> None:
    loadings, noise = covariances
    stacked = loadings.reshape(3 * N_GENES, N_FACTORS)
    whole = stacked @ stacked.T
    for t in range(3):
        block = slice(t * N_GENES, (t + 1) * N_GENES)
        whole[block, block] += noise[t]
    given = np.concatenate([np.arange(N_GENES) + TISSUES.index(name) * N_GENES for name in sources])
    wanted = np.arange(N_GENES) + TISSUES.index("Lung") * N_GENES
    y = rng.normal(size=(6, len(given))).astype(np.float32)
    gain = whole[np.ix_(wanted, given)] @ np.linalg.inv(whole[np.ix_(given, given)])
    variance = whole[np.ix_(wanted, wanted)] - gain @ whole[np.ix_(given, wanted)]

    profiles = {name: y[:, i * 4 : i * 4 + 4] for i, name in enumerate(sources)}
    predicted = fitted.predict(profiles, "Lung")
    np.testing.assert_allclose(predicted.mean, y @ gain.T, rtol=1e-4, atol=1e-5)
    assert predicted.sd is not None
    np.testing.assert_allclose(predicted.sd[3], np.sqrt(np.diag(variance)), rtol=1e-4)


def test_a_donors_prediction_depends_on_no_other_row(
    fitted: FittedJointGaussian, rng: np.random.Generator
) -> None:
    z = rng.normal(size=(5, N_GENES)).astype(np.float32)
    together = fitted.predict({"Whole Blood": z}, "Liver").mean
    alone = fitted.predict({"Whole Blood": z[2:3]}, "Liver").mean
    np.testing.assert_allclose(alone[0], together[2], rtol=1e-5)


def test_several_models_add_the_spread_of_their_means(
    fitted: FittedJointGaussian, rng: np.random.Generator
) -> None:
    first = fitted.models[0]
    second = Factors(**{**vars(first), "loadings": -first.loadings, "weights": first.weights})
    z = {"Whole Blood": rng.normal(size=(3, N_GENES)).astype(np.float32)}
    parts = [
        FittedJointGaussian(fitted.scaler, TISSUES, (model,)).predict(z, "Lung")
        for model in (first, second)
    ]
    both = FittedJointGaussian(fitted.scaler, TISSUES, (first, second)).predict(z, "Lung")
    means = np.stack([part.mean for part in parts])
    np.testing.assert_allclose(both.mean, means.mean(axis=0), rtol=1e-4, atol=1e-6)
    inside = np.mean([np.asarray(part.sd) ** 2 for part in parts], axis=0)
    assert both.sd is not None
    np.testing.assert_allclose(both.sd**2, inside + means.var(axis=0), rtol=1e-4)


def test_several_tissues_inform_single_genes(
    fitted: FittedJointGaussian, rng: np.random.Generator
) -> None:
    """Against the posterior of the factors, then of each gene's own, one after the other."""
    own = GeneFactors(rng.normal(size=(3, N_GENES)) / 3, rng.uniform(0.5, 1, size=(3, N_GENES)))
    both = replace(fitted, gene_factors=(own,))
    z = {name: rng.normal(size=(5, N_GENES)).astype(np.float32) for name in ("Liver", "Lung")}
    from_one = {"Lung": z["Lung"]}
    np.testing.assert_array_equal(
        both.predict(from_one, "Liver").mean, fitted.predict(from_one, "Liver").mean
    )

    model, codes = fitted.models[0], {"Liver": 0, "Lung": 1}
    factors, _ = model.posterior(
        {codes[name]: y.astype(np.float64) for name, y in z.items()}, np.empty((5, 0))
    )
    mean, variance = own.posterior(
        {codes[name]: y - factors @ model.loadings[codes[name]].T for name, y in z.items()}
    )
    plain, predicted = fitted.predict(z, "Whole Blood"), both.predict(z, "Whole Blood")
    np.testing.assert_allclose(
        predicted.mean, plain.mean + own.loadings[2] * mean, rtol=1e-4, atol=1e-5
    )
    assert plain.sd is not None
    assert predicted.sd is not None
    np.testing.assert_allclose(
        predicted.sd**2, plain.sd**2 - own.loadings[2] ** 2 * (1 - variance), rtol=1e-4
    )


def test_a_model_saved_before_there_were_gene_factors_comes_back_without(
    fitted: FittedJointGaussian, rng: np.random.Generator
) -> None:
    settings = {k: v for k, v in fitted.settings().items() if k != "n_gene_factors"}
    again = FittedJointGaussian.restore(
        SavedMethod("joint-gaussian", fitted.arrays(), settings, fitted.scaler, TISSUES)
    )
    assert again.gene_factors == ()
    z = {name: rng.normal(size=(2, N_GENES)).astype(np.float32) for name in ("Liver", "Lung")}
    first, second = fitted.predict(z, "Whole Blood"), again.predict(z, "Whole Blood")
    np.testing.assert_allclose(first.mean, second.mean, rtol=1e-5, atol=1e-6)


def test_effects_on_single_genes_are_found_from_several_tissues(shared: ad.AnnData) -> None:
    rng = np.random.default_rng(0)
    donor = pd.Categorical(shared.obs["donor"]).codes
    cohort = shared.copy()
    effect = 0.8 * rng.normal(size=(donor.max() + 1, shared.n_vars))
    cohort.X = (np.exp2(effect[donor]) * (1 + shared.X) - 1).clip(0)
    folds, further = donor_folds(cohort.obs), list(tissue_names(cohort)[:2])

    def rho(gene_ridge: float | None) -> float:
        method = JointGaussianMethod(n_factors=(2,), ridge=20.0, gene_ridge=gene_ridge)
        tissues = accuracy(
            cross_validate(method, cohort, folds, further_sources=further, only=[0, 1])
        ).tissues
        return float(tissues["gene_rho_by_fold"].mean())

    assert rho(20.0) > rho(None) + 0.1


@pytest.fixture(scope="module")
def shared() -> ad.AnnData:
    """150 donors whose tissues share two factors, and no trait does anything."""
    return simulate_cohort(
        SimulationConfig(n_donors=150, n_factors=2, shared_variance=0.6, trait_effect=0.0)
    )


def test_em_finds_factors_that_predict_new_donors_about_as_well_as_the_truth(
    shared: ad.AnnData,
) -> None:
    folds = donor_folds(shared.obs)
    method = JointGaussianMethod(n_factors=(2,), ridge=1.0, shrinkage=20.0)
    tissues = accuracy(cross_validate(method, shared, folds)).tissues
    # Blood alone gives the factors nearly exactly (40 genes for 2 factors): 1 - 0.6 is left.
    assert (tissues["mse_ratio"] < 0.6).all()
    assert (tissues["gene_rho_by_fold"] > 0.6).all()


def test_rows_shuffled_between_donors_predict_nothing(shared: ad.AnnData) -> None:
    broken = shared.copy()
    rng = np.random.default_rng(0)
    for tissue in tissue_names(shared):
        rows = np.flatnonzero(shared.obs["tissue"] == tissue)
        broken.X[rows] = shared.X[rng.permutation(rows)]
    method = JointGaussianMethod(n_factors=(2,), n_iterations=10)
    tissues = accuracy(cross_validate(method, broken, donor_folds(shared.obs))).tissues
    assert abs(tissues["gene_rho_by_fold"].mean()) < 0.05


def test_covariates_that_matter_help_where_they_are_given() -> None:
    cohort = simulate_cohort(
        SimulationConfig(n_donors=150, n_genes=8, shared_variance=0.0, trait_effect=0.3, seed=1)
    )
    folds = donor_folds(cohort.obs)

    def rho(covariates: tuple[str, ...]) -> float:
        method = JointGaussianMethod(
            n_factors=(3,),
            ridge=5.0,
            covariates=covariates,  # type: ignore[arg-type]
        )
        return float(
            accuracy(cross_validate(method, cohort, folds)).tissues["gene_rho_by_fold"].mean()
        )

    assert rho(("age", "sex")) > rho(()) + 0.03


def test_unknown_phenotypes_fall_back_on_expression(shared: ad.AnnData) -> None:
    method = JointGaussianMethod(n_factors=(2,), n_iterations=5, covariates=("age", "sex"))
    fitted = method.fit(shared, sorted(set(shared.obs["donor"])))
    z = np.zeros((2, shared.n_vars), dtype=np.float32)
    without = fitted.predict({"Whole Blood": z}, "Liver").mean
    people = pd.DataFrame({"age": [20.0, 80.0], "sex": ["male", "female"]})
    given = fitted.predict({"Whole Blood": z}, "Liver", people).mean
    np.testing.assert_array_equal(without[0], without[1])
    assert not np.allclose(given[0], given[1])
