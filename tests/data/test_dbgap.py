"""What the controlled-access file adds to a cohort's donors, on a simulated one."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from mtm_core.data.cohort.cohort import read_cohort, write_cohort
from mtm_core.data.cohort.simulate import DiseaseConfig, SimulationConfig, simulate_cohort
from mtm_core.data.gtex.dbgap import medical_history, with_dbgap_phenotypes
from mtm_core.errors import InputFileError
from tests.dbgap_file import write_dbgap_file


@pytest.fixture(scope="module")
def cohort() -> ad.AnnData:
    return simulate_cohort(SimulationConfig(n_donors=30, n_genes=5, disease=DiseaseConfig()))


@pytest.fixture
def dbgap(tmp_path: Path, cohort: ad.AnnData, rng: np.random.Generator) -> Path:
    """Knows 25 of the donors, and of one of them no diagnosis; its history is the simulator's."""
    donors = cohort.uns["donors"].iloc[5:].copy()
    donors.loc[donors.index[0], "MHT2D"] = pd.NA
    donors["MHCOPD"] = pd.array([True] * 5 + [False] * 20, dtype="boolean")
    return write_dbgap_file(tmp_path, donors, pd.Series(rng.uniform(18, 40, 25), donors.index))


def test_exact_values_stand_in_place_of_public_ones(cohort: ad.AnnData, dbgap: Path) -> None:
    public = cohort.uns["donors"].drop(columns="MHT2D")
    exact = public["age"].copy()
    public["age"] = public["age"] // 10 * 10 + 4.5  # as the public file's bands give it
    public["hardy"] = np.nan
    donors = with_dbgap_phenotypes(public, dbgap)
    assert donors.index.equals(public.index)
    known = donors.index[5:]
    np.testing.assert_array_equal(donors.loc[known, "age"], exact[known])
    np.testing.assert_array_equal(donors["age"].iloc[:5], public["age"].iloc[:5])
    assert donors["hardy"].notna().tolist() == [False] * 5 + [True] * 25
    assert donors["bmi"].notna().sum() == 25
    assert donors["bmi"].dropna().between(18, 40).all()
    assert medical_history(donors) == ("MHT2D", "MHCOPD")
    truth = cohort.uns["donors"]["MHT2D"].iloc[6:]
    assert (donors["MHT2D"].iloc[6:] == truth).all()
    assert donors["MHT2D"].isna().sum() == 6
    assert "MHT2D" not in public


def test_medical_history_is_known_again_after_the_cohort_was_saved(
    cohort: ad.AnnData, dbgap: Path, tmp_path: Path
) -> None:
    saved = cohort.copy()
    saved.uns["donors"] = with_dbgap_phenotypes(cohort.uns["donors"], dbgap)
    write_cohort(saved, tmp_path / "cohort.h5ad")
    donors = read_cohort(tmp_path / "cohort.h5ad").uns["donors"]
    assert medical_history(donors) == ("MHT2D", "MHCOPD")
    assert medical_history(donors[["sex", "age"]]) == ()


def test_the_public_file_and_a_foreign_one_are_refused(cohort: ad.AnnData, tmp_path: Path) -> None:
    public = tmp_path / "public.txt"
    public.write_text("SUBJID\tSEX\tAGE\tDTHHRDY\nSIM-00001\t2\t60-69\t4\n")
    with pytest.raises(InputFileError, match=r"public.txt: expected the dbGaP file .* column BMI"):
        with_dbgap_phenotypes(cohort.uns["donors"], public)
    foreign = tmp_path / "foreign.txt"
    foreign.write_text("SUBJID\tSEX\tAGE\tBMI\nGTEX-1\t2\t60\t30\n")
    with pytest.raises(InputFileError, match="none of its 1 donors is in the cohort: 'GTEX-1'"):
        with_dbgap_phenotypes(cohort.uns["donors"], foreign)
