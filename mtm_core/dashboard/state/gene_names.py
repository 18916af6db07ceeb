"""The genes of a model as a user asks for them: by symbol, earlier name, Ensembl or Entrez id."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import chain, islice

import pandas as pd

from mtm_core.data.genes.ids import comparable, strip_version
from mtm_core.data.genes.names import genes_named

MOST_FOUND = 50
"""Genes that a search gives, the nearest first."""
_LAST = "\U0010ffff"


class GeneNames(Mapping[str, str]):
    """Gene ids by label, in the order of the labels, and a search among them.

    Parameters
    ----------
    labels
        Gene id by what the gene is shown as: its symbol, with the id where that is not unique.
    entrez
        Entrez id by gene id, empty if it is not known.
    """

    def __init__(self, labels: Mapping[str, str], entrez: Mapping[str, str] | None = None) -> None:
        self._labels, self.entrez = dict(labels), dict(entrez or {})

    @classmethod
    def of(cls, genes: pd.DataFrame) -> GeneNames:
        """Name the genes of a model: ``symbol`` and, where known, ``entrez`` by gene id."""
        entrez = genes["entrez"].to_dict() if "entrez" in genes else None
        return cls(gene_labels(genes), entrez)

    def __getitem__(self, label: str) -> str:
        return self._labels[label]

    def __iter__(self) -> Iterator[str]:
        return iter(self._labels)

    def __len__(self) -> int:
        return len(self._labels)

    def label_of(self, gene: str) -> str:
        """Return the label of a gene id; the id itself where there is none."""
        return self.by_id.get(gene, gene)

    @cached_property
    def by_id(self) -> dict[str, str]:
        """Label by gene id."""
        return {gene: label for label, gene in self._labels.items()}

    def named(self, text: str) -> str | None:
        """Return the label of the one gene that ``text`` names in full; ``None`` if none does.

        Case, blanks and the version of an Ensembl id do not count. An approved symbol or an id goes
        before an earlier or other name (of HGNC), which must be of one gene alone.
        """
        if text in self._labels:
            return text
        if not text.strip():
            return None
        whole = self._whole.get(comparable(text), ())
        if whole:
            return whole[0] if len(whole) == 1 else None
        meant = self._by_other_name(text)
        return meant[0] if len(meant) == 1 else None

    def find(self, text: str, most: int = MOST_FOUND) -> list[str]:
        """Return the labels that ``text`` finds, the nearest first.

        Named in full, by an earlier or other name, then symbols and ids that begin with it, then
        those that hold it.
        """
        wanted = comparable(text)
        if not wanted:
            return []
        found = chain(
            self._whole.get(wanted, ()),
            self._by_other_name(text),
            self._beginning_with(wanted),
            (label for name, label in self._searched if wanted in name),
        )
        return list(islice(dict.fromkeys(found), most))

    def _by_other_name(self, text: str) -> list[str]:
        """Return the labels of the model's genes that HGNC knows by ``text``."""
        found: list[str] = []
        for gene in genes_named(text):
            found += self._whole.get(gene.ensembl, ()) or self._whole.get(gene.symbol.upper(), ())
        return list(dict.fromkeys(found))

    def _beginning_with(self, wanted: str) -> Iterator[str]:
        first = bisect_left(self._searched, (wanted, ""))
        last = bisect_left(self._searched, (wanted + _LAST, ""))
        return (label for _, label in self._searched[first:last])

    @cached_property
    def _whole(self) -> dict[str, tuple[str, ...]]:
        """Labels by symbol, id without version and Entrez id, in capitals; a symbol may be many's.

        Symbols go before Entrez ids: a gene may be called by a number.
        """
        whole: dict[str, tuple[str, ...]] = {}
        symbols: dict[str, list[str]] = {}
        for label, gene in self._labels.items():
            if symbol := comparable(label.removesuffix(f"({gene})")):
                symbols.setdefault(symbol, []).append(label)
            whole[comparable(gene)] = (label,)
        for symbol, labels in symbols.items():
            whole[symbol] = tuple(labels)
        for gene, entrez in self.entrez.items():
            if entrez and gene in self.by_id:
                whole.setdefault(comparable(entrez), (self.by_id[gene],))
        return whole

    @cached_property
    def _searched(self) -> list[tuple[str, str]]:
        """Names in capitals with their labels, sorted."""
        return sorted(
            (name, label)
            for label, gene in self._labels.items()
            for name in {label.upper(), strip_version(gene).upper()}
        )


def gene_labels(genes: pd.DataFrame) -> dict[str, str]:
    """Return each gene id by a name that is its alone: the symbol, with the id where not unique."""
    symbols = genes["symbol"]
    unclear = symbols.duplicated(keep=False) | (symbols == "")
    labels = [
        f"{symbol} ({gene})".strip() if shared else symbol
        for gene, symbol, shared in zip(genes.index, symbols, unclear, strict=True)
    ]
    return dict(sorted(zip(labels, genes.index, strict=True)))
