"""Tables stored in every format that is predicted chunk by chunk, and the predictions of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import pandas as pd
import xarray as xr
from scipy import sparse

TARGETS = ("Lung", "Liver", "Spleen")


def write_h5ad(table: pd.DataFrame, folder: Path) -> Path:
    ad.AnnData(table).write_h5ad(folder / "new.h5ad", compression="gzip")
    return (folder / "new.h5ad").replace(folder / "t.h5ad")


def write_sparse_h5ad(table: pd.DataFrame, folder: Path) -> Path:
    ad.AnnData(
        sparse.csr_matrix(table.to_numpy()),
        obs=pd.DataFrame(index=table.index),
        var=pd.DataFrame(index=table.columns),
    ).write_h5ad(folder / "t.h5ad")
    return folder / "t.h5ad"


def write_zarr(table: pd.DataFrame, folder: Path) -> Path:
    settings = ad.settings.override(zarr_write_format=3, auto_shard_zarr_v3=False)
    with settings, warnings.catch_warnings(action="ignore"):  # that its metadata is consolidated
        ad.AnnData(table).write_zarr(folder / "t.zarr", chunks=(6, 20))
    return folder / "t.zarr"


def write_parquet(table: pd.DataFrame, folder: Path) -> Path:
    table.assign(group="case", age=50).to_parquet(folder / "t.parquet", row_group_size=9)
    return folder / "t.parquet"


def write_parquet_parts(table: pd.DataFrame, folder: Path) -> Path:
    parts = folder / "parts"
    parts.mkdir()
    for number, start in enumerate(range(0, len(table), 15)):
        part = table.iloc[start : start + 15].reset_index(names="person")
        part.to_parquet(parts / f"{number}.parquet", index=False, row_group_size=4)
    return parts


WRITERS: dict[str, Callable[[pd.DataFrame, Path], Path]] = {
    "h5ad": write_h5ad,
    "sparse h5ad": write_sparse_h5ad,
    "zarr": write_zarr,
    "parquet": write_parquet,
    "parquet parts": write_parquet_parts,
}


def opened(path: Path) -> xr.Dataset:
    """The store as anybody would open it, without what only a chunked run says."""
    dataset = xr.open_zarr(path).load()
    assert "run" in dataset.attrs
    del dataset.attrs["run"]
    return dataset
