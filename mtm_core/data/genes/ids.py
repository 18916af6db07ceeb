"""Gene ids as they are written: of which type, in which version, damaged, or of something else."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from functools import lru_cache
from typing import Literal

from mtm_core.data.notes import Note, name_some

IdType = Literal["Ensembl", "Ensembl with version", "symbol", "Entrez", "mixed"]

_ENSEMBL = re.compile(r"ENSG\d+(_PAR_Y)?", re.IGNORECASE)
_ENSEMBL_WITH_VERSION = re.compile(r"ENSG\d+\.\d+(_\d+)?(_PAR_Y)?", re.IGNORECASE)
_ENSEMBL_WITHIN = re.compile(
    r"(?<![A-Z0-9])ENSG\d{5,}(\.\d+(_\d{1,2}(?![A-Z0-9]))?)?(_PAR_Y)?(?![A-Z0-9])", re.IGNORECASE
)
"""An Ensembl id with something else at its side: ``ENSG00000141510_TP53``, ``TP53|ENSG...12``."""
_PLAIN_ENSEMBL = re.compile(r"ENSG\d{11}(\.\d{1,2})?", re.ASCII)
_VERSION = re.compile(r"(ens\w*\d)\.\d+")
_JOINTS = re.compile(r"[|:;,/()\s]+")
"""Characters that join several ids of one gene; not '_', '-' and '.', which names contain."""
_ENTREZ = re.compile(r"\d+(\.0)?")  # '672.0' is what a spreadsheet or pandas makes of 672
_ONE_TYPE = 0.9
"""Share of ids that must be of one type for the table to be of it."""

_MONTH = r"(jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec)"
_DATE = re.compile(
    rf"\d{{1,2}}-{_MONTH}(-\d{{2,4}})?|{_MONTH}-\d{{1,4}}"
    r"|\d{4}-\d{2}-\d{2}( 00:00:00)?|\d{1,2}[/.]\d{1,2}[/.]\d{2,4}",
    re.IGNORECASE,
)
_SERIAL_ZERO = date(1899, 12, 30)
_SERIALS = range(36526, 54789)
"""Days of 2000 to 2049 as spreadsheets count them."""
_LAST_DAY = 15
"""SEPT15, MARCH11 and DEC1 are the highest."""
_MOUSE = re.compile(r"[A-Z][a-z][a-z0-9.-]*")

_FOREIGN: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (re.compile(r"ENST\d{6,}"), "Ensembl transcripts", "Sum transcripts to genes first."),
    (re.compile(r"ENSP\d{6,}"), "Ensembl proteins", "Use genes instead."),
    (re.compile(r"HGNC:\d+"), "HGNC ids", "Use symbols or Ensembl ids instead."),
    (
        re.compile(r"[OPQ]\d[A-Z\d]{3}\d|[A-NR-Z]\d([A-Z][A-Z\d]{2}\d){1,2}"),
        "UniProt proteins",
        "Use genes instead.",
    ),
    (re.compile(r"ENS[A-Z]{3,4}G\d{6,}"), "another species' Ensembl genes", "Use human genes."),
    (re.compile(r"[NX][MR]_\d+"), "RefSeq transcripts", "Sum transcripts to genes first."),
    (re.compile(r"ILMN_\d+|\w+_at|A_\d\d_P\d+"), "microarray probes", "Map probes to genes first."),
    (re.compile(r"(chr)?[\dXY]+[:_]\d+.*"), "genomic positions", "Use counts of genes."),
)


def strip_version(gene_id: str) -> str:
    """Return an Ensembl id without its version: ``ENSG00000141510.16`` -> ``ENSG00000141510``.

    The pseudo-autosomal copies on Y keep their mark (``ENSG00000182378.13_PAR_Y`` ->
    ``ENSG00000182378_PAR_Y``): they are other rows of the same file.
    """
    stem, dot, rest = gene_id.partition(".")
    if not dot or not stem.startswith("ENSG"):
        return gene_id
    return stem + ("_PAR_Y" if rest.endswith("_PAR_Y") else "")


def comparable(gene: str) -> str:
    """Bring an id to the form in which ids are compared: no version, no blanks, capitals."""
    name = gene.strip().upper()
    if "." not in name:  # neither of what follows
        return name
    if name.startswith("ENSG"):
        return strip_version(name) if _ENSEMBL_WITH_VERSION.fullmatch(name) else name
    return name.removesuffix(".0") if _ENTREZ.fullmatch(name) else name


def parts_of(gene: str) -> tuple[str, ...]:
    """Get the ids that a compound such as ``ENSG00000141510.16_TP53`` or ``TP53|7157`` is made of.

    An Ensembl id comes first, wherever it is. Several of them are several genes, which no part
    names: the result is then empty. An id that is no compound is its own only part.
    """
    if (gene.isascii() and gene.isalnum()) or is_one_ensembl(gene):
        return (gene,)
    within = [match.group() for match in _ENSEMBL_WITHIN.finditer(gene)]
    if len({strip_version(name.upper()) for name in within}) > 1:
        return ()
    rest = _ENSEMBL_WITHIN.sub("|", gene).split("|") if within else [gene]
    others = [part for text in rest for part in _JOINTS.split(text.strip("_-. ")) if part]
    if not within and len(others) == 1 and gene.count("_") == 1:  # TP53_7157
        one, other = gene.strip().split("_")
        if one and other and (_ENTREZ.fullmatch(one) or _ENTREZ.fullmatch(other)):
            others = [gene.strip(), one, other]
    return (*dict.fromkeys(within), *others)


def is_date(gene: str) -> bool:
    """Tell whether ``gene`` is written as a spreadsheet writes a date."""
    return _DATE.fullmatch(gene.strip()) is not None


def id_type_of(ids: Sequence[str]) -> IdType:
    """Return the type that at least 90 % of ``ids`` have, or ``"mixed"``."""
    commonest, n = _types_of(tuple(ids))[0]
    return commonest if n >= _ONE_TYPE * len(ids) else "mixed"


def is_ensembl(gene: str) -> bool:
    """Tell whether ``gene`` is written as a human Ensembl gene id."""
    return _id_type(gene.strip()).startswith("Ensembl")


def damaged_names(ids: Sequence[str]) -> tuple[str, ...]:
    """Return the ids that a spreadsheet has turned into dates, such as ``1-Mar`` for MARCH1.

    Dates that it wrote as their number, such as ``43160``, look like Entrez ids: they are taken for
    dates where most ids are symbols, and all that are numbers are days that genes are named after.
    """
    dates = {gene for gene in ids if is_date(gene)}
    types = dict(_types_of(tuple(ids)))
    numbers = set[str]()
    if types.get("Entrez"):
        numbers = {gene for gene in ids if _id_type(gene.strip()) == "Entrez"}
    if len(numbers) < len(ids) / 2 and all(_is_day_of_a_gene(gene) for gene in numbers):
        dates |= numbers
    return tuple(gene for gene in ids if gene in dates)


def _is_day_of_a_gene(gene: str) -> bool:
    number = int(gene.split("|")[0].strip().removesuffix(".0"))
    if number not in _SERIALS:
        return False
    day = _SERIAL_ZERO + timedelta(days=number)
    return day.month in (3, 9, 12) and day.day <= _LAST_DAY


def describe_ids(ids: Sequence[str]) -> list[Note]:
    """Say where gene ids are of several types, or written as those of mice are."""
    notes = []
    if id_type_of(ids) == "mixed":
        shown = ", ".join(f"{n:,} {kind}" for kind, n in _types_of(tuple(ids)))
        notes.append(
            Note(
                "info",
                f"Gene ids are of several types: {shown}.",
                "Each id was read as its own type.",
            )
        )
    mouse = [gene for gene in ids if _MOUSE.fullmatch(gene.strip())]
    if len(mouse) > len(ids) / 2:
        notes.append(
            Note(
                "warning",
                f"Most gene ids are written like those of mice and rats: {name_some(mouse, 3)}.",
                "They were read as human symbols with the same letters.",
                "If the samples are not human, the predictions are meaningless.",
            )
        )
    return notes


def describe_foreign(ids: Sequence[str]) -> str:
    """Say what ``ids`` are, if most are known ids of something other than human genes."""
    for pattern, kind, next_step in _FOREIGN:
        if sum(pattern.fullmatch(gene.split(".")[0]) is not None for gene in ids) > len(ids) / 2:
            return f" {ids[0]!r} and others look like {kind}. {next_step}"
    return ""


def is_one_ensembl(gene: str) -> bool:
    """Tell whether ``gene`` is a human Ensembl gene id and nothing else."""
    return _ENSEMBL_WITHIN.fullmatch(gene) is not None


def pattern_of(text: str, between: str = r"[\s,;]+") -> str:
    """Return a regular expression for names, in small letters, that hold any of those in ``text``.

    Parameters
    ----------
    text
        Symbols or ids, or parts of them. Versions of Ensembl ids do not count. Without any the
        result is empty.
    between
        What separates them.
    """
    terms = [term.strip() for term in re.split(between, text.lower())]
    return "|".join(re.escape(_VERSION.sub(r"\1", term)) for term in terms if term)


def mostly_entrez(ids: Sequence[str]) -> bool:
    """Return whether more than half of ``ids`` are Entrez ids."""
    return dict(_types_of(tuple(ids))).get("Entrez", 0) > len(ids) / 2


def mostly_ensembl(ids: Sequence[str]) -> bool:
    """Tell whether more than half of ``ids`` are human Ensembl gene ids."""
    types = _types_of(tuple(ids))
    return sum(n for kind, n in types if kind.startswith("Ensembl")) > len(ids) / 2


@lru_cache(maxsize=4)
def _types_of(ids: tuple[str, ...]) -> tuple[tuple[IdType, int], ...]:
    """Count ids by their type, the commonest first.

    The last lists are held: of one that is read this is asked half a dozen times.
    """
    return tuple(Counter(_id_type(gene.strip()) for gene in ids).most_common())


def _id_type(gene: str) -> IdType:
    plain = _PLAIN_ENSEMBL.fullmatch(gene)
    if plain is not None:
        return "Ensembl with version" if plain[1] else "Ensembl"
    within = _ENSEMBL_WITHIN.search(gene)
    first = within.group() if within else gene.split("|")[0]
    if _ENSEMBL_WITH_VERSION.fullmatch(first):
        return "Ensembl with version"
    if _ENSEMBL.fullmatch(first):
        return "Ensembl"
    return "Entrez" if _ENTREZ.fullmatch(first) else "symbol"
