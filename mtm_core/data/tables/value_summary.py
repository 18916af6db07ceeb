"""Summary of a table's values, by which its unit is judged. Summaries of parts can be joined.

Only genes count. Rows of body weight or age, totals, tallies and second rows of one gene say
nothing of the unit: ranges are taken on the genes that a model reads, sums on all that is a gene.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.data.genes.ids import comparable, is_ensembl
from mtm_core.data.genes.names import genes_named
from mtm_core.data.layout.orientation import TALLIES
from mtm_core.data.units import LARGEST_LOG2, UNIT_TABLE, Floats, Unit, zero_levels

BASES: Mapping[Unit, float] = MappingProxyType({"log2": 2.0, "ln": math.e, "log10": 10.0})
"""Logarithms of 1 + x that are tried, and their base."""
LOWS = tuple(sorted({kind.low for kind in UNIT_TABLE.values() if math.isfinite(kind.low)}))
"""Least values of the scales that have one."""
_ROUNDING = 1e-3
_SHORTEST_ALIAS = 4
"""An alias of up to three letters, such as RIN, SEX or AST, may mean something else in a row."""
LARGEST_OF_ONE = 0.1
"""Share of a sample's sum from which a row that no gene is known by is a total or a tally."""
_SMALL = 30.5
"""Counts up to this are looked at for being whole: beyond it, rounding blurs them."""
_NEAR_WHOLE = 0.03
_FEWEST_MULTIPLES = 4
_DIVISORS = (1, 2, 3)
_LISTS_HELD = 8
"""Results that are held of the lists of names looked at last: up to 1 MB each at genome width."""
_CELLS_AT_ONCE = 2_000_000
_LARGEST_LOG = 60.0
"""Beyond this no value is a logarithm, and none is undone."""


@dataclass(frozen=True)
class GeneColumns:
    """Which columns of a table are genes.

    Attributes
    ----------
    judged
        Positions of the genes that ranges and spreads are judged on: the first column of each of
        the model's genes; without a model, or where none is found, all that is a gene.
    of_model
        Which gene of the model each of ``judged`` is; ``None`` if they are not the model's.
    is_gene, is_repeat, is_tally
        (I,) bool: whether a gene is known by the column's name; whether it is one before it again;
        whether it tallies reads of no gene.
    is_known
        (I,) bool: whether it is a gene, or one again.
    """

    judged: NDArray[np.int64]
    of_model: NDArray[np.int64] | None
    is_gene: NDArray[np.bool_]
    is_repeat: NDArray[np.bool_]
    is_tally: NDArray[np.bool_]
    is_known: NDArray[np.bool_]

    @classmethod
    def of(cls, ids: Sequence[str], gene_of: NDArray[np.int64] | None = None) -> GeneColumns:
        """Look at the names of a table's columns; ``gene_of`` is of :class:`GeneMatch`.

        The last results are held: the same table is looked at from its upload to its study.
        """
        names = tuple(str(name) for name in ids)
        return _columns_of(names, None if gene_of is None else gene_of.astype(np.int64).tobytes())

    @classmethod
    def _of(cls, names: Sequence[str], gene_of: NDArray[np.int64] | None) -> GeneColumns:
        tally = np.array([TALLIES.fullmatch(name) is not None for name in names], dtype=bool)
        which, _ = pd.factorize(np.array([comparable(name) for name in names], dtype=object))
        first = ~pd.Index(which).duplicated()
        gene_of = np.full(len(names), -1) if gene_of is None else gene_of
        is_gene = gene_of >= 0
        n_entrez = sum(name.removesuffix(".0").isdigit() for name in names)
        entrez = n_entrez > len(names) / 2
        for i in np.flatnonzero(~is_gene).tolist():
            is_gene[i] = _is_any_gene(names[i], entrez=entrez)
        if is_gene.mean() < 0.5:  # ids of a kind that nothing here knows
            is_gene[:] = ~tally
        is_first = is_gene & first
        others = (is_first, ~first, tally, np.isin(which, which[is_first]))
        for shared in others:
            shared.flags.writeable = False
        if (gene_of >= 0).any():
            genes, judged = np.unique(gene_of, return_index=True)
            return cls(judged[genes >= 0], genes[genes >= 0], *others)
        return cls(np.flatnonzero(is_first), None, *others)

    def totals(self, linear: Floats, *, repeats: bool = False) -> Floats:
        """Return (N,) the sum over genes of each sample of ``linear`` (N, I).

        Names that no gene is known by count too, as there are always some, but for what is a large
        part of all: a row of totals, or of reads that are of no gene. With ``repeats``, further
        columns of a gene count too.
        """
        sums: Floats = linear[:, self.is_gene].sum(axis=1)
        others = linear[:, ~self.is_gene & ~self.is_tally & (repeats | ~self.is_repeat)]
        small = (others > 0) & (others < LARGEST_OF_ONE * sums[:, None])
        return np.asarray(sums + np.where(small, others, 0).sum(axis=1))


