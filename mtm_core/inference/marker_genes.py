"""Genes that the quality of samples is judged by, and how to find them in any table.

Haemoglobin, ribosomal proteins, mitochondrial genes, and the genes that tell the sexes apart: XIST,
and genes of the Y chromosome outside of what it shares with X.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.data.genes.index import GeneIndex

TABLE = Path(__file__).with_name("marker_genes.tsv")
MarkerKind = Literal["haemoglobin", "ribosomal", "mitochondrial", "Y", "XIST"]
KINDS: tuple[MarkerKind, ...] = ("haemoglobin", "ribosomal", "mitochondrial", "Y", "XIST")
Markers = Mapping[MarkerKind, NDArray[np.int64]]
"""Positions among a table's genes of those of each kind."""


@cache
def marker_genes() -> pd.DataFrame:
    """Return ``symbol``, ``entrez`` and ``kind`` by Ensembl id."""
    table = pd.read_csv(TABLE, sep="\t", comment="#", dtype=str, keep_default_na=False)
    return table.set_index("gene_id")


@cache
def _index() -> GeneIndex:
    return GeneIndex(marker_genes())


def find_markers(ids: Sequence[str]) -> Markers:
    """Return the positions in ``ids`` of the genes of each kind; none where a table lacks them.

    Ids are found as those of a model are: Ensembl ids, symbols, earlier symbols or Entrez ids.
    """
    genes = marker_genes()
    gene_of = _index().match(ids).gene_of
    known = np.flatnonzero(gene_of >= 0)
    kind = genes["kind"].to_numpy()[gene_of[known]]
    return {name: known[kind == name] for name in KINDS}
