"""Gene sets in any table of results by gene.

The background matters more than the test. Genes that are predicted well are no random genes, and
only they can come out of predictions, so that by default they alone are what a set is held
against. A set that is enriched among all genes and not among those says what is predictable, not
what differs.

Shapes: G genes of the table, over all its tissues.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.data.gene_sets.gmt import MatchedSets
from mtm_core.errors import SelectionError
from mtm_core.statistics.enrichment import (
    MAXIMUM_SIZE,
    MINIMUM_SIZE,
    N_PERMUTATIONS,
    RestrictedSets,
    over_representation,
    preranked,
)
from mtm_core.studies.result_table import Flags, Floats, Kind, ResultTable

Background = Literal["predictable", "tested"]
HIGHER, LOWER, EITHER = "higher", "lower", "either"
FDR = 0.05
"""Up to which a gene is one of those that are looked at."""
MOST_NAMED = 100
"""Genes that a row names."""


@dataclass(frozen=True)
class EnrichmentOptions:
    """How sets are tested.

    Attributes
    ----------
    background
        ``"predictable"``: genes of the tissue with an out-of-fold pooled rho above 0.3, and all
        genes of a tissue that was measured. ``"tested"``: every gene with a result.
    fdr
        Largest FDR of genes that count for over-representation.
    minimum_size, maximum_size
        Genes of the background that a set has.
    n_permutations, seed
        Permutations and seed of the pre-ranked test.
    over_represented, ranked
        Which tests are made.
    """

    background: Background = "predictable"
    fdr: float = FDR
    minimum_size: int = MINIMUM_SIZE
    maximum_size: int = MAXIMUM_SIZE
    n_permutations: int = N_PERMUTATIONS
    seed: int = 0
    over_represented: bool = True
    ranked: bool = True

    def __post_init__(self) -> None:
        if self.background not in ("predictable", "tested"):
            raise SelectionError.unknown("background", [self.background], ["predictable", "tested"])
        if not 0 < self.fdr <= 1:
            raise SelectionError(f"an FDR is above 0 and at most 1, got {self.fdr:g}.")
        if not 2 <= self.minimum_size <= self.maximum_size:
            raise SelectionError(
                f"expected sizes of sets from 2 up, the smaller first, got {self.minimum_size} and"
                f" {self.maximum_size}."
            )
        if not 100 <= self.n_permutations <= 100_000:
            raise SelectionError(
                f"expected 100 to 100,000 permutations, got {self.n_permutations:,}."
            )


@dataclass(frozen=True)
class EnrichedPart:
    """Findings in one part of a table: a tissue, of a trait if there are several.

    Attributes
    ----------
    labels
        Values of those of ``GROUPS`` that exist.
    over_represented
        One row a set and direction with an overlap: of
        :func:`mtm_core.statistics.enrichment.over_representation`, with ``genes``.
    ranked
        One row a set: of :func:`mtm_core.statistics.enrichment.preranked`, with ``genes``.
    counts
        ``n_tested`` genes, ``n_predictable`` of them (NaN where nothing says), ``n_background``,
        ``n_selected`` among it, ``n_sets`` of a size to be tested; sets at ``FDR`` by each test;
        and ``n_over_represented_tested``, what over-representation finds with every tested gene as
        background.
    """

    labels: dict[str, str]
    over_represented: pd.DataFrame
    ranked: pd.DataFrame
    counts: dict[str, float]


def enrich(
    result: ResultTable,
    sets: MatchedSets,
    options: EnrichmentOptions | None = None,
) -> list[EnrichedPart]:
    """Test ``sets`` in every part of ``result``.

    FDR is that of one part and direction, over the sets.

    Raises
    ------
    SelectionError
        As :func:`enrich_part`.
    """
    chosen = options or EnrichmentOptions()
    return [enrich_part(result, labels, rows, sets, chosen) for labels, rows in parts_of(result)]


def parts_of(result: ResultTable) -> list[tuple[dict[str, str], pd.DataFrame]]:
    """Return the parts of a table, each with tests of its own, by their labels."""
    groups = result.groups
    if not groups:
        return [({}, result.rows)]
    grouped = result.rows.groupby(groups, sort=False, observed=True)
    return [(dict(zip(groups, map(str, key), strict=True)), rows) for key, rows in grouped]


def enrich_part(
    result: ResultTable,
    labels: dict[str, str],
    rows: pd.DataFrame,
    sets: MatchedSets,
    options: EnrichmentOptions,
) -> EnrichedPart:
    """Test ``sets`` in one part of a result.

    Raises
    ------
    SelectionError
        If nothing says which genes are predictable and they are the background; if a gene is there
        twice.
    """
    n_genes = len(result.genes)
    rows = rows[np.isfinite(rows["score"].to_numpy())]
    where = " of " + ", ".join(v for v in labels.values() if v) if labels else ""
    if rows["gene"].duplicated().any():
        twice = result.genes.index[rows["gene"][rows["gene"].duplicated()].iloc[0]]
        raise SelectionError(
            f"{twice!r} has several rows{where}. Give one row per gene, of one method and one "
            f"contrast."
        )
    score, effect, sign, fdr = (
        _spread(rows, name, n_genes) for name in ("score", "effect", "sign", "fdr")
    )
    tested = np.isfinite(score)
    predictable = _spread(rows, "predictable", n_genes)
    said = tested & np.isfinite(predictable)
    background = tested
    if options.background == "predictable" and result.kind != "predictability":
        if not said.any() and tested.any():
            raise SelectionError(
                f"the predictable genes{where} are unknown: the table has no column 'predictable'"
                " or 'rho_pooled' with values. Name the model that predicted it, or use every"
                " tested gene as background (--background tested, or 'All tested genes' on the"
                " page)."
            )
        background = tested & (predictable == 1)
    # A tie of evidence is broken by the size of the effect.
    order = np.lexsort((np.nan_to_num(effect), np.where(tested, score, 0)))[::-1]
    chosen = _selected(result.kind, predictable, fdr, sign, options.fdr)
    cut = _cut(sets, background, options)
    symbols = result.genes["symbol"].where(lambda s: s != "", result.genes.index).to_numpy()
    counts: dict[str, float] = {
        "n_tested": int(tested.sum()),
        "n_predictable": int((predictable[tested] == 1).sum()) if said.any() else float("nan"),
        "n_background": int(background.sum()),
        "n_selected": int((chosen[EITHER] & background).sum()),
        "n_sets": len(cut.sets),
    }
    over, ranked = pd.DataFrame(), pd.DataFrame()
    if options.over_represented:
        over = _over(chosen, background, cut, sets, symbols)
        counts["n_over_represented"] = _n_found(over)
        if options.background == "predictable" and result.kind != "predictability":
            everything = _over(chosen, tested, _cut(sets, tested, options), sets, None)
            counts["n_over_represented_tested"] = _n_found(everything)
    if options.ranked:
        is_signed = bool((sign[tested] != 0).any()) or not tested.any()
        ranked = _ranked(score, order, background, cut, sets, symbols, options, is_signed=is_signed)
        counts["n_ranked"] = int((ranked["fdr"] <= FDR).sum()) if len(ranked) else 0
    return EnrichedPart(labels, over, ranked, counts)


def _over(
    chosen: dict[str, Flags],
    background: Flags,
    cut: RestrictedSets,
    sets: MatchedSets,
    symbols: NDArray[np.object_] | None,
) -> pd.DataFrame:
    """Test each direction; keep the sets with a gene in it."""
    tables = []
    for direction, flags in chosen.items():
        selected = flags & background
        table = over_representation(selected, background, cut)
        table.insert(0, "set", np.array(sets.of.sets, dtype=object)[cut.sets])
        table.insert(1, "direction", direction)
        table["n_selected"], table["n_background"] = int(selected.sum()), int(background.sum())
        overlapping = np.flatnonzero(table["overlap"].to_numpy() > 0)
        table = table.iloc[overlapping]
        if symbols is not None:
            table = table.assign(
                genes=[
                    _named(symbols, m[selected[m]])
                    for m in (cut.members[cut.starts[i] : cut.starts[i + 1]] for i in overlapping)
                ]
            )
        tables.append(table.sort_values("p", kind="stable"))
    return pd.concat(tables, ignore_index=True)


def _ranked(
    score: Floats,
    order: NDArray[np.int64],
    background: Flags,
    cut: RestrictedSets,
    sets: MatchedSets,
    symbols: NDArray[np.object_],
    options: EnrichmentOptions,
    *,
    is_signed: bool,
) -> pd.DataFrame:
    # Genes in the order of the ranking, so that ties are broken by it.
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    moved = RestrictedSets(cut.sets, cut.starts, place[cut.members])
    ordered = score[order]
    table = preranked(
        ordered,
        background[order],
        moved,
        n_permutations=options.n_permutations,
        seed=options.seed,
    )
    names = symbols[order]
    table.insert(0, "set", np.array(sets.of.sets, dtype=object)[cut.sets])
    directions = np.where(table["es"] >= 0, HIGHER, LOWER) if is_signed else EITHER
    table.insert(1, "direction", directions)
    table["n_background"] = int(background.sum())
    table["genes"] = [
        _named(names, _leading(moved.members[moved.starts[i] : moved.starts[i + 1]], e, n))
        for i, (e, n) in enumerate(zip(table["es"], table["n_leading"], strict=True))
    ]
    return table.sort_values(["p", "fdr"], kind="stable", ignore_index=True)


def _leading(ranks: NDArray[np.int64], es: float, n: int) -> NDArray[np.int64]:
    """Return the ranks of a set's genes that are its leading edge.

    As :func:`mtm_core.statistics.enrichment.leading_edge` of genes whose scores fall by rank.
    """
    ordered = np.sort(ranks)
    return ordered[:n] if es >= 0 else ordered[::-1][:n]


def _cut(sets: MatchedSets, background: Flags, options: EnrichmentOptions) -> RestrictedSets:
    return RestrictedSets.restrict(
        sets.starts,
        sets.members,
        background,
        minimum=options.minimum_size,
        maximum=options.maximum_size,
    )


def _selected(
    kind: Kind, predictable: Floats, fdr: Floats, sign: Floats, threshold: float
) -> dict[str, Flags]:
    """Return the genes that are looked at, by direction."""
    if kind == "predictability":
        return {EITHER: predictable == 1}
    with np.errstate(invalid="ignore"):
        passes = fdr <= threshold
    return {HIGHER: passes & (sign > 0), LOWER: passes & (sign < 0), EITHER: passes}


def _spread(rows: pd.DataFrame, name: str, n_genes: int) -> Floats:
    values = np.full(n_genes, np.nan)
    values[rows["gene"].to_numpy()] = rows[name].to_numpy(dtype=np.float64)
    return values


def _named(symbols: NDArray[np.object_], genes: NDArray[np.int64]) -> str:
    listed = ";".join(symbols[genes[:MOST_NAMED]])
    return listed + (f";and {len(genes) - MOST_NAMED} more" if len(genes) > MOST_NAMED else "")


def _n_found(over: pd.DataFrame) -> int:
    """Count the sets that any direction finds."""
    return int(over.loc[over["fdr"] <= FDR, "set"].nunique()) if len(over) else 0
