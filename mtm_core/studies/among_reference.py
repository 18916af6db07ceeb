"""Where a user's samples lie among the donors of the model's reference.

The source as the model has read it, on the reference's scale, and percentiles of its distributions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mtm_core.artefact import Artefact
from mtm_core.inference.decoder import Index
from mtm_core.inference.on_demand import on_demand
from mtm_core.inference.prepared import Prepared
from mtm_core.methods.protocol import Floats, tissue_index
from mtm_core.studies.own_cohort import MEASURED, PREDICTED


def on_reference_scale(
    prediction: xr.Dataset, prepared: Prepared, artefact: Artefact
) -> xr.DataArray:
    """Put the source as the model has read it before the predicted tissues.

    On the model's genes, in its unit, after alignment: to be placed among the reference's donors,
    and for nothing else. What was measured is in :class:`mtm_core.studies.own_cohort.OwnCohort`.

    Returns
    -------
    xarray.DataArray
        (N, T, G) linear expression, computed when it is read; coordinates ``origin`` (tissue:
        ``"measured"`` or ``"predicted"``) and ``symbol`` (gene).
    """
    predicted = prediction["expression"].transpose("sample", "tissue", "gene")
    reader = _MeasuredThenPredicted(prepared, artefact, predicted)
    tissues = [prepared.source, *predicted["tissue"].to_numpy().astype(str)]
    n_samples, _, n_genes = predicted.shape
    return xr.DataArray(
        on_demand(reader, (n_samples, len(tissues), n_genes)),
        coords={
            "sample": prediction["sample"].to_numpy().astype(str),
            "tissue": tissues,
            "gene": prediction["gene"].to_numpy().astype(str),
            "origin": ("tissue", [MEASURED] + [PREDICTED] * (len(tissues) - 1)),
            "symbol": ("gene", prediction["symbol"].to_numpy().astype(str)),
        },
        attrs={"unit": prediction.attrs["unit"]},
    )


@dataclass(frozen=True)
class _MeasuredThenPredicted:
    """Linear expression of the source as the model has read it, then of the predicted tissues."""

    prepared: Prepared
    artefact: Artefact
    predicted: xr.DataArray
    decoder: None = None

    def read(self, tissue: int, samples: Index, genes: Index, out: Floats) -> None:
        if tissue:
            cut = self.predicted.isel(sample=samples, tissue=tissue - 1, gene=genes)
            out[:] = cut.to_numpy()
            return
        method = self.artefact.method
        own = method.scaler.of_genes(tissue_index(method.tissues, self.prepared.source), genes)
        own.inverse(self.prepared.aligned.z[samples][:, genes], 0, out=out)


def reference_percentile(values: NDArray[np.floating], quantiles: pd.Series) -> NDArray[np.float64]:
    """Place ``values`` (N,) within a reference distribution: percent of it below, about.

    Linear between the quantiles; at its ends nothing finer is known than the outermost level. A
    value that several quantiles share is put at their middle.

    Parameters
    ----------
    quantiles
        By level in (0, 1), rising, on the scale of ``values``.
    """
    points, place_of = np.unique(quantiles.to_numpy(dtype=np.float64), return_inverse=True)
    levels = quantiles.index.to_numpy(dtype=np.float64)
    mean = np.bincount(place_of, weights=levels) / np.bincount(place_of)
    place = np.interp(np.asarray(values, dtype=np.float64), points, mean)
    return np.asarray(100 * place)
