"""Predictions against measured samples of the same people: each figure by hand, and chance."""

from __future__ import annotations

from dataclasses import replace

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control, pearsonr, spearmanr
from scipy.stats import t as student_t

from mtm_core.artefact import Artefact
from mtm_core.data.cohort.simulate import SimulationConfig, simulate_cohort
from mtm_core.errors import SelectionError
from mtm_core.inference.predictor import Predictor
from mtm_core.methods.joint_gaussian import JointGaussianMethod
from mtm_core.methods.kernel_factors import KernelFactorsMethod
from mtm_core.methods.stack import StackMethod
from mtm_core.statistics.resampling import shuffled_p
from mtm_core.studies.against_measured import MeasuredCheck, check_against_measured
from mtm_core.studies.measured_pairs import Errors, Pair, average_people, shuffle

BLOOD, LUNG = "Whole Blood", "Lung"


@pytest.fixture(scope="module")
def cohort() -> ad.AnnData:
    return simulate_cohort(SimulationConfig(n_donors=140, n_genes=30, n_tissues=4))


@pytest.fixture(scope="module")
def held_out(cohort: ad.AnnData) -> list[str]:
    """Donors with blood and lung that the model has not seen."""
    have = cohort.obs.groupby("donor", observed=True)["tissue"].agg(set)
    return [str(d) for d, own in have.items() if {BLOOD, LUNG} <= own][-32:]


@pytest.fixture(scope="module")
def predictor(cohort: ad.AnnData, held_out: list[str]) -> Predictor:
    joint = JointGaussianMethod((3, 5), 10, ridge=1.0)
    method = StackMethod((KernelFactorsMethod(joint, n_points=20),), n_inner=2)
    donors = sorted(set(cohort.obs["donor"]) - set(held_out))
    return Predictor(Artefact.of(method.fit(cohort, donors), cohort, name="m", provenance={}))


def table_of(cohort: ad.AnnData, tissue: str, donors: list[str]) -> pd.DataFrame:
    own = cohort[(cohort.obs["tissue"] == tissue) & cohort.obs["donor"].isin(donors)]
    return own.to_df().set_axis(own.obs["donor"].astype(str).to_list())


def check(
    predictor: Predictor, blood: pd.DataFrame, lung: pd.DataFrame, **options: object
) -> MeasuredCheck:
    prediction = predictor.predict(blood, targets=[LUNG, "Liver"], unit="tpm")
    measured = predictor.prepare(lung, source=LUNG, unit="tpm")
    return check_against_measured(prediction, measured, predictor.artefact, **options)  # type: ignore[arg-type]


