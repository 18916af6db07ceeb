"""Which columns of a design cannot be separated, by name."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from mtm_core.errors import SelectionError
from mtm_core.studies.formula import Term, term_text

_DEPENDENT = 1e-8
"""Share of a column's size that must be left beside the columns before it."""
_INVOLVED = 1e-6


def check_separable(
    matrix: pd.DataFrame, places: Mapping[Term, tuple[int, ...]], fixed_block: str = ""
) -> None:
    """Refuse a design whose columns follow from each other.

    Parameters
    ----------
    matrix
        (N, P), the intercept first.
    places
        Columns of each term.
    fixed_block
        Column that is blocked by as a fixed effect.

    Raises
    ------
    SelectionError
        If a column follows from others, with the names of the columns of metadata.
    """
    x = matrix.to_numpy(dtype=np.float64)
    term_of = {place: term for term, own in places.items() for place in own}
    independent = [0]
    for place in range(1, x.shape[1]):
        column = x[:, place]
        size = np.linalg.norm(column)
        if size == 0:
            _refuse_empty(str(matrix.columns[place]), term_of[place])
        found = np.linalg.lstsq(x[:, independent], column, rcond=None)[0]
        if np.linalg.norm(column - x[:, independent] @ found) > _DEPENDENT * size:
            independent.append(place)
            continue
        scale = np.abs(x[:, independent]).max(axis=0)
        strong = np.abs(found) * scale > _INVOLVED * np.abs(column).max()
        involved = [independent[i] for i in np.flatnonzero(strong) if independent[i]]
        others = list(dict.fromkeys(term_of[i] for i in involved if term_of[i] != term_of[place]))
        _refuse(matrix, place, term_of[place], others, involved, fixed_block)


def _refuse_empty(name: str, term: Term) -> None:
    both = " and ".join(part.replace("[", " ").rstrip("]") for part in name.split(":"))
    raise SelectionError(
        f"no sample is both {both}: the interaction {term_text(term)!r} cannot be estimated. "
        f"Leave it out, or compare the combinations as groups of one column."
        if len(term) > 1
        else f"no sample is {both}. Leave it out."
    )


def _refuse(
    matrix: pd.DataFrame,
    place: int,
    term: Term,
    others: list[Term],
    involved: list[int],
    fixed_block: str,
) -> None:
    name = term_text(term)
    known = " and ".join(repr(term_text(other)) for other in others)
    n = len(matrix)
    if fixed_block and any(factor.column == fixed_block for factor in term):
        raise SelectionError(
            f"{known or 'a term'} does not vary within {fixed_block!r}, so nothing remains after "
            f"the level of each block is removed. Treat the block as random (a random "
            f"intercept), which also compares blocks."
        )
    if not others:
        raise SelectionError(
            f"{name!r} cannot be separated from the intercept in these {n} samples. Leave it out."
        )
    same = ""
    if len(involved) == 1:
        a, b = matrix.columns[place], matrix.columns[involved[0]]
        same = f" (samples of {_plain(a)} are those of {_plain(b)}, or all the others)"
        if "[" not in f"{a}{b}":
            same = " (one is a multiple of the other)"
    raise SelectionError(
        f"{name!r} follows from {known} in these {n} samples{same}: no method can separate their "
        f"effects. Leave one of them out, or measure samples that differ in them."
    )


def _plain(column: object) -> str:
    return str(column).replace("[", " ").rstrip("]")
