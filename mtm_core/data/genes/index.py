"""Match the gene ids of a user's table to the genes of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.data.genes.ids import (
    IdType,
    comparable,
    id_type_of,
    is_date,
    is_ensembl,
    is_one_ensembl,
    parts_of,
)
from mtm_core.data.genes.names import genes_named
from mtm_core.data.notes import Note, counted, name_some


@dataclass(frozen=True)
class GeneMatch:
    """Positions of a model's genes in a file.

    Shapes: G genes of the model, I ids of the file.

    Attributes
    ----------
    id_type
        Kind of the file's ids.
    gene_of
        (I,) int64: the model gene that each id is, -1 for none.
    found
        (G,) bool.
    missing
        Model genes that the file lacks: ``symbol``, indexed by ``gene_id``.
    duplicated
        Model genes that are duplicated: ``symbol``, ``n_rows``, indexed by ``gene_id``.
    by_other_name
        Model genes found by a name of HGNC that is not the model's: ``symbol``, ``name`` in the
        file, indexed by ``gene_id``.
    n_not_in_model
        Ids of the file that are no gene of the model.
    notes
        The same in words.
    """

    id_type: IdType
    gene_of: NDArray[np.int64]
    found: NDArray[np.bool_]
    gene_ids: pd.Index
    missing: pd.DataFrame
    duplicated: pd.DataFrame
    by_other_name: pd.DataFrame
    n_not_in_model: int
    notes: tuple[Note, ...]

    @property
    def positions(self) -> tuple[NDArray[np.int64], ...]:
        """Positions in the file of each of the G model genes; empty if it is missing."""
        order = np.argsort(self.gene_of, kind="stable")
        ends = np.searchsorted(self.gene_of[order], np.arange(len(self.found) + 1))
        return tuple(order[a:b] for a, b in pairwise(ends))


_A_LIST = 1_000
"""Ids from which they are a table's own list, which is looked up more than once."""
_LISTS_HELD = 8
"""Matches that are held, of the lists of ids asked for last: 1 to 2 MB each at genome width."""


