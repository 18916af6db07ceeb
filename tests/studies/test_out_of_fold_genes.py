"""Predictions back on the expression scale, and genes that only other donors chose."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import false_discovery_control, pearsonr

from mtm_core.data.cohort.splits import DonorFolds, donor_folds
from mtm_core.errors import CohortError, InputFileError
from mtm_core.evaluation.cross_validation import write_netcdf
from mtm_core.studies import out_of_fold as out_of_fold_module
from mtm_core.studies.out_of_fold import (
    TissuePredictions,
    linear,
    on_expression_scale,
    read_out_of_fold,
    source_profiles,
)
from tests.studies.conftest import DISEASED

Predictions = dict[str, TissuePredictions]


def test_values_are_log2_expression_of_the_fold_s_training_donors(
    out_of_fold: xr.Dataset,
    predictions: Predictions,
    diseased_cohort: ad.AnnData,
    folds: DonorFolds,
) -> None:
    part = predictions[DISEASED]
    own = diseased_cohort[diseased_cohort.obs["tissue"] == DISEASED]
    measured = own.to_df().set_axis(own.obs["donor"].to_numpy())
    z = out_of_fold.isel(pair=out_of_fold["tissue"].to_numpy() == DISEASED)
    for i in (0, 50, len(part.donors) - 1):
        np.testing.assert_allclose(
            part.observed[i], np.log2(1 + measured.loc[part.donors[i]]), atol=1e-4
        )
        training = [d for d in folds.training(int(part.fold[i])) if d in measured.index]
        log2 = np.log2(1 + measured.loc[training].to_numpy(float))
        expected = z["predicted"].to_numpy()[i] * log2.std(axis=0) + log2.mean(axis=0)
        np.testing.assert_allclose(part.predicted[i], expected, atol=1e-3)
    np.testing.assert_allclose(
        linear(part.observed)[3], measured.loc[part.donors[3]], rtol=1e-3, atol=1e-3
    )
    blood = source_profiles(diseased_cohort, "Whole Blood", part.donors[:4])
    own = diseased_cohort[diseased_cohort.obs["tissue"] == "Whole Blood"]
    expected = own.to_df().set_axis(own.obs["donor"].to_numpy()).loc[part.donors[:4]]
    np.testing.assert_allclose(blood, np.log2(1 + expected), atol=1e-4)


def test_a_fold_s_genes_are_chosen_on_the_other_folds(
    out_of_fold: xr.Dataset, predictions: Predictions
) -> None:
    part = predictions["Lung"]
    z = out_of_fold.isel(pair=out_of_fold["tissue"].to_numpy() == "Lung")
    predicted, observed = z["predicted"].to_numpy(), z["observed"].to_numpy()
    for k in range(3):
        others = z["fold"].to_numpy() != k
        rho = [
            pearsonr(predicted[others, g], observed[others, g]).statistic
            for g in range(predicted.shape[1])
        ]
        np.testing.assert_array_equal(part.chosen[k], np.array(rho) > 0.3)
    assert 0 < part.mostly_chosen.sum() < 30


def test_donors_do_not_help_to_choose_their_own_genes(
    out_of_fold: xr.Dataset,
    predictions: Predictions,
    diseased_cohort: ad.AnnData,
    folds: DonorFolds,
) -> None:
    changed = out_of_fold.copy(deep=True)
    own = changed["fold"].to_numpy() == 1
    changed["predicted"].to_numpy()[own] *= -1
    again = on_expression_scale(changed, diseased_cohort, folds)
    for tissue, part in predictions.items():
        np.testing.assert_array_equal(again[tissue].chosen[1], part.chosen[1])
        assert again[tissue].chosen[0].sum() < part.chosen[0].sum()


def test_every_chosen_gene_comes_once_with_the_donors_it_was_chosen_for(
    predictions: Predictions,
) -> None:
    part = predictions["Lung"]
    seen: dict[int, set[int]] = {}
    for rows, genes in part.parts():
        for gene in genes:
            assert gene not in seen
            seen[int(gene)] = set(rows.tolist())
    expected = {
        g: {i for i in range(len(part.donors)) if part.chosen[part.fold[i], g]}
        for g in range(len(part.genes))
        if part.chosen[:, g].any()
    }
    assert seen == expected
    assert len(seen) == part.n_chosen
    table = part.over_chosen(
        lambda rows, genes: pd.DataFrame(
            {"p": (genes + 1) / 100, "fdr": 0.0}, index=part.genes[genes]
        )
    )
    np.testing.assert_allclose(table["fdr"], false_discovery_control(table["p"]))
    none = replace(part, chosen=np.zeros_like(part.chosen))
    assert none.over_chosen(lambda rows, genes: pd.DataFrame()).empty


def test_predictions_of_something_else_are_refused(
    out_of_fold: xr.Dataset, diseased_cohort: ad.AnnData, folds: DonorFolds
) -> None:
    other_folds = donor_folds(diseased_cohort.obs, n_folds=3, seed=5)
    with pytest.raises(CohortError, match=r"do not belong to this cohort and folds"):
        on_expression_scale(out_of_fold, diseased_cohort, other_folds)
    few = DonorFolds(folds.folds[:2], folds.seed)
    with pytest.raises(CohortError, match="of fold 2, but there are 2 folds"):
        on_expression_scale(out_of_fold, diseased_cohort, few)
    with pytest.raises(CohortError, match=r"predictions \(29\) are not those"):
        on_expression_scale(out_of_fold.isel(gene=slice(29)), diseased_cohort, folds)
    one = out_of_fold.isel(pair=out_of_fold["fold"].to_numpy() == 0)
    with pytest.raises(CohortError, match="of a single fold, so there are no other donors"):
        on_expression_scale(one, diseased_cohort, folds)
    without = diseased_cohort[diseased_cohort.obs["donor"] != out_of_fold["donor"].to_numpy()[0]]
    with pytest.raises(CohortError, match=r"lacks a sample .* of donor"):
        on_expression_scale(out_of_fold, without.copy(), folds)


def test_a_tissue_of_a_wide_cohort_is_made_on_request(
    predictions: Predictions,
    out_of_fold: xr.Dataset,
    diseased_cohort: ad.AnnData,
    folds: DonorFolds,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(out_of_fold_module, "_MOST_BYTES", 1000)
    write_netcdf(out_of_fold, tmp_path / "ridge.nc")
    with read_out_of_fold(tmp_path / "ridge.nc") as saved:
        later = on_expression_scale(saved, diseased_cohort, folds)
        assert list(later) == list(predictions)
        for tissue, part in later.items():
            for name in ("donors", "fold", "predicted", "observed", "chosen"):
                np.testing.assert_array_equal(
                    getattr(part, name), getattr(predictions[tissue], name)
                )
        assert later["Lung"] is later["Lung"]
        with pytest.raises(KeyError):
            later["Whole Blood"]


def test_saved_predictions_are_read_and_other_files_refused(
    out_of_fold: xr.Dataset, tmp_path: Path
) -> None:
    out_of_fold.to_netcdf(tmp_path / "ridge.nc", engine="h5netcdf")
    xr.testing.assert_identical(read_out_of_fold(tmp_path / "ridge.nc"), out_of_fold)
    with pytest.raises(InputFileError, match="expected the NetCDF file of 'mtm evaluate"):
        read_out_of_fold(tmp_path / "nothing.nc")
    xr.Dataset({"observed": ("pair", [1.0])}).to_netcdf(tmp_path / "x.nc", engine="h5netcdf")
    with pytest.raises(InputFileError, match="donor, fold, predicted, tissue missing"):
        read_out_of_fold(tmp_path / "x.nc")


def test_a_refused_file_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(out_of_fold_module, "_MOST_BYTES", 0)  # as of a wide cohort
    xr.Dataset({"observed": ("pair", [1.0])}).to_netcdf(tmp_path / "x.nc", engine="h5netcdf")
    with pytest.raises(InputFileError, match="donor, fold") as refused:
        read_out_of_fold(tmp_path / "x.nc")
    assert refused  # an error that is shown holds what its functions had
    with h5py.File(tmp_path / "x.nc", "r+") as file:  # refused while it is open for reading
        assert "observed" in file
