"""Networks: weighted target genes of pathways and transcription factors, bundled or from a file.

A file is a table of ``source``, ``target`` and ``weight`` (tab, comma or semicolon between them),
as decoupler's networks are written; or GMT, whose sets have weights of 1.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from mtm_core.data.files.table_bytes import GZIP, checked_text, gunzip
from mtm_core.data.gene_sets.gmt import (
    BUNDLED_SETS,
    MAX_GMT_BYTES,
    MOST_MEMBERS,
    MOST_SETS,
    SETS,
    GeneSets,
    bundled_sets,
    check_share,
    read_sets_file,
)
from mtm_core.data.genes.index import GeneIndex
from mtm_core.errors import InputFileError

BUNDLED_NETWORKS = {"progeny": "PROGENy, 14 signalling pathways"}
"""Networks that come with the program, and what they are; ``README.md`` has their licences."""
_SOURCE, _TARGET, _WEIGHT = ("source", "tf", "pathway"), ("target", "gene"), ("weight", "mor")


@dataclass(frozen=True)
class Network:
    """Sources (pathways, transcription factors), and the weight of each on its target genes.

    Shapes: S sources, T target genes, E pairs of a source and a target, none twice.

    Attributes
    ----------
    name
        Name of the network.
    sources, targets
        Names, (S,) and (T,), as they are written.
    source_of, target_of
        (E,) positions in ``sources`` and ``targets``.
    weights
        (E,), finite and not 0.
    given
        What ``--network`` calls it: a bundled name, or a file.
    digest
        Tells its content from others'.
    """

    name: str
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    source_of: NDArray[np.int64]
    target_of: NDArray[np.int64]
    weights: NDArray[np.float64]
    given: str = ""
    digest: str = ""

    def __len__(self) -> int:
        """Count the sources."""
        return len(self.sources)

    @classmethod
    def of_sets(cls, sets: GeneSets) -> Network:
        """Take gene sets as sources whose genes all have a weight of 1."""
        place = {gene: i for i, gene in enumerate(sets.genes)}
        sizes = [len(members) for members in sets.members]
        targets = [place[gene] for members in sets.members for gene in members]
        return cls(
            sets.name,
            sets.sets,
            tuple(place),
            np.repeat(np.arange(len(sizes)), sizes).astype(np.int64),
            np.array(targets, dtype=np.int64),
            np.ones(len(targets)),
            sets.given,
            sets.digest,
        )

    @classmethod
    def parse(cls, data: bytes, name: str, *, max_bytes: int = MAX_GMT_BYTES) -> Network:
        """Read the bytes of a table of ``source``, ``target`` and ``weight``, or of a GMT file.

        Raises
        ------
        InputFileError
            If they are neither, are too large, or have a weight that is no number, or two weights
            for one pair.
        """
        digest = hashlib.sha256(data).hexdigest()
        try:
            text = _text(data, max_bytes)
            separator, columns = _columns_of(text)
            if columns is None:
                return cls.of_sets(GeneSets.parse(data, name, max_bytes=max_bytes))
            read = _pairs(text, separator, columns)
        except InputFileError as error:
            said = str(error)
            raise InputFileError(said if said.startswith(name) else f"{name}: {said}") from error
        return replace(read, name=name, given=name, digest=digest)

    def match(self, index: GeneIndex) -> MatchedNetwork:
        """Find the targets among the genes of ``index``: Ensembl ids, symbols or Entrez ids.

        Raises
        ------
        InputFileError
            If too few of the targets are there, as
            :meth:`mtm_core.data.gene_sets.gmt.GeneSets.match`.
        """
        found = index.match(self.targets).gene_of
        n_found = int((found >= 0).sum())
        n_covered = len(np.unique(found[found >= 0]))
        check_share(self.name, self.targets, n_found, n_covered, index)
        genes = found[self.target_of]
        known = genes >= 0
        shape = (len(index.genes), len(self.sources))
        pairs = (genes[known], self.source_of[known])
        # Two names of one gene in a source: the mean of their weights.
        total = csr_array((self.weights[known], pairs), shape=shape)
        total.sum_duplicates()
        number = csr_array((np.ones(int(known.sum())), pairs), shape=shape)
        number.sum_duplicates()
        total.data /= number.data
        return MatchedNetwork(self, total, n_found)


@dataclass(frozen=True)
class MatchedNetwork:
    """A network whose targets are positions in a list of genes.

    Attributes
    ----------
    of
        The network.
    weights
        (genes, sources), 0 where a gene is no target.
    n_found
        Targets that are in the list.
    """

    of: Network
    weights: csr_array
    n_found: int

    def in_words(self) -> str:
        """Say how many sources and targets there are, and how many were found."""
        return (
            f"{self.of.name}: {len(self.of):,} sources; {self.n_found:,} of their"
            f" {len(self.of.targets):,} target genes are in the model."
        )


def find_network(given: str | Path) -> Network:
    """Read a bundled network or collection of gene sets by its name, or a file.

    Raises
    ------
    InputFileError, SelectionError
        If it is neither, or the file is no network.
    """
    name = str(given)
    if name in BUNDLED_NETWORKS:
        return _bundled(name)
    if name in BUNDLED_SETS:
        return Network.of_sets(bundled_sets(name))
    path = Path(given)
    data = read_sets_file(path, "network", [*BUNDLED_NETWORKS, *BUNDLED_SETS])
    return Network.parse(data, path.name)


@cache
def _bundled(name: str) -> Network:
    read = Network.parse((SETS / f"{name}.tsv.gz").read_bytes(), name)
    return replace(read, name=BUNDLED_NETWORKS[name], given=name)


def _text(data: bytes, max_bytes: int) -> str:
    if data.startswith(GZIP) and len(data) <= max_bytes:
        data = gunzip(data, max_bytes)
    if len(data) > max_bytes:
        raise InputFileError(f"more than {max_bytes // 2**20} MB. Use only the sources you need.")
    return checked_text(data).decode()


def _columns_of(text: str) -> tuple[str, tuple[int, int, int | None] | None]:
    """Return the separator and the columns of source, target and weight; none of a GMT."""
    head = next((line for line in text.splitlines() if line.strip()), "")
    separator = max("\t,;", key=head.count)
    names = [cell.strip().strip('"').lower() for cell in head.split(separator)]
    source, target, weight = (
        next((i for name in known if name in names for i in [names.index(name)]), None)
        for known in (_SOURCE, _TARGET, _WEIGHT)
    )
    if source is None or target is None:
        return separator, None
    return separator, (source, target, weight)


def _pairs(text: str, separator: str, columns: tuple[int, int, int | None]) -> Network:
    source_column, target_column, weight_column = columns
    least = max(column for column in columns if column is not None) + 1
    sources, targets = dict[str, int](), dict[str, int]()
    weight_of: dict[tuple[int, int], float] = {}
    rows = csv.reader(io.StringIO(text), delimiter=separator)
    n_extra = 0
    for i, row in enumerate(row for row in rows if any(cell.strip() for cell in row)):
        if i == 0:
            n_names = len(row)
            continue
        # R's write.table leaves out the name above its row names.
        n_extra = len(row) - n_names if i == 1 and len(row) == n_names + 1 else n_extra
        row = row[n_extra:]
        line = rows.line_num
        if len(row) < least:
            raise InputFileError(
                f"line {line} has {len(row)} columns. Expected source, target and weight in each."
            )
        source, target = row[source_column].strip(), row[target_column].strip()
        weight = 1.0 if weight_column is None else _number(row[weight_column], line)
        if not source or not target:
            raise InputFileError(f"line {line} lacks a source or a target.")
        if not weight:
            continue
        pair = (
            sources.setdefault(source, len(sources)),
            targets.setdefault(target, len(targets)),
        )
        if weight_of.setdefault(pair, weight) != weight:
            raise InputFileError(
                f"{source!r} has two weights for {target!r} (line {line} is the second). Give one."
            )
        if len(sources) > MOST_SETS or len(weight_of) > MOST_MEMBERS:
            raise InputFileError(
                f"more than {MOST_SETS:,} sources or {MOST_MEMBERS:,} targets in all. Use only the"
                " sources you need."
            )
    if not weight_of:
        raise InputFileError("no source has a target with a weight. Expected one pair per line.")
    places = np.array(list(weight_of), dtype=np.int64)
    return Network(
        "",
        tuple(sources),
        tuple(targets),
        places[:, 0],
        places[:, 1],
        np.array(list(weight_of.values()), dtype=np.float64),
    )


def _number(cell: str, line: int) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputFileError(f"line {line}: the weight is {cell[:40]!r}. Expected a number.")
    return value


def taken_names(network: Network, taken: Sequence[str]) -> None:
    """Refuse sources with the names of other columns of a table of scores.

    Raises
    ------
    InputFileError
        If there is one.
    """
    own = [source for source in network.sources if source in taken]
    if own:
        raise InputFileError(
            f"{network.name}: a source is called {own[0]!r}, as a column of the table of scores is."
            " Give it another name."
        )
