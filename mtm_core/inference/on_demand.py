"""Variables of xarray whose values are computed when they are read.

``.sel`` and ``.isel`` cut without computing, ``.to_numpy()`` computes what is left, ``.load()`` all
of it, as does arithmetic. They are lazily indexed arrays of a backend
(https://docs.xarray.dev/en/stable/internals/how-to-add-new-backend.html).

Letters: N samples, T tissues, G genes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from typing import Any, Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from xarray.backends import BackendArray
from xarray.core import indexing

from mtm_core.inference.decoder import Decoder, Index, TissueProgress, blank
from mtm_core.methods.protocol import Floats

DIMS = ("sample", "tissue", "gene")
_NUMBERS = count()
"""Numbers of on-demand arrays, unique in this process."""


class TissueReader(Protocol):
    """Returns the values of one tissue at a time."""

    @property
    def decoder(self) -> Decoder | None:
        """Decoder of the values, if there is one."""
        ...

    def read(self, tissue: int, samples: Index, genes: Index, out: Floats) -> None:
        """Write the values (n, g) of ``samples`` (n,) and ``genes`` (g,) into ``out``."""
        ...


class TissueValues(BackendArray):
    """Values (N, T, G) that ``reader`` reads tissue by tissue."""

    dtype = np.dtype(np.float32)

    def __init__(self, reader: TissueReader, shape: tuple[int, int, int]) -> None:
        self.reader, self.shape = reader, shape
        self._number = next(_NUMBERS)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> NDArray[np.float32]:
        """Compute what ``key`` asks for, as xarray's backends do."""
        values: NDArray[np.float32] = indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER, self._read
        )
        return values

    def __setitem__(self, key: indexing.ExplicitIndexer, value: object) -> None:
        """Refuse it: a value that is computed anew would not stay as it was set."""
        raise TypeError(
            "these values are computed when they are read and cannot be set one by one: load "
            "them first, for example with prediction.isel(tissue=[0, 1]).load()."
        )

    def __dask_tokenize__(self) -> tuple[str, int, int]:
        """Name it to Dask, which would otherwise compute all values to hash them."""
        return ("mtm-prediction", os.getpid(), self._number)

    def __deepcopy__(self, memo: dict[int, Any]) -> TissueValues:
        return self  # it cannot be written to

    def _read(self, key: tuple[Any, ...]) -> NDArray[np.float32]:
        samples, tissues, genes = (
            np.atleast_1d(np.arange(n)[part]) for part, n in zip(key, self.shape, strict=True)
        )
        values = blank(len(samples), len(tissues), len(genes))
        if values.size:
            for i, tissue in enumerate(tissues):
                self.reader.read(int(tissue), samples, genes, values[:, i])
        wanted = tuple(0 if isinstance(part, int | np.integer) else slice(None) for part in key)
        cut: NDArray[np.float32] = values[wanted]
        return cut


class _Cut(indexing.LazilyIndexedArray):
    """Some of the values; to another process they alone travel, as numbers."""

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        return _numbers_of, (np.asarray(self),)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:  # noqa: ANN401
        return self  # it cannot be written to

    def transpose(self, order: tuple[int, ...]) -> Any:  # noqa: ANN401
        """Return them with their dimensions in this order."""
        turned: _PointwiseCut = _PointwiseCut(self.array, self.key).transpose(order)  # type: ignore[no-untyped-call]
        return turned

    def _vindex_get(self, indexer: indexing.VectorizedIndexer) -> Any:  # noqa: ANN401
        return _PointwiseCut(self.array, self.key).vindex[indexer]


