"""A GCT file as a store that is read sample by sample."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from mtm_core.data.formats.stored_table import open_stored_table
from mtm_core.data.gtex import gct_store
from mtm_core.data.gtex.gct import read_gct, write_gct
from mtm_core.data.gtex.gct_store import gct_to_zarr
from mtm_core.errors import InputFileError, OutputError


def written(folder: Path, rng: np.random.Generator, n_samples: int, n_genes: int) -> Path:
    names = [f"ENSG{i:011d}.1" for i in range(n_genes)]
    table = ad.AnnData(
        rng.gamma(1, 50, size=(n_samples, n_genes)).astype(np.float32),
        obs=pd.DataFrame(index=[f"S{i}" for i in range(n_samples)]),
        var=pd.DataFrame({"symbol": [f"G{i}" for i in range(n_genes)]}, index=names),
    )
    write_gct(table, folder / "x.gct")
    return folder / "x.gct"


@pytest.mark.parametrize("width", [1, 7, 30, 64])
def test_store_is_the_file_whatever_the_blocks(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setattr(gct_store, "_MOST_GENES", width)
    monkeypatch.setattr("mtm_core.data.gtex.gct._PARSE_BYTES", 500)  # a few genes a batch
    path = written(tmp_path, rng, 13, 30)
    assert gct_to_zarr(path, tmp_path / "new" / "x.zarr") == (13, 30)
    expected = read_gct(path)
    stored = open_stored_table(tmp_path / "new" / "x.zarr")
    pd.testing.assert_frame_equal(
        stored.read(0, 13), expected.to_df().astype(float), check_names=False
    )
    assert stored.genes == tuple(expected.var_names)
    again = ad.read_zarr(tmp_path / "new" / "x.zarr")
    np.testing.assert_array_equal(again.X, expected.X)
    assert again.var["symbol"].tolist() == expected.var["symbol"].tolist()


def test_existing_stores_are_not_replaced_and_damaged_files_not_stored(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    path = written(tmp_path, rng, 4, 5)
    gct_to_zarr(path, tmp_path / "x.zarr")
    with pytest.raises(OutputError, match=r"x.zarr exists already: a table of mtm"):
        gct_to_zarr(path, tmp_path / "x.zarr")
    path.write_text(path.read_text().replace("ENSG00000000004.1", "ENSG00000000003.1"))
    with pytest.raises(InputFileError, match=r"'ENSG00000000003\.1' is duplicated"):
        gct_to_zarr(path, tmp_path / "y.zarr")
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:3]))
    with pytest.raises(InputFileError, match="a header, but no genes"):
        gct_to_zarr(path, tmp_path / "y.zarr")
    assert not (tmp_path / "y.zarr").exists()


def test_memory_is_that_of_a_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gct_store, "_MOST_GENES", 64)
    monkeypatch.setattr("mtm_core.data.gtex.gct._PARSE_BYTES", 50_000)
    n_genes, n_samples = 1_500, 2_000
    values = "\t".join(str(i % 1000) for i in range(n_samples))
    with (tmp_path / "wide.gct").open("w") as file:
        file.write(f"#1.2\n{n_genes}\t{n_samples}\nName\tDescription\t")
        file.write("\t".join(f"S{i}" for i in range(n_samples)) + "\n")
        file.writelines(f"ENSG{i:011d}.1\tG{i}\t{values}\n" for i in range(n_genes))
    tracemalloc.start()
    gct_to_zarr(tmp_path / "wide.gct", tmp_path / "x.zarr")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    row = open_stored_table(tmp_path / "x.zarr").read(1999, 2000)
    assert (row.shape, set(row.to_numpy().ravel())) == ((1, n_genes), {999})
    whole = n_genes * n_samples * 4
    assert peak < whole / 2, f"peak {peak / 1e6:.1f} MB, whole matrix {whole / 1e6:.1f} MB"
