"""Read one matrix of an ``.h5ad``, as AnnData writes it now or wrote it before, or of a loom file.

::

    now                                     AnnData 0.6
    X: array, or group of "encoding-type"   X: array, or group of "h5sparse_format"
    obs, var: groups; "_index" names the    obs, var: arrays of records; the field "index" has the
      dataset that has the names              names
    raw/X, raw/var; layers/<name>           raw.X, raw.var, or the same
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from mtm_core.data.files.raw_table import RawTable, too_large
from mtm_core.data.files.reading_options import AS_IT_LIES, ReadingOptions
from mtm_core.data.files.self_contained import check_hdf5
from mtm_core.data.layout.orientation import is_run
from mtm_core.data.notes import Choice, Note, name_some
from mtm_core.data.units import Unit
from mtm_core.errors import InputFileError

_DAMAGE = (
    *(OSError, EOFError, LookupError, ValueError, TypeError, AttributeError),
    *(RuntimeError, ArithmeticError),
)
"""Exceptions of h5py on damaged files."""
_INDEX_FIELDS = ("_index", "index")
_GENE_FIELDS = ("gene_ids", "gene_id", "ensembl_id", "gene_names", "gene_name", "gene_symbols")
_LAYOUTS = {
    **{"csr_matrix": sparse.csr_matrix, "csr": sparse.csr_matrix},
    **{"csc_matrix": sparse.csc_matrix, "csc": sparse.csc_matrix},
}
_LOGGED = ("X", "raw.X")
"""Matrices that ``uns["log1p"]`` describes. Layers hold the values from before the logarithm."""
_OTHER_KINDS = {
    "mod": "several AnnData in one (.h5mu)",
    "matrix": "a 10x Genomics matrix of cells",
    "est_counts": "one sample of kallisto; its abundance.tsv is read",
}
"""Kinds of HDF5, by what is at their top."""


@dataclass(frozen=True)
class _Matrix:
    """A matrix (samples, genes), and where its genes are named."""

    node: Any
    genes: Any


def read_h5ad(data: bytes, max_bytes: int, options: ReadingOptions = AS_IT_LIES) -> RawTable:
    """Read ``X``, or the layer that ``options.quantity`` names, with its samples and genes.

    Raises
    ------
    InputFileError
        If the file is damaged, no AnnData, or holds several matrices and no ``X``.
    """
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            check_hdf5(file)
            if {"matrix", "row_attrs", "col_attrs"} <= set(file):
                return _read_loom(file, max_bytes)
            found = _matrices(file)
            name = _choose(found, options.quantity)
            samples, genes, values = _read(file, found[name], max_bytes)
            stated = unit_of_log1p(file) if name in _LOGGED else None
            others = [other for other in found if other != name]
            if not options.quantity and others and name == "X" and not np.nan_to_num(values).any():
                raise InputFileError(_no_x("X holds nothing but zeros", others))
    except _DAMAGE as error:
        raise InputFileError(
            f"the .h5ad is damaged, cut short, or lacks X, obs or var ({error}). Copy the whole "
            f"file again, or write it again: adata.write_h5ad(...)."
        ) from error
    cells = pd.concat([pd.Series(samples), pd.DataFrame(values)], axis=1)
    return RawTable(
        ("", *genes),
        cells.set_axis(range(len(genes) + 1), axis=1),
        "h5ad",
        notes=_describe(name, others) if others or name != "X" else (),
        choices=(Choice("quantity", name, tuple(found)),) if others else (),
        stated_unit=stated,
    )


def unit_of_log1p(file: Any) -> Unit | None:  # noqa: ANN401 - a group of HDF5 or of zarr
    """Return the unit that ``uns["log1p"]`` of an AnnData states; ``None`` if it states none.

    scanpy writes the base of the logarithm there, and nothing for the natural one.
    """
    if "uns" not in file or "log1p" not in file["uns"]:
        return None
    log1p = file["uns"]["log1p"]
    base = log1p["base"] if hasattr(log1p, "keys") and "base" in log1p else None
    if base is None or base.attrs.get("encoding-type") == "null" or base.shape != ():
        return "ln"
    value = np.asarray(base[()])
    if not np.issubdtype(value.dtype, np.number):
        return None
    units: dict[Unit, float] = {"log2": 2.0, "log10": 10.0, "ln": math.e}
    return next((unit for unit, b in units.items() if abs(float(value) - b) < 1e-3), None)


def _describe(name: str, others: Sequence[str]) -> tuple[Note, ...]:
    held = f", and also {name_some(others)}" if others else ", and no X"
    return (
        Note(
            "info" if name == "X" else "warning",
            f"The file holds {name!r}{held}.",
            f"{name!r} was read.",
            "If expression is in another matrix, choose it (--quantity)." if others else "",
        ),
    )


def _matrices(file: h5py.File) -> dict[str, _Matrix]:
    """Return the matrices of a file by name: X, the layers, and raw.X."""
    lacking = [axis for axis in ("obs", "var") if axis not in file]
    if lacking:
        kind = next((kind for key, kind in _OTHER_KINDS.items() if key in file), "")
        raise InputFileError(
            f"the file is HDF5, but not an .h5ad (AnnData): it has no "
            f"{' and no '.join(lacking)}; it"
            f" holds {name_some(file)}."
            + (f" It looks like {kind}." if kind else "")
            + " Use an .h5ad, or the table as csv."
        )
    found = {}
    if "X" in file and _holds_values(file["X"]):
        found["X"] = _Matrix(file["X"], file["var"])
    layers = file.get("layers", {})
    for name in layers:
        if _holds_values(layers[name]):
            found[str(name)] = _Matrix(layers[name], file["var"])
    for x, var in (("raw/X", "raw/var"), ("raw.X", "raw.var")):
        if x in file and var in file:
            found.setdefault("raw.X", _Matrix(file[x], file[var]))
    if not found:
        raise InputFileError(
            f"the file has no matrix X; it holds {name_some(file)}. Expected an .h5ad"
            " (AnnData) with the expression in X: adata.X = adata.layers['counts']."
        )
    return found


def _holds_values(node: h5py.Dataset | h5py.Group) -> bool:
    if isinstance(node, h5py.Dataset):
        return len(node.shape) == 2
    return "data" in node


def _choose(found: Mapping[str, _Matrix], wanted: str) -> str:
    """Return the name of the matrix to read."""
    if wanted:
        plain = {name.casefold(): name for name in found}
        if "raw.X" in found:
            plain.setdefault("raw", "raw.X")
        if wanted.casefold() not in plain:
            raise InputFileError(
                f"the .h5ad has no matrix {wanted!r}. Choose one of {name_some(found, 20)}."
            )
        return plain[wanted.casefold()]
    if "X" in found or len(found) == 1:
        return next(iter(found))
    raise InputFileError(_no_x("the file has no matrix X", list(found)))


def _no_x(why: str, others: Sequence[str]) -> str:
    return (
        f"{why}; the expression may be in {name_some(others, 20)}. Choose one of them (--quantity),"
        f" or put it into X: adata.X = adata.layers[{others[0]!r}]."
    )


def _read(
    file: h5py.File, matrix: _Matrix, max_bytes: int
) -> tuple[list[str], list[str], NDArray[np.float64]]:
    """Return names of samples and genes, and values (samples, genes)."""
    node = matrix.node
    shape = node.shape if isinstance(node, h5py.Dataset) else _shape_of(node)
    stored = node.size if isinstance(node, h5py.Dataset) else node["data"].size
    if 8 * max(int(shape[0]) * int(shape[1]), stored) > max_bytes:
        raise too_large("the matrix", max_bytes)
    samples, genes = _names(file["obs"], shape[0]), _names(matrix.genes, shape[1])
    if is_run(genes):
        genes = _other_names(matrix.genes, shape[1]) or genes
    return samples, genes, _dense(node, shape)


def _shape_of(group: h5py.Group) -> tuple[int, int]:
    shape = group.attrs["shape"] if "shape" in group.attrs else group.attrs["h5sparse_shape"]
    return int(shape[0]), int(shape[1])


def _dense(node: h5py.Dataset | h5py.Group, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return a matrix dense, from any of AnnData's layouts."""
    if isinstance(node, h5py.Dataset):
        return np.asarray(node[()], dtype=np.float64)
    kind = node.attrs.get("encoding-type", node.attrs.get("h5sparse_format", ""))
    layout = _LAYOUTS[kind.decode() if isinstance(kind, bytes) else str(kind)]
    matrix = layout((node["data"][()], node["indices"][()], node["indptr"][()]), shape=shape)
    matrix.check_format(full_check=True)  # an index outside the matrix would write past its end
    dense: NDArray[np.float64] = matrix.toarray()
    return dense


