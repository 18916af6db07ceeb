"""Folds that stay on disk are scored to the bit as those in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.data.cohort.splits import DonorFolds, donor_folds
from mtm_core.errors import InputFileError
from mtm_core.evaluation import bootstrap
from mtm_core.evaluation.accuracy import accuracy, accuracy_in_strata
from mtm_core.evaluation.bootstrap import resample_donors
from mtm_core.evaluation.cross_validation import cross_validate, write_netcdf
from mtm_core.methods.protocol import FittedMethod, Floats, PredictedProfiles
from mtm_core.methods.ridge import RidgeMethod
from mtm_core.studies.out_of_fold import read_out_of_fold


@dataclass(frozen=True)
class FittedWithSpread:
    """A method with made-up intervals around its predictions."""

    fitted: FittedMethod
    tissues: tuple[str, ...]
    scaler: TissueScaler

    def predict(
        self,
        profiles: Mapping[str, Floats],
        target: str,
        phenotypes: pd.DataFrame | None = None,
    ) -> PredictedProfiles:
        mean = self.fitted.predict(profiles, target, phenotypes).mean
        sd = (0.5 + np.abs(mean)).astype(np.float32)
        n = np.arange(len(mean), dtype=np.float32)
        return PredictedProfiles(mean, sd, {50: 0.6 + n / 100, 90: 1.5 + n / 50})


@dataclass(frozen=True)
class WithSpread:
    name: str = "spread"

    def fit(self, cohort: ad.AnnData, donors: Sequence[str]) -> FittedWithSpread:
        fitted = RidgeMethod("Whole Blood").fit(cohort, donors)
        return FittedWithSpread(fitted, fitted.tissues, fitted.scaler)


@pytest.fixture(scope="module")
def folds(small_cohort: ad.AnnData) -> DonorFolds:
    return donor_folds(small_cohort.obs, n_folds=3)


@pytest.fixture(scope="module")
def in_memory(small_cohort: ad.AnnData, folds: DonorFolds) -> xr.Dataset:
    return cross_validate(WithSpread(), small_cohort, folds)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("folds")


@pytest.fixture(scope="module")
def on_disk(small_cohort: ad.AnnData, folds: DonorFolds, folder: Path) -> xr.Dataset:
    return cross_validate(WithSpread(), small_cohort, folds, folder=folder, settings={})


@dataclass(frozen=True)
class SometimesWithSpread:
    """Intervals where the first donor is among those fitted: in all folds but one."""

    first: str
    name: str = "sometimes"

    def fit(self, cohort: ad.AnnData, donors: Sequence[str]) -> FittedMethod:
        fitted = WithSpread().fit(cohort, donors)
        return fitted if self.first in donors else fitted.fitted


@pytest.mark.parametrize("without", [0, 2])
def test_intervals_that_a_fold_lacks_do_not_count(
    small_cohort: ad.AnnData,
    folds: DonorFolds,
    on_disk: xr.Dataset,
    tmp_path: Path,
    without: int,
) -> None:
    method = SometimesWithSpread(folds.held_out(without)[0])
    found = cross_validate(method, small_cohort, folds, folder=tmp_path, settings={})
    lacks = found["fold"].to_numpy() == without
    assert lacks.any()
    for name in ("lower_90", "upper_50", "sd"):
        values = found[name].to_numpy()
        assert np.isnan(values[lacks]).all()
        np.testing.assert_array_equal(values[~lacks], on_disk[name].to_numpy()[~lacks])
    expected = accuracy(on_disk.isel(pair=np.flatnonzero(~lacks))).tissues["coverage_90"]
    pd.testing.assert_series_equal(accuracy(found).tissues["coverage_90"], expected)


def test_every_value_is_the_same(in_memory: xr.Dataset, on_disk: xr.Dataset) -> None:
    assert on_disk.attrs == in_memory.attrs
    assert set(in_memory.data_vars) == {
        "predicted", "observed", "lower_50", "upper_50", "lower_90", "upper_90"
    }  # fmt: skip
    for name in ("donor", "tissue", "fold", "gene"):
        np.testing.assert_array_equal(on_disk[name], in_memory[name])
    for name, values in in_memory.items():
        np.testing.assert_array_equal(on_disk[name].to_numpy(), values.to_numpy())
        for rows, genes in (
            ([5, 2, 40], slice(3, 9)),
            (slice(None, None, 7), [8, 0]),
            (np.arange(in_memory.sizes["pair"]) % 3 == 0, 4),
            (-1, slice(None)),
        ):
            cut = on_disk[name].isel(pair=rows, gene=genes)
            expected = values.isel(pair=rows, gene=genes)
            np.testing.assert_array_equal(cut.to_numpy(), expected.to_numpy())


def test_every_figure_is_the_same(
    small_cohort: ad.AnnData, in_memory: xr.Dataset, on_disk: xr.Dataset
) -> None:
    donors = small_cohort.uns["donors"]
    one, other = (accuracy(part, donors) for part in (in_memory, on_disk))
    assert {"coverage_50", "coverage_90", "gene_adjusted_rho_by_fold"} <= set(one.tissues)
    for name in ("genes", "tissues", "samples"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name), check_exact=True)
    strata = [accuracy_in_strata(part, donors, small_cohort.var) for part in (in_memory, on_disk)]
    pd.testing.assert_frame_equal(*strata, check_exact=True)
    draws = [resample_donors(part, n_resamples=100) for part in (in_memory, on_disk)]
    np.testing.assert_array_equal(draws[0].by_tissue, draws[1].by_tissue)
    assert draws[0].estimate == draws[1].estimate


def test_a_file_for_studies_is_written_part_by_part(
    in_memory: xr.Dataset, on_disk: xr.Dataset, tmp_path: Path
) -> None:
    write_netcdf(on_disk, tmp_path / "spread.nc")
    xr.testing.assert_identical(read_out_of_fold(tmp_path / "spread.nc").load(), in_memory)


def test_folds_are_taken_from_the_folder(
    small_cohort: ad.AnnData,
    folds: DonorFolds,
    on_disk: xr.Dataset,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> FittedWithSpread:
        raise AssertionError("fitted again")

    monkeypatch.setattr(WithSpread, "fit", fail)
    again = cross_validate(WithSpread(), small_cohort, folds, folder=folder, settings={})
    np.testing.assert_array_equal(again["predicted"], on_disk["predicted"])


def test_a_damaged_fold_is_named(
    small_cohort: ad.AnnData, folds: DonorFolds, tmp_path: Path
) -> None:
    cross_validate(WithSpread(), small_cohort, folds, folder=tmp_path, settings={}, only=[0])
    (path,) = tmp_path.glob("*.h5")
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InputFileError, match=r"spread-.*-0.h5 is damaged .* predicted again"):
        cross_validate(WithSpread(), small_cohort, folds, folder=tmp_path, settings={}, only=[0])


def test_resamples_of_some_genes_lie_around_the_mean_of_all(
    in_memory: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = resample_donors(in_memory, n_resamples=200)
    monkeypatch.setattr(bootstrap, "MOST_GENES", in_memory.sizes["gene"] * 2 // 3)
    part = resample_donors(in_memory, n_resamples=200)
    assert part.estimate == pytest.approx(full.estimate, abs=1e-7)
    widths = [np.diff(each.interval())[0] for each in (full, part)]
    assert widths[1] == pytest.approx(widths[0], rel=0.35)
    # The same donors are drawn, so the two move together.
    assert np.corrcoef(full.mean, part.mean)[0, 1] > 0.8
