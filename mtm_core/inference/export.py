"""Write predictions: long tables for people, zarr and h5ad for programs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import xarray as xr

from mtm_core.errors import SelectionError

LONG_COLUMNS = ("sample", "tissue", "gene_id", "gene", "expression", "z")
INTERVAL = ("lower", "upper")
"""Columns after these, where the prediction has an interval."""


def to_long_table(prediction: xr.Dataset) -> pd.DataFrame:
    """Give one row a (sample, tissue, gene): ``LONG_COLUMNS``, and ``INTERVAL`` if there is one."""
    n_samples, n_tissues, n_genes = prediction["z"].shape
    genes, symbols = prediction["gene"].to_numpy(), prediction["symbol"].to_numpy()
    samples = prediction["sample"].to_numpy().astype(str)
    tissues = prediction["tissue"].to_numpy().astype(str)
    return pd.DataFrame(
        {
            "sample": pd.Categorical(
                np.repeat(samples, n_tissues * n_genes), categories=pd.unique(samples)
            ),
            "tissue": pd.Categorical(
                np.tile(np.repeat(tissues, n_genes), n_samples), categories=pd.unique(tissues)
            ),
            "gene_id": np.tile(genes.astype(object), n_samples * n_tissues),
            "gene": np.tile(symbols.astype(object), n_samples * n_tissues),
            "expression": prediction["expression"].to_numpy().ravel(),
            "z": prediction["z"].to_numpy().ravel(),
            **{
                name: prediction[name].to_numpy().ravel() for name in INTERVAL if name in prediction
            },
        }
    )


def to_anndata(prediction: xr.Dataset) -> ad.AnnData:
    """Give an ``AnnData`` whose rows are (sample, tissue).

    ``X`` holds z-scores; layers ``expression`` and, where there is an interval, ``INTERVAL``.
    """
    rows = prediction.stack(row=("sample", "tissue")).transpose("row", "gene")
    samples = rows["sample"].to_numpy().astype(str)
    tissues = rows["tissue"].to_numpy().astype(str)
    names = pd.Index([f"{s} | {t}" for s, t in zip(samples, tissues, strict=True)])
    distances = prediction[["distance_before", "distance_after"]].to_dataframe()
    distances.index = distances.index.astype(str)
    return ad.AnnData(
        X=rows["z"].to_numpy(),
        obs=pd.DataFrame({"sample": samples, "tissue": tissues}, index=names).join(
            distances, on="sample"
        ),
        var=pd.DataFrame(
            {"symbol": prediction["symbol"].to_numpy(), "found": prediction["found"].to_numpy()},
            index=pd.Index(prediction["gene"].to_numpy().astype(str), name="gene_id"),
        ),
        layers={
            name: rows[name].to_numpy() for name in ("expression", *INTERVAL) if name in prediction
        },
        uns={"mtm": dict(prediction.attrs)},
    )


def _write_csv(prediction: xr.Dataset, path: Path) -> None:
    to_long_table(prediction).to_csv(path, index=False, float_format="%.6g")


def _write_parquet(prediction: xr.Dataset, path: Path) -> None:
    to_long_table(prediction).to_parquet(path, index=False)


def _write_h5ad(prediction: xr.Dataset, path: Path) -> None:
    to_anndata(prediction).write_h5ad(path, compression="gzip")


def _write_zarr(prediction: xr.Dataset, path: Path) -> None:
    text = [name for name in prediction.variables if prediction[name].dtype.kind == "U"]
    objects = {name: prediction[name].astype(object) for name in text}
    prediction.assign_coords(objects).to_zarr(path, mode="w", consolidated=False)


_WRITERS: dict[str, Callable[[xr.Dataset, Path], None]] = {
    ".csv": _write_csv,
    ".parquet": _write_parquet,
    ".h5ad": _write_h5ad,
    ".zarr": _write_zarr,
}


def check_output(path: Path) -> None:
    """Refuse an output whose ending is no format.

    Raises
    ------
    SelectionError
        If it is not one of .csv, .parquet, .h5ad and .zarr.
    """
    if path.suffix not in _WRITERS:
        raise SelectionError(
            f"cannot tell a format from {path.name!r}: expected a name that ends in"
            f" {', '.join(_WRITERS)}."
        )


def write_prediction(prediction: xr.Dataset, path: Path) -> None:
    """Write ``prediction`` in the format that the ending of ``path`` names.

    ``.csv`` and ``.parquet`` are long tables (:func:`to_long_table`); ``.h5ad`` has one row a
    sample and tissue; ``.zarr`` keeps the dataset as it is.

    Raises
    ------
    SelectionError
        As :func:`check_output`.
    """
    check_output(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _WRITERS[path.suffix](prediction, path)
