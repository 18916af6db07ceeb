"""Tables read a few samples at a time: what they hold, and what is said of those that cannot be."""

from __future__ import annotations

import os
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
from scipy import sparse

from mtm_core.data.formats.stored_table import is_stored_in_parts, open_stored_table
from mtm_core.data.genes.index import GeneIndex
from mtm_core.errors import ExpressionError, InputFileError

GENES = [f"ENSG{i:011d}" for i in range(30)]


@pytest.fixture
def table(rng: np.random.Generator) -> pd.DataFrame:
    values = rng.gamma(1, 20, size=(17, len(GENES))).astype(np.float32)
    return pd.DataFrame(values, index=[f"s{i}" for i in range(17)], columns=GENES)


@pytest.fixture
def known() -> GeneIndex:
    return GeneIndex(pd.DataFrame({"symbol": "", "entrez": ""}, index=GENES[:20]))


def written(adata: ad.AnnData, folder: Path) -> Path:
    adata.write_h5ad(folder / "new.h5ad")
    return (folder / "new.h5ad").replace(folder / "t.h5ad")


def test_parts_are_the_table_cut(table: pd.DataFrame, known: GeneIndex, tmp_path: Path) -> None:
    stored = open_stored_table(written(ad.AnnData(table), tmp_path), known)
    assert stored.samples == tuple(table.index)
    assert stored.genes == tuple(GENES)
    for start, stop in ((0, 17), (0, 1), (5, 9), (16, 17)):
        part = stored.read(start, stop)
        assert part.to_numpy().dtype == np.float64
        np.testing.assert_array_equal(part, table.iloc[start:stop])
        assert part.index.tolist() == table.index[start:stop].tolist()


@pytest.mark.parametrize("size", [1, 4, 17, 100])
def test_row_groups_of_parquet_do_not_show(
    table: pd.DataFrame, known: GeneIndex, tmp_path: Path, size: int
) -> None:
    counts = table.round().astype("int32").assign(batch="b", age=40, dead=True)
    counts.to_parquet(tmp_path / "t.parquet", row_group_size=size)
    stored = open_stored_table(tmp_path / "t.parquet", known)
    assert stored.genes == tuple(GENES)  # neither words, nor ages, nor yes and no
    for start in range(17):
        for stop in (start + 1, 17):
            np.testing.assert_array_equal(stored.read(start, stop), table.round().iloc[start:stop])


def test_value_that_is_missing_or_infinite_is_named(table: pd.DataFrame, tmp_path: Path) -> None:
    table.loc["s8", GENES[2]] = np.inf
    stored = open_stored_table(written(ad.AnnData(table), tmp_path))
    assert len(stored.read(0, 8)) == 8
    with pytest.raises(ExpressionError, match=f"got inf in sample 's8', gene '{GENES[2]}'"):
        stored.read(6, 12)
    ints = table.drop(columns=GENES[2]).astype("Int64", errors="ignore").convert_dtypes()
    ints.loc["s3", GENES[0]] = pd.NA
    ints.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(ExpressionError, match=f"got nan in sample 's3', gene '{GENES[0]}'"):
        open_stored_table(tmp_path / "t.parquet").read(0, 17)


def test_state_and_names_change_with_the_file(table: pd.DataFrame, tmp_path: Path) -> None:
    first = open_stored_table(written(ad.AnnData(table), tmp_path))
    state = first.state
    assert first.state == state
    os.utime(first.path, ns=(0, 5_000_000_000))
    assert first.state != state
    other = open_stored_table(written(ad.AnnData(table.rename({"s0": "t0"})), tmp_path))
    assert other.names_sha256 != first.names_sha256
    again = open_stored_table(written(ad.AnnData(table * 2), tmp_path))
    assert again.names_sha256 == first.names_sha256


def test_only_stores_and_the_very_large_are_read_in_parts(tmp_path: Path) -> None:
    assert not is_stored_in_parts(tmp_path)
    for name in ("store.zarr/zarr.json", "old.zarr/.zgroup", "parts/0.parquet"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"{}")
        assert is_stored_in_parts((tmp_path / name).parent)
    (tmp_path / "small.h5ad").write_bytes(b"x")
    assert not is_stored_in_parts(tmp_path / "small.h5ad")
    with (tmp_path / "large.h5ad").open("wb") as file:
        file.truncate(2 * 1024**3 + 1)  # sparse: takes no space
    assert is_stored_in_parts(tmp_path / "large.h5ad")
    assert not is_stored_in_parts(tmp_path / "absent.h5ad")


