"""``mtm predict``: a user's file in, a file of predictions out, and a report beside it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mtm_core.artefact import Artefact
from mtm_core.inference.export import LONG_COLUMNS
from tests.cli.conftest import Mtm, error_of

SAMPLES = Path(__file__).parents[2] / "data_samples"
TPM = SAMPLES / "blood_tpm.tsv"
LUNG_AND_LIVER = ["--targets", "Lung, Liver"]

READERS: dict[str, Callable[[Path], int]] = {
    "p.csv": lambda path: len(pd.read_csv(path)),
    "p.parquet": lambda path: len(pd.read_parquet(path)),
    "p.h5ad": lambda path: ad.read_h5ad(path).X.size,
    "p.zarr": lambda path: xr.open_zarr(path, consolidated=False)["z"].size,
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("table", ["blood_tpm.tsv", "blood_counts.csv", "blood_tpm.gct"])
def test_every_sample_file_gives_every_format(
    mtm: Mtm, tmp_path: Path, table: str, name: str
) -> None:
    done = mtm("predict", SAMPLES / table, *LUNG_AND_LIVER, "--output", tmp_path / name)
    assert done.code == 0
    assert READERS[name](tmp_path / name) == 40 * 2 * 59
    assert done.out == ""  # the report goes to standard error
    lines = done.err.splitlines()
    assert lines[0].startswith(f"{table}: 40 samples, 59 genes, ")
    assert lines[1].startswith("Read as counts." if "counts" in table else "Read as tpm.")
    assert "Alignment: cohort." in lines[1]
    assert any("59 of the model's 59 genes are in the table" in line for line in lines)
    assert lines[-1].startswith(f"Wrote {tmp_path / name}: 40 samples x 2 tissues x 59 genes")
    assert lines[-1].endswith("For research use, not for diagnosis.")


def test_entry_point_is_installed_and_prints_nothing_on_standard_output(tmp_path: Path) -> None:
    mtm = Path(sys.executable).with_name("mtm")
    done = subprocess.run(
        [mtm, "predict", TPM, *LUNG_AND_LIVER, "--output", tmp_path / "p.csv"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ""
    assert "\x1b" not in done.stderr  # no colour in a file
    table = pd.read_csv(tmp_path / "p.csv")
    assert tuple(table.columns[:6]) == LONG_COLUMNS
    assert table["tissue"].unique().tolist() == ["Lung", "Liver"]


def test_another_source_and_all_targets(mtm: Mtm, tmp_path: Path) -> None:
    done = mtm("predict", TPM, "--source=Liver", "--output", tmp_path / "p.parquet")
    assert done.code == 0
    tissues = pd.read_parquet(tmp_path / "p.parquet")["tissue"]
    assert tissues.nunique() == 48
    assert "Liver" not in set(tissues)
    assert "Whole Blood" in set(tissues)


def test_own_model_by_its_folder(
    mtm: Mtm, small_artefact: Artefact, small_cohort: ad.AnnData, tmp_path: Path
) -> None:
    small_artefact.save(tmp_path / "mine")
    blood = small_cohort[small_cohort.obs["tissue"] == "Whole Blood"].to_df()
    blood.to_csv(tmp_path / "blood.csv")
    done = mtm(
        "predict", tmp_path / "blood.csv", "--model", tmp_path / "mine",
        "--unit=tpm", "--output", tmp_path / "p.parquet",
    )  # fmt: skip
    assert done.code == 0
    table = pd.read_parquet(tmp_path / "p.parquet")
    expected = small_artefact.method.scaler.mean[small_artefact.method.tissues.index("Lung")]
    mean = np.log2(1 + table[table["tissue"] == "Lung"].groupby("gene_id")["expression"].mean())
    assert np.corrcoef(mean.loc[blood.columns], expected)[0, 1] > 0.9


def test_unit_that_is_given_is_not_contradicted(mtm: Mtm, tmp_path: Path) -> None:
    options = [*LUNG_AND_LIVER, "--output", tmp_path / "p.csv"]
    guessed = mtm("predict", TPM, *options)
    assert "The unit is assumed to be tpm" in guessed.err
    given = mtm("predict", TPM, *options, "--unit=cpm", "--overwrite")
    assert "Read as cpm." in given.err
    assert "assumed to be" not in given.err


def test_missing_genes_are_a_warning(mtm: Mtm, tmp_path: Path) -> None:
    table = pd.read_csv(TPM, sep="\t", index_col="sample").drop(columns=["BRCA1", "TP53"])
    table.to_csv(tmp_path / "less.csv")
    done = mtm("predict", tmp_path / "less.csv", *LUNG_AND_LIVER, "--output", tmp_path / "p.csv")
    warnings = [line for line in done.err.splitlines() if line.startswith("Warning: ")]
    assert any("'BRCA1'" in line and "'TP53'" in line for line in warnings)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output=p.xlsx"], "'p.xlsx' does not show its format"),
        (["--targets=Lungs", "--output=p.csv"], "'Lungs' (did you mean 'Lung'?)"),
        (["--targets=", "--output=p.csv"], "--targets is empty"),
        (["--source=Blod", "--output=p.csv"], "unknown tissue: 'Blod'"),
        (["--targets=Whole Blood", "--output=p.csv"], "'Whole Blood' is the source"),
        (["--model=none", "--output=p.csv"], "(bundled: gtex_v8_acmg59"),
        (
            ["--chunk=9", "--output=p.csv"],
            "a prediction in chunks is written as .zarr, got 'p.csv'",
        ),
        (["--values=z,rho", "--output=p.zarr"], "unknown value: 'rho'"),
        (["--workers=1", "--output=p.zarr"], "there is no such file or folder"),
        (["--workers=1", "--scheduler=tcp://a:1", "--output=p.zarr"], "--workers or --scheduler"),
    ],
)
def test_wrong_choice_is_one_line_before_anything_is_read(
    mtm: Mtm,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in error_of(mtm("predict", "no-such-file.csv", *arguments))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty|no table|no lines"),
        (b"sample,BRCA1,TP53\ns1,1,2\ns2,3,4\n", "2 of the model's 59 genes are in the table"),
        (b"sample,BRCA1,TP53\ns1,1,x\ns2,3,4\n", "'x'"),
        (b"\x89PNG\r\n\x1a\n" + bytes(64), "bad.csv: "),
    ],
)
def test_file_that_cannot_be_used_ends_with_1(
    mtm: Mtm, tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "bad.csv").write_bytes(content)
    done = mtm("predict", tmp_path / "bad.csv", "--output", tmp_path / "p.csv")
    assert done.code == 1
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(done.err.splitlines()[-1])
    assert done.err.splitlines()[-1].startswith("mtm: error: ")
    assert not (tmp_path / "p.csv").exists()
