"""The body of a request: a table alone, or a form with the table and what belongs to it.

What is received is in memory only, and never more than the server takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from fastapi import HTTPException, Request
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from mtm_core.endpoint.prediction import TooLargeError
from mtm_core.errors import SelectionError

_CHUNK_SECONDS = 30.0
"""Longest silence while a table is sent."""
TABLE, METADATA, ALIGNMENT = "table", "metadata", "alignment"
PARTS = (TABLE, METADATA, ALIGNMENT)
"""Parts that a form may have."""
_JSON = "application/json"


@dataclass
class Part:
    """A part of a form, or the whole body.

    Attributes
    ----------
    data
        Bytes of its content.
    file
        Name of the file, as the client gave it; empty for none.
    is_json
        Whether the client said that it is JSON.
    """

    data: bytearray = field(default_factory=bytearray)
    file: str = ""
    is_json: bool = False

    def name(self, otherwise: str) -> str:
        """Return the name of the file, without folders."""
        return PurePosixPath(self.file.replace("\\", "/")).name or otherwise


async def receive(request: Request, most: int, further: Sequence[str] = ()) -> dict[str, Part]:
    """Take up the body, no more than ``most`` bytes of it, from a client that keeps sending.

    Parameters
    ----------
    request
        The request.
    most
        Most bytes of all parts together.
    further
        Names of the parts that are tables of further tissues.

    Returns
    -------
    dict
        ``"table"``, each of ``further``, and what else the form has of ``PARTS``.

    Raises
    ------
    TooLargeError, SelectionError
        If it is larger; if a table is missing, or the form is not as it should be.
    HTTPException
        If nothing comes for long.
    """
    taken = [part for part in further if part in PARTS]
    if taken:
        raise SelectionError(
            f"and: the part {taken[0]!r} is not a table of a further tissue. Give the table's part"
            " another name, such as muscle."
        )
    too_large = TooLargeError(
        f"the table is larger than {most / 1e6:,.0f} MB, the limit of this server. Compress it, "
        f"include only the model's genes, or split the samples."
    )
    said = request.headers.get("content-length", "")
    if said.isdecimal() and int(said) > most:
        raise too_large
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    form = _Form(options, (*PARTS, *further)) if kind == b"multipart/form-data" else None
    whole = Part()
    n_bytes = 0
    chunks = request.stream().__aiter__()
    while True:
        try:
            chunk = await asyncio.wait_for(anext(chunks), _CHUNK_SECONDS)
        except StopAsyncIteration:
            break
        except TimeoutError as error:
            raise HTTPException(408, "the table was not received completely.") from error
        n_bytes += len(chunk)
        if n_bytes > most:
            raise too_large
        if form is None:
            whole.data += chunk
        else:
            form.take(chunk)
    parts = {TABLE: whole} if form is None else form.finish()
    if further and form is None:
        raise SelectionError(
            f"and names the part {further[0]!r}, and the body is no form. Send a form with the"
            f" parts 'table' and {further[0]!r}."
        )
    for part in (TABLE, *further):
        if part not in parts:
            raise SelectionError(
                f"the form has no part {part!r}. Send the table of expression as the file {part!r}."
            )
        if not parts[part].data.strip():
            raise SelectionError(
                "the body is empty. Send the table as the body of the POST."
                if form is None
                else f"the part {part!r} of the form is empty."
            )
    return parts


class _Form:
    """A form that is read as it comes."""

    def __init__(self, options: Mapping[bytes, bytes], names: Collection[str]) -> None:
        self._names = names
        self._parts: dict[str, Part] = {}
        self._own = Part()
        self._header: list[bytes] = [b"", b""]
        self._headers: dict[str, bytes] = {}
        self._is_whole = False
        try:
            self._parser = MultipartParser(
                options.get(b"boundary", b""),
                {
                    "on_part_begin": self._begin,
                    "on_header_field": lambda data, a, b: self._add(0, data[a:b]),
                    "on_header_value": lambda data, a, b: self._add(1, data[a:b]),
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._name,
                    "on_part_data": self._fill,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:
            raise _not_a_form(error) from error

    def take(self, chunk: bytes) -> None:
        """Read on."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _not_a_form(error) from error

    def finish(self) -> dict[str, Part]:
        """Return the parts."""
        if not self._is_whole:
            raise _not_a_form("it ends early")
        return self._parts

    def _begin(self) -> None:
        self._headers = {}

    def _add(self, place: int, data: bytes) -> None:
        self._header[place] += data

    def _end_header(self) -> None:
        name, value = self._header
        self._headers[name.decode("latin-1").lower()] = value
        self._header = [b"", b""]

    def _name(self) -> None:
        _, options = parse_options_header(self._headers.get("content-disposition", b""))
        name, file = (
            options.get(key, b"").decode("utf-8", "replace") for key in (b"name", b"filename")
        )
        if name not in self._names:
            raise SelectionError(
                f"the form has a part {name!r}; its parts are {', '.join(self._names)}. Options go"
                " into the query string; a table of a further tissue is named there, as"
                " and=TISSUE=PART."
            )
        if name in self._parts:
            raise SelectionError(f"the form has two parts {name!r}.")
        kind, _ = parse_options_header(self._headers.get("content-type", b""))
        self._own = self._parts[name] = Part(file=file, is_json=kind == _JSON.encode())

    def _fill(self, data: bytes, start: int, end: int) -> None:
        self._own.data += data[start:end]

    def _end(self) -> None:
        self._is_whole = True


def _not_a_form(why: object) -> SelectionError:
    return SelectionError(f"the form cannot be read: {why}. Send multipart/form-data.")
