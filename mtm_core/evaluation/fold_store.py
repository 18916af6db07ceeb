"""Out-of-fold predictions on disk: one HDF5 file for each fold and method, read lazily.

A file has ``predicted``, the expected error ``sd`` and the ``multiplier_{level}`` of calibrated
intervals, and the fold's scaler (``mean`` and ``spread`` by tissue and gene). Observed values are
read from the cohort and scaled on demand. :func:`out_of_fold` returns the dataset of
:mod:`mtm_core.evaluation.cross_validation`; its (pair, gene) variables are read from disk when they
are indexed, so that it can be of any width.

Shapes: P pairs, G genes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from xarray.backends import BackendArray
from xarray.core import indexing

from mtm_core.data.cohort.cohort import tissue_codes, tissue_names
from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.errors import InputFileError
from mtm_core.methods.held_out import SCORED_ON, HeldOutTissue
from mtm_core.methods.protocol import Floats
from mtm_core.safe_output import replacing, whole_file

Ints = NDArray[np.intp]
_CHUNK_VALUES = 2**18
"""Values in a chunk of the file, 1 MB."""


@dataclass(frozen=True)
class StoredFold:
    """Stored predictions of one fold and method.

    Attributes
    ----------
    path
        File of the fold.
    fold
        Number of the fold.
    donor, tissue
        Donor and tissue (P,) of each pair; the pairs of a tissue are consecutive.
    multipliers
        Half-widths (P,) of the calibrated intervals by level, in units of the expected error.
    """

    path: Path
    fold: int
    donor: NDArray[np.str_]
    tissue: NDArray[np.str_]
    multipliers: Mapping[int, Floats]

    @classmethod
    def open(cls, path: Path, fold: int) -> StoredFold:
        """Open a file that :func:`write_fold` wrote.

        Raises
        ------
        InputFileError
            If it is damaged.
        """
        try:
            with h5py.File(path, "r") as file:
                donor, tissue = (file[name].asstr()[:].astype(str) for name in ("donor", "tissue"))
                multipliers = {
                    int(name.removeprefix("multiplier_")): file[name][:]
                    for name in file
                    if name.startswith("multiplier_")
                }
                shape = (len(donor), file["mean"].shape[1])
                names = ["predicted", *(["sd"] if multipliers else [])]
                if any(file[name].shape != shape for name in names) or len(tissue) < len(donor):
                    raise ValueError(f"its arrays are not of {shape[0]} pairs, {shape[1]} genes")
            return cls(path, fold, donor, tissue, multipliers)
        except (OSError, ValueError, KeyError) as error:
            raise InputFileError(
                f"{path} is damaged ({error}). Delete it; the fold is then predicted again."
            ) from error

    def read(self, name: str, rows: Ints, genes: slice | Ints) -> Floats:
        """Read ``predicted`` or ``sd`` for some pairs and genes."""
        first, last = int(rows.min()), int(rows.max()) + 1
        with h5py.File(self.path, "r") as file:
            # The pairs of a tissue are consecutive, so one contiguous read is fastest.
            block = np.asarray(file[name][first:last])
        chosen = block if np.array_equal(rows, np.arange(first, last)) else block[rows - first]
        return chosen[:, genes]

    def scaler(self) -> TissueScaler:
        """Read the scaler of the scale that the fold is scored on."""
        with h5py.File(self.path, "r") as file:
            return TissueScaler(file["mean"][:], file["spread"][:], SCORED_ON.scale)


def write_fold(parts: Iterable[HeldOutTissue], scorer: TissueScaler, path: Path) -> None:
    """Write the predictions of a fold, tissue by tissue. The file appears when it is complete.

    Parameters
    ----------
    parts
        Result of :func:`mtm_core.methods.held_out.predict_held_out`. Intervals that only some
        tissues have are NaN in the others.
    scorer
        Scaler of the scale that the fold is scored on.
    path
        File to write.

    Raises
    ------
    OSError
        If the disk is full.
    """
    n_genes = scorer.mean.shape[1]
    chunks = (max(1, _CHUNK_VALUES // max(n_genes, 1)), n_genes)
    donors: list[str] = []
    tissues: list[str] = []
    sizes: list[int] = []
    multipliers: list[Mapping[int, Floats]] = []
    with replacing(path) as place, whole_file(place) as raw, h5py.File(raw, "w") as file:
        file["mean"], file["spread"] = scorer.mean, scorer.sd
        for part in parts:
            values = {"predicted": part.predicted}
            if part.sd is not None and part.multipliers is not None:
                values["sd"] = part.sd
            multipliers.append(part.multipliers or {})
            for name, rows in values.items():
                if name not in file:
                    shape, most = (0, n_genes), (None, n_genes)
                    file.create_dataset(
                        name, shape, "f4", maxshape=most, chunks=chunks, fillvalue=np.nan
                    )
                file[name].resize(len(donors) + len(rows), axis=0)
                file[name][len(donors) :] = rows
            donors += part.donor.tolist()
            tissues += [part.tissue] * len(part.donor)
            sizes.append(len(part.donor))
        if "sd" in file:
            file["sd"].resize(len(donors), axis=0)
        for level in dict.fromkeys(level for part in multipliers for level in part):
            file[f"multiplier_{level}"] = np.concatenate(
                [
                    own[level] if level in own else np.full(n, np.nan, dtype=np.float32)
                    for own, n in zip(multipliers, sizes, strict=True)
                ]
            )
        for name, words in (("donor", donors), ("tissue", tissues)):
            file.create_dataset(name, data=words, dtype=h5py.string_dtype())


def out_of_fold(folds: Sequence[StoredFold], cohort: ad.AnnData) -> xr.Dataset:
    """Join the stored folds of one method into one lazily read dataset.

    Returns
    -------
    xarray.Dataset
        As :func:`mtm_core.evaluation.cross_validation.cross_validate`, with ``sd`` and, by pair,
        ``multiplier_{level}``, from which the bounds are computed.
    """
    donor = np.concatenate([part.donor for part in folds])
    tissue = np.concatenate([part.tissue for part in folds])
    fold = np.concatenate([np.full(len(part.donor), part.fold) for part in folds])
    starts = np.cumsum([0, *(len(part.donor) for part in folds)])
    shape = (len(donor), cohort.n_vars)

    def by_fold(read: Callable[[int, Ints, Ints, slice | Ints], Floats]) -> xr.Variable:
        def joined(rows: Ints, genes: slice | Ints) -> Floats:
            number = np.searchsorted(starts, rows, side="right") - 1
            n_genes = len(np.arange(shape[1])[genes])
            result = np.empty((len(rows), n_genes), dtype=np.float32)
            for k in np.unique(number):
                own = number == k
                result[own] = read(int(k), rows[own], rows[own] - starts[k], genes)
            return result

        return xr.Variable(("pair", "gene"), indexing.LazilyIndexedArray(_Lazy(joined, shape)))

    samples = pd.MultiIndex.from_arrays(
        [
            cohort.obs["donor"].to_numpy().astype(str),
            np.array(tissue_names(cohort))[tissue_codes(cohort)],
        ]
    )
    sample = samples.get_indexer(pd.MultiIndex.from_arrays([donor, tissue]))
    codes = tissue_codes(cohort)

    @cache
    def scaler(number: int) -> TissueScaler:
        return folds[number].scaler()

    def observed(number: int, rows: Ints, _: Ints, genes: slice | Ints) -> Floats:
        own = sample[rows]
        return scaler(number).transform(np.asarray(cohort.X[own]), codes[own])[:, genes]

    def stored(name: str) -> xr.Variable:
        return by_fold(lambda number, _, rows, genes: folds[number].read(name, rows, genes))

    def bound(level: int, sign: int) -> xr.Variable:
        def values(number: int, _: Ints, rows: Ints, genes: slice | Ints) -> Floats:
            half = widths_of(number, level)[rows][:, None] * spread(number, rows, rows, genes)
            return np.asarray(folds[number].read("predicted", rows, genes) + sign * half)

        return by_fold(values)

    # A fold's method may lack the intervals that another fold's has: NaN.
    def widths_of(number: int, level: int) -> Floats:
        part = folds[number]
        return part.multipliers.get(level, np.full(len(part.donor), np.nan, dtype=np.float32))

    def spread(number: int, _: Ints, rows: Ints, genes: slice | Ints) -> Floats:
        if folds[number].multipliers:
            return folds[number].read("sd", rows, genes)
        return np.full((len(rows), len(np.arange(shape[1])[genes])), np.nan, dtype=np.float32)

    variables: dict[str, Any] = {"predicted": stored("predicted"), "observed": by_fold(observed)}
    levels = list(dict.fromkeys(level for part in folds for level in part.multipliers))
    for level in levels:
        variables[f"lower_{level}"], variables[f"upper_{level}"] = bound(level, -1), bound(level, 1)
    for level in levels:
        widths = np.concatenate([widths_of(number, level) for number in range(len(folds))])
        variables[f"multiplier_{level}"] = ("pair", widths)
    if levels:
        variables["sd"] = by_fold(spread)
    names = {"donor": donor, "tissue": tissue, "fold": fold}
    coords: dict[str, Any] = {name: ("pair", values) for name, values in names.items()}
    return xr.Dataset(variables, coords | {"gene": cohort.var_names.to_numpy().astype(str)})


class _Lazy(BackendArray):
    """A (pair, gene) array whose values are read or computed when it is indexed."""

    def __init__(
        self, read: Callable[[Ints, slice | Ints], Floats], shape: tuple[int, int]
    ) -> None:
        self._read, self.shape, self.dtype = read, shape, np.dtype(np.float32)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:  # noqa: ANN401 - as xarray has it
        support = indexing.IndexingSupport.OUTER
        return indexing.explicit_indexing_adapter(key, self.shape, support, self._get)

    def _get(self, key: tuple[Any, Any]) -> Floats:
        rows, genes = np.arange(self.shape[0])[key[0]], key[1]
        columns = genes if isinstance(genes, slice) else np.atleast_1d(genes)
        values = self._read(np.atleast_1d(rows), columns)
        if np.ndim(genes) == 0 and not isinstance(genes, slice):
            values = values[:, 0]
        return values if np.ndim(rows) else values[0]
