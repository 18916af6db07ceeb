"""Own cohorts made of arrays."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from mtm_core.inference.measured import Measured
from mtm_core.studies.own_cohort import OwnCohort


def cohort_of(expression: xr.DataArray) -> OwnCohort:
    """Make a cohort of linear expression (sample, tissue, gene), the first tissue measured."""
    tissues = [str(tissue) for tissue in expression["tissue"].to_numpy()]
    first = expression.isel(tissue=0).transpose("sample", "gene").to_pandas()
    symbols = pd.Series(expression["symbol"].to_numpy().astype(str), first.columns)
    measured = Measured(np.log2(1 + first.astype(float)), symbols, "log2(1 + TPM)", "Of a test.")
    return OwnCohort(
        tissues[0], measured, expression.isel(tissue=slice(1, None)), "TPM", tuple(tissues)
    )
