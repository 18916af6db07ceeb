"""What is known beside a prediction, laid into it: accuracy, samples, notes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from mtm_core.data.notes import Note
from mtm_core.evaluation.accuracy import PREDICTABLE_RHO
from mtm_core.inference.write_blocks import OF_SAMPLE, OUT_OF_FOLD, PREDICTABLE


def annotated(
    blocks: Iterable[xr.Dataset],
    rho: pd.Series,
    people: pd.DataFrame | None,
    notes: Sequence[Note],
) -> Iterator[xr.Dataset]:
    """Lay what formats with a slot for it keep into each block: ``.h5ad`` and ``.h5mu``.

    Parameters
    ----------
    blocks
        Of a prediction.
    rho
        Pooled out-of-fold rho by (``tissue``, ``gene_id``); empty where it is not known.
    people
        What is known of the samples, by sample; ``None`` where nothing is.
    notes
        What was found in the table and done about it.
    """
    accuracy: xr.Dataset | None = None
    for block in blocks:
        if accuracy is None:
            accuracy = _accuracy(block, rho)
        of_samples = {}
        if people is not None:
            rows = people.reindex(block["sample"].to_numpy().astype(str))
            of_samples = {
                f"{OF_SAMPLE}{name}": ("sample", values.to_numpy())
                for name, values in rows.items()
                if values.notna().any()
            }
        filled = block.assign({**accuracy.data_vars, **of_samples})
        yield filled.assign_attrs(notes="\n".join(map(str, notes)))


def _accuracy(block: xr.Dataset, rho: pd.Series) -> xr.Dataset:
    if rho.empty:
        return xr.Dataset()
    tissues, genes = (block[name].to_numpy().astype(str) for name in ("tissue", "gene"))
    pairs = pd.MultiIndex.from_product([tissues, genes])
    values = rho.reindex(pairs).to_numpy(dtype=np.float32).reshape(len(tissues), len(genes))
    dims = ("tissue", "gene")
    return xr.Dataset({OUT_OF_FOLD: (dims, values), PREDICTABLE: (dims, values > PREDICTABLE_RHO)})
