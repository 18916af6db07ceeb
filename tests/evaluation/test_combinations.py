"""Accuracy from several tissues together: of the donors who give all of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from mtm_core.data.cohort.cohort import tissue_codes, tissue_names
from mtm_core.data.cohort.simulate import SimulationConfig, simulate_cohort
from mtm_core.data.cohort.splits import donor_folds
from mtm_core.errors import InputFileError, SelectionError
from mtm_core.evaluation.accuracy import MINIMUM_DONORS
from mtm_core.evaluation.combinations import MOST_GIVEN, RHO_ALONE, of_most_given
from mtm_core.evaluation.predictability import accuracy_in_words, out_of_fold_rho
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.methods.joint_gaussian import FittedJointGaussian
from mtm_core.methods.registry import make_method
from mtm_core.statistics.resampling import resampled_counts
from mtm_core.workflows.evaluate import evaluate_methods
from mtm_core.workflows.evaluate_options import EvaluateOptions
from mtm_core.workflows.run_settings import run_config

BLOOD, METHOD, FOLDS = "Whole Blood", "joint-gaussian", 2


@pytest.fixture(scope="module")
def cohort() -> ad.AnnData:
    return simulate_cohort(SimulationConfig(n_donors=60, n_genes=12, n_tissues=4))


@pytest.fixture(scope="module")
def options(cohort: ad.AnnData, tmp_path_factory: pytest.TempPathFactory) -> EvaluateOptions:
    place = tmp_path_factory.mktemp("combinations")
    cohort.write_h5ad(place / "cohort.h5ad")
    return EvaluateOptions(
        place / "cohort.h5ad",
        place / "evaluation",
        methods=(METHOD, "training-mean"),
        folds=FOLDS,
        combinations=(MOST_GIVEN,),
        resamples=100,
    )


@pytest.fixture(scope="module")
def tables(options: EvaluateOptions) -> EvaluationTables:
    evaluate_methods(options)
    return EvaluationTables.load(options.output)


def held_out(
    cohort: ad.AnnData, sources: tuple[str, ...], target: str
) -> Iterator[tuple[list[str], dict[str, np.ndarray]]]:
    """Each fold's donors, and ``target`` as observed, predicted from all sources and the first."""
    folds = donor_folds(cohort.obs, n_folds=FOLDS, seed=0, balance_tissue=BLOOD)
    config = run_config("acmg59", (), cohort.n_vars, len(tissue_names(cohort)))
    row = {
        (str(d), str(t)): i
        for i, (d, t) in enumerate(zip(cohort.obs["donor"], cohort.obs["tissue"], strict=True))
    }
    for k in range(FOLDS):
        fitted = make_method(METHOD, source=BLOOD, config=config).fit(cohort, folds.training(k))
        assert isinstance(fitted, FittedJointGaussian)
        donors = [d for d in folds.held_out(k) if all((d, t) in row for t in (*sources, target))]
        z = fitted.scaler.transform(cohort.X, tissue_codes(cohort))
        values = {"observed": z[[row[d, target] for d in donors]]}
        for name, given in (("all", sources), ("alone", sources[:1])):
            profiles = {t: z[[row[d, t] for d in donors]] for t in given}
            values[name] = fitted.predict(profiles, target).mean
        yield donors, values