def test_every_figure_is_that_of_scipy(
    predictor: Predictor, cohort: ad.AnnData, held_out: list[str]
) -> None:
    blood, lung = (table_of(cohort, tissue, held_out) for tissue in (BLOOD, LUNG))
    blood, lung = blood.iloc[:28], lung.iloc[::-1].iloc[:30]
    found = check(predictor, blood, lung, n_shuffles=60)
    people = [name for name in blood.index if name in lung.index]
    assert found.people.index.tolist() == people
    assert found.genes["n"].unique().tolist() == [len(people)]
    prediction = predictor.predict(blood, targets=[LUNG], unit="tpm").sel(tissue=LUNG)
    z = prediction["z"].sel(sample=people).to_numpy()
    scaler, t = predictor.artefact.method.scaler, predictor.tissues.index(LUNG)
    logs = np.log2(1 + lung)
    aligned = (logs - logs.mean()) / logs.std(ddof=0)  # 30 samples: brought to the reference
    measured = aligned.loc[people].to_numpy()
    true = np.maximum(measured * scaler.sd[t] + scaler.mean[t], 0)
    guess = np.log2(1 + prediction["expression"].sel(sample=people).to_numpy())
    low, high = (
        np.log2(1 + prediction[n].sel(sample=people).to_numpy()) for n in ("lower", "upper")
    )
    p = []
    for g, gene in enumerate(found.genes.index):
        row = found.genes.loc[gene]
        one = pearsonr(z[:, g], measured[:, g], alternative="greater")
        assert row["rho"] == pytest.approx(one.statistic, abs=1e-4)
        p.append(one.pvalue)
        assert row["p"] == pytest.approx(one.pvalue, rel=0.02)
        two_sided = pearsonr(z[:, g], measured[:, g]).confidence_interval(0.95)
        assert (row["rho_low"], row["rho_high"]) == pytest.approx(two_sided, abs=1e-3)
        assert row["spearman"] == pytest.approx(spearmanr(z[:, g], measured[:, g])[0], abs=0.02)
        error = np.sqrt(np.mean((guess[:, g] - true[:, g]) ** 2))
        assert row["error"] == pytest.approx(error, rel=1e-3)
        inside = np.mean((low[:, g] <= true[:, g]) & (true[:, g] <= high[:, g]))
        assert row["inside_90"] == pytest.approx(inside, abs=0.04)
        of_mean = np.sqrt(np.mean((np.maximum(scaler.mean[t, g], 0) - true[:, g]) ** 2))
        assert row["error_of_mean"] == pytest.approx(of_mean, rel=1e-3)
    fdr = false_discovery_control(p)
    np.testing.assert_allclose(found.genes["fdr"], fdr, rtol=0.03)
    assert found.genes["holds"].tolist() == (found.genes["fdr"] <= 0.05).tolist()
    alike = np.corrcoef(z, measured)[: len(people), len(people) :]
    np.testing.assert_allclose(found.people["rho"], np.diag(alike), atol=1e-4)
    others = (alike.sum(axis=1) - np.diag(alike)) / (len(people) - 1)
    np.testing.assert_allclose(found.people["rho_others"], others, atol=1e-4)
    rank = 1 + (alike > np.diag(alike)[:, None]).sum(axis=1)
    assert found.people["rank"].tolist() == rank.tolist()
    figures = found.summary["value"]
    assert figures["gene_rho"] == pytest.approx(found.genes["rho"].mean())
    assert figures["sample_rho"] == pytest.approx(found.people["rho"].mean())
    assert figures["inside_90"] == pytest.approx(found.genes["inside_90"].mean(), abs=1e-6)
    assert figures["n_genes_that_hold"] == found.genes["holds"].sum()


def test_true_people_are_beyond_chance_and_shuffled_ones_are_not(
    predictor: Predictor, cohort: ad.AnnData, held_out: list[str]
) -> None:
    blood, lung = (table_of(cohort, tissue, held_out) for tissue in (BLOOD, LUNG))
    true = check(predictor, blood, lung, n_shuffles=200).summary
    assert true.loc["gene_rho", "value"] > true.loc["gene_rho", "chance_high"]
    assert true.loc["gene_rho", "p"] == pytest.approx(1 / 201)
    assert true.loc["gene_rho", "low"] > 0
    assert true.loc["n_genes_that_hold", "value"] > true.loc["n_genes_that_hold", "chance_high"]
    assert 0.8 < true.loc["inside_90", "value"] < 0.97
    rng = np.random.default_rng(3)
    p = []
    for seed in range(12):
        wrong = lung.set_axis(rng.permutation(lung.index))
        shuffled = check(predictor, blood, wrong, n_shuffles=99, seed=seed).summary
        p.append(shuffled.loc["gene_rho", "p"])
    assert 0.1 < np.mean(p) < 0.9
    assert min(p) > 0.01


def test_the_models_own_accuracy_is_shown_beside_it(
    predictor: Predictor, cohort: ad.AnnData, held_out: list[str]
) -> None:
    from mtm_core.evaluation.results import EvaluationTables

    blood, lung = (table_of(cohort, tissue, held_out) for tissue in (BLOOD, LUNG))
    genes = predictor.artefact.genes.index
    promised = np.linspace(-0.1, 0.6, len(genes))
    rows = pd.DataFrame(
        {"gene_id": genes, "method": "stack", "tissue": LUNG, "rho_by_fold": promised}
    )
    settings = {"source": BLOOD, "further_sources": []}
    evaluation = EvaluationTables(rows, pd.DataFrame(), settings)
    found = check(predictor, blood, lung, evaluation=evaluation, n_shuffles=50)
    np.testing.assert_allclose(found.genes["out_of_fold_rho"], promised)
    expected = spearmanr(found.genes["rho"], promised)[0]
    assert found.summary.loc["agreement", "value"] == pytest.approx(expected, abs=1e-6)
    assert found.summary.loc["gene_rho", "out_of_fold"] == pytest.approx(promised.mean())
    other = replace(evaluation, settings=settings | {"further_sources": ["Liver"]})
    unknown = check(predictor, blood, lung, evaluation=other, n_shuffles=5)
    assert unknown.genes["out_of_fold_rho"].isna().all()
    assert any("was not measured in GTEx" in str(note) for note in unknown.notes)