class _PointwiseCut(indexing.LazilyVectorizedIndexedArray):
    """As :class:`_Cut`, each value named by its own place."""

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        return _numbers_of, (np.asarray(self),)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:  # noqa: ANN401
        return self  # it cannot be written to

    def __getitem__(self, indexer: indexing.ExplicitIndexer) -> Any:  # noqa: ANN401
        """Cut further; to one value also where xarray looks beyond a key's only place."""
        at = indexer.tuple
        if not all(isinstance(place, int | np.integer) for place in at):
            return super().__getitem__(indexer)
        places = tuple(int(np.broadcast_to(key, self.shape)[at]) for key in self.key.tuple)
        return _Cut(self.array, indexing.BasicIndexer(places))


def _numbers_of(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return values


def on_demand(reader: TissueReader, shape: tuple[int, int, int]) -> xr.Variable:
    """Return a variable (sample, tissue, gene) whose values ``reader`` computes when read."""
    return xr.Variable(DIMS, _Cut(TissueValues(reader, shape)))


@dataclass(frozen=True)
class _OneOf:
    """The variable ``name`` of what ``decoder`` decodes."""

    decoder: Decoder
    name: str

    def read(self, tissue: int, samples: Index, genes: Index, out: Floats) -> None:
        self.decoder.write(tissue, samples, genes, {self.name: out})


def decoded_variables(decoder: Decoder, names: Iterable[str]) -> dict[str, xr.Variable]:
    """Return variables, z, expression, lower or upper, that are decoded when they are read."""
    return {name: on_demand(_OneOf(decoder, name), decoder.shape) for name in names}


def loaded(dataset: xr.Dataset, on_progress: TissueProgress | None = None) -> xr.Dataset:
    """Return ``dataset`` with every value in memory.

    As ``dataset.load()``, which goes variable by variable; this goes tissue by tissue, and decodes
    each of a prediction once, whatever is cached. ``dataset`` stays as it is.

    Raises
    ------
    ArtefactError
        If the model gives numbers that are not finite.
    """
    lazy = {
        str(name): values
        for name, array in dataset.data_vars.items()
        if (values := _values_of(array)) is not None
    }
    if not lazy:
        return dataset
    if any(dataset[name].dims != DIMS for name in lazy):  # some were cut away
        return dataset.compute()
    n_samples, n_tissues, n_genes = (dataset.sizes[name] for name in DIMS)
    arrays = {name: blank(n_samples, n_tissues, n_genes) for name in lazy}
    with ExitStack() as reading:
        for decoder in _decoders(lazy.values()):
            reading.enter_context(decoder.read_in_turn())
        for i in range(n_tissues):
            if on_progress is not None:
                on_progress(i, n_tissues)
            one = dataset.isel(tissue=i)
            for name, array in arrays.items():
                array[:, i] = one[name].to_numpy()
    return dataset.assign({name: (DIMS, array) for name, array in arrays.items()})


def is_lazy(array: xr.DataArray) -> bool:
    """Tell whether values are computed when they are read."""
    return _values_of(array) is not None


def held_bytes(data: xr.Dataset | xr.DataArray) -> int:
    """Get what ``data`` takes in memory: of what is decoded on demand, what its decoder holds."""
    arrays = [data] if isinstance(data, xr.DataArray) else list(data.data_vars.values())
    coordinates = sum(int(array.nbytes) for array in data.coords.values())
    lazy = [values for array in arrays if (values := _values_of(array)) is not None]
    in_memory = sum(int(array.nbytes) for array in arrays if not is_lazy(array))
    return coordinates + in_memory + sum(decoder.held_bytes for decoder in _decoders(lazy))


def _decoders(lazy: Iterable[TissueValues]) -> list[Decoder]:
    """Return what decodes these values, each once."""
    decoders = [values.reader.decoder for values in lazy]
    return list({id(one): one for one in decoders if one is not None}.values())


def _values_of(array: xr.DataArray) -> TissueValues | None:
    """Get the lazy values behind ``array``, however it was cut; ``None`` of numbers in memory."""
    inner: Any = array.variable._data
    while not isinstance(inner, np.ndarray | TissueValues) and hasattr(inner, "array"):
        inner = inner.array
    return inner if isinstance(inner, TissueValues) else None
