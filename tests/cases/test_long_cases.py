"""Tables with a row for each sample and gene: laid out, never summed into one person."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mtm_core.data.files.reading_options import ReadingOptions
from mtm_core.data.tables.expression import read_expression
from mtm_core.errors import InputFileError
from tests.cases import base

SYMBOL = base.genes()["symbol"]


def long(table: pd.DataFrame, sample: str = "sample", value: str = "count") -> pd.DataFrame:
    """Return (sample, gene, value)."""
    rows = table.rename_axis("gene_id").reset_index()
    return rows.melt("gene_id", var_name=sample, value_name=value)[[sample, "gene_id", value]]


def mixed_order(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.sample(frac=1, random_state=1)[["count", "gene_id", "sample"]]


def other_names(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.set_axis(["who", "what", "how much"], axis=1)


def symbols(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(gene_id=rows["gene_id"].map(SYMBOL))


def numbered(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(sample=rows["sample"].str[2:].astype(int))


def more_columns(rows: pd.DataFrame) -> pd.DataFrame:
    """Add what is known of samples and of genes: the same in all rows of each."""
    number = rows["sample"].str[2:].astype(int)
    return rows.assign(
        symbol=rows["gene_id"].map(SYMBOL),
        length=rows["gene_id"].map(base.lengths()),
        age=30 + number,
        group=np.where(number < 12, "covid", "healthy"),
        chromosome=rows["gene_id"].map(lambda gene: int(gene[-1]) + 1),
    )


def gene_sample_value(rows: pd.DataFrame) -> pd.DataFrame:
    """Three columns that a list of genes, symbols and values of one sample has, too."""
    return rows[["gene_id", "sample", "count"]].set_axis(["gene", "sample", "value"], axis=1)


def numbered_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Write the row numbers of R and pandas, which shuffling has mixed, as a column."""
    return rows.reset_index(names="").sample(frac=1, random_state=1)


def two_values(rows: pd.DataFrame) -> pd.DataFrame:
    rate = rows["count"] / rows["gene_id"].map(base.lengths())
    return rows.assign(TPM=rate * 1e6 / rate.groupby(rows["sample"]).transform("sum"))[
        ["sample", "gene_id", "TPM", "count"]
    ]


def as_in_a_program(rows: pd.DataFrame) -> pd.DataFrame:
    """Name the columns as a file of one sample does."""
    return rows.set_axis(["Name", "gene", "counts"], axis=1)


CHANGES: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "plain": lambda rows: rows,
    "order": mixed_order,
    "other names": other_names,
    "symbols": symbols,
    "as in a program": as_in_a_program,
    "numbered": numbered,
    "more columns": more_columns,
    "two values": two_values,
    "gene, sample, value": gene_sample_value,
    "row numbers": numbered_rows,
}