def test_the_accuracy_beside_it_is_with_age_and_sex_where_everyone_has_them(
    cohort: ad.AnnData, held_out: list[str]
) -> None:
    from mtm_core.evaluation.results import EvaluationTables

    joint = JointGaussianMethod((3, 5), 10, ridge=1.0, covariates=("age", "sex"))
    donors = sorted(set(cohort.obs["donor"]) - set(held_out))
    fitted = replace(joint.fit(cohort, donors), name="own")
    predictor = Predictor(Artefact.of(fitted, cohort, name="m", provenance={}))
    genes = predictor.artefact.genes.index
    rows = pd.DataFrame(
        {
            "gene_id": [*genes, *genes],
            "method": np.repeat(["own", "own-age-sex"], len(genes)),
            "tissue": LUNG,
            "rho_by_fold": np.repeat([0.1, 0.4], len(genes)),
        }
    )
    tissues = pd.DataFrame({"method": ["own", "own-age-sex"], "tissue": LUNG})
    evaluation = EvaluationTables(rows, tissues, {"source": BLOOD, "further_sources": []})
    blood, lung = (table_of(cohort, tissue, held_out) for tissue in (BLOOD, LUNG))
    measured = predictor.prepare(lung, source=LUNG, unit="tpm")
    known = pd.DataFrame({"age": 50.0, "sex": "male"}, index=blood.index)
    for n_unknown, promised in ((0, 0.4), (1, 0.1)):
        known.loc[blood.index[:n_unknown], "age"] = np.nan
        prediction = predictor.predict(blood, targets=[LUNG], unit="tpm", phenotypes=known)
        found = check_against_measured(
            prediction, measured, predictor.artefact, evaluation, n_shuffles=2
        )
        assert set(found.genes["out_of_fold_rho"]) == {promised}


def test_chance_and_intervals_are_those_of_people_drawn_in_a_loop(
    predictor: Predictor, cohort: ad.AnnData, held_out: list[str]
) -> None:
    blood, lung = (table_of(cohort, tissue, held_out) for tissue in (BLOOD, LUNG))
    found = check(predictor, blood, lung.iloc[:24], n_shuffles=200).summary
    z = predictor.predict(blood, targets=[LUNG], unit="tpm")["z"].sel(tissue=LUNG).to_pandas()
    logs = np.log2(1 + lung.iloc[:24])
    people = [name for name in blood.index if name in logs.index]
    a = z.loc[people].to_numpy(dtype=float)
    b = ((logs - logs.mean()) / logs.std(ddof=0)).loc[people].to_numpy()
    n, rng = len(people), np.random.default_rng(1)

    def figures(one: np.ndarray, other: np.ndarray) -> tuple[float, float, float]:
        rho = np.array([np.corrcoef(x, y)[0, 1] for x, y in zip(one.T, other.T, strict=True)])
        p = student_t.sf(rho * np.sqrt((n - 2) / (1 - rho**2)), n - 2)
        own = np.mean([np.corrcoef(x, y)[0, 1] for x, y in zip(one, other, strict=True)])
        return np.mean(rho), np.sum(false_discovery_control(p) <= 0.05), own

    names = ["gene_rho", "n_genes_that_hold", "sample_rho"]
    np.testing.assert_allclose(found.loc[names, "value"], figures(a, b), atol=1e-4)
    shuffled = np.array([figures(a, b[rng.permutation(n)]) for _ in range(60)])
    half = 1.96 * shuffled.std(axis=0)
    apart = (found.loc[names, "chance_high"] - found.loc[names, "chance_low"]).to_numpy() / 2
    assert apart[[0, 2]] == pytest.approx(half[[0, 2]], rel=0.3)
    middle = found.loc[names, ["chance_low", "chance_high"]].mean(axis=1).to_numpy()
    np.testing.assert_allclose(middle[[0, 2]], shuffled.mean(axis=0)[[0, 2]], atol=0.04)
    assert found.loc["n_genes_that_hold", "chance_high"] <= shuffled[:, 1].max() + 3
    drawn = [rng.integers(0, n, n) for _ in range(60)]
    resampled = np.array([figures(a[rows], b[rows]) for rows in drawn])[:, [0, 2]]
    ends = found.loc[["gene_rho", "sample_rho"], ["low", "high"]].to_numpy()
    expected = np.quantile(resampled, [0.025, 0.975], axis=0).T
    np.testing.assert_allclose(ends, expected, atol=0.05)


