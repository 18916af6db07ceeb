"""The cells of a user's GCT: its samples, beside the column that names genes best."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from mtm_core.data.files.raw_table import to_numbers
from mtm_core.data.formats.gct_header import GctHeader
from mtm_core.data.notes import Note, counted, name_some, they_were
from mtm_core.errors import InputFileError


def take_gct(
    gct: GctHeader, cells: pd.DataFrame, *, whole: bool
) -> tuple[list[str], pd.DataFrame, tuple[Note, ...]]:
    """Return names and cells of a GCT, the genes' first, without numbers that describe genes.

    Parameters
    ----------
    gct
        The lines above ``cells``.
    cells
        (genes, columns), columns numbered from 0.
    whole
        Whether the last line has an end.

    Raises
    ------
    InputFileError
        If the file is cut off: its last line is short, or has no end while genes are missing.
    """
    if gct.n_fields == 1 and to_numbers(cells[1].dropna()).isna().mean() > 0.5:
        gct = replace(gct, n_fields=2)  # the second line counts a description as a sample
    notes = list(_check_size(gct, cells, whole=whole))
    fields = [i for i in range(gct.n_fields) if i != gct.name]
    numbers = [i for i in fields if to_numbers(cells[i].dropna()).notna().mean() > 0.5]
    described = [gct.columns[i] or f"column {i + 1}" for i in numbers]
    if described:
        notes.append(
            Note(
                "info",
                f"{counted(len(described), 'column describes', 'columns describe')} genes by"
                f" numbers: {name_some(described)}.",
                they_were(len(described), "set aside"),
            )
        )
    if gct.n_sample_rows:
        notes.append(
            Note(
                "info",
                f"{gct.n_sample_rows} rows of the GCT describe samples.",
                "They were set aside.",
                "Give age, sex and groups as metadata.",
            )
        )
    chosen = [gct.name, *(i for i in fields if i not in numbers)]
    chosen += range(gct.n_fields, len(gct.columns))
    header = [gct.columns[i] for i in chosen]
    return header, cells[chosen].set_axis(range(len(chosen)), axis=1), tuple(notes)


def _check_size(gct: GctHeader, cells: pd.DataFrame, *, whole: bool) -> list[Note]:
    """Compare a GCT with the size that its second line gives: a file cut off is shorter."""
    n_genes, n_samples = len(cells), len(gct.samples)
    shown = f"there are {n_genes:,} and {n_samples:,}"
    is_short = pd.isna(cells.iloc[-1, -1]) and cells.iloc[:-1, -1].notna().all()
    if n_genes <= gct.n_genes and (is_short or (n_genes < gct.n_genes and not whole)):
        raise InputFileError(
            f"the second line of the GCT says {gct.declared}; {shown}, and the last line breaks"
            " off. The file is cut off: get it again."
        )
    if (n_genes, n_samples) == (gct.n_genes, gct.n_samples):
        return []
    return [
        Note(
            "warning",
            f"The second line of the GCT says {gct.declared}; {shown}.",
            "All that is there was read.",
            "Unless genes or samples were removed on purpose, get the file again."
            if n_genes < gct.n_genes or n_samples < gct.n_samples
            else "",
        )
    ]
