"""Figures of merit against a loop over tissues, folds and genes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import false_discovery_control, pearsonr
from statsmodels.api import OLS, add_constant

from mtm_core.evaluation.accuracy import Accuracy, accuracy

TISSUES, N_GENES = ("Liver", "Lung"), 6
SHIFTED_BETWEEN_FOLDS, CONSTANT_PREDICTION, CONSTANT_IN_ONE_FOLD, CONSTANT_GENE = 0, 3, 4, 5


def dataset(predicted: np.ndarray, observed: np.ndarray, obs: pd.DataFrame) -> xr.Dataset:
    return xr.Dataset(
        {
            "predicted": (("pair", "gene"), predicted.astype(np.float32)),
            "observed": (("pair", "gene"), observed.astype(np.float32)),
        },
        coords={name: ("pair", obs[name].to_numpy()) for name in ("donor", "tissue", "fold")}
        | {"gene": [f"G{g}" for g in range(predicted.shape[1])]},
    )


@pytest.fixture
def obs() -> pd.DataFrame:
    """45 donors in 3 folds; Lung has 3 in the last, too few for a correlation."""
    donor = np.arange(45)
    both = pd.concat(
        [pd.DataFrame({"donor": donor, "tissue": t, "fold": donor % 3}) for t in TISSUES]
    ).reset_index(drop=True)
    few = both[(both["tissue"] == "Lung") & (both["fold"] == 2)].index[3:]
    return both.drop(few).sample(frac=1, random_state=0).reset_index(drop=True)


@pytest.fixture
def out_of_fold(rng: np.random.Generator, obs: pd.DataFrame) -> xr.Dataset:
    observed = rng.normal(size=(len(obs), N_GENES))
    predicted = 0.5 * observed + rng.normal(size=observed.shape) * [0.3, 0.5, 2, 1, 1, 1]
    predicted[:, SHIFTED_BETWEEN_FOLDS] += 5 * obs["fold"]
    predicted[:, CONSTANT_PREDICTION] = 0.1
    predicted[(obs["fold"] == 1).to_numpy(), CONSTANT_IN_ONE_FOLD] = 0.1
    observed[:, CONSTANT_GENE] = 0
    return dataset(predicted, observed, obs)


@pytest.fixture
def scored(out_of_fold: xr.Dataset) -> Accuracy:
    return accuracy(out_of_fold)


def of_tissue(out_of_fold: xr.Dataset, tissue: str) -> xr.Dataset:
    return out_of_fold.isel(pair=(out_of_fold["tissue"] == tissue).to_numpy())


def rho_or_0(x: np.ndarray, y: np.ndarray) -> float:
    constant = np.ptp(x) == 0 or np.ptp(y) == 0
    return 0.0 if constant else float(pearsonr(x.astype(float), y.astype(float)).statistic)


@pytest.mark.parametrize("tissue", TISSUES)
def test_gene_figures_equal_a_loop(out_of_fold: xr.Dataset, scored: Accuracy, tissue: str) -> None:
    part = of_tissue(out_of_fold, tissue)
    genes = scored.genes[scored.genes["tissue"] == tissue].set_index("gene_id")
    assert genes.index.tolist() == [f"G{g}" for g in range(N_GENES)]
    assert (genes["n"] == part.sizes["pair"]).all()
    for g in range(N_GENES):
        p, o = part["predicted"].to_numpy()[:, g], part["observed"].to_numpy()[:, g]
        fold, row = part["fold"].to_numpy(), genes.loc[f"G{g}"]
        if g == CONSTANT_GENE:
            assert row[["rho_by_fold", "rho_pooled", "r2"]].isna().all()
            continue
        in_folds = [rho_or_0(p[fold == k], o[fold == k]) for k in (0, 1, 2)]
        in_folds = in_folds[:2] if tissue == "Lung" else in_folds
        assert row["rho_by_fold"] == pytest.approx(np.tanh(np.mean(np.arctanh(in_folds))))
        if g == CONSTANT_PREDICTION:
            assert np.isnan(row["rho_pooled"])
        else:
            assert row["rho_pooled"] == pytest.approx(rho_or_0(p, o))
        expected = 1 - np.sum((p - o) ** 2.0) / np.sum(o**2.0)
        assert row["r2"] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("tissue", TISSUES)
def test_tissue_figures_equal_a_loop(
    out_of_fold: xr.Dataset, scored: Accuracy, tissue: str
) -> None:
    part, row = of_tissue(out_of_fold, tissue), scored.tissues.loc[tissue]
    p, o = part["predicted"].to_numpy(), part["observed"].to_numpy()
    pooled = [rho_or_0(p[:, g], o[:, g]) for g in range(N_GENES)]
    assert row["n"] == len(p)
    assert row["gene_rho_pooled"] == pytest.approx(np.mean(pooled))
    by_fold = scored.genes.loc[scored.genes["tissue"] == tissue, "rho_by_fold"].fillna(0)
    assert row["gene_rho_by_fold"] == pytest.approx(by_fold.mean())
    by_sample = [rho_or_0(a, b) for a, b in zip(p, o, strict=True)]
    assert row["sample_rho"] == pytest.approx(np.mean(by_sample))
    assert row["n_predictable"] == sum(rho > 0.3 for rho in pooled)
    assert 0 < row["n_predictable"] != (by_fold > 0.3).sum()  # pooled, as in the paper
    assert row["mse_ratio"] == pytest.approx(((p - o) ** 2).mean() / (o**2).mean(), rel=1e-5)


def test_summary_is_the_mean_over_tissues_whatever_their_size(scored: Accuracy) -> None:
    liver, lung = (scored.tissues.loc[t] for t in TISSUES)
    assert liver["n"] != lung["n"]
    summary = scored.summary()
    assert "n_mean" not in summary
    for name in ("gene_rho_by_fold", "gene_rho_pooled", "sample_rho", "mse_ratio"):
        assert summary[f"{name}_mean"] == pytest.approx((liver[name] + lung[name]) / 2)


def test_the_training_mean_scores_0_and_an_error_ratio_of_1(
    out_of_fold: xr.Dataset, obs: pd.DataFrame
) -> None:
    observed = out_of_fold["observed"].to_numpy()
    scored = accuracy(dataset(np.zeros_like(observed), observed, obs))
    for name in ("gene_rho_by_fold", "gene_rho_pooled", "sample_rho", "n_predictable"):
        assert (scored.tissues[name] == 0).all()
    assert (scored.tissues["mse_ratio"] == 1).all()
    assert (scored.genes["r2"].dropna() == 0).all()


def test_the_truth_scores_1(out_of_fold: xr.Dataset, obs: pd.DataFrame) -> None:
    observed = out_of_fold["observed"].to_numpy()[:, :CONSTANT_GENE]
    scored = accuracy(dataset(observed, observed, obs))
    for name in ("gene_rho_by_fold", "gene_rho_pooled", "sample_rho"):
        np.testing.assert_allclose(scored.tissues[name], 1, atol=1e-5)
    assert (scored.tissues["n_predictable"] == CONSTANT_GENE).all()
    assert (scored.tissues["mse_ratio"] == 0).all()


def test_pooling_punishes_a_fold_s_mean_and_averaging_by_fold_does_not(
    rng: np.random.Generator,
) -> None:
    # What is fitted to the other folds moves against the fold that is left out.
    obs = pd.DataFrame({"donor": np.arange(100), "tissue": "Lung", "fold": np.arange(100) % 5})
    observed = rng.normal(size=(100, 400))
    predicted = np.empty_like(observed)
    for k in range(5):
        own = (obs["fold"] == k).to_numpy()
        predicted[own] = observed[~own].mean(axis=0)
    row = accuracy(dataset(predicted, observed, obs)).tissues.loc["Lung"]
    assert row["gene_rho_by_fold"] == 0
    assert row["gene_rho_pooled"] == pytest.approx(-np.sqrt(4 / 100), abs=0.03)


def test_shuffling_donors_within_a_tissue_brings_every_score_to_0(
    rng: np.random.Generator,
) -> None:
    n, n_genes = 200, 30
    obs = pd.DataFrame(
        {
            "donor": np.tile(np.arange(n), 2),
            "tissue": np.repeat(TISSUES, n),
            "fold": np.tile(np.arange(n) % 5, 2),
        }
    )
    observed = rng.normal(size=(2 * n, n_genes))
    predicted = observed + 0.3 * rng.normal(size=observed.shape)
    reported = accuracy(dataset(predicted, observed, obs)).tissues
    order = np.concatenate([rng.permutation(n), n + rng.permutation(n)])
    shuffled = accuracy(dataset(predicted[order], observed, obs)).tissues
    for name in ("gene_rho_by_fold", "gene_rho_pooled", "sample_rho"):
        assert (reported[name] > 0.9).all()
        assert (shuffled[name].abs() < 0.05).all()
    assert (reported["n_predictable"] == n_genes).all()
    assert (shuffled["n_predictable"] == 0).all()
    assert (shuffled["mse_ratio"] > 1.5).all()


def test_order_of_pairs_does_not_matter(
    out_of_fold: xr.Dataset, scored: Accuracy, rng: np.random.Generator
) -> None:
    shuffled = accuracy(out_of_fold.isel(pair=rng.permutation(out_of_fold.sizes["pair"])))
    pd.testing.assert_frame_equal(shuffled.genes, scored.genes)
    pd.testing.assert_frame_equal(shuffled.tissues, scored.tissues)


def test_significance_of_pooled_rho_equals_a_loop(predict: Callable[[float], xr.Dataset]) -> None:
    predicted = predict(0.25)
    predicted["predicted"][:, 0] = 0.1
    scored = accuracy(predicted)
    n_predictable = 0
    for tissue in ("Liver", "Lung", "Spleen"):
        part = of_tissue(predicted, tissue)
        genes = scored.genes[scored.genes["tissue"] == tissue].set_index("gene_id")
        p, o = part["predicted"].to_numpy().astype(float), part["observed"].to_numpy().astype(float)
        tests = [pearsonr(p[:, g], o[:, g], alternative="greater") for g in range(1, p.shape[1])]
        both = [pearsonr(p[:, g], o[:, g]).confidence_interval() for g in range(1, p.shape[1])]
        fdr = false_discovery_control([test.pvalue for test in tests])
        np.testing.assert_allclose(genes["p"][1:], [test.pvalue for test in tests], rtol=1e-6)
        np.testing.assert_allclose(genes["fdr"][1:], fdr, rtol=1e-6)
        np.testing.assert_allclose(genes["rho_low"][1:], [i.low for i in both], rtol=1e-6)
        np.testing.assert_allclose(genes["rho_high"][1:], [i.high for i in both], rtol=1e-6)
        predictable = np.array([test.statistic > 0.3 for test in tests])
        assert genes["is_predictable"].tolist() == [False, *predictable]
        assert genes["survives_fdr"].tolist() == [False, *(predictable & (fdr <= 0.05))]
        assert genes.loc["G0", ["p", "fdr", "rho_low", "rho_high"]].isna().all()
        row = scored.tissues.loc[tissue]
        assert row["n_predictable"] == predictable.sum()
        assert row["n_predictable_fdr"] == (predictable & (fdr <= 0.05)).sum()
        n_predictable += predictable.sum()
    # Above 0.3 by chance, in few donors: the rule alone lets it pass.
    assert 0 < scored.tissues["n_predictable_fdr"].sum() < n_predictable


def test_absolute_error_is_over_that_of_the_training_mean(
    predict: Callable[[float], xr.Dataset],
) -> None:
    predicted = predict(0.5)
    part = of_tissue(predicted, "Lung")
    p, o = part["predicted"].to_numpy(), part["observed"].to_numpy()
    scored = accuracy(predicted)
    genes = scored.genes[scored.genes["tissue"] == "Lung"]
    expected = np.abs(p - o).mean(axis=0) / np.abs(o).mean(axis=0)
    np.testing.assert_allclose(genes["mae_ratio"], expected, rtol=1e-5)
    assert scored.tissues.loc["Lung", "mae_ratio"] == pytest.approx(
        np.abs(p - o).mean() / np.abs(o).mean(), rel=1e-5
    )


def residual(values: np.ndarray, design: pd.DataFrame) -> np.ndarray:
    coefficients = np.linalg.lstsq(design.to_numpy(), values.astype(float), rcond=None)[0]
    return values - design.to_numpy() @ coefficients


def test_adjusted_rho_equals_a_loop(
    predict: Callable[[float], xr.Dataset], phenotypes: pd.DataFrame
) -> None:
    predicted = predict(0.5)
    donors = phenotypes.loc[predicted["donor"].to_numpy()].reset_index(drop=True)
    shift = np.outer(donors["hardy"] == 0, [2, -2, 1, 0, 0, 1, 2, 3]).astype(np.float32)
    predicted["observed"] = predicted["observed"] + shift
    predicted["predicted"] = predicted["predicted"] + 0.5 * shift
    scored = accuracy(predicted, phenotypes)
    design = pd.DataFrame({"intercept": 1.0, "age": donors["age"], "male": donors["sex"] == "male"})
    for level in (0, 1, 2):  # unknown is the level left out
        design[f"hardy {level}"] = donors["hardy"] == level
    design = design.astype(float)
    tissue, fold = predicted["tissue"].to_numpy(), predicted["fold"].to_numpy()
    p, o = predicted["predicted"].to_numpy(), predicted["observed"].to_numpy()
    for row in scored.genes.itertuples():
        g, own = int(row.gene_id[1:]), tissue == row.tissue
        inside = []
        for rows in (own & (fold == 0), own & (fold == 1), own & (fold == 2), own):
            x, y = (residual(values[rows, g], design[rows]) for values in (p, o))
            inside.append(pearsonr(x, y).statistic)
        pooled = inside.pop()
        assert row.adjusted_rho_by_fold == pytest.approx(
            np.tanh(np.mean(np.arctanh(inside))), abs=1e-6
        )
        assert row.adjusted_rho_pooled == pytest.approx(pooled, abs=1e-6)
    means = scored.genes.groupby("tissue")[["adjusted_rho_by_fold", "adjusted_rho_pooled"]].mean()
    np.testing.assert_allclose(
        scored.tissues["gene_adjusted_rho_by_fold"], means["adjusted_rho_by_fold"]
    )
    np.testing.assert_allclose(
        scored.tissues["gene_adjusted_rho_pooled"], means["adjusted_rho_pooled"]
    )


def test_rho_adjusted_for_composition_is_that_of_statsmodels_residuals(
    predict: Callable[[float], xr.Dataset], rng: np.random.Generator
) -> None:
    predicted = predict(0.5)
    donors = pd.unique(predicted["donor"].to_numpy())
    cells = pd.DataFrame(rng.dirichlet([5, 2, 1], len(donors)), donors)
    known = cells.iloc[: len(cells) * 2 // 3]
    share = cells.loc[predicted["donor"].to_numpy(), 0].to_numpy(dtype=np.float32)[:, None]
    for name in ("predicted", "observed"):
        predicted[name] = predicted[name] + 5 * share
    genes = accuracy(predicted, composition=known).genes
    tissue, donor = predicted["tissue"].to_numpy(), predicted["donor"].to_numpy()
    for row in genes.itertuples():
        rows = (tissue == row.tissue) & np.isin(donor, known.index)
        # of three shares the last follows from the others
        design = add_constant(known.loc[donor[rows], [0, 1]].to_numpy())
        p, o = (
            predicted[name].to_numpy()[rows, int(row.gene_id[1:])].astype(float)
            for name in ("predicted", "observed")
        )
        assert row.n_composition == rows.sum()
        assert row.rho_composition_known == pytest.approx(pearsonr(p, o).statistic, abs=1e-6)
        adjusted = pearsonr(OLS(p, design).fit().resid, OLS(o, design).fit().resid).statistic
        assert row.rho_adjusted_for_composition == pytest.approx(adjusted, abs=1e-6)
        assert adjusted < row.rho_composition_known


def test_a_fold_too_small_for_the_covariates_gives_no_adjusted_rho(
    predict: Callable[[float], xr.Dataset], phenotypes: pd.DataFrame
) -> None:
    # Five donors of one sex and death but two ages: 5 - 2 leave three degrees of freedom.
    phenotypes[["sex", "hardy", "age"]] = ["male", 0.0, 40.0]
    predicted = predict(0.5)
    lung = of_tissue(predicted, "Lung")
    few = lung.isel(pair=np.flatnonzero(lung["fold"].to_numpy() == 0)[:5])
    phenotypes.loc[few["donor"].to_numpy()[:2], "age"] = 60.0
    assert accuracy(few, phenotypes).genes["adjusted_rho_by_fold"].notna().all()
    fewer = accuracy(few.isel(pair=slice(0, 4)), phenotypes)
    assert fewer.genes["rho_by_fold"].notna().all()
    assert fewer.genes["adjusted_rho_by_fold"].isna().all()
    assert np.isnan(fewer.tissues.loc["Lung", "gene_adjusted_rho_by_fold"])
    # It does not count as 0 among tissues that have one.
    both = xr.concat([of_tissue(predicted, "Liver"), few.isel(pair=slice(0, 4))], dim="pair")
    scored = accuracy(both, phenotypes)
    assert scored.summary()["gene_adjusted_rho_by_fold_mean"] == pytest.approx(
        scored.tissues.loc["Liver", "gene_adjusted_rho_by_fold"]
    )


def test_samples_carry_the_rho_of_each(scored: Accuracy, out_of_fold: xr.Dataset) -> None:
    assert len(scored.samples) == out_of_fold.sizes["pair"]
    key = ["tissue", "donor"]
    rho = scored.samples.set_index(key)["rho"]
    for i in (0, 17, 44):
        pair = out_of_fold.isel(pair=i)
        expected = rho_or_0(pair["predicted"].to_numpy(), pair["observed"].to_numpy())
        assert rho[str(pair["tissue"].item()), pair["donor"].item()] == pytest.approx(expected)
    by_tissue = scored.samples.groupby("tissue")["rho"].mean()
    np.testing.assert_allclose(by_tissue, scored.tissues["sample_rho"])
