"""A user's choices about a table that can be read in more than one way.

Every field has a default under which the table itself decides and the report says how; a field is
set where the user knows better. The whole object is passed down, stored with the prediction and
written out with it, so that the same words read the same table.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal, get_args

import cattrs

from mtm_core.errors import SelectionError

NumberStyle = Literal["auto", "point", "comma"]
"""Decimal separator: with ``"point"`` 1,234 is a thousand, with ``"comma"`` 1.234 is."""
Contents = Literal["expression", "any", "text"]
Strand = Literal["auto", "unstranded", "forward", "reverse"]
"""Column of STAR's ReadsPerGene to read."""


@dataclass(frozen=True)
class ReadingOptions:
    """How to read a table where it can be read in more than one way.

    Attributes
    ----------
    take_back
        Columns that the reader sets aside and that are samples all the same, by name.
    leave_out
        Columns that the reader takes for samples and that are none, by name.
    numbers
        Decimal separator; ``"auto"`` decides from the whole table.
    sheet
        Sheet of a workbook; by default the first that holds a table.
    quantity
        Column to read where a file has several quantities of one sample, such as ``unstranded`` or
        ``TPM``; by default the counts.
    contents
        Contents of the table. In ``"any"`` table no layout of expression is sought, and no number
        that is written plainly is doubted. Of ``"text"``, such as metadata, every cell is given as
        it is written, blank only where nothing is: ``001``, ``TRUE`` and ``NA`` may be names.
    strand
        Strand of STAR's ReadsPerGene; ``"auto"`` chooses by the sums.

    Raises
    ------
    SelectionError
        If a choice is none of those there are.
    """

    take_back: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    numbers: NumberStyle = "auto"
    sheet: str = ""
    quantity: str = ""
    strand: Strand = "auto"
    contents: Contents = "expression"

    def __post_init__(self) -> None:
        for name, kind in (("numbers", NumberStyle), ("strand", Strand), ("contents", Contents)):
            choices = get_args(kind)
            if getattr(self, name) not in choices:
                raise SelectionError.unknown(name, [str(getattr(self, name))], choices)

    def to_json(self) -> str:
        """Write as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> ReadingOptions:
        """Read what :meth:`to_json` wrote."""
        return cattrs.structure(json.loads(text), cls)


AS_IT_LIES = ReadingOptions()
"""The table decides everything."""
ANY_TABLE = ReadingOptions(contents="any")
"""For tables that hold no expression."""
AS_WRITTEN = ReadingOptions(contents="text")
"""For tables whose cells are names."""
