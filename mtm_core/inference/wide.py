"""One file a tissue, genes in rows and samples in columns: what people open.

The folder holds a file for each tissue and kind of value, and what says which is which::

    Lung.expression.csv    gene_id, symbol, then a column a sample
    tissues.csv            tissue, value, file, unit
    samples.csv            distance of each sample from the reference; whether age and sex were read
    settings.json          model, source, unit and how samples were aligned
    alignment.json         what samples were aligned by: later samples can be read by it

Tissues are decoded one after the other; in memory is one of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isnan
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import xarray as xr

from mtm_core.errors import SelectionError
from mtm_core.escaping import in_cells
from mtm_core.inference.decoder import TissueProgress
from mtm_core.inference.together import tissues_given
from mtm_core.inference.write_blocks import cell, open_text
from mtm_core.safe_output import writing

FILES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet")
"""Endings that a file of one tissue may have."""
VALUES = ("expression", "z", "lower", "upper")
"""Kinds of values that there may be."""
_BLOCK_BYTES = 256 * 1024**2
_BYTES_A_VALUE = {".csv": 9.5, ".tsv": 9.5, ".csv.gz": 5, ".tsv.gz": 5, ".parquet": 5}


def check_wide(files: str, values: Sequence[str]) -> None:
    """Refuse a kind of file or of value that there is not.

    Raises
    ------
    SelectionError
        If there is one.
    """
    if files not in FILES:
        raise SelectionError.unknown("kind of file", [files], FILES)
    unknown = [name for name in values if name not in VALUES]
    if unknown or not values:
        raise SelectionError.unknown("value", unknown or [""], VALUES)


def write_wide(
    prediction: xr.Dataset,
    folder: Path,
    *,
    files: str = ".csv",
    values: Sequence[str] = ("expression",),
    overwrite: bool = False,
    inputs: Iterable[Path] = (),
    on_progress: TissueProgress | None = None,
    beside: Mapping[str, bytes] | None = None,
) -> None:
    """Write ``prediction`` as one file a tissue and kind of value.

    Parameters
    ----------
    prediction
        Result of :meth:`mtm_core.inference.predictor.Predictor.predict_prepared`, decoded or not.
    folder, overwrite, inputs
        As :func:`mtm_core.safe_output.writing`.
    files
        Ending of the files: one of ``FILES``.
    values
        Out of ``VALUES``.
    on_progress
        Called with each tissue.
    beside
        Further files of the folder, by name.

    Raises
    ------
    SelectionError
        As :func:`check_wide`; or if the prediction has no interval that is asked for.
    OutputError
        As :func:`mtm_core.safe_output.writing`.
    """
    check_wide(files, values)
    lacking = [name for name in values if name not in prediction]
    if lacking:
        there = [name for name in VALUES if name in prediction]
        raise SelectionError(
            f"this model gives no interval, so there is no {lacking[0]!r}; there are"
            f" {', '.join(there)}."
        )
    tissues = [str(name) for name in prediction["tissue"].to_numpy()]
    stems = file_stems(tissues)
    with writing(
        folder, overwrite=overwrite, inputs=inputs, folder=True, kind="a prediction"
    ) as place:
        rows = []
        for i, (tissue, stem) in enumerate(zip(tissues, stems, strict=True)):
            if on_progress is not None:
                on_progress(i, len(tissues))
            for name in values:
                file = f"{stem}.{name}{files}"
                write_tissue(prediction, tissue, place / file, value=name)
                unit = "z-score" if name == "z" else str(prediction.attrs["unit"])
                rows.append({"tissue": tissue, "value": name, "file": file, "unit": unit})
        in_cells(pd.DataFrame(rows)).to_csv(place / "tissues.csv", index=False)
        in_cells(_samples(prediction)).to_csv(place / "samples.csv", index=False)
        text = json.dumps({name: str(value) for name, value in prediction.attrs.items()}, indent=1)
        (place / "settings.json").write_text(text + "\n", encoding="utf-8")
        for file, data in (beside or {}).items():
            (place / file).write_bytes(data)


def write_tissue(
    prediction: xr.Dataset, tissue: str, path: Path, *, value: str = "expression"
) -> None:
    """Write one kind of value of one tissue to ``path``, in the format that its ending names.

    A row is a gene: ``gene_id``, ``symbol``, then the samples; text to six figures, its names made
    harmless for spreadsheets. The file is written where it is: use it inside of
    :func:`mtm_core.safe_output.writing` or a folder of scratch.
    """
    ending = ending_of(path)
    blocks = _gene_blocks(prediction, tissue, value)
    if ending == ".parquet":
        _write_parquet(blocks, path)
        return
    separator = "\t" if ending.startswith(".tsv") else ","
    with open_text(path) as file:
        for number, block in enumerate(blocks):
            if number == 0:
                file.write(separator.join(cell(name, separator) for name in block.columns) + "\n")
            line = separator.join(["%s", "%s", *["%.6g"] * (block.shape[1] - 2)]) + "\n"
            names = ([cell(name, separator) for name in block.iloc[:, i]] for i in range(2))
            numbers = block.iloc[:, 2:].to_numpy()
            lacks = np.isnan(numbers).any(axis=1)  # not known is blank
            for gene, symbol, row, blank in zip(*names, numbers, lacks, strict=True):
                if blank:
                    cells = ("" if isnan(value) else f"{value:.6g}" for value in row.tolist())
                    file.write(separator.join([gene, symbol, *cells]) + "\n")
                else:
                    file.write(line % (gene, symbol, *row.tolist()))


def ending_of(path: Path) -> str:
    """Return which of ``FILES`` the name of ``path`` ends in.

    Raises
    ------
    SelectionError
        If it ends in none of them.
    """
    for ending in sorted(FILES, key=len, reverse=True):
        if path.name.endswith(ending):
            return ending
    raise SelectionError(
        f"{path.name!r} does not show its format: expected a name that ends in {', '.join(FILES)}."
    )


def file_stems(tissues: Sequence[str]) -> list[str]:
    """Name the files of ``tissues`` as GTEx does (``Brain_Nucleus_accumbens_basal_ganglia``)."""
    stems: list[str] = []
    for tissue in tissues:
        words = "".join(c if c.isalnum() or c in "-_" else " " for c in tissue.replace(" - ", " "))
        stem = "_".join(words.split()).strip("-") or "tissue"
        name, number = stem, 1
        while name.lower() in {other.lower() for other in stems}:
            number += 1
            name = f"{stem}_{number}"
        stems.append(name)
    return stems


def wide_bytes(shape: tuple[int, int, int], files: str, n_values: int = 1) -> int:
    """Estimate, from above, what :func:`write_wide` writes of a prediction of ``shape``."""
    n_samples, n_tissues, n_genes = shape
    return int(n_tissues * n_genes * n_values * (40 + _BYTES_A_VALUE[files] * n_samples))


def _gene_blocks(prediction: xr.Dataset, tissue: str, value: str) -> Iterator[pd.DataFrame]:
    """Yield genes in rows, so many at a time that they fit in memory."""
    values = prediction[value].sel(tissue=tissue)
    samples = [str(name) for name in prediction["sample"].to_numpy()]
    n_genes = prediction.sizes["gene"]
    size = max(1, _BLOCK_BYTES // (8 * max(len(samples), 1)))
    for start in range(0, max(n_genes, 1), size):
        cut = values.isel(gene=slice(start, start + size))
        names = pd.DataFrame(
            {
                "gene_id": cut["gene"].to_numpy().astype(object),
                "symbol": cut["symbol"].to_numpy().astype(object),
            }
        )
        by_gene = np.ascontiguousarray(cut.transpose("sample", "gene").to_numpy().T)
        yield pd.concat([names, pd.DataFrame(by_gene, columns=samples)], axis=1)


def _write_parquet(blocks: Iterator[pd.DataFrame], path: Path) -> None:
    writer = None
    try:
        for block in blocks:
            table = pa.Table.from_pandas(block, preserve_index=False)
            if writer is None:
                writer = pq.ParquetWriter(path, table.schema, use_dictionary=False)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


def _samples(prediction: xr.Dataset) -> pd.DataFrame:
    columns = [
        name for name in ("distance_before", "distance_after", "used_age_sex") if name in prediction
    ]
    samples = prediction["sample"].to_numpy().astype(str)
    given = {"tissues_given": tissues_given(prediction)} if "is_given" in prediction else {}
    return pd.DataFrame(
        {"sample": samples} | {n: prediction[n].to_numpy() for n in columns} | given
    )
