"""Which cells a blood sample's RNA comes from: shares by non-negative least squares.

The profiles are means of sorted cells of 20 people (GSE60424): ``scripts/blood_signature.py`` makes
and evaluates them (``docs/quality.md``). They are **shares of the RNA**
of white cells, not of cells: a neutrophil has less RNA than a lymphocyte. CD4 and CD8 T cells are
hardly distinguished, and are given together. Red cells and platelets have no part in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.data.genes.index import GeneIndex, collapse
from mtm_core.errors import ExpressionError
from mtm_core.statistics.mixtures import mixture_shares

TABLE = Path(__file__).with_name("blood_signature.tsv")
_OF: dict[str, tuple[str, ...]] = {
    "neutrophils": ("neutrophils",),
    "monocytes": ("monocytes",),
    "B cells": ("B cells",),
    "T cells": ("CD4 T cells", "CD8 T cells"),
    "NK cells": ("NK cells",),
}
CELLS = tuple(_OF)
"""Cells whose shares are given."""
COLUMNS = {cells: "RNA_share_" + cells.replace(" ", "_") for cells in CELLS}
"""Names of the shares as columns of a user's metadata, valid in a formula."""
LEAST_MARKERS = 10
"""Genes that are found of each of them, below which no share is given."""
POOR_FIT = 0.3
"""A sample whose genes correlate less with the fit is not a mixture of these cells."""


@dataclass(frozen=True)
class Signature:
    """Mean profiles of sorted cells.

    Attributes
    ----------
    genes
        ``symbol`` and ``entrez`` by Ensembl id, and ``marker_of``: the cells that it tells from the
        others.
    profiles
        (genes, sorted cells) mean expression per million.
    """

    genes: pd.DataFrame
    profiles: pd.DataFrame

    @cached_property
    def index(self) -> GeneIndex:
        """Its genes, to be found in a table."""
        return GeneIndex(self.genes)

    def markers_of(self, cells: str) -> NDArray[np.bool_]:
        """Return which genes tell ``cells`` alone from the others."""
        own = set(_OF[cells])
        sets = self.genes["marker_of"].str.split(" and ").map(set)
        return np.array([group <= own for group in sets], dtype=bool)


@cache
def blood_signature() -> Signature:
    """Return the profiles that come with the program."""
    table = pd.read_csv(TABLE, sep="\t", comment="#", dtype={"entrez": str}, keep_default_na=False)
    table = table.set_index("gene_id")
    names = ["symbol", "entrez", "marker_of"]
    return Signature(table[names], table.drop(columns=names).astype(np.float64))


@dataclass(frozen=True)
class BloodComposition:
    """Shares of cells.

    Attributes
    ----------
    shares
        By sample, a column each of ``CELLS``; 1 together.
    fit
        Pearson's rho of each sample's genes with the fit.
    n_found, n_genes
        Genes of the signature: found, and all.
    """

    shares: pd.DataFrame
    fit: pd.Series
    n_found: int
    n_genes: int

    @property
    def poor(self) -> list[str]:
        """Samples that are not a mixture of these cells."""
        return [str(name) for name in self.fit.index[~(self.fit >= POOR_FIT)]]


def markers_found(ids: Sequence[str]) -> pd.DataFrame:
    """Return ``found`` and ``in_all`` by cells: the genes of the signature among ``ids``."""
    signature = blood_signature()
    return _counts(signature, signature.index.match(ids).found)


def is_enough(markers: pd.DataFrame) -> bool:
    """Tell whether shares can be estimated from what :func:`markers_found` counts."""
    return bool((markers["found"] >= LEAST_MARKERS).all())


def estimate_composition(linear: pd.DataFrame) -> BloodComposition:
    """Estimate the shares of cells in samples of whole blood.

    Parameters
    ----------
    linear
        (samples, genes) linear expression, all in one unit: counts, CPM or TPM; library sizes do
        not matter. Genes by Ensembl id, symbol or Entrez id.

    Raises
    ------
    ExpressionError
        If too few of the genes that tell cells apart are in it.

    Examples
    --------
    >>> from mtm_core.inference.blood_cells import blood_signature, estimate_composition
    >>> profiles = blood_signature().profiles
    >>> half = (profiles["neutrophils"] + profiles["monocytes"]).to_frame("half").T / 2
    >>> estimate_composition(half).shares.round(2).loc["half", "neutrophils"].item()
    0.5
    """
    signature = blood_signature()
    match = signature.index.match([str(name) for name in linear.columns])
    markers = _counts(signature, match.found)
    if not is_enough(markers):
        few = ", ".join(
            f"{row.found} of {row.in_all} for {row.Index}" for row in markers.itertuples()
        )
        raise ExpressionError(
            f"{int(match.found.sum())} of the {len(match.found)} marker genes of blood cells are "
            f"in the table ({few}); {LEAST_MARKERS} of each are needed. Use a table of all "
            f"genes, or add shares that you counted or estimated elsewhere as columns of the "
            f"metadata."
        )
    known = np.flatnonzero(match.gene_of >= 0)
    on, found = collapse(linear.iloc[:, known], replace(match, gene_of=match.gene_of[known]))
    mixed = mixture_shares(on.loc[:, found].to_numpy(), signature.profiles.loc[found].to_numpy())
    of_sorted = pd.DataFrame(mixed.shares, linear.index, signature.profiles.columns)
    shares = pd.DataFrame(
        {cells: of_sorted[list(parts)].sum(axis=1, min_count=1) for cells, parts in _OF.items()}
    )
    return BloodComposition(
        shares,
        pd.Series(mixed.fit, linear.index, name="fit"),
        int(found.sum()),
        len(found),
    )


def _counts(signature: Signature, found: NDArray[np.bool_]) -> pd.DataFrame:
    rows = {}
    for cells in CELLS:
        own = signature.markers_of(cells)
        rows[cells] = {"found": int((own & found).sum()), "in_all": int(own.sum())}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("cells")
