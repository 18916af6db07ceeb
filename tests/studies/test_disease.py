"""What predictions keep of a disease: what was planted, where it was planted, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.stats import mannwhitneyu

from mtm_core.statistics.outcome import TESTED
from mtm_core.studies.disease import DiseaseStudy, study_diseases
from mtm_core.studies.donor_traits import Trait, choose_traits, known_traits
from mtm_core.studies.out_of_fold import TissuePredictions
from tests.studies.conftest import DISEASED

Predictions = dict[str, TissuePredictions]


def contrast(cohort: ad.AnnData, name: str) -> list[Trait]:
    return list(choose_traits(known_traits(cohort.uns["donors"]), [name]))


@pytest.fixture(scope="module")
def study(predictions: Predictions, diseased_cohort: ad.AnnData) -> DiseaseStudy:
    return study_diseases(
        predictions,
        diseased_cohort,
        contrast(diseased_cohort, "MHT2D"),
        source="Whole Blood",
        n_repeats=2,
        n_shuffles=49,
    )


def test_a_planted_disease_is_preserved_in_its_tissue(
    study: DiseaseStudy, diseased_cohort: ad.AnnData
) -> None:
    pairs = study.pairs.set_index(["adjusted_for", "tissue"])
    truth = diseased_cohort.uns["truth"]["effects"]["case"]
    tissues = list(diseased_cohort.obs["tissue"].cat.categories)
    planted = pd.Series(truth[tissues.index(DISEASED)], diseased_cohort.var_names)
    for adjusted_for in ("", "age+sex", "age+sex+hardy"):
        row = pairs.loc[(adjusted_for, DISEASED)]
        assert row["rho"] > 0.9
        assert row["deg_sign_consistency"] > 0.9
        assert row["shuffle_p"] <= 0.05
        assert min(row["up_f1"], row["down_f1"]) > 0.6
        genes = study.genes.query("adjusted_for == @adjusted_for and tissue == @DISEASED")
        genes = genes.set_index("gene_id")
        changed = genes.index[planted[genes.index] != 0]
        assert len(changed) >= 6
        for side in ("predicted", "observed"):
            assert (genes.loc[changed, f"fdr_{side}"] <= 0.05).mean() > 0.8
            signs = np.sign(genes.loc[changed, f"effect_{side}"]) == np.sign(planted[changed])
            assert signs.all()


def test_numbers_are_those_of_the_donors_that_chose_no_gene(
    study: DiseaseStudy, predictions: Predictions, diseased_cohort: ad.AnnData
) -> None:
    part = predictions["Lung"]
    case = diseased_cohort.uns["donors"]["MHT2D"].astype(bool)
    genes = study.genes.query("adjusted_for == '' and tissue == 'Lung'").set_index("gene_id")
    for gene in genes.index[:6]:
        g = part.genes.tolist().index(gene)
        rows = [i for i in range(len(part.donors)) if part.chosen[part.fold[i], g]]
        values = np.exp2(part.predicted[rows, g].astype(float)) - 1
        ill = case[part.donors[rows]].to_numpy()
        test = mannwhitneyu(values[ill], values[~ill], method="asymptotic")
        assert genes.loc[gene, "p_predicted"] == pytest.approx(test.pvalue, rel=1e-3)
        change = np.log2((values[ill].mean() + 1) / (values[~ill].mean() + 1))
        assert genes.loc[gene, "effect_predicted"] == pytest.approx(change, abs=1e-4)


def test_disease_status_is_predicted_in_its_tissue(study: DiseaseStudy) -> None:
    area = study.status.pivot(index="tissue", columns="profile", values="auroc")
    assert area.loc[DISEASED, "observed"] > 0.9
    assert area.loc[DISEASED, "predicted"] > 0.9
    assert (area["source"] > 0.9).all()  # blood is changed too
    assert area["observed"].drop(DISEASED).max() < 0.7
    assert area["covariates"].max() < 0.65
    assert (study.status["outcome"] == TESTED).all()
    summary = study.status_summary()
    assert summary.loc["MHT2D", "n_tissues"] == 3


def test_summary_counts_as_the_paper_does(study: DiseaseStudy) -> None:
    table = study.summary(minimum_degs=4)
    pairs = study.pairs[study.pairs["adjusted_for"] == ""]
    degs = pairs["n_up_observed"] + pairs["n_down_observed"]
    row = table.loc[("MHT2D", "")]
    assert row["n_tissues"] == 3
    assert row["n_with_degs"] == (degs >= 4).sum() >= 1
    preserved = pairs[(degs >= 4) & (pairs["sign_consistency"] > 0.7) & (pairs["rho"] > 0.3)]
    assert row["n_preserved_changes"] == len(preserved)
    up = pairs[pairs["n_up_observed"] >= 4]
    assert row["n_with_up"] == len(up)
    assert row["median_up_f1"] == pytest.approx(up["up_f1"].fillna(0).median(), nan_ok=True)


def test_nothing_is_found_with_the_groups_shuffled(
    predictions: Predictions, diseased_cohort: ad.AnnData, shuffled_donors: pd.DataFrame
) -> None:
    cohort = diseased_cohort.copy()
    cohort.uns["donors"] = shuffled_donors
    found = study_diseases(
        predictions,
        cohort,
        contrast(cohort, "MHT2D"),
        source="Whole Blood",
        n_repeats=2,
        n_shuffles=49,
    )
    assert (found.genes[["fdr_predicted", "fdr_observed"]] <= 0.05).mean().max() < 0.05
    assert (found.pairs["shuffle_p"] > 0.02).all()
    assert found.status["auroc"].between(0.35, 0.65).all()
    assert found.summary()["n_with_degs"].sum() == 0


def test_pairs_that_cannot_be_tested_are_named(
    predictions: Predictions, diseased_cohort: ad.AnnData
) -> None:
    part = predictions["Lung"]
    nothing = replace(part, chosen=np.zeros_like(part.chosen))
    few = contrast(diseased_cohort, "MHT2D")
    few[0].values.iloc[:180] = np.nan
    assert few[0].values.notna().sum() == 60
    options = {"source": "Whole Blood", "n_repeats": 1, "n_shuffles": 19}
    found = study_diseases({"Lung": part}, diseased_cohort, few, **options)
    assert set(found.pairs["outcome"]) == {"too few samples"}
    assert found.genes.empty
    assert found.status.empty
    assert found.status_summary().empty
    assert found.summary().empty
    every = contrast(diseased_cohort, "sex")
    unpredicted = study_diseases({"Lung": nothing}, diseased_cohort, every, **options)
    assert set(unpredicted.pairs["outcome"]) == {"too few samples"}
    outcomes = unpredicted.status.set_index("profile")["outcome"]
    assert outcomes["predicted"] == "constant"
    assert outcomes["observed"] == TESTED
