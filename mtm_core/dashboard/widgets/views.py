"""Predictions cut to what a page shows. All arithmetic on numbers that pages show is here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from mtm_core.artefact import Artefact
from mtm_core.dashboard.widgets.gene_accuracy import GeneAccuracy
from mtm_core.inference.alignment import Aligned
from mtm_core.inference.export import INTERVAL, LONG_COLUMNS
from mtm_core.inference.on_demand import loaded
from mtm_core.model_reference import QUANTILE_LEVELS

MOST_ROWS = 100_000
"""Rows of a table that the browser can search."""
MOST_COLUMNS = 120
"""Genes that a heatmap can name."""


def z_of_tissue(prediction: xr.Dataset, tissue: str, genes: Mapping[str, str]) -> pd.DataFrame:
    """Return z-scores (samples, genes by label) in ``tissue``."""
    cut = prediction["z"].sel(tissue=tissue, gene=list(genes.values()))
    return pd.DataFrame(cut.to_numpy(), index=_samples(prediction), columns=pd.Index(list(genes)))


def z_of_gene(prediction: xr.Dataset, gene: str) -> pd.DataFrame:
    """Return z-scores (samples, tissues) of one gene."""
    return _by_tissue(prediction["z"].sel(gene=gene), prediction)


def log2_of_gene(prediction: xr.Dataset, gene: str) -> pd.DataFrame:
    """Return log2(1 + expression) (samples, tissues) of one gene."""
    linear = prediction["expression"].sel(gene=gene)
    return np.log2(1 + _by_tissue(linear, prediction))


def interval_of_gene(prediction: xr.Dataset, gene: str, sample: str) -> pd.DataFrame | None:
    """Return ``lower`` and ``upper`` log2(1 + expression) (tissues) of one sample, where known."""
    if not set(INTERVAL) <= set(prediction):
        return None
    one = prediction[list(INTERVAL)].sel(gene=gene, sample=sample)
    tissues = prediction["tissue"].to_numpy().astype(str)
    return pd.DataFrame({end: np.log2(1 + one[end].to_numpy()) for end in INTERVAL}, index=tissues)


def reference_of_gene(artefact: Artefact, gene: str) -> pd.DataFrame:
    """Return quantiles (tissues, levels) of the reference's log2(1 + expression) of one gene."""
    quantiles = artefact.reference.expression[:, :, artefact.genes.index.get_loc(gene)]
    if artefact.method.scaler.scale == "linear":
        quantiles = np.log2(1 + quantiles)
    return pd.DataFrame(quantiles.T, index=artefact.tissues.index, columns=list(QUANTILE_LEVELS))


def reference_distance(artefact: Artefact, tissue: str) -> pd.Series:
    """Return quantiles of the distance of the reference's own samples of ``tissue``, by level."""
    column = artefact.reference.distance[:, list(artefact.tissues.index).index(tissue)]
    return pd.Series(column.astype(float), index=list(QUANTILE_LEVELS))


def distance_summary(aligned: Aligned, reference: pd.Series) -> pd.DataFrame:
    """Set the samples' distances beside the reference's: smallest, median, largest."""
    rows = {
        "your samples, before alignment": aligned.distance["distance_before"],
        "your samples, after alignment": aligned.distance["distance_after"],
    }
    table = {name: [x.quantile(q) for q in (0.05, 0.5, 0.95)] for name, x in rows.items()}
    table["GTEx reference donors"] = [reference[q] for q in (0.05, 0.5, 0.95)]
    return pd.DataFrame.from_dict(table, orient="index", columns=["5 %", "median", "95 %"])


def most_informative(z: pd.DataFrame, rho: pd.Series | None) -> pd.DataFrame:
    """Order the columns of ``z`` by held-out rho, else by spread; keep at most MOST_COLUMNS."""
    if rho is None:
        spread = pd.Series(z.to_numpy().std(axis=0), index=z.columns)
        return z.loc[:, z.columns.isin(spread.nlargest(MOST_COLUMNS).index)]
    order = rho.reindex(z.columns).fillna(-2).sort_values(ascending=False, kind="stable")
    return z[order.index[:MOST_COLUMNS]]


