"""How later samples are read: as the earlier ones were, or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from mtm_core.artefact import Artefact
from mtm_core.data.notes import Note, counted, name_some, they_were
from mtm_core.data.tables.unit_guess.judging import guess_unit_of
from mtm_core.data.tables.value_summary import ValueSummary
from mtm_core.data.units import UNIT_TABLE, Unit, UnitChoice
from mtm_core.errors import SelectionError
from mtm_core.inference.batch_parameters import BatchParameters, ReferenceTissue
from mtm_core.inference.saved_alignment import SavedAlignment, read_alignment
from mtm_core.inference.unit_reading import UnitReading, read_unit

_PER_MILLION = frozenset(unit for unit, kind in UNIT_TABLE.items() if kind.per_million)
"""Units that the values do not tell apart."""


def alignment_for(
    given: SavedAlignment | str | os.PathLike[str],
    artefact: Artefact,
    source: str,
    alignment: str,
) -> SavedAlignment:
    """Get a saved alignment for samples of ``source`` that ``artefact`` is to predict from.

    Parameters
    ----------
    given
        The alignment, or what holds it (:func:`mtm_core.inference.saved_alignment.read_alignment`).
    alignment
        Must be ``"auto"``: nothing else can be asked for.

    Raises
    ------
    SelectionError
        If it is of another model or tissue, or another alignment is asked for beside it.
    InputFileError
        If it cannot be read.
    """
    if alignment != "auto":
        raise SelectionError(
            f"a saved alignment determines the alignment: omit the alignment {alignment!r}."
        )
    if not isinstance(given, SavedAlignment):
        given = read_alignment(given, source)
    given.check_fits(artefact, source)
    return given


def alignment_attrs(alignment: SavedAlignment, *, from_saved: bool) -> dict[str, str]:
    """Return what a prediction says of batches and of a saved alignment, where there are any."""
    attrs = {}
    if alignment.batches:
        attrs["batch_column"] = alignment.batch_column
    if from_saved:
        attrs["alignment_from"] = (
            f"a saved alignment of {alignment.n_samples} samples, SHA-256 {alignment.digest}"
        )
    return attrs


def read_as_before(
    summary: ValueSummary,
    saved: SavedAlignment,
    unit: UnitChoice,
    typical: ArrayLike | None = None,
    stated: Unit | None = None,
) -> UnitReading:
    """Return how values are to be read so that they are on the scale of the saved alignment.

    Parameters
    ----------
    summary, typical, stated
        As in :func:`mtm_core.data.tables.unit_guess.judging.guess_unit`.
    saved
        The alignment.
    unit
        The user's word, or ``"auto"``.

    Raises
    ------
    SelectionError
        If the values are, or look like, another unit than that of the saved alignment.
    ExpressionError
        As :func:`mtm_core.inference.unit_reading.read_unit`.
    """
    if unit not in ("auto", saved.unit):
        raise SelectionError(
            f"the saved alignment is of values in {saved.unit}, and these are given as {unit}. "
            f"Give them in the same unit, made by the same program."
        )
    if unit == "auto":
        guess = guess_unit_of(summary, typical, stated)
        found = guess.unit
        possible = set(guess.possible) if found is None else {found}
        if possible & _PER_MILLION:
            possible |= _PER_MILLION
        if possible and saved.unit not in possible:
            looks = f"look like {found}" if found else "look like another unit"
            raise SelectionError(
                f"the saved alignment is of values in {saved.unit}, and these {looks}."
                f" {guess.reason} Give them in the same unit; if they are in {saved.unit} "
                f"nevertheless, say so (--unit {saved.unit})."
            )
    read = read_unit(summary, saved.unit, typical, stated)
    return replace(read, to_million=saved.to_million, zero=saved.zero)


def earlier_levels(
    reference: ReferenceTissue,
    typical: ArrayLike,
    known: NDArray[np.bool_],
    parameters: Sequence[BatchParameters],
) -> dict[str, NDArray[np.float64]]:
    """Return what each gene (G,) made up of the earlier samples, by their batch.

    A later table may lack genes of the earlier one. How much of a sample these would be, the
    earlier samples say, not the reference: protocols differ in it, most of all for long genes.

    Parameters
    ----------
    reference, typical
        The samples' tissue in the reference, and its mean linear expression (G,).
    known
        (G,) genes that the earlier table had.
    parameters
        Parameters of each batch, on all genes.
    """
    mean = np.asarray(typical, dtype=np.float64)
    found = {}
    for one in parameters:
        levels, own = mean.copy(), one.levels(reference)
        if own is not None and own[known].sum() > 0:
            levels[known] = own[known] * (mean[known].sum() / own[known].sum())
        found[one.batch] = levels
    return found


def normalised_as_before(
    values: pd.DataFrame,
    normalise: Callable[[pd.DataFrame, NDArray[np.float64]], pd.DataFrame],
    expected: Mapping[str, NDArray[np.float64]],
    batch: pd.Series | None,
) -> pd.DataFrame:
    """Normalise each sample by what genes made up of its batch before.

    Parameters
    ----------
    values
        (samples, ids).
    normalise
        Called with some rows and what genes make up of them.
    expected
        Result of :func:`earlier_levels`. Samples of a batch that is not there are refused later.
    batch
        Batch of each sample, where there are several.
    """
    first = next(iter(expected.values()))
    if batch is None or len(expected) == 1:
        return normalise(values, first)
    labels = batch.reindex(values.index).astype(str).to_numpy()
    parts = [
        normalise(values.iloc[np.flatnonzero(labels == name)], expected.get(name, first))
        for name in np.unique(labels)
    ]
    return pd.concat(parts).loc[values.index]


def describe_new_genes(new: NDArray[np.bool_], genes: pd.Index) -> list[Note]:
    """Name genes (G,) that these samples have and the saved alignment has no values for."""
    n_genes = int(new.sum())
    if not n_genes:
        return []
    return [
        Note(
            "warning",
            f"{counted(n_genes, 'gene', 'genes')} of the model {'is' if n_genes == 1 else 'are'} in"
            f" this table and {'was' if n_genes == 1 else 'were'} not in the earlier one:"
            f" {name_some(genes[new])}.",
            they_were(n_genes, "set to the reference mean, as in the earlier prediction"),
        )
    ]


def describe_genes_lost(lost: NDArray[np.bool_], genes: pd.Index) -> list[Note]:
    """Name genes (G,) that the saved alignment has values for and these samples lack."""
    n_genes = int(lost.sum())
    if not n_genes:
        return []
    return [
        Note(
            "warning",
            f"{counted(n_genes, 'gene', 'genes')} of the earlier table"
            f" {'is' if n_genes == 1 else 'are'} not in this one: {name_some(genes[lost])}.",
            "Samples were scaled by what these genes made up of the earlier samples.",
            "Give the table before genes were filtered out: then nothing is estimated.",
        )
    ]
