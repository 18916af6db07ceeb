"""Predict so many samples at a time that a prediction of any number fits in memory."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from math import inf

import pandas as pd
import xarray as xr

from mtm_core.inference.decoder import TissueProgress, decoder_bytes
from mtm_core.inference.prediction_dataset import AT_ONCE_BYTES, value_bytes
from mtm_core.inference.predictor import Predictor
from mtm_core.inference.prepared import Prepared
from mtm_core.inference.together import Together

BLOCK_BYTES = 256 * 1024**2
"""Size of a block's values."""
_COPIES = 6
"""Copies of a tissue while it is decoded: mean, error, bounds, and what a stack combines."""


def prediction_bytes(n_samples: int, n_tissues: int, n_genes: int) -> int:
    """Return what a prediction of this shape takes in memory.

    A small one holds its values; a large one what it decodes them from, and the last that were
    looked at (:mod:`mtm_core.inference.decoder`).
    """
    values = value_bytes(n_samples, n_tissues, n_genes)
    return values if values <= AT_ONCE_BYTES else decoder_bytes(n_samples, n_tissues, n_genes)


def predicting_bytes(n_samples: int, n_tissues: int, n_genes: int) -> int:
    """Get what it takes to predict, and to look at a tissue: the result and copies of a tissue."""
    one = 4 * n_samples * n_genes
    return prediction_bytes(n_samples, n_tissues, n_genes) + _COPIES * one


def predict_blocks(
    predictor: Predictor,
    prepared: Prepared | Together,
    targets: Collection[str] | None = None,
    *,
    phenotypes: pd.DataFrame | None = None,
    block_bytes: int = BLOCK_BYTES,
    on_progress: TissueProgress | None = None,
) -> Iterator[xr.Dataset]:
    """Predict as :meth:`~mtm_core.inference.predictor.Predictor.predict_prepared`, block by block.

    Every method predicts a sample by itself, so that blocks hold what the whole would. The values
    of a block are in memory.

    Parameters
    ----------
    block_bytes
        Approximate bytes of a block's values.
    on_progress
        Called with each block: (samples done so far, samples in all).

    Raises
    ------
    SelectionError
        As there.
    """
    chosen = predictor.targets_of(prepared.sources, targets)
    n_samples, n_genes = len(prepared.samples), len(predictor.artefact.genes)
    size = max(1, block_bytes // value_bytes(1, len(chosen), n_genes))
    for start in range(0, n_samples, size):
        if on_progress is not None:
            on_progress(start, n_samples)
        stop = min(start + size, n_samples)
        if isinstance(prepared, Together):
            part: Prepared | Together = prepared.part(start, stop)
        else:
            part = samples_of(prepared, start, stop)
        yield predictor.predict_prepared(part, chosen, phenotypes=phenotypes, at_once=inf)


def samples_of(prepared: Prepared, start: int, stop: int) -> Prepared:
    """Return samples ``start`` to ``stop``, prepared as among them all."""
    aligned = replace(
        prepared.aligned,
        z=prepared.aligned.z[start:stop],
        distance=prepared.aligned.distance.iloc[start:stop],
        batches=prepared.aligned.batches[start:stop],
    )
    return replace(prepared, aligned=aligned, samples=prepared.samples[start:stop])
