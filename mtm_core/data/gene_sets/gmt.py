"""Gene sets: the bundled ones of the Gene Ontology and Reactome, and files in GMT format.

A GMT file has one set a line: its name, a description (often a link), then its genes, between
tabs. It is lines of text, split at tabs: no library reads it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtm_core.data.files.table_bytes import GZIP, checked_text, gunzip
from mtm_core.data.files.what_is_it import folder_in_place_of_a_file
from mtm_core.data.genes.ids import describe_foreign, mostly_entrez
from mtm_core.data.genes.index import GeneIndex
from mtm_core.data.notes import name_some
from mtm_core.errors import InputFileError, SelectionError

SETS = Path(__file__).parent
BUNDLED_SETS = {
    "go_biological_process": "Gene Ontology, biological process",
    "go_molecular_function": "Gene Ontology, molecular function",
    "go_cellular_component": "Gene Ontology, cellular component",
    "reactome": "Reactome pathways",
}
"""Collections that come with the program, and what they are; ``README.md`` has their licences."""
BUNDLED_FROM = (
    "Gene Ontology: terms of 2022-07-01, annotations of 2022-09-12, CC BY 4.0. Reactome: files of"
    " January 2025, CC0."
)
MAX_GMT_BYTES = 64 * 2**20
MOST_SETS = 100_000
MOST_MEMBERS = 8_000_000
LEAST_SHARE = 0.1
"""Share of a collection's genes that must be known; below, the ids are of something else."""


@dataclass(frozen=True)
class GeneSets:
    """A collection of gene sets, as it is written.

    Attributes
    ----------
    name
        Name of the collection.
    sets
        Name of each set, in the file's order.
    descriptions
        Description of each set in the file.
    members
        Ids of the genes of each, none twice.
    given
        Value of ``--gene-sets``: a bundled name, or a file.
    digest
        Tells its content from others'.
    """

    name: str
    sets: tuple[str, ...]
    descriptions: tuple[str, ...]
    members: tuple[tuple[str, ...], ...]
    given: str = ""
    digest: str = ""

    def __len__(self) -> int:
        """Count the sets."""
        return len(self.sets)

    @property
    def genes(self) -> list[str]:
        """Every gene of the collection, once."""
        return list(dict.fromkeys(gene for members in self.members for gene in members))

    @classmethod
    def parse(cls, data: bytes, name: str, *, max_bytes: int = MAX_GMT_BYTES) -> GeneSets:
        """Read the bytes of a GMT file, gzipped or not.

        Raises
        ------
        InputFileError
            If they are no GMT, hold two sets of one name, or are too large.
        """
        try:
            digest = hashlib.sha256(data).hexdigest()
            if data.startswith(GZIP) and len(data) <= max_bytes:
                data = gunzip(data, max_bytes)
            if len(data) > max_bytes or data.count(b"\t") > MOST_MEMBERS:
                raise InputFileError(_TOO_LARGE)
            lines = checked_text(data).decode().splitlines()
        except InputFileError as error:
            raise InputFileError(f"{name}: {error}") from error
        sets: dict[str, tuple[str, tuple[str, ...]]] = {}
        n_members, once = 0, dict[str, str]()
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            title, *rest = (cell.strip() for cell in line.split("\t"))
            if len(rest) < 2 or not title:
                raise InputFileError(
                    f"{name}: line {number} is {line[:60]!r}. Expected GMT: the name of a set, a"
                    " description and its genes, with a tab between each."
                )
            if title in sets:
                raise InputFileError(
                    f"{name}: two sets are called {title[:80]!r} (line {number} is the second)."
                    f" Give each its own name."
                )
            # Enrichr writes 'GENE,1.0' where it has weights.
            genes = dict.fromkeys(gene.partition(",")[0] for gene in rest[1:] if gene)
            members = tuple(once.setdefault(gene, gene) for gene in genes)
            sets[title] = (rest[0], members)
            n_members += len(members)
            if len(sets) > MOST_SETS:
                raise InputFileError(f"{name}: {_TOO_LARGE}")
        if not n_members:
            raise InputFileError(f"{name}: no set has a gene. Expected one set per line (GMT).")
        return cls(
            name,
            tuple(sets),
            tuple(about for about, _ in sets.values()),
            tuple(members for _, members in sets.values()),
            name,
            digest,
        )

    def match(self, index: GeneIndex) -> MatchedSets:
        """Find the sets' genes among those of ``index``: Ensembl ids, symbols or Entrez ids.

        Symbols that a gene had before, and its other names, are followed to it as HGNC has them.

        Raises
        ------
        InputFileError
            If fewer than ``LEAST_SHARE`` of the collection's genes are there, or of the index'.
        """
        genes = self.genes
        found = index.match(genes).gene_of
        place = dict(zip(genes, found.tolist(), strict=True))
        n_found = int((found >= 0).sum())
        n_covered = len(np.unique(found[found >= 0]))
        check_share(self.name, genes, n_found, n_covered, index)
        known = [
            np.unique([p for gene in members if (p := place[gene]) >= 0]).astype(np.int64)
            for members in self.members
        ]
        starts = np.concatenate([[0], np.cumsum([len(part) for part in known])]).astype(np.int64)
        members = np.concatenate([*known, np.empty(0, np.int64)])
        return MatchedSets(self, starts, members, len(genes), n_found, n_covered)


