"""Confounding of accuracy by the laboratory: RNA quality, library size, centre.

Pairs whose two samples both have technical attributes are scored twice: adjusted for donor
covariates alone, and for donor covariates and technical attributes. The difference is the
contribution of the laboratory.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mtm_core.errors import CohortError
from mtm_core.evaluation.accuracy import accuracy
from mtm_core.evaluation.confounding import confounder_design, select_scorable_pairs

_FIGURES = ("gene_rho_by_fold", "gene_adjusted_rho_pooled")
DONOR_OUT, LABORATORY_OUT = (
    "technical attributes known",
    "technical attributes known and out",
)


def accuracy_without_laboratory(
    out_of_fold: xr.Dataset,
    phenotypes: pd.DataFrame,
    samples: pd.DataFrame,
    technical: pd.DataFrame,
) -> pd.DataFrame:
    """Score pairs with known technical attributes, without and with these regressed out.

    Parameters
    ----------
    out_of_fold
        Out-of-fold predictions, with the source tissue in ``attrs["source"]``.
    phenotypes
        Donor table of the cohort.
    samples
        Sample table of the cohort (``obs``), with ``donor`` and ``tissue`` by sample id.
    technical
        Result of :func:`mtm_core.data.gtex.annotations.read_technical_attributes`.

    Returns
    -------
    pandas.DataFrame
        Indexed by stratum, two rows: ``n_tissues``, ``n_samples``, and means over tissues.
        Correlations are over all donors of a tissue, as a single fold has too few for so many
        covariates.

    Raises
    ------
    CohortError
        If no pair has the attributes of both its samples.
    """
    design = _laboratory_design(out_of_fold, samples, technical)
    known = np.asarray(np.isfinite(design).all(axis=1))
    part = select_scorable_pairs(out_of_fold, known)
    if not part.sizes["pair"]:
        raise CohortError(
            "technical attributes are known of no tissue's samples and their sources. Give the"
            " attributes of the cohort's own samples (column SAMPID)."
        )
    chosen = np.isin(out_of_fold["tissue"].to_numpy(), part["tissue"].to_numpy()) & known
    donor = confounder_design(phenotypes, part["donor"].to_numpy())
    both = np.column_stack([donor, design[chosen]])
    rows = {}
    for name, columns in ((DONOR_OUT, donor), (LABORATORY_OUT, both)):
        tissues = accuracy(part, design=columns).tissues
        rows[name] = {
            "n_tissues": len(tissues),
            "n_samples": int(part.sizes["pair"]),
            **{f"{figure}_mean": float(tissues[figure].mean()) for figure in _FIGURES},
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("stratum")


def _laboratory_design(
    out_of_fold: xr.Dataset, samples: pd.DataFrame, technical: pd.DataFrame
) -> NDArray[np.float64]:
    """Return a design (P, C): RIN, log2 library size and centres of both samples of each pair."""
    attributes = technical.reindex(samples.index)
    numbers = pd.DataFrame(
        {
            "rin": attributes["rin"],
            "library": np.log2(attributes["mapped_reads"].astype(float)),
        }
    )
    centres = pd.get_dummies(attributes["centre"], dtype=float)
    centres = centres.where(attributes["centre"].notna(), np.nan).iloc[:, 1:]
    by_sample = pd.concat([numbers, centres], axis=1)
    by_sample.index = pd.MultiIndex.from_frame(samples[["donor", "tissue"]].astype(str))
    donor = out_of_fold["donor"].to_numpy()
    sides = (np.full(len(donor), out_of_fold.attrs["source"]), out_of_fold["tissue"].to_numpy())
    return np.column_stack(
        [by_sample.reindex(pd.MultiIndex.from_arrays([donor, side])).to_numpy() for side in sides]
    )
