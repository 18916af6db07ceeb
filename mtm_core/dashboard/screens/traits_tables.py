"""Tables of every gene of every tissue of a user's cohort, made a tissue at a time.

Of a wide model such a table has a million rows: its names are held as codes and its numbers, but
for p and FDR, in single precision.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from mtm_core.dashboard.widgets.gene_accuracy import GeneAccuracy
from mtm_core.inference.decoder import TissueProgress
from mtm_core.workflows.comparisons import OwnCohort, with_accuracy

LONGEST_AS_IT_COMES = 250_000
"""Rows up to which a table keeps the types that its maker gave it."""
_DOUBLE = frozenset({"p", "fdr"})
"""The smallest p-values are below the least number of single precision."""


def table_of_tissues(
    cohort: OwnCohort,
    make: Callable[[OwnCohort], pd.DataFrame],
    held_out: GeneAccuracy,
    on_progress: TissueProgress | None = None,
) -> pd.DataFrame:
    """Put the tables of each tissue below each other, with the held-out accuracy of their genes.

    Parameters
    ----------
    make
        Makes the table of a cohort of one tissue, of :mod:`mtm_core.studies.cohort_comparison`.
    """
    is_long = len(cohort.tissues) * cohort.predicted.sizes["gene"] > LONGEST_AS_IT_COMES
    parts: list[pd.DataFrame] = []
    for i, tissue in enumerate(cohort.tissues):
        if on_progress is not None:
            on_progress(i, len(cohort.tissues))
        part = with_accuracy(make(cohort.cut([tissue])), held_out.of_tissues([tissue]))
        parts.append(_compact(part, parts[-1] if parts else None) if is_long else part)
    return _joined(parts) if is_long else pd.concat(parts, ignore_index=True)


def _compact(part: pd.DataFrame, before: pd.DataFrame | None) -> pd.DataFrame:
    """Hold names as codes; those of the tissue ``before`` where they are the same: of its genes."""
    columns: dict[str, object] = {}
    for name, values in part.items():
        if pd.api.types.is_float_dtype(values):
            columns[str(name)] = values if name in _DOUBLE else values.astype(np.float32)
        elif pd.api.types.is_integer_dtype(values):
            columns[str(name)] = values.astype(np.int32)
        elif before is not None and np.array_equal(before[name].astype(object), values):
            columns[str(name)] = before[name].array
        else:
            columns[str(name)] = pd.Categorical(values)
    return pd.DataFrame(columns)


def _joined(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    columns: dict[str, object] = {}
    for name in parts[0]:
        values = [part[name] for part in parts]
        if isinstance(values[0].dtype, pd.CategoricalDtype):
            columns[str(name)] = pd.api.types.union_categoricals(values, sort_categories=True)
        else:
            columns[str(name)] = np.concatenate([part.to_numpy() for part in values])
    return pd.DataFrame(columns)