def test_p_of_four_people_is_that_of_all_their_orders() -> None:
    rng = np.random.default_rng(0)
    p = []
    for seed in range(6):
        z = rng.normal(size=(4, 25)).astype(np.float32)
        pair = Pair(z, (z + rng.normal(0, 0.3, z.shape)).astype(np.float32))
        drawn = shuffle(pair, np.full(25, np.nan), 400, seed, None).figures
        own = {
            "gene_rho": pair.by_gene()["rho"].mean(),
            "sample_rho": pair.by_person()["rho"].mean(),
        }
        p += [shuffled_p(drawn[name], value) for name, value in own.items()]
    standard_error = np.sqrt(1 / 24 * 23 / 24 / 400)  # of one of them
    assert min(p) > 1 / 24 - 3 * standard_error
    assert np.mean(p) == pytest.approx(1 / 24, abs=standard_error)


def test_a_gene_predicted_alike_for_everyone_counts_neither_here_nor_by_chance() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(12, 20)).astype(np.float32)
    guess = (z + rng.normal(0, 2, z.shape)).astype(np.float32)
    promised = rng.uniform(size=20)
    alike = guess.copy()
    alike[:, 15:] = 0.5
    all_of_it = shuffle(Pair(alike, z), promised, 30, 0, None)
    others = shuffle(Pair(guess[:, :15], z[:, :15]), promised[:15], 30, 0, None)
    for name in ("gene_rho", "n_genes_that_hold", "agreement"):
        np.testing.assert_allclose(all_of_it.figures[name], others.figures[name], atol=1e-6)
    assert Pair(alike, z).by_gene()["rho"].isna().sum() == 5


def test_few_people_get_no_gene_wise_rho(
    predictor: Predictor, cohort: ad.AnnData, held_out: list[str]
) -> None:
    blood, lung = (table_of(cohort, tissue, held_out) for tissue in (BLOOD, LUNG))
    found = check(predictor, blood, lung.iloc[:3], n_shuffles=20)
    assert found.genes[["rho", "spearman", "p", "fdr"]].isna().all(axis=None)
    assert not found.genes["holds"].any()
    assert found.genes["error"].notna().all()
    assert found.people["rho"].notna().all()
    assert np.isnan(found.summary.loc["gene_rho", "value"])
    assert any("too few for a correlation" in str(note) for note in found.notes)
    assert found.summary[["low", "high"]].isna().all(axis=None)
    (unaligned,) = (str(note) for note in found.notes if "not aligned" in str(note))
    assert "sample-wise rho therefore include" in unaligned
    one = check(predictor, blood, lung.iloc[:1], n_shuffles=20)
    assert len(one.people) == 1
    assert np.isnan(one.summary.loc["own_is_nearest", "value"])
    nine = check(predictor, blood, lung.iloc[:9], n_shuffles=20)
    wide = nine.genes["rho_high"] - nine.genes["rho_low"]
    at_0 = np.tanh(1.96 / np.sqrt(9 - 3))
    assert wide[nine.genes["rho"].abs() < 0.1].to_numpy() == pytest.approx(2 * at_0, abs=0.05)
    assert any("9 people are few" in str(note) for note in nine.notes)


def test_names_and_tissues_that_do_not_fit_are_refused(
    predictor: Predictor, cohort: ad.AnnData, held_out: list[str]
) -> None:
    blood, lung = (table_of(cohort, tissue, held_out) for tissue in (BLOOD, LUNG))
    named = lung.rename(index="{}_lung".format)
    with pytest.raises(SelectionError, match=r"nobody is both .* may belong to the same people"):
        check(predictor, blood, named)
    assert len(check(predictor, blood, named, near_people=True, n_shuffles=2).people) == 32
    with pytest.raises(SelectionError, match="nobody is both"):
        check(predictor, blood, lung.set_axis([f"other {i * 7}x" for i in range(len(lung))]))
    prediction = predictor.predict(blood, targets=["Liver"], unit="tpm")
    measured = predictor.prepare(lung, source=LUNG, unit="tpm")
    with pytest.raises(SelectionError, match="unknown predicted tissue: 'Lung'"):
        check_against_measured(prediction, measured, predictor.artefact)
    same = predictor.prepare(blood, source=BLOOD, unit="tpm")
    with pytest.raises(SelectionError, match="is the source of the prediction"):
        check_against_measured(prediction, same, predictor.artefact)