def write(rows: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".csv":
        rows.to_csv(path, index=False)
    elif path.suffix == ".parquet":
        rows.to_parquet(path)
    else:
        rows.to_excel(path, index=False)
    return path


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_long_table_is_laid_out(change: str, suffix: str, tmp_path: Path) -> None:
    path = write(CHANGES[change](long(base.counts())), tmp_path / f"x{suffix}")
    read = base.read(path)
    z = base.z_of_table(read)
    z.index = [f"PT{int(name.removeprefix('PT')):02d}" for name in z.index]
    base.same_z(z.sort_index(), base.clean_z(), 0)
    assert "The table has a row for each sample and gene: 24 samples" in str(read.report.notes)


def test_workbook_and_a_row_number_in_front(tmp_path: Path) -> None:
    rows = long(base.counts().iloc[:, :8])
    expected = base.z_of_table(base.counts().iloc[:, :8].T.astype(float), "counts")
    base.same_z(base.z_of(write(rows, tmp_path / "x.xlsx")), expected, 0)
    rows.to_csv(tmp_path / "x.csv")
    base.same_z(base.z_of(tmp_path / "x.csv"), expected, 0)


def test_one_sample_is_named_by_its_column(tmp_path: Path) -> None:
    rows = long(base.counts()[["PT07"]])
    read = base.read(write(rows, tmp_path / "x.csv"))
    assert list(read.values.index) == ["PT07"]


def test_quantity_is_chosen(tmp_path: Path) -> None:
    rows = two_values(long(base.counts()))
    path = write(rows, tmp_path / "x.csv")
    assert base.read(path).report.unit == "counts"
    (choice,) = base.read(path).report.choices
    assert (choice.taken, choice.offered) == ("count", ("TPM", "count"))
    tpm = base.read(path, ReadingOptions(quantity="tpm"))
    expected = rows.pivot(index="sample", columns="gene_id", values="TPM")
    np.testing.assert_allclose(tpm.values[expected.columns], expected)
    odd = rows.rename(columns={"TPM": "value1", "count": "value2"})
    with pytest.raises(InputFileError, match=r"several columns of numbers: 'value1', 'value2'"):
        base.read(write(odd, tmp_path / "y.csv"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda rows: pd.concat([rows, rows.iloc[[777]]]),
            r"1 of 4,800 pairs are there more than once, the first 'PT04', 'ENSG\d+'",
        ),
        (lambda rows: pd.concat([rows, rows]), "4,800 of 4,800 pairs are there more than once"),
        (lambda rows: rows.drop(index=[1033]), r"1 of 4,800 pairs are missing, the first 'PT06'"),
        (lambda rows: rows[rows["count"] > 0], r"pairs are missing.* not read as 0"),
        (
            lambda rows: rows.drop(columns="sample"),
            "no column says which row belongs to which sample",
        ),
        (
            lambda rows: rows.astype({"count": object}).replace({"count": {0: "n/d"}}),
            r"cells of column 'count' are not numbers, the first for 'PT\d\d', 'ENSG\d+': 'n/d'",
        ),
    ],
)
def test_duplicate_and_missing_rows_are_errors(
    change: Callable[[pd.DataFrame], pd.DataFrame], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.csv"
    change(long(base.counts())).to_csv(path, index=False)
    with pytest.raises(InputFileError, match=words):
        base.read(path)


def test_blank_value_is_named(tmp_path: Path) -> None:
    rows = long(base.counts()).astype({"count": float})
    rows.loc[777, "count"] = np.nan
    with pytest.raises(Exception, match=r"1 cell is blank, the first in row 'ENSG.*'PT04'"):
        base.read(write(rows, tmp_path / "x.csv"))


def test_transcripts_of_genes_side_by_side_are_no_long_table(tmp_path: Path) -> None:
    """Rows of one gene are parts of it: they are summed, as ever."""
    half = base.counts() // 2
    parts = pd.concat([half, base.counts() - half])
    parts.insert(0, "isoform", [1] * len(half) + [2] * len(half))
    parts.to_csv(tmp_path / "x.csv")
    read = base.read(tmp_path / "x.csv", ReadingOptions(leave_out=("isoform",)))
    base.same_z(base.z_of_table(read), base.clean_z(), 0)


def test_a_million_rows_are_laid_out_quickly() -> None:
    n_samples, n_genes = 50, 20_000
    rows = pd.DataFrame(
        {
            "sample": np.repeat([f"S{i}" for i in range(n_samples)], n_genes),
            "gene": np.tile([f"ENSG{i:011d}" for i in range(n_genes)], n_samples),
            "TPM": np.arange(n_samples * n_genes) % 997 / 8,
        }
    )
    file = io.BytesIO()
    rows.to_parquet(file)
    started = time.monotonic()
    read = read_expression(io.BytesIO(file.getvalue()), "long.parquet", isolated=True)
    assert time.monotonic() - started < 30
    assert read.values.shape == (n_samples, n_genes)
    np.testing.assert_array_equal(read.values.to_numpy().ravel(), rows["TPM"])


def test_real_file() -> None:
    clean = base.z_of(base.case_file("00_base/tpm.csv"))
    base.same_z(base.z_of(base.case_file("17_tidy_long/long_tpm.csv")), clean, 0.02)
