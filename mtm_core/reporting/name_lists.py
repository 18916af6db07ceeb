"""Several names in one option: comma-separated, and quoted as CSV is where a name has a comma.

What :func:`join_names` writes :func:`split_names` reads, whatever the names hold.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Sequence
from typing import cast, get_args

from mtm_core.data.people.phenotypes import Sex
from mtm_core.errors import SelectionError

_SPECIAL = frozenset(',"\r\n=')


def join_names(names: Iterable[str]) -> str:
    """Write names as one option."""
    return ",".join(_quoted(name) for name in names)


def split_names(option: str | Sequence[str]) -> list[str]:
    """Read the names of an option, or of one that is repeated; spaces around them do not count.

    Raises
    ------
    SelectionError
        If a quote lacks its partner.
    """
    names: list[str] = []
    for text in [option] if isinstance(option, str) else option:
        reader = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True)
        try:
            rows = list(reader)
        except csv.Error as error:
            raise SelectionError(
                f"{text!r} is not a list of names: {error}. Separate names by commas, and put a"
                " name with a comma in double quotes: '\"COVID, severe\",healthy'."
            ) from error
        names += [name.strip() for row in rows for name in row]
    return [name for name in names if name]


def split_sex_codes(option: str, name: str = "--sex-codes") -> tuple[tuple[str, Sex], ...]:
    """Read ``1=male,2=female``.

    Parameters
    ----------
    option
        Text of the option.
    name
        Name of the option for messages.

    Raises
    ------
    SelectionError
        If it is not written so.
    """
    codes: dict[str, Sex] = {}
    for pair in split_names(option):
        code, equals, sex = (part.strip() for part in pair.rpartition("="))
        if not equals or not code or sex not in get_args(Sex):
            raise SelectionError(f"{name} expects 1=male,2=female or the like, got {pair!r}.")
        codes[code] = cast("Sex", sex)
    return tuple(codes.items())


def join_groups(column: str, case: str, control: str) -> str:
    """Write ``COLUMN=CASE,CONTROL``."""
    return f"{_quoted(column)}={join_names([case, control])}"


def split_column(
    option: str, name: str = "--groups", form: str = "COLUMN=CASE,CONTROL"
) -> tuple[str, str]:
    """Read what is before and after the first equals sign that is not in quotes.

    Parameters
    ----------
    option
        Text of the option.
    name, form
        Name of the option, and how it is written, for messages.

    Raises
    ------
    SelectionError
        If there is none.
    """
    quoted = False
    for i, letter in enumerate(option):
        quoted ^= letter == '"'
        if letter == "=" and not quoted:
            column = split_names(option[:i])
            if len(column) == 1:
                return column[0], option[i + 1 :]
            break
    raise SelectionError(
        f"{name} expects {form}, got {option!r}. A name with a comma or an equals"
        " sign goes in double quotes: 'stage=\"COVID, severe\",healthy'."
    )


def two_names(
    text: str, known: Collection[str] | None = None, name: str = "--groups"
) -> tuple[str, str]:
    """Read ``CASE,CONTROL``.

    Parameters
    ----------
    text
        Value of the option.
    known
        Names that there are: a comma that is part of one then needs no quotes, where only one
        reading of ``text`` has two known names.
    name
        Name of the option for messages.

    Raises
    ------
    SelectionError
        If there are not two names.
    """
    names = split_names(text)
    if len(names) == 2:
        return names[0], names[1]
    parts = text.split(",")
    readings = [
        (",".join(parts[:i]).strip(), ",".join(parts[i:]).strip()) for i in range(1, len(parts))
    ]
    meant = [pair for pair in readings if set(pair) <= set(known or ())]
    if len(meant) == 1:
        return meant[0]
    raise SelectionError(
        f"{name} expects COLUMN=CASE,CONTROL, got {text!r} for the two groups. A name with a"
        " comma goes in double quotes: 'stage=\"COVID, severe\",healthy'."
    )


def _quoted(name: str) -> str:
    if name and name == name.strip() and not _SPECIAL & set(name):
        return name
    return '"' + name.replace('"', '""') + '"'