def _names(table: h5py.Group | h5py.Dataset, expected: int) -> list[str]:
    """Return the names of samples or genes."""
    if isinstance(table, h5py.Dataset):
        fields = [*(table.dtype.names or ())]
        field = next((name for name in _INDEX_FIELDS if name in fields), fields[0])
        values = table[field]
        found = [name.decode() if isinstance(name, bytes) else str(name) for name in values]
    else:
        key = table.attrs.get("_index", "")
        key = key.decode() if isinstance(key, bytes) else str(key)
        if key not in table:
            key = next((name for name in _INDEX_FIELDS if name in table), key)
        found = _text(table[key])
    if len(found) != expected:
        raise ValueError(f"{table.name} has {len(found)} names for {expected} in the matrix")
    return found


def _other_names(table: h5py.Group | h5py.Dataset, expected: int) -> list[str]:
    """Return a column that names genes, where the index only numbers them."""
    fields = (table.dtype.names or ()) if isinstance(table, h5py.Dataset) else tuple(table)
    for name in _GENE_FIELDS:
        if name in fields:
            found = [
                value.decode() if isinstance(value, bytes) else str(value)
                for value in (
                    table[name] if isinstance(table, h5py.Dataset) else _text(table[name])
                )
            ]
            return found if len(found) == expected else []
    return []


