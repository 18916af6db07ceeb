"""A user's own cohort: measured source and predicted tissues side by side.

Predictions are functions of the measured source. A difference between groups in a predicted tissue
is what the difference in blood would go with in the reference's donors: the number of samples is
that of the blood samples, and no test on predictions adds to what blood knows.

Shapes: N samples, T tissues (the source first), G genes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mtm_core.artefact import Artefact
from mtm_core.evaluation.accuracy import PREDICTABLE_RHO
from mtm_core.inference.predictor import Prepared, TissueProgress
from mtm_core.methods.protocol import tissue_index
from mtm_core.statistics.association import trait_association
from mtm_core.statistics.differential import differential_expression
from mtm_core.studies.sample_labels import check_groups

MEASURED, PREDICTED = "measured", "predicted"
HIGHER, LOWER = "higher in cases", "lower in cases"
UNCHANGED, UNPREDICTABLE, UNTESTED = "not changed", "not predictable", "not tested"
KEYS = ("tissue", "origin", "gene_id", "gene")
"""First columns of every table here: one row a gene in a tissue."""


def side_by_side(prediction: xr.Dataset, prepared: Prepared, artefact: Artefact) -> xr.DataArray:
    """Put the measured source before the predicted tissues.

    The source is what the model has read: on its genes, in its unit, after alignment. A gene that
    the table lacks is constant there.

    Returns
    -------
    xarray.DataArray
        (N, T, G) linear expression; coordinates ``origin`` (tissue: ``"measured"`` or
        ``"predicted"``) and ``symbol`` (gene).
    """
    code = tissue_index(artefact.method.tissues, prepared.source)
    z = prepared.aligned.z
    measured = artefact.method.scaler.inverse(z, code)
    predicted = prediction["expression"].transpose("sample", "tissue", "gene")
    tissues = [prepared.source, *predicted["tissue"].to_numpy().astype(str)]
    return xr.DataArray(
        np.concatenate([measured[:, None], predicted.to_numpy()], axis=1),
        dims=("sample", "tissue", "gene"),
        coords={
            "sample": prediction["sample"].to_numpy().astype(str),
            "tissue": tissues,
            "gene": prediction["gene"].to_numpy().astype(str),
            "origin": ("tissue", [MEASURED] + [PREDICTED] * (len(tissues) - 1)),
            "symbol": ("gene", prediction["symbol"].to_numpy().astype(str)),
        },
        attrs={"unit": prediction.attrs["unit"]},
    )


def compare_groups(
    expression: xr.DataArray,
    groups: pd.Series,
    *,
    case: str,
    control: str,
    on_progress: TissueProgress | None = None,
) -> pd.DataFrame:
    """Compare two groups in every gene of every tissue.

    Parameters
    ----------
    expression
        Of :func:`side_by_side`, or some tissues of it.
    groups
        Group of each sample, NaN where not known.
    on_progress
        Told of each tissue.

    Returns
    -------
    pandas.DataFrame
        ``KEYS``, then the columns of
        :func:`mtm_core.statistics.differential.differential_expression`; FDR within a tissue.

    Raises
    ------
    SelectionError
        If the groups are one, or one has no sample.
    """
    known = groups.reindex(expression["sample"].to_numpy())
    check_groups(known, case, control)
    values = expression.transpose("tissue", "sample", "gene")
    is_case, is_control = (known == case).to_numpy(), (known == control).to_numpy()
    return _by_tissue(
        values,
        lambda tissue, genes: differential_expression(tissue[is_case], tissue[is_control], genes),
        on_progress,
    )


def correlate_trait(
    expression: xr.DataArray,
    trait: pd.Series,
    covariates: pd.DataFrame | None = None,
    *,
    on_progress: TissueProgress | None = None,
) -> pd.DataFrame:
    """Correlate log2(1 + expression) of every gene of every tissue with a trait.

    Parameters
    ----------
    expression
        Of :func:`side_by_side`, or some tissues of it.
    trait
        A number for each sample, NaN where not known:
        :func:`mtm_core.studies.sample_labels.trait_numbers`.
    covariates
        Of :func:`mtm_core.studies.sample_labels.covariate_numbers`; regressed out of both sides.
    on_progress
        Told of each tissue.

    Returns
    -------
    pandas.DataFrame
        ``KEYS``, then the columns of
        :func:`mtm_core.statistics.association.trait_association`; FDR within a tissue.
    """
    samples = expression["sample"].to_numpy()
    numbers = trait.reindex(samples).to_numpy(dtype=np.float64)
    others = None if covariates is None else covariates.reindex(samples).to_numpy(dtype=np.float64)
    linear = expression.transpose("tissue", "sample", "gene")
    values = linear.copy(data=np.log2(1 + linear.to_numpy()))
    return _by_tissue(
        values,
        lambda tissue, genes: trait_association(tissue, numbers, genes, covariates=others),
        on_progress,
    )


def with_accuracy(table: pd.DataFrame, held_out: pd.DataFrame) -> pd.DataFrame:
    """Put the held-out accuracy of each gene in its tissue beside it.

    Parameters
    ----------
    table
        With ``KEYS``.
    held_out
        ``rho_by_fold`` and ``rho_pooled`` by (``tissue``, ``gene_id``); empty where the model was
        not evaluated.

    Returns
    -------
    pandas.DataFrame
        With ``rho_by_fold``, ``rho_pooled`` and ``predictable``: ``"measured"``, ``"yes"`` above
        the paper's pooled rho of 0.3, ``"no"``, or ``"not evaluated"``.
    """
    pairs = pd.MultiIndex.from_frame(table[["tissue", "gene_id"]])
    rho = held_out[["rho_by_fold", "rho_pooled"]].reindex(pairs).astype(np.float64)
    predictable = np.select(
        [
            (table["origin"] == MEASURED).to_numpy(),
            (rho["rho_pooled"] > PREDICTABLE_RHO).to_numpy(),
            pairs.isin(held_out.index),
        ],
        ["measured", "yes", "no"],
        "not evaluated",
    )
    return table.assign(
        rho_by_fold=rho["rho_by_fold"].to_numpy(),
        rho_pooled=rho["rho_pooled"].to_numpy(),
        predictable=predictable,
    )


def kind_of_change(table: pd.DataFrame, *, fold_change: float, fdr: float) -> pd.Series:
    """Say of each gene of :func:`with_accuracy` whether it changed.

    Parameters
    ----------
    fold_change
        Least absolute log2 fold change.
    fdr
        Greatest FDR.

    Returns
    -------
    pandas.Series
        ``HIGHER``, ``LOWER``, ``UNCHANGED``, ``UNPREDICTABLE`` whatever its numbers, or
        ``UNTESTED``.
    """
    change = table["log2_fold_change"]
    passes = (change.abs() >= fold_change) & (table["fdr"] <= fdr)
    kinds = np.select(
        [
            table["fdr"].isna(),
            table["predictable"] == "no",
            passes & (change > 0),
            passes & (change < 0),
        ],
        [UNTESTED, UNPREDICTABLE, HIGHER, LOWER],
        UNCHANGED,
    )
    return pd.Series(kinds, index=table.index)


def reference_percentile(values: NDArray[np.floating], quantiles: pd.Series) -> NDArray[np.float64]:
    """Place ``values`` (N,) within a reference distribution: percent of it below, about.

    Linear between the quantiles; at its ends nothing finer is known than the outermost level. A
    value that several quantiles share stands at their middle.

    Parameters
    ----------
    quantiles
        By level in (0, 1), rising, on the scale of ``values``.
    """
    levels = pd.Series(quantiles.index.to_numpy(dtype=np.float64))
    points = levels.groupby(quantiles.to_numpy(dtype=np.float64)).mean()
    place = np.interp(np.asarray(values, dtype=np.float64), points.index, points.to_numpy())
    return np.asarray(100 * place)


def _by_tissue(
    values: xr.DataArray,
    analyse: Callable[[NDArray[np.floating], Sequence[str]], pd.DataFrame],
    on_progress: TissueProgress | None,
) -> pd.DataFrame:
    """Apply ``analyse`` to (samples, genes) of each tissue and put the tables below each other."""
    genes = values["gene"].to_numpy().astype(str).tolist()
    tables = []
    for i, tissue in enumerate(values["tissue"].to_numpy().astype(str)):
        if on_progress is not None:
            on_progress(i, values.sizes["tissue"])
        table = analyse(values[i].to_numpy(), genes).reset_index()
        table.insert(0, "tissue", tissue)
        table.insert(1, "origin", str(values["origin"].to_numpy()[i]))
        table.insert(3, "gene", values["symbol"].to_numpy().astype(str))
        tables.append(table)
    return pd.concat(tables, ignore_index=True)