def mean_rho(parts: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """Mean over genes of rho averaged over folds, gene by gene."""
    rho = [
        [np.corrcoef(predicted[:, g], observed[:, g])[0, 1] for g in range(observed.shape[1])]
        for predicted, observed in parts
    ]
    return float(np.tanh(np.arctanh(rho).mean(axis=0)).mean())


def by_hand(cohort: ad.AnnData, sources: tuple[str, ...], target: str) -> tuple[float, float, int]:
    """Mean rho over genes from ``sources``, from the first alone, and donors: one by one."""
    folds = list(held_out(cohort, sources, target))
    together, alone = (
        mean_rho([(values[name], values["observed"]) for _, values in folds])
        for name in ("all", "alone")
    )
    return together, alone, sum(len(donors) for donors, _ in folds)


def test_a_combination_is_scored_on_the_donors_who_give_all_of_it(
    cohort: ad.AnnData, tables: EvaluationTables
) -> None:
    sources = of_most_given(cohort, BLOOD)[-1]
    assert len(sources) == 3  # one tissue is left to predict
    (target,) = set(tissue_names(cohort)) - set(sources)
    together, alone, n = by_hand(cohort, sources, target)
    own = tables.from_sources(sources, METHOD)
    assert own is not None
    row = own.tissues.set_index("tissue").loc[target]
    assert row["n"] == n < tables.tissues.set_index(["method", "tissue"]).loc[METHOD, target]["n"]
    np.testing.assert_allclose(row["gene_rho_by_fold"], together, atol=1e-5)
    np.testing.assert_allclose(row[RHO_ALONE], alone, atol=1e-5)
    words = accuracy_in_words(tables, METHOD, sources, [target])
    assert f"{together:.3f}" in words
    assert f"{alone:.3f}, the same donors ({n} a tissue)" in words


def test_intervals_are_those_of_donors_drawn_again_and_again(
    cohort: ad.AnnData, tables: EvaluationTables
) -> None:
    sources = of_most_given(cohort, BLOOD)[-1]
    (target,) = set(tissue_names(cohort)) - set(sources)
    folds = [
        {name: array[np.argsort(donors)] for name, array in values.items()}
        for donors, values in held_out(cohort, sources, target)
    ]
    sizes = [len(values["observed"]) for values in folds]
    counts = resampled_counts(np.repeat(range(FOLDS), sizes), 100, 0).astype(int)
    drawn = np.split(counts, np.cumsum(sizes)[:-1], axis=1)
    means = {name: np.empty(100) for name in ("all", "alone")}
    for name, found in means.items():
        for i in range(len(found)):
            parts = [
                (np.repeat(values[name], n[i], axis=0), np.repeat(values["observed"], n[i], axis=0))
                for values, n in zip(folds, drawn, strict=True)
                if (n[i] > 0).sum() >= MINIMUM_DONORS
            ]
            found[i] = mean_rho(parts) if parts else np.nan
        estimate = mean_rho([(values[name], values["observed"]) for values in folds])
        found += estimate - np.nanmean(found)
    means["difference"] = means["all"] - means["alone"]
    assert np.isnan(means["all"]).any()  # in few resamples no fold has enough donors
    own = tables.from_sources(sources, METHOD)
    assert own is not None
    row = own.summary().loc[METHOD]
    for name, column in (
        ("all", "gene_rho_by_fold"),
        ("alone", RHO_ALONE),
        ("difference", "difference"),
    ):
        interval = row[[f"{column}_low", f"{column}_high"]].to_numpy(float)
        np.testing.assert_allclose(interval, np.nanquantile(means[name], [0.025, 0.975]), atol=1e-5)
    gain = row["gene_rho_by_fold_mean"] - row[f"{RHO_ALONE}_mean"]
    np.testing.assert_allclose(row["difference"], gain, atol=1e-5)
    assert row["difference_low"] < row["difference"] < row["difference_high"]


def test_an_evaluation_without_intervals_of_combinations_is_read(
    tables: EvaluationTables, tmp_path: Path
) -> None:
    tables.save(tmp_path)
    (tmp_path / "combination_intervals.csv").unlink()
    again = EvaluationTables.load(tmp_path)
    sources = again.combinations_of(METHOD)[0]
    own, before = again.from_sources(sources, METHOD), tables.from_sources(sources, METHOD)
    assert own is not None
    assert before is not None
    assert "gene_rho_by_fold_low" in before.summary()
    assert "gene_rho_by_fold_low" not in own.summary()


def test_all_choices_of_the_tissues_that_most_donors_give_are_evaluated(
    cohort: ad.AnnData, tables: EvaluationTables
) -> None:
    found = tables.combinations_of(METHOD)
    first, second = (names[1] for names in of_most_given(cohort, BLOOD)[:2])
    assert found == [(BLOOD, first), (BLOOD, second), (BLOOD, first, second)]
    givers = set(cohort.obs.loc[cohort.obs["tissue"] == BLOOD, "donor"])
    shared = cohort.obs[cohort.obs["donor"].isin(givers)]["tissue"].value_counts().drop(BLOOD)
    assert set(shared.nlargest(2).index) == {first, second}
    assert tables.combinations_of("training-mean") == []


def test_rows_of_genes_are_those_of_the_combination_in_any_order(
    cohort: ad.AnnData, tables: EvaluationTables
) -> None:
    sources = of_most_given(cohort, BLOOD)[0]
    rows = out_of_fold_rho(tables, METHOD, sources[::-1])
    assert set(rows.index.unique("tissue")) == set(tissue_names(cohort)) - set(sources)
    assert len(rows) == 2 * cohort.n_vars
    own = tables.from_sources(sources, METHOD)
    assert own is not None
    mean = rows["rho_by_fold"].groupby("tissue").mean()
    expected = own.tissues.set_index("tissue")["gene_rho_by_fold"]
    np.testing.assert_allclose(mean, expected.loc[mean.index], atol=1e-5)
    alone = out_of_fold_rho(tables, METHOD, BLOOD)
    assert not np.allclose(alone.loc[rows.index, "rho_by_fold"], rows["rho_by_fold"])


def test_combinations_that_were_not_evaluated_are_called_unknown(tables: EvaluationTables) -> None:
    for sources in ((BLOOD, "Skin - Not Sun Exposed (Suprapubic)"), ("Liver",)):
        assert out_of_fold_rho(tables, METHOD, sources).empty
        assert "was not measured" in accuracy_in_words(tables, METHOD, sources, ["Lung"])
    assert out_of_fold_rho(tables, "training-mean", tables.combinations_of(METHOD)[0]).empty


def test_a_second_call_scores_nothing_again_and_adds_a_combination(
    options: EvaluateOptions, tables: EvaluationTables, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = tables.combinations_of(METHOD)

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("fitted again")

    monkeypatch.setattr("mtm_core.methods.joint_gaussian.JointGaussianMethod.fit", fail)
    again = replace(options, combinations=("+".join(known[2]), "+".join(known[0][::-1])))
    found = evaluate_methods(again).tables
    assert found.combinations_of(METHOD) == [known[2], known[0]]
    pd.testing.assert_frame_equal(
        found.from_sources(known[2], METHOD).genes_of(METHOD).reset_index(drop=True),  # type: ignore[union-attr]
        tables.from_sources(known[2], METHOD).genes_of(METHOD).reset_index(drop=True),  # type: ignore[union-attr]
    )


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (f"{BLOOD}+Livr", "unknown tissue: 'Livr'"),
        (BLOOD, "and other tissues, each once"),
        (f"{BLOOD}+{BLOOD}", "and other tissues, each once"),
        ("{1}+{2}", "and other tissues, each once"),
        ("{0}+{1}+{2}+{3}", "leaves no tissue to predict"),
    ],
)
def test_an_invalid_combination_is_refused(
    options: EvaluateOptions, cohort: ad.AnnData, asked: str, message: str
) -> None:
    names = [BLOOD, *(t for t in tissue_names(cohort) if t != BLOOD)]
    with pytest.raises(SelectionError, match=message.replace("+", r"\+")):
        evaluate_methods(replace(options, combinations=(asked.format(*names),)))


def test_a_combination_of_too_few_donors_is_refused(
    options: EvaluateOptions, cohort: ad.AnnData, tmp_path: Path
) -> None:
    other = of_most_given(cohort, BLOOD)[0][1]
    own = (cohort.obs["tissue"] == other).to_numpy()
    few = cohort[~own | (np.cumsum(own) <= 6)].copy()
    few.write_h5ad(tmp_path / "few.h5ad")
    with pytest.raises(SelectionError, match="at least 4 are needed"):
        evaluate_methods(
            replace(
                options,
                cohort=tmp_path / "few.h5ad",
                output=tmp_path / "out",
                combinations=(f"{BLOOD}+{other}",),
            )
        )


def test_tables_whose_rows_are_missing_are_no_evaluation(
    options: EvaluateOptions, tables: EvaluationTables, tmp_path: Path
) -> None:
    tables.save(tmp_path)
    assert EvaluationTables.load(tmp_path).combinations_of(METHOD)
    (tmp_path / "combinations.parquet").unlink()
    with pytest.raises(InputFileError, match=r"combinations\.parquet"):
        EvaluationTables.load(tmp_path)