def heatmap_data(z: pd.DataFrame, rho: pd.Series | None) -> pd.DataFrame:
    """Return every number of a heatmap: ``z``, and the bars above it as a last row."""
    if rho is None:
        return z
    return pd.concat([z, rho.reindex(z.columns).to_frame("held-out rho, by fold").T])


def strips_data(
    predicted: pd.DataFrame, reference: pd.DataFrame, interval: pd.DataFrame | None
) -> pd.DataFrame:
    """Return the numbers of a gene's strips: samples, then what is drawn with them, in rows."""
    quantiles = reference.loc[predicted.columns].T
    quantiles.index = pd.Index([f"GTEx donors, {level:.0%} quantile" for level in quantiles.index])
    parts = [predicted, quantiles]
    if interval is not None:
        parts.append(interval.T.add_prefix("marked sample, ", axis="index"))
    return pd.concat(parts)


def rows_of(
    prediction: xr.Dataset,
    held_out: GeneAccuracy,
    *,
    tissues: Sequence[str],
    genes: Sequence[str],
    samples: Sequence[str],
    predictable_only: bool,
    most: int = MOST_ROWS,
) -> tuple[pd.DataFrame, int]:
    """Return one row a (sample, tissue, gene) of the choice, with its held-out accuracy.

    Columns: those of :data:`mtm_core.inference.export.LONG_COLUMNS`, then ``rho_by_fold``,
    ``rho_pooled``, ``predictable``. No more than ``most`` rows are made, and of a prediction that
    is decoded when it is read no more tissues than these need; beside them, how many there are.
    """
    shown = np.ones((len(tissues), len(genes)), dtype=bool)
    if predictable_only:
        shown = held_out.of_tissues_and_genes(tissues, genes)["predictable"] == "yes"
    n_shown = int(shown.sum())
    pairs = np.flatnonzero(shown)[:most]  # of one sample there may be a million
    of_tissue, of_gene = np.divmod(pairs, len(genes))
    first = list(samples)[: max(1, -(-most // max(n_shown, 1)))]
    n = len(first)
    ids = np.asarray(genes, dtype=object)[of_gene]
    symbols = prediction["symbol"].sel(gene=list(genes)).to_numpy().astype(object)[of_gene]
    columns: dict[str, object] = {
        "sample": pd.Categorical(
            np.repeat(np.asarray(first), len(pairs)), pd.unique(pd.Series(samples))
        ),
        "tissue": pd.Categorical(np.tile(np.asarray(tissues)[of_tissue], n), list(tissues)),
        "gene_id": np.tile(ids, n),
        "gene": np.tile(symbols, n),
    }
    used = np.unique(of_tissue)
    parts = [
        loaded(prediction.sel(sample=first, tissue=tissues[i], gene=ids[of_tissue == i]))
        for i in used
    ]
    for name in (*LONG_COLUMNS[4:], *INTERVAL):
        if name in prediction:
            none = np.empty((n, 0), np.float32)
            columns[name] = np.hstack([none, *(part[name].to_numpy() for part in parts)]).ravel()
    figures = held_out.of_tissues_and_genes([tissues[i] for i in used], genes)
    for name, values in figures.items():
        columns[name] = np.tile(values[np.searchsorted(used, of_tissue), of_gene], n)
    return pd.DataFrame(columns).iloc[:most], n_shown * len(samples)


def _samples(prediction: xr.Dataset) -> pd.Index:
    return pd.Index(prediction["sample"].to_numpy().astype(str), name="sample")


def _by_tissue(values: xr.DataArray, prediction: xr.Dataset) -> pd.DataFrame:
    tissues = prediction["tissue"].to_numpy().astype(str)
    return pd.DataFrame(
        values.transpose("sample", "tissue").to_numpy(),
        index=_samples(prediction),
        columns=pd.Index(tissues, name="tissue"),
    )
