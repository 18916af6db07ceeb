"""The formats of a prediction, each written block by block."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from math import isnan
from pathlib import Path
from typing import TextIO

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import xarray as xr
from anndata.io import write_elem
from numpy.typing import NDArray

from mtm_core.escaping import in_cell
from mtm_core.inference.prediction_store import create_store, fill_store
from mtm_core.inference.together import tissues_given
from mtm_core.safe_output import whole_file

LONG_COLUMNS = ("sample", "tissue", "gene_id", "gene", "expression", "z")
INTERVAL = ("lower", "upper")
"""Columns after these, where the prediction has an interval."""
_ROWS_AT_ONCE = 1 << 20
_GZIP_LEVEL = 4
_ROWS_OF_A_PART, _GENES_OF_A_PART = 64, 4096

OUT_OF_FOLD = "out_of_fold_rho"
ADJUSTED = "adjusted_rho"
PREDICTABLE = "predictable"
"""Variables (tissue, gene) that a prediction may carry: how well each is predicted, also adjusted
for age, sex and Hardy scale, and whether."""
OF_SAMPLE = "sample_"
"""Prefix of variables (sample,) that hold metadata of the samples."""
DISTANCES = ("distance_before", "distance_after")
OWN_COLUMNS = ("sample", "tissue", *DISTANCES, "tissues_given", "_index")
"""Names of columns of ``obs`` that no metadata can have."""
Blocks = Iterator[xr.Dataset]


def to_long_table(prediction: xr.Dataset, samples: tuple[str, ...] = ()) -> pd.DataFrame:
    """Return one row a (sample, tissue, gene): ``LONG_COLUMNS``, and ``INTERVAL`` if there is one.

    ``samples`` are the categories of its first column: those of ``prediction`` by default.
    """
    n_samples, n_tissues, n_genes = prediction["z"].shape
    genes, symbols = prediction["gene"].to_numpy(), prediction["symbol"].to_numpy()
    names = prediction["sample"].to_numpy().astype(str)
    tissues = prediction["tissue"].to_numpy().astype(str)
    return pd.DataFrame(
        {
            "sample": pd.Categorical(
                np.repeat(names, n_tissues * n_genes),
                categories=pd.unique(np.array(samples or names)),
            ),
            "tissue": pd.Categorical(
                np.tile(np.repeat(tissues, n_genes), n_samples), categories=pd.unique(tissues)
            ),
            "gene_id": np.tile(genes.astype(object), n_samples * n_tissues),
            "gene": np.tile(symbols.astype(object), n_samples * n_tissues),
            **{name: prediction[name].to_numpy().ravel() for name in _numbers(prediction)},
        }
    )


def rows_of_samples(prediction: xr.Dataset, samples: NDArray[np.str_]) -> pd.DataFrame:
    """Return ``sample``, ``tissue`` and distances of each (sample, tissue), indexed by both."""
    tissues = prediction["tissue"].to_numpy().astype(str)
    names = [f"{sample} | {tissue}" for sample in samples for tissue in tissues]
    by_sample = {name: np.repeat(prediction[name].to_numpy(), len(tissues)) for name in DISTANCES}
    if "is_given" in prediction:
        by_sample["tissues_given"] = np.repeat(tissues_given(prediction), len(tissues))
    by_sample |= {
        str(name).removeprefix(OF_SAMPLE): np.repeat(prediction[name].to_numpy(), len(tissues))
        for name in prediction.data_vars
        if str(name).startswith(OF_SAMPLE)
    }
    return pd.DataFrame(
        {"sample": np.repeat(samples, len(tissues)), "tissue": np.tile(tissues, len(samples))}
        | by_sample,
        index=pd.Index(names),
    )


def _numbers(prediction: xr.Dataset) -> list[str]:
    """Name the columns of numbers, in order."""
    return [name for name in (*LONG_COLUMNS[4:], *INTERVAL) if name in prediction]


def write_csv(blocks: Blocks, samples: tuple[str, ...], path: Path) -> None:
    """Write what pandas would of the long table, in a fifth of the time and a little memory."""
    first, blocks = _first(blocks)
    numbers = _numbers(first)
    tissues = [cell(name) for name in first["tissue"].to_numpy()]
    genes = zip(first["gene"].to_numpy(), first["symbol"].to_numpy(), strict=True)
    names = [f"{cell(gene)},{cell(symbol)},".replace("%", "%%") for gene, symbol in genes]
    lines, blank_lines = (
        [name + ",".join([form] * len(numbers)) + "\n" for name in names] for form in ("%.6g", "%s")
    )
    with open_text(path) as file:
        file.write(",".join([*LONG_COLUMNS[:4], *numbers]) + "\n")
        for block in blocks:
            for i, sample in enumerate(block["sample"].to_numpy()):
                values = np.stack([block[name][i].to_numpy() for name in numbers], axis=-1)
                for tissue, of_tissue in zip(tissues, values, strict=True):
                    prefix = f"{cell(sample)},{tissue},".replace("%", "%%")
                    flat = of_tissue.ravel().tolist()
                    if np.isnan(of_tissue).any():  # not known is blank
                        cells = ["" if isnan(value) else f"{value:.6g}" for value in flat]
                        file.write((prefix + prefix.join(blank_lines)) % tuple(cells))
                    else:
                        file.write((prefix + prefix.join(lines)) % tuple(flat))


def cell(name: object, separator: str = ",") -> str:
    """Return a name as a cell of CSV, quoted where it must be."""
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator="\r\n").writerow([in_cell(str(name)), "-"])
    return text.getvalue()[:-4]


@contextmanager
def open_text(path: Path) -> Iterator[TextIO]:
    """Open a file of text to be written, gzipped where its name ends so; alike in all runs."""
    if path.suffix != ".gz":
        with path.open("w", encoding="utf-8", newline="") as file:
            yield file
        return
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", _GZIP_LEVEL, raw, mtime=0) as zipped,
        io.TextIOWrapper(zipped, encoding="utf-8", newline="", write_through=False) as file,
    ):
        yield file


def write_parquet(blocks: Blocks, samples: tuple[str, ...], path: Path) -> None:
    """Write the long table, a group of rows some samples."""
    writer = None
    try:
        for block in blocks:
            if writer is None:
                one = block.isel(sample=slice(0, 1), gene=slice(0, 1))
                like = pa.Table.from_pandas(to_long_table(one, samples), preserve_index=False)
                writer = pq.ParquetWriter(path, like.schema)
            size = max(1, _ROWS_AT_ONCE // max(block.sizes["tissue"] * block.sizes["gene"], 1))
            for start in range(0, block.sizes["sample"], size):
                part = block.isel(sample=slice(start, start + size))
                writer.write_table(_long_rows(part, samples, writer.schema))
    finally:
        if writer is not None:
            writer.close()


def _long_rows(prediction: xr.Dataset, samples: tuple[str, ...], schema: pa.Schema) -> pa.Table:
    """Get the rows of :func:`to_long_table`; a name is not repeated in memory with every value."""
    n_samples, n_tissues, n_genes = prediction["z"].shape
    names, tissues = (prediction[name].to_numpy().astype(str) for name in ("sample", "tissue"))

    def coded(column: str, known: NDArray[np.str_], given: NDArray[np.intp]) -> pa.DictionaryArray:
        kind = schema.field(column).type
        return pa.DictionaryArray.from_arrays(
            pa.array(given, type=kind.index_type), pa.array(known, type=kind.value_type)
        )

    all_samples, all_tissues = pd.unique(np.array(samples)), pd.unique(tissues)
    sample = pd.Index(all_samples).get_indexer(names)
    tissue = pd.Index(all_tissues).get_indexer(tissues)
    columns: dict[str, pa.Array | pa.ChunkedArray] = {
        "sample": coded("sample", all_samples, np.repeat(sample, n_tissues * n_genes)),
        "tissue": coded("tissue", all_tissues, np.tile(np.repeat(tissue, n_genes), n_samples)),
    }
    for column, name in (("gene_id", "gene"), ("gene", "symbol")):
        once = pa.array(prediction[name].to_numpy().astype(object), schema.field(column).type)
        columns[column] = pa.chunked_array([once] * (n_samples * n_tissues), once.type)
    for name in _numbers(prediction):
        columns[name] = pa.array(prediction[name].to_numpy().ravel())
    return pa.table(columns, schema)


def _write_h5ad(blocks: Blocks, samples: tuple[str, ...], path: Path) -> None:
    first, blocks = _first(blocks)
    n_tissues, n_genes = first["z"].shape[1:]
    chunks = (max(min(n_tissues, _ROWS_OF_A_PART), 1), max(min(n_genes, _GENES_OF_A_PART), 1))
    parts, row = [], 0
    with whole_file(path) as target, h5py.File(target, "w") as file:
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        for name in ("layers", "obsm", "obsp", "varp"):
            write_elem(file, name, {})
        write_elem(file, "varm", accuracy_of(first))
        arrays = _arrays(file, first, len(samples) * n_tissues, chunks)
        for block in blocks:
            n_rows = block.sizes["sample"] * n_tissues
            for name, array in arrays.items():
                array[row : row + n_rows] = block[name].to_numpy().reshape(n_rows, n_genes)
            parts.append(rows_of_samples(block, block["sample"].to_numpy().astype(str)))
            row += n_rows
        about = ad.AnnData(obs=pd.concat(parts), var=genes_of(first))
        about.strings_to_categoricals()
        write_elem(file, "obs", about.obs)
        write_elem(file, "var", about.var)
        write_elem(file, "uns", {"mtm": attributes_of(first)})


def _arrays(
    group: h5py.Group, like: xr.Dataset, n_rows: int, chunks: tuple[int, int]
) -> dict[str, h5py.Dataset]:
    """Make the empty arrays of an AnnData: z-scores as ``X``, the rest as layers."""
    arrays = {}
    for name in _numbers(like):
        arrays[name] = group.create_dataset(
            "X" if name == "z" else f"layers/{name}",
            (n_rows, like.sizes["gene"]),
            like[name].dtype,
            chunks=chunks,
            compression="gzip",
            fillvalue=np.nan,
        )
        arrays[name].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    return arrays


def attributes_of(prediction: xr.Dataset) -> dict[str, str]:
    """Return the attributes of a prediction, and what the values of an AnnData of it are."""
    unit = prediction.attrs.get("unit", "unit not known")
    layers = ", ".join(name for name in ("expression", *INTERVAL) if name in prediction)
    return {
        **{str(name): value for name, value in prediction.attrs.items()},
        "X": "z-scores: SDs from the mean of the tissue in the model's cohort",
        "layers": f"{layers}: {unit}, not logarithms",
    }


def accuracy_of(prediction: xr.Dataset) -> dict[str, pd.DataFrame]:
    """Return what is carried of accuracy, each (genes, tissues)."""
    tissues = prediction["tissue"].to_numpy().astype(str)
    genes = pd.Index(prediction["gene"].to_numpy().astype(str), name="gene_id")
    return {
        name: pd.DataFrame(prediction[name].transpose("gene", "tissue").to_numpy(), genes, tissues)
        for name in (OUT_OF_FOLD, ADJUSTED, PREDICTABLE)
        if name in prediction
    }


def _write_h5mu(blocks: Blocks, samples: tuple[str, ...], path: Path) -> None:
    """Write a MuData: a modality a tissue, whose rows are the samples.

    Genes are named ``TISSUE:ID``, as modalities of one MuData have no names in common.
    """
    first, blocks = _first(blocks)
    tissues = first["tissue"].to_numpy().astype(str)
    n_genes = first.sizes["gene"]
    chunks = (max(min(len(samples), _ROWS_OF_A_PART), 1), max(min(n_genes, _GENES_OF_A_PART), 1))
    parts, row = [], 0
    with whole_file(path) as target:
        with h5py.File(target, "w", userblock_size=512) as file:
            file.attrs.update(_MUDATA)
            modalities = file.create_group("mod")
            modalities.attrs["mod-order"] = list(map(_no_slash, tissues))
            groups, arrays = [], []
            for tissue in tissues:
                group = modalities.create_group(_no_slash(tissue))
                group.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
                for name in ("layers", "obsm", "varm", "obsp", "varp"):
                    write_elem(group, name, {})
                groups.append(group)
                arrays.append(_arrays(group, first, len(samples), chunks))
            for block in blocks:
                stop = row + block.sizes["sample"]
                for i, of_tissue in enumerate(arrays):
                    for name, array in of_tissue.items():
                        array[row:stop] = block[name].isel(tissue=i).to_numpy()
                one = block.isel(tissue=slice(0, 1))
                known = rows_of_samples(one, block["sample"].to_numpy().astype(str))
                parts.append(known.set_index("sample").drop(columns="tissue"))
                row = stop
            _finish_mudata(file, groups, first, pd.concat(parts))
        target.seek(0)
        target.write(_MUDATA_HEAD)


def _finish_mudata(
    file: h5py.File, groups: list[h5py.Group], first: xr.Dataset, known: pd.DataFrame
) -> None:
    """Write what names the rows and columns of a MuData, and what is known of them."""
    tissues, var = first["tissue"].to_numpy().astype(str), genes_of(first)
    about = ad.AnnData(obs=known)
    about.strings_to_categoricals()
    accuracy = accuracy_of(first)
    every = []
    for tissue, group in zip(tissues, groups, strict=True):
        own = var.reset_index(names="gene_id").assign(
            **{name: table[tissue].to_numpy() for name, table in accuracy.items()}
        )
        own.index = pd.Index([f"{tissue}:{gene}" for gene in own["gene_id"]], name="name")
        write_elem(group, "obs", about.obs)
        write_elem(group, "var", own)
        write_elem(group, "uns", {})
        every.append(own)
    n_samples, n_genes = len(known), len(var)
    write_elem(file, "obs", about.obs)
    write_elem(file, "var", pd.concat(every)[["gene_id", "symbol"]])
    names = [_no_slash(tissue) for tissue in tissues]
    write_elem(file, "obsm", {name: np.ones(n_samples, bool) for name in names})
    write_elem(
        file,
        "varm",
        {name: np.repeat(np.arange(len(names)) == i, n_genes) for i, name in enumerate(names)},
    )
    for name in ("obsp", "varp"):
        write_elem(file, name, {})
    write_elem(file, "obsmap", {name: np.arange(1, n_samples + 1) for name in names})
    write_elem(
        file,
        "varmap",
        {
            name: np.where(
                np.repeat(np.arange(len(names)) == i, n_genes),
                np.tile(np.arange(1, n_genes + 1), len(names)),
                0,
            )
            for i, name in enumerate(names)
        },
    )
    write_elem(file, "uns", {"mtm": attributes_of(first)})


_MUDATA_HEAD = b"MuData (format-version=0.1.0;creator=mtm;creator-version=0.2.0)"
"""First bytes of such a file, before its HDF5."""
_MUDATA = {"encoding-type": "MuData", "encoding-version": "0.1.0", "axis": 0}


def _no_slash(tissue: str) -> str:
    return tissue.replace("/", "|")  # HDF5 parts names there


def genes_of(prediction: xr.Dataset) -> pd.DataFrame:
    """Return ``symbol`` and ``found``, indexed by gene id."""
    return pd.DataFrame(
        {"symbol": prediction["symbol"].to_numpy(), "found": prediction["found"].to_numpy()},
        index=pd.Index(prediction["gene"].to_numpy().astype(str), name="gene_id"),
    )


def _write_zarr(blocks: Blocks, samples: tuple[str, ...], path: Path) -> None:
    first, blocks = _first(blocks)
    create_store(path, first, samples, first.sizes["sample"])
    start = 0
    for block in blocks:
        fill_store(path, block, start)
        start += block.sizes["sample"]


def _first(blocks: Blocks) -> tuple[xr.Dataset, Blocks]:
    """Return the first block, and all of them."""
    first = next(blocks)
    return first, chain([first], blocks)


WRITERS: dict[str, Callable[[Blocks, tuple[str, ...], Path], None]] = {
    ".csv": write_csv,
    ".parquet": write_parquet,
    ".h5ad": _write_h5ad,
    ".h5mu": _write_h5mu,
    ".zarr": _write_zarr,
}
