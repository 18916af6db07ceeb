"""Refuse a file or store whose content lies elsewhere, before any of it is read.

HDF5 may name other files to take a dataset's bytes from (external storage, virtual datasets,
external links) and programs to decode them (filters by plugin); a column of parquet may lie in
another file (stores of zarr: :mod:`mtm_core.data.files.zarr_store`). Whoever reads such a file for
others reads their own files for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import h5py
import pyarrow as pa
import pyarrow.parquet

from mtm_core.errors import InputFileError

_FILTERS = {
    h5py.h5z.FILTER_DEFLATE,
    h5py.h5z.FILTER_SHUFFLE,
    h5py.h5z.FILTER_FLETCHER32,
    h5py.h5z.FILTER_SZIP,
    h5py.h5z.FILTER_NBIT,
    h5py.h5z.FILTER_SCALEOFFSET,
    h5py.h5z.FILTER_LZF,
}
"""Filters that come with HDF5 and h5py."""
_MOST_OBJECTS = 200_000
_ALONE = "Write it again as a single file: adata.write_h5ad(...)."


def check_hdf5(file: h5py.File) -> None:
    """Look at every object of ``file``, and read none.

    Raises
    ------
    InputFileError
        If one lies in another file, leads to one, or needs a filter that is no part of h5py.
    """
    seen: set[int] = set()
    groups = [h5py.h5g.open(file.id, b"/")]
    _check_attributes(groups[0], "'/'")
    while groups:
        group = groups.pop()
        for name in group:
            shown = repr(name.decode(errors="replace"))
            kind = group.links.get_info(name).type
            if kind == h5py.h5l.TYPE_SOFT:  # leads to an object of this file, or nowhere
                continue
            if kind != h5py.h5l.TYPE_HARD:
                raise _elsewhere(shown, "is a link to another file")
            thing = h5py.h5o.open(group, name)
            address = h5py.h5o.get_info(thing).addr
            if address in seen:
                continue
            seen.add(address)
            if len(seen) > _MOST_OBJECTS:
                raise InputFileError(f"the file has over {_MOST_OBJECTS:,} objects. {_ALONE}")
            _check_attributes(thing, shown)
            if isinstance(thing, h5py.h5g.GroupID):
                groups.append(thing)
            elif isinstance(thing, h5py.h5d.DatasetID):
                _check_dataset(thing, shown)


def _check_dataset(dataset: h5py.h5d.DatasetID, shown: str) -> None:
    how = dataset.get_create_plist()
    if how.get_external_count():
        raise _elsewhere(shown, "has its values in another file")
    if how.get_layout() == h5py.h5d.VIRTUAL:
        raise _elsewhere(shown, "is virtual: put together from datasets of other files")
    for i in range(how.get_nfilters()):
        code = how.get_filter(i)[0]
        if code not in _FILTERS:
            raise InputFileError(
                f"{shown} is compressed by HDF5's filter {code}, which takes a plugin. Expected"
                " gzip, lzf or none: adata.write_h5ad(..., compression='gzip')."
            )
    if any(_references(dataset.get_type())):
        raise InputFileError(f"{shown} holds references: expected numbers or text. {_ALONE}")


def _check_attributes(thing: Any, shown: str) -> None:  # noqa: ANN401 - of any kind of object
    """Refuse references but the old ones, of AnnData and netCDF, which stay in their file."""
    for i in range(h5py.h5a.get_num_attrs(thing)):
        stored = h5py.h5a.open(thing, index=i).get_type()
        if not all(kind.equal(h5py.h5t.STD_REF_OBJ) for kind in _references(stored)):
            raise InputFileError(f"an attribute of {shown} holds references. {_ALONE}")


def _references(stored: h5py.h5t.TypeID) -> Iterator[h5py.h5t.TypeID]:
    """Yield the types of references in a type, also of its parts."""
    kind = stored.get_class()
    if kind == h5py.h5t.COMPOUND:
        for member in range(stored.get_nmembers()):
            yield from _references(stored.get_member_type(member))
    elif kind in (h5py.h5t.ARRAY, h5py.h5t.VLEN):
        yield from _references(stored.get_super())
    elif kind == h5py.h5t.REFERENCE:
        yield stored


def check_parquet_types(schema: pa.Schema) -> None:
    """Look what types the columns of a parquet file ask for.

    Raises
    ------
    InputFileError
        If one has a type that only a program of its own can read.
    """
    for field in schema:
        if isinstance(field.type, pa.BaseExtensionType):
            raise InputFileError(
                f"column {field.name!r} has the type {field.type.extension_name!r}. Expected"
                " numbers or text."
            )


def check_parquet_columns(group: pyarrow.parquet.RowGroupMetaData) -> None:
    """Look where the columns of a row group lie that has been read.

    Arrow opens no other file: what it has read then is something else. To be called *after*
    reading, which refuses damaged metadata; asked for them here, Arrow would end the process.

    Raises
    ------
    InputFileError
        If one lies in another file.
    """
    for j in range(group.num_columns):
        if group.column(j).file_path:
            raise InputFileError(
                f"column {group.column(j).path_in_schema!r} lies in another file. Write the table"
                " into one parquet file."
            )


def _elsewhere(shown: str, how: str) -> InputFileError:
    return InputFileError(f"{shown} {how}. A table is read from its own file alone. {_ALONE}")
