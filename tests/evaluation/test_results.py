from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mtm_core import grouped_writing
from mtm_core.data.cohort.splits import donor_folds
from mtm_core.errors import InputFileError
from mtm_core.evaluation.accuracy import Accuracy, accuracy, accuracy_in_strata
from mtm_core.evaluation.bootstrap import resample_donors
from mtm_core.evaluation.cross_validation import cross_validate
from mtm_core.evaluation.overlaps import shared_sets
from mtm_core.evaluation.predictability import matrix_of
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.grouped_table import TableOnDisk
from mtm_core.methods.controls import ControlMethod
from mtm_core.model_description import read_description
from mtm_core.model_places import DEFAULT_MODEL, find_model

SETTINGS = {"folds": 2, "seed": 0, "source": "Whole Blood"}


@pytest.fixture(scope="module")
def out_of_fold(small_cohort: ad.AnnData) -> dict[str, xr.Dataset]:
    """The second method also gives intervals."""
    folds = donor_folds(small_cohort.obs, n_folds=2)
    first, second = (
        cross_validate(ControlMethod(name), small_cohort, folds)
        for name in ("source-as-proxy", "training-mean")
    )
    sd = xr.ones_like(second["predicted"])
    return {"source-as-proxy": first, "training-mean": second.assign(predicted_sd=sd)}


@pytest.fixture(scope="module")
def accuracies(small_cohort: ad.AnnData, out_of_fold: dict[str, xr.Dataset]) -> dict[str, Accuracy]:
    donors = small_cohort.uns["donors"]
    return {name: accuracy(part, donors) for name, part in out_of_fold.items()}


@pytest.fixture
def tables(
    small_cohort: ad.AnnData,
    accuracies: dict[str, Accuracy],
    out_of_fold: dict[str, xr.Dataset],
) -> EvaluationTables:
    donors = small_cohort.uns["donors"]
    return EvaluationTables.of(
        accuracies,
        SETTINGS,
        resampled={n: resample_donors(part, n_resamples=100) for n, part in out_of_fold.items()},
        strata={n: accuracy_in_strata(part, donors) for n, part in out_of_fold.items()},
    )


def test_summary_is_each_method_s_own_in_the_order_they_were_run(
    tables: EvaluationTables, accuracies: dict[str, Accuracy]
) -> None:
    summary = tables.summary()
    assert summary.index.tolist() == ["source-as-proxy", "training-mean"]
    for name, own in accuracies.items():
        assert summary.loc[name].dropna().to_dict().items() >= own.summary().items()
    first = summary.loc["source-as-proxy"]
    assert first["gene_rho_by_fold_mean"] > 0.1
    assert first["gene_rho_by_fold_low"] < first["gene_rho_by_fold_mean"]
    assert first["gene_rho_by_fold_mean"] < first["gene_rho_by_fold_high"]
    assert summary.loc["training-mean", "gene_rho_by_fold_mean"] == 0
    assert summary["coverage_90"].isna().tolist() == [True, False]


def test_spread_is_over_the_tissues(
    tables: EvaluationTables, accuracies: dict[str, Accuracy]
) -> None:
    own = accuracies["source-as-proxy"].tissues["sample_rho"]
    spread = tables.spread().loc["source-as-proxy"]
    assert spread["sample_rho_sd"] == pytest.approx(np.std(own, ddof=1))
    assert (spread["sample_rho_min"], spread["sample_rho_max"]) == (own.min(), own.max())


def test_figures_of_a_method_are_json_without_missing_ones(
    tables: EvaluationTables, accuracies: dict[str, Accuracy]
) -> None:
    for name, own in accuracies.items():
        loaded = json.loads(json.dumps(tables.of_method(name), allow_nan=False))
        assert loaded["settings"] == SETTINGS
        assert loaded["summary"].items() >= own.summary().items()
        assert {"gene_adjusted_rho_by_fold_mean", "gene_rho_by_fold_low"} < set(loaded["summary"])
        assert ("coverage_90" in loaded["summary"]) == (name == "training-mean")
        tissues = pd.DataFrame(loaded["tissues"]).set_index("tissue")
        pd.testing.assert_frame_equal(tissues, own.tissues, check_like=True)


