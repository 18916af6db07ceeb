"""What predictions keep of traits: planted effects beyond chance, shuffled ones not."""

from __future__ import annotations

from dataclasses import replace

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr

from mtm_core.studies.donor_traits import Trait, choose_traits, covariates_of, known_traits
from mtm_core.studies.out_of_fold import TissuePredictions
from mtm_core.studies.traits import TraitStudy, shuffled_agreement, study_traits

Predictions = dict[str, TissuePredictions]


@pytest.fixture(scope="module")
def study(predictions: Predictions, diseased_cohort: ad.AnnData) -> TraitStudy:
    donors = diseased_cohort.uns["donors"]
    traits = choose_traits(known_traits(donors), ["age", "ventilator", "MHT2D"])
    return study_traits(predictions, donors, traits, n_shuffles=99)


def test_figures_equal_those_gene_by_gene(
    study: TraitStudy, predictions: Predictions, diseased_cohort: ad.AnnData
) -> None:
    part = predictions["Lung"]
    age = diseased_cohort.uns["donors"]["age"]
    lists: tuple[list[float], list[float]] = ([], [])
    for g in range(len(part.genes)):
        rows = [i for i in range(len(part.donors)) if part.chosen[part.fold[i], g]]
        if rows:
            trait = age[part.donors[rows]].to_numpy()
            for side, values in zip(lists, (part.predicted, part.observed), strict=True):
                side.append(pearsonr(values[rows, g].astype(float), trait).statistic)
    row = study.tissues.query("trait == 'age' and adjusted_for == '' and tissue == 'Lung'").iloc[0]
    expected = pearsonr(*lists)
    assert row["n_genes"] == len(lists[0])
    assert row["rho"] == pytest.approx(expected.statistic, abs=1e-9)
    assert row["p"] == pytest.approx(expected.pvalue, rel=1e-6)
    genes = study.genes.query("trait == 'age' and adjusted_for == '' and tissue == 'Lung'")
    np.testing.assert_allclose(sorted(genes["rho_predicted"]), sorted(lists[0]), atol=1e-9)


def test_planted_traits_are_preserved_beyond_what_donors_share(study: TraitStudy) -> None:
    summary = study.summary()
    for key in (("ventilator", ""), ("ventilator", "age+sex")):
        assert summary.loc[key, "median_rho"] > 0.7
        assert summary.loc[key, "median_rho"] > summary.loc[key, "median_shuffled"] + 0.2
    diseased = study.tissues.query("trait == 'MHT2D' and tissue == 'Liver'")
    assert diseased["adjusted_for"].tolist() == ["", "age+sex", "age+sex+hardy"]
    assert (diseased["rho"] > 0.9).all()
    assert (diseased["shuffle_p"] <= 0.05).all()
    assert diseased["is_preserved"].all()


def test_a_shuffled_trait_is_preserved_no_more_than_by_chance(
    predictions: Predictions, shuffled_donors: pd.DataFrame
) -> None:
    found = study_traits(
        predictions, shuffled_donors, known_traits(shuffled_donors), n_shuffles=99
    ).tissues
    tested = found[found["outcome"] == "tested"]
    assert len(tested) > 25
    # Both lists are of the same donors: the figure is not 0, and what is said of it is that.
    assert tested["shuffled"].median() > 0.15
    assert abs((tested["rho"] - tested["shuffled"]).median()) < 0.2
    assert (tested["shuffle_p"] <= 0.05).mean() < 0.2


@pytest.mark.parametrize("standardised", [True, False])
def test_the_shuffled_figure_is_computed_like_the_figure(
    predictions: Predictions, diseased_cohort: ad.AnnData, standardised: bool
) -> None:
    """With every shuffle the trait itself, the shuffled figure is the figure."""

    class Unshuffled:
        def permutation(self, values: np.ndarray) -> np.ndarray:
            return values

    part, donors = predictions["Lung"], diseased_cohort.uns["donors"]
    (trait,) = choose_traits(known_traits(donors), ["age"])
    whole = replace(part, chosen=np.ones_like(part.chosen))
    covariates = covariates_of(donors, part.donors, ("sex", "hardy"))
    values = trait.of(part.donors)
    values[5] = np.nan
    found = shuffled_agreement(
        whole,
        values,
        covariates,
        2,
        Unshuffled(),
        standardised=standardised,  # type: ignore[arg-type]
    )
    known = np.isfinite(values)
    design = np.column_stack([np.ones(known.sum()), values[known], covariates[known]])
    slopes = [
        np.linalg.lstsq(design, side[known].astype(float), rcond=None)[0][1]
        for side in (part.predicted, part.observed)
    ]
    if standardised:
        left = design[:, [0, *range(2, design.shape[1])]]
        sd = [
            np.std(v - left @ np.linalg.lstsq(left, v, rcond=None)[0], axis=0)
            for v in (part.predicted[known].astype(float), part.observed[known].astype(float))
        ]
        slopes = [slope / spread for slope, spread in zip(slopes, sd, strict=True)]
    np.testing.assert_allclose(found, pearsonr(*slopes).statistic, atol=1e-6)


def test_tissues_that_cannot_be_tested_are_named(
    predictions: Predictions, diseased_cohort: ad.AnnData
) -> None:
    donors = diseased_cohort.uns["donors"]
    part = predictions["Lung"]
    nothing = replace(part, chosen=np.zeros_like(part.chosen))
    few = Trait("rare", "two groups", pd.Series(0.0, donors.index))
    few.values.iloc[:9] = 1
    found = study_traits({"none": nothing, "Lung": part}, donors, [few], n_shuffles=19)
    assert found.tissues["outcome"].tolist() == ["too few samples"] * 2
    assert found.tissues[["rho", "p", "shuffled", "shuffle_p"]].isna().all(axis=None)
    assert not found.tissues["is_preserved"].any()
    assert set(found.genes["outcome_observed"]) == {"too few samples"}
    assert found.summary().empty
