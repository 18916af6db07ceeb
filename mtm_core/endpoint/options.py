"""The options of a request, from its query string: those of ``mtm predict``."""

from __future__ import annotations

from collections import Counter
from inspect import signature
from typing import Annotated

from fastapi import Depends, Query, Request

from mtm_core.data.files.reading_options import NumberStyle, ReadingOptions, Strand
from mtm_core.data.gtex.annotations import WHOLE_BLOOD
from mtm_core.data.people.metadata_options import MetadataOptions
from mtm_core.data.units import UnitChoice
from mtm_core.errors import SelectionError
from mtm_core.inference.alignment import AlignmentMethod
from mtm_core.inference.options import PredictionOptions
from mtm_core.reporting.name_lists import split_names, split_sex_codes

Word = Annotated[str, Query(max_length=200)]
Words = Annotated[list[str] | None, Query(max_length=200)]


def reading_options(
    numbers: NumberStyle = "auto", quantity: Word = "", sheet: Word = "", strand: Strand = "auto"
) -> ReadingOptions:
    """Return how the table is to be read."""
    return ReadingOptions(numbers=numbers, quantity=quantity, sheet=sheet, strand=strand)


def metadata_options(
    age_column: Annotated[str | None, Query(max_length=200)] = None,
    sex_column: Annotated[str | None, Query(max_length=200)] = None,
    sex_codes: Word = "",
    unknown: Words = None,
    near_names: bool = False,
    metadata_sheet: Word = "",
) -> MetadataOptions:
    """Return how the metadata are to be read."""
    return MetadataOptions(
        age_column,
        sex_column,
        split_sex_codes(sex_codes, "sex_codes"),
        tuple(split_names(unknown or [])),
        near_names,
        metadata_sheet,
    )


def prediction_options(
    reading: Annotated[ReadingOptions, Depends(reading_options)],
    metadata: Annotated[MetadataOptions, Depends(metadata_options)],
    source: Word = WHOLE_BLOOD,
    targets: Words = None,
    unit: UnitChoice = "auto",
    alignment: AlignmentMethod = "auto",
    batch: Word = "",
    as_batch: Word = "",
) -> PredictionOptions:
    """Return all that is chosen about a prediction."""
    chosen = None if not targets or targets == ["all"] else tuple(targets)
    return PredictionOptions(
        source, chosen, unit, alignment, reading, metadata, batch=batch, as_batch=as_batch
    )


_REPEATED = ("targets", "unknown")
_OF_FUNCTIONS = [
    name
    for function in (reading_options, metadata_options, prediction_options)
    for name in signature(function).parameters
    if name not in ("reading", "metadata")
]


def check_names(request: Request) -> None:
    """Refuse options that there are not, which would change nothing, and one that is given twice.

    Raises
    ------
    SelectionError
        If there are some.
    """
    counts = Counter(name for name, _ in request.query_params.multi_items())
    known = [*_OF_FUNCTIONS, "model", "format", "name"]
    unknown = [name for name in counts if name not in known]
    if unknown:
        raise SelectionError.unknown("option", unknown, known)
    twice = [name for name, n in counts.items() if n > 1 and name not in _REPEATED]
    if twice:
        raise SelectionError(f"the option {twice[0]!r} is given more than once. Give it once.")


OptionsOfRequest = Annotated[PredictionOptions, Depends(prediction_options)]
