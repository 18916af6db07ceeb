"""A prediction too large for memory: a zarr store that is filled chunk by chunk, and its ledger.

Chunks of samples are regions of the store that share no file, so that any number of workers write
at once. A chunk is entered in the ledger when all of it is written; a run that was cut off goes on
with those that are not entered. Until the last chunk is there, store and ledger are in a folder
beside the place of the store, which says by its name that it is not whole::

    predicted.zarr.progress/
        run.json             what is predicted, from what, how; found out before the first chunk
        moments.safetensors  mean and spread of each gene over all samples, or by batch; by table
        alignment.json       the saved alignments that the samples are read by, if there are some
        predicted.zarr       the store
        done/0000012         a file a chunk, with what the store has no place for: made by the
                             worker that wrote the chunk

The finished store is the dataset of :mod:`mtm_core.inference.prediction_dataset`, with consolidated
metadata; ``attrs["run"]`` holds run.json.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import xarray as xr
import zarr
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from zarr.codecs import BloscCodec

from mtm_core.errors import OutputError
from mtm_core.inference.gene_moments import GeneMoments
from mtm_core.inference.profiles import GIVEN_TISSUE
from mtm_core.inference.saved_alignment import (
    SavedAlignment,
    alignment_bytes,
    alignments_of,
)
from mtm_core.safe_output import (
    OwnFolder,
    check_output,
    discard,
    put_folder,
    replacing,
    said_in_words,
)

_STORE, _LEDGER, _MOMENTS = "predicted.zarr", "run.json", "moments.safetensors"
_ALIGNMENT = "alignment.json"
_PARTS = ("mean", "squares", "low", "high")
"""Arrays of the moments of a batch."""
_KIND = "a prediction that is not whole"
_LEFT = "What is predicted so far stays; the same command continues from it."
_COMPLETE = "run"
"""Attribute that only a finished store has."""

Run = dict[str, Any]
"""Description of a run: what was ``asked`` for, and ``found`` out about the table; JSON values."""


@dataclass(frozen=True)
class PredictionStore:
    """The store at ``path``, for chunks of ``chunk`` samples."""

    path: Path
    chunk: int

    @property
    def progress(self) -> Path:
        """Folder of what is not whole."""
        return self.path.with_name(self.path.name + ".progress")

    @property
    def unfinished(self) -> Path:
        """The store until it is whole."""
        return self.progress / _STORE

    def begun(self) -> Run | None:
        """Return the run that the store is of, finished or not; ``None`` if there is no store.

        Raises
        ------
        OutputError
            If there is something else in its place, or in that of its ledger.
        """
        if self.progress.is_symlink() or self.progress.exists():
            check_output(self.progress, overwrite=True, folder=True)
            ledger = self.progress / _LEDGER
            if ledger.exists():
                run: Run = json.loads(ledger.read_text(encoding="utf-8"))
                return run
        if not self.path.is_symlink() and not self.path.exists():
            return None
        if (whole := self._run_of_whole()) is not None:
            return whole
        raise OutputError(
            f"{self.path} exists already, and is not a prediction of this kind. Choose another "
            f"name, or delete it."
        )

    def _run_of_whole(self) -> Run | None:
        try:
            return dict(json.loads(str(zarr.open_group(self.path, mode="r").attrs[_COMPLETE])))
        except (KeyError, ValueError, OSError):
            return None

    def is_complete(self, run: Run) -> bool:
        """Tell whether every chunk of ``run`` is there."""
        whole = self._run_of_whole() if self.path.exists() else None
        if whole is None or whole.get("asked") != run["asked"]:
            return False
        return bool(whole["found"].get("sha256") == run["found"].get("sha256"))

    def begin(
        self,
        run: Run,
        moments: Sequence[Mapping[str, GeneMoments]],
        alignments: Sequence[SavedAlignment] = (),
    ) -> None:
        """Open the ledger of a run whose table has been looked through.

        Parameters
        ----------
        run
            The run.
        moments
            Moments of all samples by batch, of each table; empty if nothing is estimated.
        alignments
            The saved alignments that they are read by, if there are some.

        Raises
        ------
        OutputError
            If its folder holds what is not ours, or cannot be written to.
        """
        own = OwnFolder.claim(self.progress, _KIND)
        own.own("done/", f"{_STORE}/", _LEDGER, _MOMENTS, _ALIGNMENT)
        own.clear()
        with said_in_words(self.path, _LEFT):
            (self.progress / "done").mkdir()
        if any(moments):
            arrays = {
                f"{table}.{number}.{name}": np.atleast_1d(array)
                for table, own in enumerate(moments)
                for number, one in enumerate(own.values())
                for name, array in vars(one).items()
            }
            batches = json.dumps([list(own) for own in moments])
            with replacing(self.progress / _MOMENTS) as place:
                save_file(arrays, place, metadata={"batches": batches})
        if alignments:
            with replacing(self.progress / _ALIGNMENT) as place:
                place.write_bytes(alignment_bytes(alignments))
        with replacing(self.progress / _LEDGER) as place:
            place.write_text(json.dumps(run), encoding="utf-8")

    def begin_anew(self) -> None:
        """Let go of a run that was cut off; a whole store stays until another takes its place.

        Raises
        ------
        OutputError
            If its folder holds what is not ours.
        """
        discard(self.progress)

    def moments(self) -> list[dict[str, GeneMoments]]:
        """Return the moments that :meth:`begin` was given; nothing if there were none."""
        path = self.progress / _MOMENTS
        if not path.exists():
            return []
        with safe_open(path, framework="numpy") as file:
            batches = json.loads(file.metadata()["batches"])
        arrays = load_file(path)
        return [
            {
                name: GeneMoments(
                    int(arrays[f"{table}.{i}.n"][0]),
                    *(arrays[f"{table}.{i}.{part}"] for part in _PARTS),
                )
                for i, name in enumerate(names)
            }
            for table, names in enumerate(batches)
        ]

    def alignments(self) -> tuple[SavedAlignment, ...]:
        """Return the saved alignments that :meth:`begin` was given."""
        path = self.progress / _ALIGNMENT
        return alignments_of(path.read_bytes(), _ALIGNMENT) if path.exists() else ()

    def create(self, first: xr.Dataset, samples: tuple[str, ...]) -> None:
        """Lay out the store after the prediction ``first`` of some samples, without values.

        Raises
        ------
        OutputError
            If there is no room.
        """
        with said_in_words(self.path, _LEFT):
            create_store(self.unfinished, first, samples, self.chunk)

    def write(self, number: int, prediction: xr.Dataset, beside: str = "") -> None:
        """Write chunk ``number``, then enter it in the ledger with what is known ``beside`` it.

        Raises
        ------
        OutputError
            If there is no room.
        """
        with said_in_words(self.path, _LEFT):
            fill_store(self.unfinished, prediction, number * self.chunk)
            with replacing(self.progress / "done" / f"{number:07d}") as place:
                place.write_text(beside, encoding="utf-8")

    def beside(self, number: int) -> str:
        """Return what :meth:`write` was given beside chunk ``number``."""
        return (self.progress / "done" / f"{number:07d}").read_text(encoding="utf-8")

    @property
    def interval(self) -> str:
        """Description of the intervals of a finished store."""
        return str(zarr.open_group(self.path, mode="r").attrs["interval"])

    def by_sample(self, samples: Sequence[str]) -> pd.DataFrame:
        """Return what is known of each sample: distances, and whether its age and sex were read."""
        group = zarr.open_group(self.path, mode="r")
        names = ("distance_before", "distance_after", "used_age_sex")
        columns = {name: cast("zarr.Array[Any]", group[name])[:] for name in names}
        return pd.DataFrame(columns, index=list(samples))

    def done(self) -> set[int]:
        """Return the numbers of the chunks that are there."""
        return {int(path.name) for path in (self.progress / "done").glob("[0-9]*[0-9]")}

    def finish(self, run: Run, *, overwrite: bool = False) -> None:
        """Mark the store as complete, put it in its place, and delete the ledger.

        Raises
        ------
        OutputError
            If there is something in its place that is not to be replaced.
        """
        with said_in_words(self.path, _LEFT):
            group = zarr.open_group(self.unfinished, mode="r+")
            group.attrs[_COMPLETE] = json.dumps(run)
            with warnings.catch_warnings():
                # zarr's authors may yet change how version 3 consolidates; it reads all the same.
                warnings.filterwarnings("ignore", message="Consolidated metadata is currently not")
                zarr.consolidate_metadata(self.unfinished)
        put_folder(self.unfinished, self.path, overwrite=overwrite, kind="a prediction")
        discard(self.progress)


def create_store(path: Path, first: xr.Dataset, samples: tuple[str, ...], chunk: int) -> None:
    """Lay out a store after the prediction ``first`` of some of ``samples``, without values."""
    by_sample = [name for name, array in first.data_vars.items() if "sample" in array.dims]
    names = [name for name in ("tissue", "gene", "symbol", GIVEN_TISSUE) if name in first]
    text = {name: first[name].astype(object) for name in names}
    first.drop_vars([*by_sample, "sample"]).assign_coords(
        text | {"sample": np.array(samples, dtype=object)}
    ).to_zarr(path, mode="w", consolidated=False)
    group = zarr.open_group(path, mode="r+")
    for name in by_sample:
        array = first[name]
        # One file a chunk of samples, in which each tissue can be read by itself.
        whole = (chunk, *array.shape[1:])
        group.create_array(
            str(name),
            shape=(len(samples), *array.shape[1:]),
            dtype=str if array.dtype.kind == "U" else array.dtype,
            chunks=(chunk, 1, array.shape[2]) if array.ndim == 3 else whole,
            shards=whole if array.ndim == 3 else None,
            compressors=COMPRESSION,
            fill_value={"f": np.nan, "U": ""}.get(array.dtype.kind, 0),
            dimension_names=[str(dimension) for dimension in array.dims],
        )


def fill_store(path: Path, prediction: xr.Dataset, start: int) -> None:
    """Write a prediction of the samples from ``start`` on into the store at ``path``."""
    group = zarr.open_group(path, mode="r+")
    region = slice(start, start + prediction.sizes["sample"])
    for name, array in prediction.data_vars.items():
        if "sample" in array.dims:
            cast("zarr.Array[Any]", group[str(name)])[region] = array.to_numpy()


COMPRESSION = (BloscCodec(cname="lz4", clevel=5, shuffle="bitshuffle"),)
"""Predicted values are noise but for their first digits: zstd takes three times as long to make
them 1 % smaller."""
