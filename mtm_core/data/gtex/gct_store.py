"""Turn a GCT file, which lies gene by gene, into a store that is read sample by sample."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import zarr
from anndata.io import write_elem
from numpy.typing import NDArray

from mtm_core.data.gtex.gct import GeneRows, Progress, gene_frame, open_gct
from mtm_core.errors import InputFileError
from mtm_core.safe_output import writing

_SAMPLES_AT_ONCE = 128
"""Samples in a file of the store: as many as a predicted part reads, or a little more."""
_BLOCK_BYTES = 256 * 1024**2
_LEAST_GENES, _MOST_GENES = 16, 512


def gct_to_zarr(
    path: Path, output: Path, progress: Progress | None = None, *, overwrite: bool = False
) -> tuple[int, int]:
    """Write the table of a GCT file as a zarr store of AnnData, and return (samples, genes).

    In memory are the names, and a block of genes of at most a quarter of a GB. The store is there
    whole or, if interrupted, not at all.

    Raises
    ------
    InputFileError
        As :func:`mtm_core.data.gtex.gct.read_gct`.
    OutputError
        As :func:`mtm_core.safe_output.writing`.
    """
    with (
        writing(output, overwrite=overwrite, inputs=[path], folder=True, kind="a table") as partial,
        open_gct(path, progress) as (samples, rows),
    ):
        n = len(samples)
        width = min(max(_BLOCK_BYTES // (4 * n), _LEAST_GENES), _MOST_GENES)
        group = zarr.create_group(partial, zarr_format=2, attributes=_ANNDATA)
        x = group.create_array(
            "X", shape=(n, 0), dtype="f4", chunks=(min(_SAMPLES_AT_ONCE, n), width)
        )
        x.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        names: list[tuple[str, str]] = []
        for genes, values in _blocks(rows, width):
            x.resize((n, len(names) + len(genes)))
            x[:, len(names) :] = values.T
            names += genes
        if not names:
            raise InputFileError(f"{path.name}: the file has a header, but no genes.")
        write_elem(group, "obs", pd.DataFrame(index=pd.Index(samples, name="sample")))
        write_elem(group, "var", gene_frame(names, path))
    return n, len(names)


_ANNDATA = {"encoding-type": "anndata", "encoding-version": "0.1.0"}


def _blocks(rows: Iterable[GeneRows], width: int) -> Iterator[GeneRows]:
    """Deal genes into blocks of ``width``: columns of files of the store, each written once."""
    names: list[tuple[str, str]] = []
    parts: list[NDArray[np.float32]] = []
    for genes, values in rows:
        names += genes
        parts.append(values)
        if len(names) >= width:
            joined = np.concatenate(parts)
            whole = len(names) - len(names) % width
            for start in range(0, whole, width):
                yield names[start : start + width], joined[start : start + width]
            names, parts = names[whole:], [joined[whole:]]
    if names:
        yield names, np.concatenate(parts)