@lru_cache(_LISTS_HELD)
def _columns_of(names: tuple[str, ...], gene_of: bytes | None) -> GeneColumns:
    known = None if gene_of is None else np.frombuffer(gene_of, dtype=np.int64)
    return GeneColumns._of(names, known)


def _is_any_gene(name: str, *, entrez: bool) -> bool:
    for part in name.split("|"):
        own = part.strip()
        if is_ensembl(own) or (entrez and own.removesuffix(".0").isdigit()):
            return True
        meant = genes_named(own)
        if any(gene.symbol.upper() == own.upper() for gene in meant):
            return True
        if meant and len(own) >= _SHORTEST_ALIAS:
            return True
    return False


@dataclass(frozen=True)
class ValueSummary:
    """Figures of the values of a table, or of a part of one.

    Shapes: N samples, J genes that are judged, B bases of a logarithm.

    Attributes
    ----------
    low, high, whole, n_values
        Least and greatest value, whether all are whole numbers, values.
    n_below
        (len(LOWS),) values below each of ``LOWS``, by more than rounding.
    mean, squares
        (J,) of each gene: mean, and sum of squared differences from it.
    sums
        (N,) of each sample.
    undone
        (N, B) sum of each sample once the logarithm is undone, NaN where it cannot be.
    floors
        (N,) what several genes have as their least value, NaN where it is of one gene alone.
    means, spreads
        (N,) mean and SD over genes of each sample.
    n_small, n_whole
        (B,) small values once the logarithm is undone; those that are whole.
    n_lattice, n_multiples
        (B + 2,) samples with enough small values; those in which these are multiples of the
        smallest, as counts divided by a library are. By base, then with no logarithm, then with
        each sample's floor taken for a zero to which half a read was added.
    of_model
        As in :class:`GeneColumns`.
    n_genes
        Columns that are genes.
    """

    low: float
    high: float
    whole: bool
    n_values: int
    n_below: NDArray[np.int64]
    mean: Floats
    squares: Floats
    sums: Floats
    undone: Floats
    floors: Floats
    means: Floats
    spreads: Floats
    n_small: NDArray[np.int64]
    n_whole: NDArray[np.int64]
    n_lattice: NDArray[np.int64]
    n_multiples: NDArray[np.int64]
    of_model: NDArray[np.int64] | None
    n_genes: int

    @classmethod
    def of(cls, values: NDArray[np.float64], columns: GeneColumns) -> ValueSummary:
        """Summarise ``values`` (samples, ids), finite."""
        step = max(1, _CELLS_AT_ONCE // max(1, values.shape[1]))
        return cls.joined(
            [
                cls._of_some(values[start : start + step], columns)
                for start in range(0, len(values), step)
            ]
        )

    @classmethod
    def _of_some(cls, values: NDArray[np.float64], columns: GeneColumns) -> ValueSummary:
        own = values[:, columns.judged]
        genes = values[:, columns.is_gene]
        mean = own.mean(axis=0)
        floors = zero_levels(genes)
        undone: list[Floats] = []
        n_small, n_whole, lattice = [], [], []
        for base in BASES.values():
            if own.max() > _LARGEST_LOG:
                undone.append(np.full(len(values), np.nan))
                n_small.append(0)
                n_whole.append(0)
                lattice.append((0, 0))
                continue
            largest = 2 * LARGEST_LOG2 / math.log2(base)
            possible = np.where(values > largest, -np.inf, values) * math.log2(base)
            linear = np.maximum(np.exp2(possible) - 1, 0)
            undone.append(columns.totals(linear))
            of_genes = linear[:, columns.is_gene]
            small = of_genes[(of_genes > 0.5) & (of_genes < _SMALL)]
            n_small.append(small.size)
            n_whole.append(int((np.abs(small - np.rint(small)) < _NEAR_WHOLE).sum()))
            lattice.append(_multiples(of_genes))
        lattice.append(_multiples(genes))
        if own.max() > _LARGEST_LOG:
            lattice.append((0, 0))
        else:
            with np.errstate(over="ignore", invalid="ignore"):
                halves = 0.5 * (np.exp2(genes - floors[:, None]) - 1)
            lattice.append(_multiples(np.nan_to_num(halves, posinf=0), unit=1.0))
        return cls(
            float(own.min()),
            float(own.max()),
            bool((own == np.floor(own)).all()),
            own.size,
            np.array([int((own < low - _ROUNDING).sum()) for low in LOWS]),
            mean,
            ((own - mean) ** 2).sum(axis=0),
            columns.totals(values),
            np.column_stack(undone),
            floors,
            genes.mean(axis=1),
            genes.std(axis=1),
            np.array(n_small),
            np.array(n_whole),
            np.array([n for n, _ in lattice]),
            np.array([n for _, n in lattice]),
            columns.of_model,
            int(columns.is_gene.sum()),
        )

    @classmethod
    def joined(cls, parts: Sequence[ValueSummary]) -> ValueSummary:
        """Return the summary of the samples of ``parts`` together."""
        return reduce(cls._with, parts)

    def _with(self, other: ValueSummary) -> ValueSummary:
        n, m = len(self.sums), len(other.sums)
        away = other.mean - self.mean
        return ValueSummary(
            min(self.low, other.low),
            max(self.high, other.high),
            self.whole and other.whole,
            self.n_values + other.n_values,
            self.n_below + other.n_below,
            self.mean + away * (m / (n + m)),
            self.squares + other.squares + away**2 * (n * m / (n + m)),
            np.concatenate([self.sums, other.sums]),
            np.concatenate([self.undone, other.undone]),
            np.concatenate([self.floors, other.floors]),
            np.concatenate([self.means, other.means]),
            np.concatenate([self.spreads, other.spreads]),
            self.n_small + other.n_small,
            self.n_whole + other.n_whole,
            self.n_lattice + other.n_lattice,
            self.n_multiples + other.n_multiples,
            self.of_model,
            self.n_genes,
        )

    def share_below(self, low: float) -> float:
        """Return the share of values below ``low``, one of ``LOWS``."""
        return float(self.n_below[LOWS.index(low)] / self.n_values)

    @property
    def n_samples(self) -> int:
        """Samples."""
        return len(self.sums)

    @property
    def sd(self) -> Floats:
        """Population SD (J,) of each gene."""
        return np.asarray(np.sqrt(self.squares / self.n_samples))


def _multiples(linear: Floats, unit: float | None = None) -> tuple[int, int]:
    """Return samples of ``linear`` with small values enough, and those where these are multiples.

    Counts that were divided by a number of their sample's own are multiples of the value that one
    read has: the smallest, or where no gene has one read alone, its half or third.
    """
    n_looked_at = n_found = 0
    for sample in linear:
        positive = sample[sample > 0]
        if not positive.size:
            continue
        smallest = positive.min() if unit is None else unit
        few = np.unique(positive[positive < _SMALL * smallest])
        few = few[few > 1.5 * smallest]
        if few.size < _FEWEST_MULTIPLES:
            continue
        n_looked_at += 1
        for divisor in _DIVISORS if unit is None else (1,):
            ratio = few / (smallest / divisor)
            ratio = ratio[ratio < _SMALL]
            near = np.abs(ratio - np.rint(ratio)) < _NEAR_WHOLE * divisor
            if ratio.size >= _FEWEST_MULTIPLES and near.mean() > 0.9:
                n_found += 1
                break
    return n_looked_at, n_found
