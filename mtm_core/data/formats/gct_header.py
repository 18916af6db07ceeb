"""The lines above the genes of a GCT file: of GTEx, of other programs, or saved by a spreadsheet.

::

    #1.2                                    #1.3
    genes  samples                          genes  samples  fields of genes  fields of samples
    Name  Description  sample  sample ...   id  field ...  sample  sample ...
                                            field  (blank) ...  value  value ...

GTEx's files of one tissue have a column of row numbers, ``id``, before Name and Description.

Format: https://www.genepattern.org/file-formats-guide/#GCT
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mtm_core.errors import InputFileError

_GENE_NAMES = ("name", "gene_id", "geneid", "ensembl", "gene", "gene_name", "symbol", "id")
"""Columns that name the genes, the surest first: GTEx numbers its rows in ``id``."""
_NO_SAMPLES = frozenset(
    {*_GENE_NAMES, "description", "desc", "gene_symbol", "genesymbol", "probe", "accession"}
)
_FIELDS_OF_1_2 = 2
_MOST_FIELDS = 4


@dataclass(frozen=True)
class GctHeader:
    """Header of a GCT file: the lines above the genes.

    Attributes
    ----------
    columns
        Columns of the table, beginning with those that describe genes.
    n_fields
        How many columns describe genes.
    name, description
        Which of them name genes, and say more of them; ``None`` if none does.
    n_genes, n_samples
        As the second line has them, -1 where it has not.
    n_sample_rows
        Rows below the header that describe samples (GCT 1.3).
    """

    columns: tuple[str, ...]
    n_fields: int
    name: int
    description: int | None
    n_genes: int
    n_samples: int
    n_sample_rows: int

    @property
    def samples(self) -> tuple[str, ...]:
        """Columns of samples."""
        return self.columns[self.n_fields :]

    @property
    def declared(self) -> str:
        """The size that the second line gives, in words."""
        known = [f"{n:,}" if n >= 0 else "no number of" for n in (self.n_genes, self.n_samples)]
        return f"{known[0]} genes and {known[1]} samples"

    @classmethod
    def of(cls, version: str, sizes: Sequence[str], columns: Sequence[str]) -> GctHeader:
        """Understand the fields of the three lines.

        Raises
        ------
        InputFileError
            If no column of a sample is left, or a sample is duplicated.
        """
        numbers = [int(size) if size.strip().isdecimal() else -1 for size in sizes]
        n_genes, n_samples, of_genes, of_samples = (numbers + [-1] * 4)[:4]
        names = [column.strip().lower() for column in columns]
        if is_gct_1_3(version):
            n_fields = 1 + max(of_genes, 0)
            name, description = 0, 1 if n_fields > 1 else None
        else:
            n_fields = min(_n_fields(names, n_samples), len(names))
            found = [names.index(known) for known in _GENE_NAMES if known in names[:n_fields]]
            name = found[0] if found else 0
            others = [i for i in range(n_fields) if i != name and names[i] != "id"]
            description = others[0] if others else None
        if n_fields >= len(columns):
            raise InputFileError(
                "expected columns 'Name', 'Description', then one per sample on line 3 of the GCT;"
                f" got {list(columns[:3])}."
            )
        return cls(
            tuple(column.strip() for column in columns),
            n_fields,
            name,
            description,
            n_genes,
            n_samples,
            max(of_samples, 0) if is_gct_1_3(version) else 0,
        )


def gct_version(line: str) -> str:
    """Return ``"#1.2"`` or the like where ``line`` is the first of a GCT file, else ``""``.

    Spreadsheets put quotes around it, or delimiters after it.
    """
    version = line.strip(" \t,;\"'\r\n")
    return version if version.startswith("#1.") and version[3:].isdecimal() else ""


def is_gct_1_3(version: str) -> bool:
    """Tell whether genes and samples have any number of fields that describe them."""
    return version == "#1.3"


def _n_fields(names: Sequence[str], n_samples: int) -> int:
    """Count the columns of GCT 1.2 that describe genes: by their names, else by the second line."""
    n_named = 0
    while n_named < min(len(names), _MOST_FIELDS) and names[n_named] in _NO_SAMPLES:
        n_named += 1
    n_left = len(names) - n_samples
    if n_named == 1 and n_left in (1, _FIELDS_OF_1_2):
        return n_left
    return max(n_named, _FIELDS_OF_1_2)
