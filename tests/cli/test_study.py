"""``mtm study``: tables on disk, a short table printed, errors in one line."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from mtm_core.data.cohort import write_cohort
from mtm_core.data.simulate import DiseaseConfig, SimulationConfig, simulate_cohort
from mtm_core.studies.reference import ReferenceAssociations
from tests.cli.conftest import Mtm, error_of
from tests.dbgap_file import write_dbgap_file


@pytest.fixture(scope="module")
def diseased() -> ad.AnnData:
    """130 donors, 52 of them cases, in 3 tissues of 12 genes."""
    return simulate_cohort(
        SimulationConfig(
            n_donors=130, n_tissues=3, n_genes=12, presence=(1.0, 1.0), disease=DiseaseConfig()
        )
    )


@pytest.fixture(scope="module")
def public_cohort(diseased: ad.AnnData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same without what dbGaP keeps."""
    public = diseased.copy()
    public.uns["donors"] = public.uns["donors"].drop(columns="MHT2D")
    path = tmp_path_factory.mktemp("study") / "cohort.h5ad"
    write_cohort(public, path)
    return path


def test_reference_of_public_traits_and_of_a_dbgap_file(
    mtm: Mtm, diseased: ad.AnnData, public_cohort: Path, tmp_path: Path
) -> None:
    done = mtm("study", "reference", public_cohort, "--output", tmp_path / "public")
    assert done.code == 0
    lines = [line.split("\t") for line in done.out.splitlines()]
    assert lines[0][:2] == ["trait", "adjusted for"]
    assert {line[0] for line in lines[1:]} == {"age", "sex", "ventilator"}
    assert ["age", "nothing", "3", "36"] in [line[:4] for line in lines]
    assert set(ReferenceAssociations.load(tmp_path / "public").traits) == {
        "age", "sex", "ventilator"
    }  # fmt: skip

    donors = diseased.uns["donors"]
    bmi = pd.Series(np.random.default_rng(0).uniform(18, 40, len(donors)), donors.index)
    file = write_dbgap_file(tmp_path, donors, bmi)
    done = mtm("study", "reference", public_cohort, "--dbgap", file, "--output", tmp_path / "dbgap")
    assert done.code == 0
    found = ReferenceAssociations.load(tmp_path / "dbgap")
    assert set(found.traits) == {"age", "sex", "ventilator", "bmi", "MHT2D"}
    disease = found.select("MHT2D", "Whole Blood")
    assert (disease["n_case"] == 52).all()
    planted = diseased.uns["truth"]["effects"]["case"][0] != 0
    assert (disease["fdr"] <= 0.05)[planted].mean() > 0.7


def test_a_file_that_is_not_dbgap_s_is_one_line(
    mtm: Mtm, public_cohort: Path, tmp_path: Path
) -> None:
    public = tmp_path / "public.txt"
    public.write_text("SUBJID\tSEX\tAGE\nSIM-00001\t2\t60-69\n")
    done = mtm("study", "reference", public_cohort, "--dbgap", public, "--output", tmp_path / "a")
    assert "expected the dbGaP file" in error_of(done)
    assert not (tmp_path / "a").exists()
