"""Activity in tissues of a small model, against least squares gene by gene."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import xarray as xr
from scipy.stats import mannwhitneyu

from mtm_core.artefact import Artefact
from mtm_core.data.gene_sets.networks import MatchedNetwork, Network
from mtm_core.errors import SelectionError
from mtm_core.inference.predictor import Predictor
from mtm_core.inference.prepared import Prepared
from mtm_core.studies.activity import (
    ActivityScoring,
    compare_activity,
    say_scored,
    score_tissue,
)

N = 24


@pytest.fixture(scope="module")
def prepared(small_artefact: Artefact, small_cohort: ad.AnnData) -> Prepared:
    rows = small_cohort[small_cohort.obs["tissue"] == "Whole Blood"][:N]
    blood = rows.to_df().set_axis([f"P-{i}" for i in range(N)])
    return Predictor(small_artefact).prepare(blood.drop(columns=blood.columns[3]), unit="tpm")


@pytest.fixture(scope="module")
def prediction(small_artefact: Artefact, prepared: Prepared) -> xr.Dataset:
    return Predictor(small_artefact).predict_prepared(prepared, ["Lung"])


@pytest.fixture(scope="module")
def network(small_artefact: Artefact) -> MatchedNetwork:
    genes = small_artefact.genes.index
    rng = np.random.default_rng(3)
    rows = ["source\ttarget\tweight"]
    for name, chosen in {"A": genes[:9], "B": genes[5:17], "few": genes[:2]}.items():
        rows += [f"{name}\t{gene}\t{rng.normal():.2f}" for gene in chosen]
    predictor = Predictor(small_artefact)
    return Network.parse("\n".join(rows).encode(), "own").match(predictor.genes)


@pytest.fixture(scope="module")
def rho(small_artefact: Artefact) -> pd.Series:
    """Every third gene is not predictable, the last one was not evaluated."""
    genes = small_artefact.genes.index
    values = np.where(np.arange(len(genes)) % 3 == 0, 0.1, 0.5 + 0.001 * np.arange(len(genes)))
    return pd.Series(values, genes).iloc[:-1]


def test_a_predicted_tissue_is_scored_on_its_predictable_genes(
    prediction: xr.Dataset, prepared: Prepared, network: MatchedNetwork, rho: pd.Series
) -> None:
    part = score_tissue(prediction, prepared, "Lung", network, rho)
    genes = rho.index[rho > 0.3]
    assert (part.origin, part.n_background, part.n_scored) == ("predicted", len(genes), 2)
    z = prediction["z"].sel(tissue="Lung", gene=genes.to_list()).transpose("sample", "gene")
    weights = pd.DataFrame(network.weights.toarray(), prediction["gene"].to_numpy())
    own = weights.loc[genes].to_numpy()
    for sample in (0, 7):
        y = z.to_numpy()[sample].astype(float)
        for source, name in enumerate(("A", "B")):
            fit = sm.OLS(y, sm.add_constant(own[:, [source]])).fit()
            assert part.scores.iloc[sample][name] == pytest.approx(fit.tvalues[1], rel=1e-5)
    targets = genes[own[:, 0] != 0]
    row = part.sources.loc["A"]
    assert (row["n_targets"], row["n_in_model"]) == (len(targets), 9)
    assert row["median_rho"] == pytest.approx(rho[targets].median())
    assert part.scores["few"].isna().all()
    assert part.sources.loc["few", "n_in_model"] == 2
    together = ActivityScoring("mlm", minimum_targets=2)
    both = score_tissue(prediction, prepared, "Lung", network, rho, together)
    used = own[:, (own != 0).sum(axis=0) >= 2]
    fit = sm.OLS(z.to_numpy()[0].astype(float), sm.add_constant(used)).fit()
    np.testing.assert_allclose(both.scores.iloc[0].dropna(), fit.tvalues[1:], rtol=1e-5)


def test_the_measured_tissue_is_scored_on_every_gene_of_the_table(
    prediction: xr.Dataset, prepared: Prepared, network: MatchedNetwork
) -> None:
    part = score_tissue(prediction, prepared, "Whole Blood", network, None)
    found = prepared.aligned.found
    assert (part.origin, part.n_background) == ("measured", found.sum())
    assert part.n_background == len(found) - 1
    fit = sm.OLS(
        prepared.aligned.z[4, found].astype(float),
        sm.add_constant(network.weights.toarray()[found][:, [1]]),
    ).fit()
    assert part.scores.iloc[4]["B"] == pytest.approx(fit.tvalues[1], rel=1e-6)
    assert part.sources["median_rho"].isna().all()
    assert "2 of 3 sources have scores" in say_scored([part])


def test_groups_are_compared_by_their_scores(
    prediction: xr.Dataset, prepared: Prepared, network: MatchedNetwork, rho: pd.Series
) -> None:
    part = score_tissue(prediction, prepared, "Lung", network, rho)
    groups = pd.Series(["a", "b", "a", None] * 6, part.scores.index)
    table = compare_activity(part, groups, case="a", control="b")
    a, b = (part.scores.loc[groups == name, "B"] for name in "ab")
    assert table.index.tolist() == ["A", "B"]
    assert table.loc["B", "difference"] == pytest.approx(a.mean() - b.mean())
    p = mannwhitneyu(a, b, method="asymptotic").pvalue
    assert table.loc["B", "p"] == pytest.approx(p)


def test_impossible_choices_are_refused(
    prediction: xr.Dataset, prepared: Prepared, network: MatchedNetwork
) -> None:
    with pytest.raises(SelectionError, match=r"not evaluated in Lung.*--background all"):
        score_tissue(prediction, prepared, "Lung", network, None)
    asked = ActivityScoring(background="all")
    part = score_tissue(prediction, prepared, "Lung", network, None, asked)
    assert part.n_background == prediction.sizes["gene"]
    for wrong in ({"method": "gsva"}, {"background": "tested"}, {"minimum_targets": 1}):
        with pytest.raises(SelectionError):
            ActivityScoring(**wrong)


def test_sources_with_the_same_targets_cannot_be_separated_in_one_model(
    prediction: xr.Dataset, prepared: Prepared, small_artefact: Artefact
) -> None:
    genes = "\t".join(small_artefact.genes.index[:8])
    sets = Network.parse(f"one\t\t{genes}\nother\t\t{genes}".encode(), "own.gmt")
    matched = sets.match(Predictor(small_artefact).genes)
    asked = ActivityScoring("mlm", "all")
    with pytest.raises(SelectionError, match=r"2 sources cannot be separated.*--method ulm"):
        score_tissue(prediction, prepared, "Lung", matched, None, asked)
