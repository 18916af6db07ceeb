"""The options of a request, from its query string: those of ``mtm predict``.

Of further tissues, ``and`` is repeated as ``TISSUE=PART``: the part of the form that is the table.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from inspect import signature
from typing import Annotated

from fastapi import Depends, Query, Request

from mtm_core.data.files.reading_options import NumberStyle, ReadingOptions, Strand
from mtm_core.data.gtex.annotations import WHOLE_BLOOD
from mtm_core.data.people.metadata_options import MetadataOptions
from mtm_core.data.units import UnitChoice
from mtm_core.errors import SelectionError
from mtm_core.inference.alignment import AlignmentMethod
from mtm_core.inference.options import FurtherTissue, PredictionOptions
from mtm_core.reporting.name_lists import split_names, split_sex_codes
from mtm_core.workflows.further_tissues import OptionNames, further_tissues

Word = Annotated[str, Query(max_length=200)]
Words = Annotated[list[str] | None, Query(max_length=200)]
_IN_QUERY = OptionNames("and", "and_unit", "and_batch", "PART", "muscle")


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


@dataclass(frozen=True)
class FurtherParts:
    """Further tissues of the same people.

    Attributes
    ----------
    tissues
        The tissues, in order.
    parts
        Part of the form that each table is.
    near_people
        Take names that may be one person's in two tables for the same.
    """

    tissues: tuple[FurtherTissue, ...]
    parts: tuple[str, ...]
    near_people: bool


def further_parts(
    and_: Annotated[Words, Query(alias="and")] = None,
    and_unit: Words = None,
    and_batch: Words = None,
    near_people: bool = False,
) -> FurtherParts:
    """Return the further tissues, and the parts of the form that are their tables.

    Raises
    ------
    SelectionError
        As :func:`mtm_core.workflows.further_tissues.further_tissues`; if two tissues name a part.
    """
    tissues, parts = further_tissues(and_, and_unit, and_batch, _IN_QUERY)
    twice = [part for part in parts if parts.count(part) > 1]
    if twice:
        raise SelectionError(f"and: two tissues name the part {twice[0]!r}. Send a part for each.")
    return FurtherParts(tissues, parts, near_people)


def prediction_options(
    reading: Annotated[ReadingOptions, Depends(reading_options)],
    metadata: Annotated[MetadataOptions, Depends(metadata_options)],
    further: Annotated[FurtherParts, Depends(further_parts)],
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
        source,
        chosen,
        unit,
        alignment,
        reading,
        metadata,
        batch=batch,
        as_batch=as_batch,
        further=further.tissues,
        near_people=further.near_people,
    )


_REPEATED = ("targets", "unknown", "and", "and_unit", "and_batch")
_OF_FUNCTIONS = [
    name.rstrip("_")
    for function in (reading_options, metadata_options, further_parts, prediction_options)
    for name in signature(function).parameters
    if name not in ("reading", "metadata", "further")
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


PartsOfRequest = Annotated[FurtherParts, Depends(further_parts)]
OptionsOfRequest = Annotated[PredictionOptions, Depends(prediction_options)]
