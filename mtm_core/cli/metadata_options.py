"""Options that say how a table of metadata is to be read, and the reading of it."""

from __future__ import annotations

from typing import Annotated

import typer

from mtm_core.data.people.metadata_options import MetadataOptions
from mtm_core.reporting.name_lists import split_names, split_sex_codes

_IN_QUOTES = "Commas within a name go in double quotes."
AgeColumnOption = Annotated[
    str | None,
    typer.Option(help="Column of ages in the metadata; by default found by its name; '': none."),
]
SexColumnOption = Annotated[
    str | None,
    typer.Option(help="Column of sexes in the metadata; by default found by its name; '': none."),
]
SexCodesOption = Annotated[
    str, typer.Option(help="Meaning of codes for sex in the metadata, as 1=male,2=female.")
]
UnknownOption = Annotated[
    list[str] | None,
    typer.Option(help=f"Words in the metadata that mean no value, such as NA. {_IN_QUOTES}"),
]
BothSexesOption = Annotated[
    bool,
    typer.Option(
        "--both-sexes",
        help="Compare both sexes in prostate, testis, ovary, uterus and vagina too. By default "
        "people of the other sex are left out there: by the metadata, else by XIST and Y genes.",
    ),
]
NearNamesOption = Annotated[
    bool,
    typer.Option(
        "--near-names",
        help="Treat names that differ only in spelling (case, blanks, zeros) as the same.",
    ),
]
MetadataSheetOption = Annotated[
    str, typer.Option(help="Sheet of the metadata, if it is a workbook.")
]


def metadata_options(
    age_column: str | None,
    sex_column: str | None,
    sex_codes: str,
    unknown: list[str] | None,
    sheet: str,
    *,
    near_names: bool,
) -> MetadataOptions:
    """Gather what the options say.

    Raises
    ------
    SelectionError
        If one is not written as it should be.
    """
    return MetadataOptions(
        age_column,
        sex_column,
        split_sex_codes(sex_codes),
        tuple(split_names(unknown or [])),
        near_names,
        sheet,
    )