@dataclass(frozen=True)
class MatchedSets:
    """A collection whose genes are positions in a list of genes.

    Attributes
    ----------
    of
        The collection.
    starts, members
        The genes of set i are ``members[starts[i]:starts[i + 1]]``, rising.
    n_genes, n_found
        Genes that the collection names, and those of them that are in the list.
    n_covered
        Genes of the list that are in a set.
    """

    of: GeneSets
    starts: NDArray[np.int64]
    members: NDArray[np.int64]
    n_genes: int
    n_found: int
    n_covered: int

    def in_words(self) -> str:
        """Say how many sets and genes there are, and how many were found."""
        return (
            f"{self.of.name}: {len(self.of):,} sets; {self.n_found:,} of their {self.n_genes:,}"
            f" genes are in the result, as {self.n_covered:,} of its genes."
        )


def bundled_sets(name: str) -> GeneSets:
    """Read one of ``BUNDLED_SETS``.

    Raises
    ------
    SelectionError
        If it is none of them.
    """
    if name not in BUNDLED_SETS:
        raise SelectionError.unknown("gene sets", [name], list(BUNDLED_SETS))
    return _bundled(name)


def find_sets(given: str | Path) -> GeneSets:
    """Read a bundled collection by its name, or a GMT file.

    Raises
    ------
    InputFileError, SelectionError
        If it is neither, or the file is no GMT.
    """
    if str(given) in BUNDLED_SETS:
        return bundled_sets(str(given))
    path = Path(given)
    data = read_sets_file(path, "gene sets", list(BUNDLED_SETS))
    return GeneSets.parse(data, path.name)


def read_sets_file(path: Path, what: str, bundled: Sequence[str]) -> bytes:
    """Read a file that may also have been meant as one of the ``bundled`` names of ``what``.

    Raises
    ------
    InputFileError, SelectionError
        If it is neither.
    """
    if not path.exists() and path.suffix == "":
        raise SelectionError.unknown(what, [str(path)], bundled)
    if path.is_dir():
        raise InputFileError(folder_in_place_of_a_file(path))
    try:
        with path.open("rb") as file:
            return file.read(MAX_GMT_BYTES + 1)
    except OSError as error:
        raise InputFileError(f"cannot open {path}: {error.strerror or error}") from error


def check_share(
    name: str, genes: Sequence[str], n_found: int, n_covered: int, index: GeneIndex
) -> None:
    """Refuse a collection of which almost no gene is in a list of genes.

    Parameters
    ----------
    name, genes
        Name and genes of the collection.
    n_found, n_covered
        Genes of it that are in the list, and genes of the list that they are.
    index
        The list of genes.

    Raises
    ------
    InputFileError
        If fewer than ``LEAST_SHARE`` of the collection's genes are there, or of the list's.
    """
    n_in_index = len(index.genes)
    if n_covered < max(1.0, LEAST_SHARE * min(len(genes), n_in_index)):
        raise InputFileError(
            f"{name}: {n_found:,} of its {len(genes):,} genes are among the"
            f" {n_in_index:,} genes of the result; at least {LEAST_SHARE:.0%} of the"
            f" smaller number are needed. Its first genes are {name_some(genes, 3)}."
            + _next(genes, [str(name) for name in index.genes.index])
        )


@cache
def _bundled(name: str) -> GeneSets:
    read = GeneSets.parse((SETS / f"{name}.gmt.gz").read_bytes(), name)
    return replace(read, name=BUNDLED_SETS[name], given=name)


def _next(genes: Sequence[str], listed: Sequence[str]) -> str:
    """Say what to do: ``genes`` are the collection's, ``listed`` those of the result."""
    foreign = describe_foreign(genes)
    if not foreign and mostly_entrez(listed) and not mostly_entrez(genes):
        return (
            " Most genes of the result are Entrez ids. Name the genes of your table of expression"
            " by symbols or Ensembl ids and repeat the comparison, or use sets of Entrez ids."
        )
    return foreign or " Use sets of human genes: symbols, Ensembl or Entrez ids."


_TOO_LARGE = (
    f"more than {MAX_GMT_BYTES // 2**20} MB, {MOST_SETS:,} sets or {MOST_MEMBERS:,} genes in all."
    " Use only the sets that you want to test."
)