def _text(node: h5py.Dataset | h5py.Group) -> list[str]:
    """Return a column of text: as it is, of categories, or with a mask."""
    if isinstance(node, h5py.Group):
        if "categories" in node:
            categories = np.array([*_text(node["categories"]), ""], dtype=object)
            return [str(name) for name in categories[node["codes"][()]]]
        return _text(node["values"])
    values = node.asstr()[()] if node.dtype.kind in "OS" else node[()]
    return [str(name) for name in np.atleast_1d(values)]


def _read_loom(file: h5py.File, max_bytes: int) -> RawTable:
    """Read a loom file: genes in rows, samples in columns."""
    rows, columns = file["row_attrs"], file["col_attrs"]
    gene = next(
        (name for name in ("Accession", "Gene", "gene_ids", "var_names") if name in rows), ""
    )
    sample = next((name for name in ("CellID", "SampleID", "obs_names") if name in columns), "")
    if not gene or not sample:
        raise InputFileError(
            "the loom file has no Accession or Gene, or no CellID. Its rows have"
            f" {name_some(rows)}, its columns {name_some(columns)}."
        )
    if 8 * file["matrix"].size > max_bytes:
        raise too_large("the matrix", max_bytes)
    genes, samples = _text(rows[gene]), _text(columns[sample])
    values = np.asarray(file["matrix"][()], dtype=np.float64)
    if values.shape != (len(genes), len(samples)):
        raise ValueError(f"matrix is {values.shape} for {len(genes)} genes")
    cells = pd.concat([pd.Series(genes), pd.DataFrame(values)], axis=1)
    return RawTable((gene, *samples), cells.set_axis(range(len(samples) + 1), axis=1), "loom")