def test_samples_of_one_person_are_averaged_and_counted_once(
    predictor: Predictor, cohort: ad.AnnData, held_out: list[str]
) -> None:
    blood, lung = (table_of(cohort, tissue, held_out) for tissue in (BLOOD, LUNG))
    person = pd.Series([f"P{i // 3}" for i in range(len(blood))], blood.index, name="subject")
    found = check(predictor, blood, lung, person=person, n_shuffles=50)
    prediction = predictor.predict(blood, targets=[LUNG], unit="tpm").sel(tissue=LUNG)
    z = prediction["z"].to_pandas().groupby(person, sort=False).mean()
    logs = np.log2(1 + lung)
    own = ((logs - logs.mean()) / logs.std(ddof=0)).groupby(person, sort=False).mean().loc[z.index]
    rho = [pearsonr(z[gene], own[gene]).statistic for gene in z]
    np.testing.assert_allclose(found.genes["rho"], rho, atol=1e-4)
    assert found.genes["n"].unique().tolist() == [len(z)] == [11]
    assert found.people.index.tolist() == z.index.tolist()
    assert found.people["n_samples"].tolist() == [3] * 10 + [2]
    alike = [np.corrcoef(z.loc[name], own.loc[name])[0, 1] for name in z.index]
    np.testing.assert_allclose(found.people["rho"], alike, atol=1e-4)
    each = check(predictor, blood, lung, n_shuffles=2)
    inside = each.people["inside_90"].groupby(person, sort=False).mean()
    np.testing.assert_allclose(found.people["inside_90"], inside)
    error = (each.people["error"] ** 2).groupby(person, sort=False).mean() ** 0.5
    np.testing.assert_allclose(found.people["error"], error)
    assert found.summary.loc["inside_90", "value"] == each.summary.loc["inside_90", "value"]
    assert "32 samples of 11 people are predicted and measured" in str(found.notes[0])
    with pytest.raises(SelectionError, match=r"'subject' names no person of 1 sample: "):
        check(predictor, blood, lung, person=person.iloc[1:])


def test_repeated_samples_are_no_evidence_only_if_people_are_counted() -> None:
    rng, codes, n_genes = np.random.default_rng(0), np.repeat(np.arange(10), 3), 2000
    # what differs between people in blood says nothing of the tissue
    guess, measured = (
        (rng.normal(size=(10, n_genes))[codes] + 0.3 * rng.normal(size=(30, n_genes)))
        for _ in range(2)
    )
    pair = Pair(guess.astype(np.float32), measured.astype(np.float32))
    zeros = np.zeros(30)
    nothing = pd.DataFrame({"error": zeros, "inside_90": zeros})
    averaged, _ = average_people(pair, Errors(nothing, nothing, zeros, zeros), codes)
    assert (averaged.by_gene()["p"] <= 0.05).mean() == pytest.approx(0.05, abs=0.015)
    assert (pair.by_gene()["p"] <= 0.05).mean() > 0.12


def test_profiles_that_nothing_distinguishes_are_nobodys_nearest() -> None:
    z = np.random.default_rng(0).normal(size=(6, 30)).astype(np.float32)
    assert Pair(z, z).by_person()["rank"].tolist() == [1] * 6
    assert Pair(np.zeros_like(z), z).by_person()["rank"].tolist() == [6] * 6
    twice = z.copy()
    twice[1] = z[0]
    assert Pair(z, twice).by_person()["rank"].tolist()[0] == 2


def test_genes_that_were_not_measured_are_left_out(
    predictor: Predictor, cohort: ad.AnnData, held_out: list[str]
) -> None:
    blood, lung = (table_of(cohort, tissue, held_out) for tissue in (BLOOD, LUNG))
    gone = lung.columns[:5]
    found = check(predictor, blood, lung.drop(columns=gone), n_shuffles=2)
    assert len(found.genes) == 25
    assert not set(gone) & set(found.genes.index)