def transposed(table: pd.DataFrame) -> ad.AnnData:
    return ad.AnnData(table.T)


def by_gene(table: pd.DataFrame) -> ad.AnnData:
    return ad.AnnData(
        sparse.csc_matrix(table.to_numpy()),
        obs=pd.DataFrame(index=table.index),
        var=pd.DataFrame(index=table.columns),
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (transposed, r"genes are in rows \('ENSG00000000000', .*transpose it"),
        (by_gene, r"stored gene by gene \(csc\).*tocsr"),
        (lambda t: ad.AnnData(t.rename({"s1": ""})), "sample 2 has no name"),
        (lambda t: ad.AnnData(t.iloc[:0]), "the table is empty: 0 samples, 30 genes"),
        (lambda t: ad.AnnData(t.add_prefix("X")), "none of its 30 columns is a gene .* 'XENSG"),
    ],
)
def test_anndata_that_cannot_be_read_says_why(
    table: pd.DataFrame, known: GeneIndex, tmp_path: Path, make: object, message: str
) -> None:
    path = written(make(table), tmp_path)
    with pytest.raises((ExpressionError, InputFileError), match=message) as refused:
        open_stored_table(path, known)
    assert refused  # an error that is shown holds what its functions had
    with h5py.File(path, "r+") as file:  # refused while it is open for reading
        assert "X" in file


def test_two_samples_of_one_name_are_named(table: pd.DataFrame, tmp_path: Path) -> None:
    table.rename({"s1": "s0"}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(ExpressionError, match="1 sample name is duplicated: 's0'"):
        open_stored_table(tmp_path / "t.parquet")


def test_names_that_do_not_fit_the_matrix_are_an_error(table: pd.DataFrame, tmp_path: Path) -> None:
    path = written(ad.AnnData(table), tmp_path)
    with h5py.File(path, "r+") as file:
        del file["X"]
        file["X"] = np.ones((3, 30))
    with pytest.raises(InputFileError, match=r"X is \(3, 30\), obs and var name 17 samples"):
        open_stored_table(path)


def test_part_files_that_differ_are_an_error(table: pd.DataFrame, tmp_path: Path) -> None:
    table.to_parquet(tmp_path / "a.parquet")
    table.drop(columns=GENES[4]).to_parquet(tmp_path / "b.parquet")
    with pytest.raises(InputFileError, match=r"b.parquet lacks columns of a.parquet"):
        open_stored_table(tmp_path)


def test_parquet_without_names_of_samples_is_an_error(table: pd.DataFrame, tmp_path: Path) -> None:
    table.reset_index(drop=True).to_parquet(tmp_path / "t.parquet", index=False)
    with pytest.raises(InputFileError, match="no column names the samples"):
        open_stored_table(tmp_path / "t.parquet")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.h5ad", None, "there is no such file or folder"),
        ("t.csv", b"sample,ENSG00000000001\ns1,2\n", "Text and xlsx are read whole"),
        ("t.parquet", b"PAR1 and no more", "expected .h5ad, a zarr store of AnnData, or parquet"),
        ("t.h5ad", b"\x89HDF\r\n\x1a\n" + bytes(90), "expected .h5ad, a zarr store|Text and xlsx"),
    ],
)
def test_a_file_that_is_not_a_stored_table_is_named(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputFileError, match=message):
        open_stored_table(tmp_path / name)


def test_a_folder_of_something_else_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b")
    with pytest.raises(InputFileError, match=r"must be .h5ad, a zarr store of AnnData"):
        open_stored_table(tmp_path)


def test_huge_row_group_is_refused(
    table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.to_parquet(tmp_path / "t.parquet")
    group = pyarrow.parquet.ParquetFile(tmp_path / "t.parquet").metadata.row_group(0)
    limit = "mtm_core.data.formats.stored_table._LARGEST_ROW_GROUP"
    monkeypatch.setattr(limit, group.total_byte_size - 1)
    with pytest.raises(InputFileError, match=r"must be read at once.*row_group_size"):
        open_stored_table(tmp_path / "t.parquet")