@dataclass(frozen=True, eq=False)
class GeneIndex:
    """The genes of a model, to be found by Ensembl id, symbol or Entrez id.

    Attributes
    ----------
    genes
        ``symbol`` and ``entrez`` (text, empty if unknown), indexed by ``gene_id``, an Ensembl id
        with or without version.
    profiles
        (T, G) mean expression of each tissue in the reference: what tells samples from other
        columns of numbers.
    """

    genes: pd.DataFrame
    profiles: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        lacking = {"symbol", "entrez"} - set(self.genes.columns)
        if lacking or self.genes.index.has_duplicates:
            raise ValueError(
                f"expected unique gene ids with symbol and entrez, got {list(self.genes.columns)}"
                f" and {int(self.genes.index.duplicated().sum())} duplicates"
            )

    @cached_property
    def _position(self) -> dict[str, int]:
        """Position of each id in the model.

        Ensembl ids rank before symbols, symbols before Entrez ids. A symbol or Entrez id that
        several genes carry belongs to the first of them, and never to a copy on Y (``_PAR_Y``)
        while the copy on X is there.
        """
        position: dict[str, int] = {}
        ids = [comparable(str(gene)) for gene in self.genes.index]
        for i, gene in enumerate(ids):
            position.setdefault(gene, i)
        copies_last = sorted(range(len(ids)), key=lambda i: ids[i].endswith("_PAR_Y"))
        for column in ("symbol", "entrez"):
            names = [comparable(str(name)) for name in self.genes[column]]
            for i in copies_last:
                if names[i]:
                    position.setdefault(names[i], i)
        return position

    @cached_property
    def _stems(self) -> dict[str, int]:
        """Position of each Ensembl id alone, in the form in which ids are compared."""
        return {comparable(str(gene)): i for i, gene in enumerate(self.genes.index)}

    def find(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """Return the model gene (I,) of each of the I ``ids``, -1 for none.

        Case, surrounding blanks and versions do not count. A compound id such as ``TP53|7157`` or
        ``ENSG00000141510_TP53`` is the gene of its Ensembl id, else the one that its parts
        name; one whose parts name several genes is none of them.
        """
        return self._find(ids) if len(ids) < _A_LIST else _found(self, tuple(ids)).copy()

    def _find(self, ids: Sequence[str]) -> NDArray[np.int64]:
        position = self._position
        result = np.full(len(ids), -1, dtype=np.int64)
        for i, gene in enumerate(ids):
            known = position.get(gene)  # most ids are already in the form that is compared
            if known is None:
                known = position.get(comparable(gene))
            result[i] = self._find_part(gene) if known is None else known
        return result

    def _find_part(self, gene: str) -> int:
        """Return the gene that the parts of a compound id name, -1 for none."""
        parts = parts_of(gene)
        if len(parts) < 2 and parts == (gene.strip(),):
            return -1
        known = [self._position.get(comparable(part)) for part in parts]
        if known and known[0] is not None and is_ensembl(parts[0]):
            return known[0]
        named = {place for place in known if place is not None}
        if len(named) != 1:
            return -1
        (place,) = named
        symbol = str(self.genes["symbol"].iloc[place]).upper()
        for part, other in zip(parts, known, strict=True):
            if other is None and "_" not in part:  # a second gene that the model does not have?
                meant = genes_named(part)
                if meant and symbol not in {one.symbol.upper() for one in meant}:
                    return -1
        return place

    def match(self, ids: Sequence[str]) -> GeneMatch:
        """Find the model's genes among the gene ids of a file.

        A gene that is not there by the model's own ids is looked for by the names that HGNC has for
        it, earlier ones included. A name that several genes have is not guessed at.

        A table is matched at each step from its upload to its study, so the last matches are held.
        """
        return _match(self, tuple(ids))

    def _match(self, ids: Sequence[str]) -> GeneMatch:
        gene_of = self.find(ids)
        by_name, unclear = self._by_other_names(ids, gene_of)
        for gene, rows in by_name.items():
            gene_of[rows] = gene
        n_rows = np.bincount(gene_of[gene_of >= 0], minlength=len(self.genes))
        symbols = self.genes[["symbol"]]
        missing = symbols[n_rows == 0]
        duplicated = symbols.assign(n_rows=n_rows)[n_rows > 1]
        names = [_name_of(ids[rows[0]]) for rows in by_name.values()]
        by_other_name = symbols.iloc[list(by_name)].assign(name=names)
        found = n_rows > 0
        for shared in (gene_of, found):
            shared.flags.writeable = False
        return GeneMatch(
            id_type=id_type_of(ids),
            gene_of=gene_of,
            found=found,
            gene_ids=self.genes.index,
            missing=missing,
            duplicated=duplicated,
            by_other_name=by_other_name,
            n_not_in_model=int((gene_of < 0).sum()),
            notes=_describe(missing, duplicated, by_other_name, unclear, len(self.genes)),
        )

    def _by_other_names(
        self, ids: Sequence[str], gene_of: NDArray[np.int64]
    ) -> tuple[dict[int, list[int]], dict[str, str]]:
        """Return rows of model genes that are missing but for another name, and names left unclear.

        Returns
        -------
        tuple
            Positions in ``ids`` by model gene; and, by id as in the file, what it may mean.
        """
        stems = self._stems
        absent = set(range(len(self.genes))) - set(gene_of.tolist())
        candidates: dict[int, dict[str, list[int]]] = {}
        unclear: dict[str, str] = {}
        for row in np.flatnonzero(gene_of < 0).tolist() if absent else ():
            if is_one_ensembl(ids[row]):  # no gene goes by another's id
                continue
            name = _name_of(ids[row])
            meant = genes_named(name)
            of_model = [stems[gene.ensembl] for gene in meant if gene.ensembl in stems]
            if absent.isdisjoint(of_model):
                continue
            if len(meant) == 1 and not is_date(name):
                candidates.setdefault(of_model[0], {}).setdefault(name.upper(), []).append(row)
            else:
                unclear[name] = " or ".join(gene.symbol for gene in meant)
        found = {}
        for gene, rows in sorted(candidates.items()):
            if len(rows) == 1:
                (found[gene],) = rows.values()
            else:  # which of them the gene's own is, nobody can tell
                unclear |= {
                    ids[i[0]].strip(): str(self.genes["symbol"].iloc[gene]) for i in rows.values()
                }
        return found, unclear


@lru_cache(_LISTS_HELD)
def _found(index: GeneIndex, ids: tuple[str, ...]) -> NDArray[np.int64]:
    """Find the genes of a list that is looked at again when it is read: row by row, then whole."""
    return index._find(ids)


@lru_cache(_LISTS_HELD)
def _match(index: GeneIndex, ids: tuple[str, ...]) -> GeneMatch:
    return index._match(ids)


def _name_of(gene: str) -> str:
    """Return the part of an id that may be a symbol: ``TP53`` of ``ENSG00000141510|TP53``."""
    return next((part for part in parts_of(gene) if not is_ensembl(part)), gene.strip())


def collapse(values: pd.DataFrame, match: GeneMatch) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    """Bring linear ``values`` (N samples, I ids) to the model's genes.

    A gene that is duplicated is summed: on the linear scale that is what its parts
    measured together.

    Returns
    -------
    tuple
        (N, G) float64 by sample and model gene id, NaN where the gene is missing; and ``found``
        (G,).
    """
    if values.shape[1] != len(match.gene_of):
        raise ValueError(f"expected {len(match.gene_of)} ids, got {values.shape[1]} columns")
    known = np.flatnonzero(match.gene_of >= 0)
    result = np.where(match.found, 0.0, np.nan)[:, None].repeat(len(values), axis=1)
    genes, own = match.gene_of[known], values.to_numpy(dtype=np.float64).T[known]
    if len(np.unique(genes)) == len(genes):
        result[genes] += own
    else:  # ten times as long
        np.add.at(result, genes, own)
    return pd.DataFrame(result.T, index=values.index, columns=match.gene_ids), match.found


def _describe(
    missing: pd.DataFrame,
    duplicated: pd.DataFrame,
    by_other_name: pd.DataFrame,
    unclear: Mapping[str, str],
    n_genes: int,
) -> tuple[Note, ...]:
    def shown(genes: pd.DataFrame) -> str:
        return name_some(symbol or gene for gene, symbol in genes["symbol"].items())

    found = f"{n_genes - len(missing):,} of the model's {n_genes:,} genes are in the table."
    if missing.empty:
        notes = [Note("info", found, "")]
    else:
        notes = [
            Note(
                "warning",
                f"{found} Missing: {shown(missing)}.",
                "A missing gene is not read as 0: it is set to the reference mean.",
                "Use the table from before genes were filtered out.",
            )
        ]
    if len(by_other_name):
        pairs = [f"{name} for {symbol}" for symbol, name in by_other_name.to_numpy()]
        notes.append(
            Note(
                "info",
                f"{counted(len(pairs), 'gene goes', 'genes go')} by an earlier or other name:"
                f" {name_some(pairs)}.",
                "They were read by that name: HGNC has no other gene with it.",
            )
        )
    if unclear:
        pairs = [f"{name} ({meant})" for name, meant in unclear.items()]
        notes.append(
            Note(
                "warning",
                f"{len(pairs)} ids may be genes that are missing: {name_some(pairs)}.",
                "They were not used.",
                "Give these genes as Ensembl ids.",
            )
        )
    if len(duplicated):
        notes.append(
            Note(
                "warning",
                f"{counted(len(duplicated), 'gene is', 'genes are')} duplicated:"
                f" {shown(duplicated)}.",
                "Their values were summed on the linear scale.",
                "Check that none is duplicated by mistake.",
            )
        )
    return tuple(notes)
