"""Names that human genes had before, and other names they go by, from HGNC.

The table is HGNC's (https://www.genenames.org, CC0), cut to four columns; its first lines say of
when it is. A name is followed to a gene only where a single gene has it: an approved symbol is that
gene's alone, whatever other genes were once called so.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd

from mtm_core.data.files.raw_table import BLANKS

TABLE = Path(__file__).with_name("hgnc_names.tsv.gz")
_DAY = re.compile(r"(\d{1,2})-([a-z]{3,4})(?:-\d+)?|([a-z]{3,4})-(\d{1,2})", re.IGNORECASE)
_NAMED_AS_MONTHS = {"mar": ("MARCH", "MARC"), "sep": ("SEPT",), "dec": ("DEC",), "oct": ("OCT",)}


@dataclass(frozen=True)
class NamedGene:
    """A gene of HGNC: its approved symbol, and its Ensembl id without version ('' if none)."""

    symbol: str
    ensembl: str


def genes_named(name: str) -> tuple[NamedGene, ...]:
    """Return the genes that ``name`` may mean: one, several, or none.

    Case does not count. What a spreadsheet made a date of, such as ``1-Mar``, may mean any gene
    whose name it makes such a date of: those of MARCH1 and MARC1.
    """
    names = _names()
    if name.strip() in BLANKS:  # NaN is a gene's name too
        return ()
    day = _DAY.fullmatch(name.strip())
    if day is None:
        return names.get(name.strip().upper(), ())
    number, month = (day[1], day[2]) if day[1] else (day[4], day[3])
    stems = _NAMED_AS_MONTHS.get(month[:3].lower(), ())
    found = [gene for stem in stems for gene in names.get(f"{stem}{int(number)}", ())]
    return tuple(dict.fromkeys(found))


def symbols_of(ids: Sequence[str]) -> list[str]:
    """Return the approved symbol of each Ensembl id, with or without version; '' of other ids."""
    known = _symbols()
    return [known.get(gene.strip().upper().partition(".")[0], "") for gene in ids]


@cache
def _symbols() -> Mapping[str, str]:
    """Return the approved symbol of each Ensembl id."""
    return {gene.ensembl: gene.symbol for genes in _names().values() for gene in genes}


@cache
def _names() -> Mapping[str, tuple[NamedGene, ...]]:
    """Return the genes of each name, in upper case."""
    table = pd.read_csv(TABLE, sep="\t", comment="#", dtype=str, keep_default_na=False)
    approved: dict[str, tuple[NamedGene, ...]] = {}
    others: defaultdict[str, dict[NamedGene, None]] = defaultdict(dict)
    for symbol, ensembl, previous, alias in table.itertuples(index=False, name=None):
        gene = NamedGene(symbol, ensembl)
        approved[symbol.upper()] = (gene,)
        for name in (*previous.split("|"), *alias.split("|")):
            if name:
                others[name.upper()][gene] = None
    return {name: tuple(genes) for name, genes in others.items()} | approved
