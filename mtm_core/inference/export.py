"""Write predictions: long tables for people, zarr and h5ad for programs; block by block.

A block is a prediction of samples that follow each other (:mod:`mtm_core.inference.blocks`), so
that what is written need not be in memory as a whole.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import anndata as ad
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mtm_core.errors import SelectionError
from mtm_core.inference.on_demand import loaded
from mtm_core.inference.write_blocks import (
    INTERVAL,
    LONG_COLUMNS,
    WRITERS,
    attributes_of,
    genes_of,
    rows_of_samples,
    to_long_table,
)
from mtm_core.safe_output import writing

__all__ = [
    "INTERVAL",
    "LONG_COLUMNS",
    "blocks_in",
    "check_output",
    "file_bytes",
    "to_anndata",
    "to_long_table",
    "write_blocks",
    "write_prediction",
]

_BLOCK_BYTES = 128 * 1024**2
_BYTES_A_ROW = {".csv": 60, ".csv.gz": 5, ".parquet": 5, ".h5ad": 1, ".h5mu": 1, ".zarr": 1}
_BYTES_A_VALUE = {".csv": 11, ".csv.gz": 6, ".parquet": 5, ".h5ad": 4, ".h5mu": 4, ".zarr": 4}
"""At most, about: names and six figures with a comma, or a float32."""


def to_anndata(prediction: xr.Dataset) -> ad.AnnData:
    """Return an ``AnnData`` whose rows are (sample, tissue).

    ``X`` holds z-scores; layers ``expression`` and, where there is an interval, ``INTERVAL``;
    ``uns["mtm"]`` says what they are, in which unit, and of which model.
    """
    prediction = loaded(prediction)
    n_samples, n_tissues, n_genes = prediction["z"].shape

    def rows(name: str) -> NDArray[np.float32]:
        values: NDArray[np.float32] = prediction[name].to_numpy()
        return values.reshape(n_samples * n_tissues, n_genes)

    return ad.AnnData(
        X=rows("z"),
        obs=rows_of_samples(prediction, prediction["sample"].to_numpy().astype(str)),
        var=genes_of(prediction),
        layers={name: rows(name) for name in ("expression", *INTERVAL) if name in prediction},
        uns={"mtm": attributes_of(prediction)},
    )


def check_output(path: Path) -> None:
    """Refuse an output whose ending is no format.

    Raises
    ------
    SelectionError
        If it is not one of .csv, .parquet, .h5ad, .h5mu and .zarr.
    """
    if path.suffix not in WRITERS:
        raise SelectionError(
            f"{path.name!r} does not show its format: expected a name that ends in"
            f" {', '.join(WRITERS)}."
        )


def is_folder(path: Path) -> bool:
    """Tell whether the format that the ending of ``path`` names is a folder."""
    return path.suffix == ".zarr"


def file_bytes(shape: tuple[int, int, int], ending: str, *, n_values: int = 4) -> int:
    """Estimate, from above, what a file of a prediction of ``shape`` takes."""
    n_samples, n_tissues, n_genes = shape
    rows = n_samples * n_tissues * n_genes
    return rows * (_BYTES_A_ROW[ending] + n_values * _BYTES_A_VALUE[ending])


def write_prediction(
    prediction: xr.Dataset, path: str | os.PathLike[str], *, overwrite: bool = False
) -> None:
    """Write ``prediction`` in the format that the ending of ``path`` names.

    ``.csv`` and ``.parquet`` are long tables (:func:`to_long_table`); ``.h5ad`` has one row a
    sample and tissue; ``.zarr`` keeps the dataset as it is.

    Raises
    ------
    SelectionError
        As :func:`check_output`.
    OutputError
        As :func:`mtm_core.safe_output.writing`.

    Examples
    --------
    >>> import pandas as pd
    >>> from mtm_core import SAMPLES, Predictor, read_expression, write_prediction
    >>> predictor = Predictor.load("gtex_v8_acmg59_stack")
    >>> table = read_expression(SAMPLES / "blood_tpm.tsv", known_genes=predictor.genes)
    >>> write_prediction(predictor.predict(table, targets=["Lung"]), "lung.csv")
    >>> len(pd.read_csv("lung.csv"))  # 40 people, 59 genes
    2360
    """
    samples = prediction["sample"].to_numpy().astype(str)
    write_blocks(blocks_in(prediction), samples.tolist(), Path(path), overwrite=overwrite)


def write_blocks(
    blocks: Iterable[xr.Dataset],
    samples: Sequence[str],
    path: Path,
    *,
    overwrite: bool = False,
    inputs: Iterable[Path] = (),
) -> None:
    """Write a prediction as :func:`write_prediction`, one block after the other.

    Parameters
    ----------
    blocks
        Predictions of samples that follow each other, in order, alike in all else.
    samples
        Names of all of them.
    path, overwrite, inputs
        As :func:`mtm_core.safe_output.writing`.

    Raises
    ------
    SelectionError, OutputError
        As :func:`write_prediction`.
    """
    check_output(path)
    with writing(
        path,
        overwrite=overwrite,
        inputs=inputs,
        folder=is_folder(path),
        kind="a prediction",
    ) as place:
        WRITERS[path.suffix](iter(blocks), tuple(samples), place)


def blocks_in(prediction: xr.Dataset, n_bytes: int = _BLOCK_BYTES) -> Iterator[xr.Dataset]:
    """Cut a prediction into blocks of about ``n_bytes``, whose values are in memory."""
    n_samples = prediction.sizes["sample"]
    size = max(1, n_bytes // max(prediction.nbytes // max(n_samples, 1), 1))
    for start in range(0, max(n_samples, 1), size):
        yield loaded(prediction.isel(sample=slice(start, start + size)))