def test_tables_come_back_from_their_folder(tables: EvaluationTables, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    tables.save(folder)
    loaded = EvaluationTables.load(folder)
    assert loaded.settings == SETTINGS
    pd.testing.assert_frame_equal(loaded.genes, tables.genes.reset_index(drop=True))
    pd.testing.assert_frame_equal(loaded.tissues, tables.tissues.reset_index(drop=True), rtol=1e-5)
    for name in ("intervals", "comparisons", "comparisons_by_tissue", "strata"):
        own = getattr(tables, name)
        assert len(own) > 0
        pd.testing.assert_frame_equal(
            getattr(loaded, name), own, rtol=1e-5, check_names=False, check_dtype=False
        )
    pd.testing.assert_frame_equal(loaded.summary(), tables.summary(), rtol=1e-5)
    written = pd.read_csv(folder / "summary.csv", index_col="method")
    expected = tables.summary().join(tables.spread())
    pd.testing.assert_frame_equal(written, expected, rtol=1e-5)
    assert {"gene_rho_by_fold_high", "sample_rho_sd"} < set(written)


def test_an_evaluation_of_before_is_read(
    tables: EvaluationTables, accuracies: dict[str, Accuracy], tmp_path: Path
) -> None:
    # As the first version wrote it.
    genes = ["tissue", "gene_id", "n", "rho_by_fold", "rho_pooled", "r2", "method"]
    figures = ["gene_rho_by_fold", "gene_rho_pooled", "sample_rho", "n_predictable", "mse_ratio"]
    tables.save(tmp_path)
    tables.genes[genes].to_parquet(tmp_path / "genes.parquet")
    tissues = tables.tissues[["tissue", "n", *figures, "method"]]
    tissues.to_csv(tmp_path / "tissues.csv", index=False)
    means = [f"{figure}_mean" for figure in figures]
    tables.summary()[means].to_csv(tmp_path / "summary.csv")
    for name in ("comparisons", "comparisons_by_tissue", "strata"):
        (tmp_path / f"{name}.csv").unlink()
    loaded = EvaluationTables.load(tmp_path)
    assert loaded.summary().columns.tolist() == means
    own = accuracies["source-as-proxy"].summary()
    assert loaded.of_method("source-as-proxy")["summary"] == pytest.approx(
        {name: own[name] for name in means}
    )
    assert loaded.comparisons.empty
    loaded.save(tmp_path / "again")


def test_gene_rows_of_a_wide_model_stay_on_disk(
    tables: EvaluationTables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grouped_writing, "LONGEST_EXACT", 10)
    tables.save(tmp_path)
    loaded = EvaluationTables.load(tmp_path)
    assert isinstance(loaded.gene_rows, TableOnDisk)
    assert loaded.methods == tables.methods
    assert loaded.gene_ids.tolist() == tables.gene_ids.tolist()
    assert loaded.n_genes == tables.n_genes == tables.genes["gene_id"].nunique()
    method, tissue, gene = "source-as-proxy", "Lung", str(tables.gene_ids[3])
    for asked in ({"tissue": tissue}, {"genes": gene}, {"columns": ["rho_pooled"]}):
        one, other = (part.genes_of(method, **asked) for part in (tables, loaded))
        other = other[one.columns].astype(one.dtypes).set_index(one.index)
        pd.testing.assert_frame_equal(other, one, rtol=2.0**-12)
    for tissues in (None, ["Liver", "Lung"]):
        wide = matrix_of(loaded, method, "rho_by_fold", tissues)
        expected = matrix_of(tables, method, "rho_by_fold", tissues)
        pd.testing.assert_frame_equal(
            wide[expected.columns].astype(float), expected, rtol=2.0**-12, check_names=False
        )
    sets = [shared_sets(part.gene_rows, tables.methods) for part in (tables, loaded)]
    pd.testing.assert_frame_equal(sets[1].reset_index(drop=True), sets[0], check_dtype=False)


def test_tables_of_an_earlier_evaluation_do_not_stay(
    tables: EvaluationTables, accuracies: dict[str, Accuracy], tmp_path: Path
) -> None:
    tables.save(tmp_path)
    alone = {"source-as-proxy": accuracies["source-as-proxy"]}
    EvaluationTables.of(alone, SETTINGS).save(tmp_path)
    assert EvaluationTables.load(tmp_path).comparisons.empty
    assert "gene_rho_by_fold_low" not in EvaluationTables.load(tmp_path).summary()


@pytest.mark.parametrize("damage", ["nothing", "cut"])
def test_a_folder_without_an_evaluation_is_named(
    tables: EvaluationTables, tmp_path: Path, damage: str
) -> None:
    if damage == "cut":
        tables.save(tmp_path)
        (tmp_path / "settings.json").write_text('{"folds": ')
    with pytest.raises(
        InputFileError, match=r"holds no evaluation: .*\. Make one with 'mtm evaluate'"
    ):
        EvaluationTables.load(tmp_path)


EARLIER = {
    "adjusted_rho_by_fold": "partial_rho",
    "adjusted_rho_pooled": "partial_rho_pooled",
    "gene_adjusted_rho_by_fold": "gene_rho_partial",
    "gene_adjusted_rho_pooled": "gene_rho_partial_pooled",
    "gene_adjusted_rho_pooled_mean": "gene_rho_partial_pooled_mean",
}


@pytest.mark.parametrize("longest", [1, 10**6])
def test_an_evaluation_with_the_names_of_an_earlier_version_is_read(
    tables: EvaluationTables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, longest: int
) -> None:
    monkeypatch.setattr(grouped_writing, "LONGEST_EXACT", longest)
    tables.save(tmp_path / "now")
    before = replace(
        tables,
        gene_rows=tables.genes.rename(columns=EARLIER),
        tissues=tables.tissues.rename(columns=EARLIER),
        strata=tables.strata.rename(columns=EARLIER),
    )
    before.save(tmp_path / "before")
    assert "gene_rho_partial" in pd.read_csv(tmp_path / "before" / "tissues.csv")
    now, read = (EvaluationTables.load(tmp_path / name) for name in ("now", "before"))
    assert isinstance(read.gene_rows, TableOnDisk) == (longest == 1)
    for name in ("genes", "tissues", "strata"):
        pd.testing.assert_frame_equal(getattr(read, name), getattr(now, name))
    pd.testing.assert_frame_equal(read.summary(), now.summary())
    column = ["adjusted_rho_pooled"]
    own = read.genes_of("training-mean", "Lung", columns=column)
    pd.testing.assert_frame_equal(own, now.genes_of("training-mean", "Lung", columns=column))
    matrices = [matrix_of(one, "training-mean", column[0]) for one in (now, read)]
    pd.testing.assert_frame_equal(*matrices)
    assert matrices[0].notna().any(axis=None)


def test_figures_of_a_bundled_model_have_the_names_of_its_evaluation() -> None:
    folder = find_model(DEFAULT_MODEL)
    written = pd.read_csv(folder / "evaluation" / "summary.csv", index_col="method")
    model = read_description(folder)
    mean = model["accuracy"]["summary"]["gene_adjusted_rho_by_fold_mean"]
    assert mean == pytest.approx(written.loc[model["method"], "gene_rho_partial_mean"], abs=1e-6)
    summary = EvaluationTables.load(folder / "evaluation").summary()
    assert summary.loc[model["method"], "gene_adjusted_rho_by_fold_mean"] == pytest.approx(mean)
