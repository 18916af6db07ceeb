"""Memory of results, reserved in the server's budget for as long as they exist."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass

import numpy as np
import pandas as pd
import xarray as xr

from mtm_core.inference.on_demand import held_bytes
from mtm_core.memory_budget import Hold
from mtm_core.workflows.server_limits import WORK_BYTES

_COPIES, _NUMBER_BYTES, _POINTER_BYTES = 6, 8, 8
_ROW_BYTES = 200
"""Size of a row of a table of results: some twenty numbers and names."""


class HeldBytes(bytes):
    """A file in memory that holds its part of the budget until nobody has it.

    Streamlit keeps what a button offers for as long as the page shows it.
    """

    hold: Hold | None = None

    def __del__(self) -> None:
        if self.hold is not None:
            self.hold.release()


def analysing_bytes(prediction: xr.Dataset | None, *, n_tissues: int | None = None) -> int:
    """Estimate what it takes to make something of a prediction, tissue by tissue.

    No more than a copy of all values; of a large prediction, copies of a tissue and a table of
    every gene of every tissue, or of ``n_tissues``.
    """
    if prediction is None:
        return WORK_BYTES
    n_samples, n_there, n_genes = prediction["z"].shape
    n_tissues = n_there if n_tissues is None else n_tissues
    in_turn = _COPIES * _NUMBER_BYTES * n_samples * n_genes + _ROW_BYTES * n_tissues * n_genes
    return WORK_BYTES + min(int(prediction.nbytes), in_turn)


def hold_result(hold: Hold, result: object) -> object:
    """Reserve the size of ``result`` while it exists, release the rest of ``hold``; return it."""
    if isinstance(result, bytes):
        held = HeldBytes(result)
        hold.shrink(len(held))
        held.hold = hold
        return held
    largest = max(_parts_of(result), key=size_of, default=None)
    if size_of(largest):
        hold.keep_for(largest, size_of(result))
    hold.release()
    return result


def _parts_of(thing: object) -> Iterator[object]:
    """Yield what tuples, lists and dictionaries hold that lives as long as they do."""
    if isinstance(thing, dict):
        thing = tuple(thing.values())
    if isinstance(thing, tuple | list):
        for part in thing:
            yield from _parts_of(part)
    elif not isinstance(thing, bytes | str):  # these have no end that can be watched
        yield thing


def _bytes_of_table(table: pd.DataFrame) -> int:
    """Return the bytes of the columns of a table, a type at a time.

    Not ``memory_usage``: it makes a series of each column, which the table then holds for good. Of
    19,291 genes that takes a third of a second and 30 MB, and the garbage collector as long.
    """
    kinds = table.dtypes.to_list()
    by_type = {id(kind): kind for kind in kinds}  # of thousands of columns there are a few
    if all(isinstance(kind, np.dtype) for kind in by_type.values()):
        n_of = Counter(map(id, kinds))
        return len(table) * sum(int(n * by_type[key].itemsize) for key, n in n_of.items())
    return sum(int(table.iloc[:, i].array.nbytes) for i in range(len(kinds)))


def size_of(thing: object) -> int:
    """Return the bytes of arrays, tables and text, and of their containers; a lower estimate."""
    if isinstance(thing, xr.Dataset | xr.DataArray):
        return held_bytes(thing)
    if isinstance(thing, np.ndarray):
        return int(thing.nbytes)
    if isinstance(thing, pd.DataFrame):
        return _bytes_of_table(thing)
    if isinstance(thing, bytes | str):
        return len(thing)
    if isinstance(thing, Mapping):
        return size_of(tuple(thing)) + size_of(tuple(thing.values()))
    if isinstance(thing, tuple | list | set | frozenset):
        texts = [len(one) for one in thing if type(one) is str]  # names of 19,291 genes, often
        others = [one for one in thing if type(one) is not str] if len(texts) < len(thing) else []
        return _POINTER_BYTES * len(thing) + sum(texts) + sum(map(size_of, others))
    if is_dataclass(thing) and not isinstance(thing, type):
        return sum(size_of(getattr(thing, field.name)) for field in fields(thing))
    return 0
