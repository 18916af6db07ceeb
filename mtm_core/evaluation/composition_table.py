"""Rho adjusted for blood composition, in a file of its own beside an evaluation.

A cohort may lack the genes that tell blood cells apart, and the composition be known for some of
its donors later, from elsewhere. The figures then lie beside the tables of genes, as
``composition.parquet``, and are read with them where the settings say where it comes from.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from mtm_core.grouped_table import GroupedTable, as_grouped, whole
from mtm_core.safe_output import replacing

FILE = "composition.parquet"
FROM = "composition_from"
"""Setting of an evaluation with such a file: where the composition comes from, and its licence."""
KEYS = ("method", "tissue", "gene_id")
N_KNOWN = "n_composition"
FIGURES = ("rho_composition_known", "rho_adjusted_for_composition")
_DIGITS = 5


def composition_rows(genes: pd.DataFrame, methods: list[str]) -> pd.DataFrame:
    """Return the figures of ``methods`` that a table of genes has, to five digits.

    Raises
    ------
    KeyError
        If it has none.
    """
    own = genes.loc[genes["method"].isin(methods), [*KEYS, N_KNOWN, *FIGURES]]
    numbers = own[list(FIGURES)].astype(np.float32).round(_DIGITS)
    return own.assign(**{N_KNOWN: own[N_KNOWN].astype(np.int32)}, **numbers).reset_index(drop=True)


def save_composition(rows: pd.DataFrame, folder: Path) -> None:
    """Write :func:`composition_rows` beside an evaluation.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    with replacing(folder / FILE) as place:
        rows.to_parquet(place, index=False, compression="zstd", compression_level=19)


def with_composition_rows(
    genes: pd.DataFrame | GroupedTable, tissues: pd.DataFrame, folder: Path
) -> tuple[pd.DataFrame | GroupedTable, pd.DataFrame]:
    """Add the figures that lie in ``folder`` to the tables of an evaluation; NaN where not scored.

    Tables that have the figures, as those that were read so and saved again, are returned as they
    are.

    Tissues get the means over their genes, in which a gene with a constant prediction counts as 0.

    Raises
    ------
    ValueError, OSError
        If the file is not there, or not of these tables.
    """
    if set(FIGURES) <= set(as_grouped(genes, KEYS[:2]).columns):
        return genes, tissues
    rows = pd.read_parquet(folder / FILE)
    lacking = {*KEYS, N_KNOWN, *FIGURES} - set(rows)
    if lacking or rows.duplicated(list(KEYS)).any():
        raise ValueError(f"{FILE} is not a table of rho adjusted for composition")
    rows = rows.astype(dict.fromkeys(FIGURES, np.float64))
    known = whole(genes)
    joined = known.merge(rows, on=list(KEYS), how="left", validate="one_to_one")
    names = {f"gene_{name}": name for name in FIGURES}
    scored = rows.assign(**{f"gene_{name}": rows[name].fillna(0) for name in FIGURES})
    means = scored.groupby(["method", "tissue"])[list(names)].mean()
    others = tissues.drop(columns=list(names), errors="ignore")
    return joined.set_axis(known.index), others.join(means, on=["method", "tissue"])
