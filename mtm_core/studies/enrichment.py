"""Gene sets in any table of results by gene.

The background matters more than the test. Genes that are predicted well are no random genes, and
only they can come out of predictions, so that by default they alone are what a set is held
against. A set that is enriched among all genes and not among those says what is predictable, not
what differs.

Shapes: G genes of the table, over all its tissues.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from mtm_core.data.gene_sets.gmt import MatchedSets
from mtm_core.data.genes.index import GeneIndex
from mtm_core.data.genes.names import symbols_of
from mtm_core.errors import SelectionError
from mtm_core.evaluation.accuracy import PREDICTABLE_RHO
from mtm_core.statistics.enrichment import (
    MAXIMUM_SIZE,
    MINIMUM_SIZE,
    N_PERMUTATIONS,
    RestrictedSets,
    leading_edge,
    over_representation,
    preranked,
)

Background = Literal["predictable", "tested"]
Kind = Literal["difference", "preserved", "predictability", "scores"]
Question = Literal["tissue", "prediction"]
"""Of linear models: does the tissue differ, allowing for prediction error, or its prediction?"""
HIGHER, LOWER, EITHER = "higher", "lower", "either"
FDR = 0.05
"""Up to which a gene is one of those that are looked at."""
MOST_NAMED = 100
"""Genes that a row names."""
GROUPS = ("trait", "contrast", "adjusted_for", "tissue")
"""Columns that part a table of results, each part with tests of its own."""

_EFFECTS = ("log2_fold_change", "log2FoldChange", "logFC", "rho", "slope", "stat")
_P = ("p", "pvalue", "P.Value", "PValue", "p_val")
_FDR = ("fdr", "padj", "adj.P.Val", "FDR", "p_val_adj")
_GENE_IDS = ("gene_id", "gene", "symbol", "ensembl", "Geneid")
_NO_VALUE = frozenset({"", "na", "n/a", "nan", "none", "null", "-", "."})
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class ResultTable:
    """A table of results by gene, of whatever kind, in columns of one meaning.

    Attributes
    ----------
    kind
        Contents of the table.
    rows
        Those of ``GROUPS`` that exist; ``gene`` (position in ``genes``), ``score`` to rank by,
        ``sign`` of the effect, ``fdr``, ``predictable`` (NaN where nothing says). NaN scores were
        not tested.
    genes
        ``symbol`` and ``entrez`` of each gene, by id.
    ranked_by
        Meaning of ``score``, in words.
    """

    kind: Kind
    rows: pd.DataFrame
    genes: pd.DataFrame
    ranked_by: str

    @property
    def groups(self) -> list[str]:
        """Columns that part the table."""
        return [name for name in GROUPS if name in self.rows]

    @property
    def index(self) -> GeneIndex:
        """The table's genes, to find those of sets among."""
        return GeneIndex(self.genes)

    @classmethod
    def read(
        cls,
        table: pd.DataFrame,
        *,
        entrez: pd.Series | None = None,
        rank_by: str = "",
        question: Question = "tissue",
    ) -> ResultTable:
        """Understand a table by the names of its columns.

        Parameters
        ----------
        table
            Table of ``mtm compare``, ``mtm study``, ``mtm evaluate`` (one method), or of DESeq2,
            edgeR or limma.
        entrez
            Entrez ids by gene id, where they are known.
        rank_by
            Column of numbers to rank by; by default the signed strength of the evidence.
        question
            Of a table of linear models, which test counts: ``"tissue"``, the tissue's expression,
            allowing for prediction error (``p_tissue``, ``fdr_tissue``); or ``"prediction"``,
            predicted expression (``p``, ``fdr``). Both are the same in a measured tissue.

        Raises
        ------
        SelectionError
            If it has no genes, nothing to rank them by, or no answer to ``question``.
        """
        id_column = _first(table, _GENE_IDS)
        if id_column is None:
            raise SelectionError(
                "the table has no column of genes. Expected gene_id, gene or symbol; its columns"
                " are"
                f" {', '.join(map(str, table.columns[:12]))}."
            )
        asked = _asked(table, question)
        kind, effect, score, fdr, words = _meaning(asked, rank_by)
        if asked is not table and not rank_by:
            words = words.replace("z of p", "z of p_tissue", 1)
        ids, names = pd.factorize(table[id_column].astype(str))
        symbols = pd.Series(symbols_of(list(names)), index=names, dtype=object)
        if "gene" in table and id_column != "gene":
            own = table.drop_duplicates(id_column).set_index(id_column)["gene"]
            own.index = own.index.astype(str)
            symbols = own.reindex(names).astype(object).where(lambda s: s.notna(), symbols)
        genes = pd.DataFrame(
            {
                "symbol": symbols.fillna("").astype(str).to_numpy(),
                "entrez": ""
                if entrez is None
                else entrez.reindex(names).fillna("").astype(str).to_numpy(),
            },
            index=pd.Index(names, name="gene_id"),
        )
        rows = pd.DataFrame({name: table[name].to_numpy() for name in GROUPS if name in table})
        if "adjusted_for" in rows:
            rows["adjusted_for"] = rows["adjusted_for"].astype(object).fillna("")
        rows = rows.assign(
            gene=ids,
            score=score,
            effect=effect,
            sign=np.sign(effect),
            fdr=fdr,
            predictable=_predictable(table, kind),
        )
        return cls(kind, rows, genes, words)

    def with_accuracy(self, rho_pooled: pd.Series) -> ResultTable:
        """Say which genes are predictable by out-of-fold rho, by (``tissue``, ``gene_id``).

        What the table itself says of a row holds.
        """
        if "tissue" not in self.rows:
            return self
        ids = self.genes.index.to_numpy()[self.rows["gene"].to_numpy()]
        pairs = pd.MultiIndex.from_arrays([self.rows["tissue"].astype(str), ids])
        rho = rho_pooled.reindex(pairs).to_numpy(dtype=np.float64)
        known = pairs.isin(rho_pooled.index)
        said = self.rows["predictable"].to_numpy(dtype=np.float64)
        new = np.where(known, (rho > PREDICTABLE_RHO).astype(float), np.nan)
        rows = self.rows.assign(predictable=np.where(np.isnan(said), new, said))
        return ResultTable(self.kind, rows, self.genes, self.ranked_by)


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
    *,
    on_part: Callable[[int, int], None] | None = None,
) -> list[EnrichedPart]:
    """Test ``sets`` in every part of ``result``.

    FDR is that of one part and direction, over the sets.

    Raises
    ------
    SelectionError
        As :func:`enrich_part`.
    """
    parts = parts_of(result)
    found = []
    for i, (labels, rows) in enumerate(parts):
        if on_part is not None:
            on_part(i, len(parts))
        found.append(enrich_part(result, labels, rows, sets, options or EnrichmentOptions()))
    return found


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
                f"nothing says which genes{where} are predictable: the table has no column"
                " 'predictable' or 'rho_pooled' with their values. Name the model that it is of, or"
                " take every tested gene as background (--background tested, or 'All tested genes'"
                " on the page)."
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
        _named(
            names,
            leading_edge(
                ordered, np.sort(moved.members[moved.starts[i] : moved.starts[i + 1]]), e, n
            ),
        )
        for i, (e, n) in enumerate(zip(table["es"], table["n_leading"], strict=True))
    ]
    return table.sort_values(["p", "fdr"], kind="stable", ignore_index=True)


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


def _meaning(table: pd.DataFrame, rank_by: str) -> tuple[Kind, Floats, Floats, Floats, str]:
    """Return kind, effect, score, FDR (NaN where there is none), and the score in words."""
    fdr_column = _first(table, _FDR)
    fdr = np.full(len(table), np.nan) if fdr_column is None else _numbers(table, fdr_column)
    if rank_by:
        if rank_by not in table:
            raise SelectionError.unknown("column", [rank_by], [str(c) for c in table.columns])
        values = _numbers(table, rank_by)
        return "scores", values, values, fdr, rank_by
    for effect in ("rho", "effect"):
        if f"{effect}_predicted" in table and f"{effect}_observed" in table:
            return _preserved(table, effect)
    if "rho_by_fold" in table and ("method" in table or _first(table, _EFFECTS) is None):
        rho = _numbers(table, "rho_by_fold")
        parts = table["tissue"].to_numpy() if "tissue" in table else np.zeros(len(table))
        above = rho - pd.Series(rho).groupby(parts).transform("median").to_numpy()
        return "predictability", above, above, fdr, "out-of-fold rho, less the tissue's median"
    effects, p = [name for name in _EFFECTS if name in table], _first(table, _P)
    if not effects or p is None:
        raise SelectionError(
            "the table has no effect and p of each gene, such as log2_fold_change and p, rho and p,"
            " logFC and P.Value. Name the column to rank by (--rank-by); its columns are"
            f" {', '.join(map(str, table.columns[:16]))}."
        )
    # A table of associations has several: of groups the fold change, of numbers rho.
    value = np.full(len(table), np.nan)
    for name in effects:
        value = np.where(np.isnan(value), _numbers(table, name), value)
    score = np.sign(value) * norm.isf(np.clip(_numbers(table, p), 1e-300, 1) / 2)
    words = f"z of {p}, with the sign of {effects[0]}"
    several = _of_several(table)
    if several.any():  # an F test says that groups differ, not which is higher
        value = np.where(several, 0.0, value)
        score = np.where(several, np.abs(score), score)
        words += "; without a sign where several coefficients are tested together"
    return "difference", value, score, fdr, words


def _of_several(table: pd.DataFrame) -> Flags:
    """Tell which rows test several coefficients of a linear model: they have no standard error."""
    names = ("contrast", "standard_error", "p")
    if not set(names) <= set(table):
        return np.zeros(len(table), dtype=bool)
    has_error = table["standard_error"].notna() & table["p"].notna()
    return np.asarray(~has_error.groupby(table["contrast"].to_numpy()).transform("any"))


def _asked(table: pd.DataFrame, question: Question) -> pd.DataFrame:
    """Return a table with the p and FDR of the question in ``p`` and ``fdr``."""
    if question == "prediction" or not {"p", "p_tissue", "fdr_tissue"} <= set(table):
        return table
    lacking = table["p"].notna() & table["p_tissue"].isna()
    if "tissue" in table and lacking.any():
        known = table["p_tissue"].notna().groupby(table["tissue"], observed=True).transform("any")
        if (lacking & ~known).any():
            raise SelectionError(
                f"in {table.loc[lacking & ~known, 'tissue'].iloc[0]} no gene was tested allowing"
                " for prediction error, as the model has no intervals. Use the tests of predicted"
                " expression (--question prediction): they are about blood, not about the tissue."
            )
    return table.assign(p=table["p_tissue"], fdr=table["fdr_tissue"])


def _preserved(table: pd.DataFrame, effect: str) -> tuple[Kind, Floats, Floats, Floats, str]:
    """Return the same of an association as far as prediction and measurement agree on it."""
    predicted, observed = (_numbers(table, f"{effect}_{of}") for of in ("predicted", "observed"))
    weaker = np.sign(predicted) * np.minimum(np.abs(predicted), np.abs(observed))
    known, same = ~np.isnan(weaker), np.sign(predicted) == np.sign(observed)
    fdr = np.fmax(_numbers(table, "fdr_predicted"), _numbers(table, "fdr_observed"))
    score = np.where(same | ~known, weaker, 0.0)
    words = f"the weaker of predicted and measured {effect}, 0 where their signs differ"
    return "preserved", score, score, np.where(same | ~known, fdr, 1.0), words


def _predictable(table: pd.DataFrame, kind: Kind) -> Floats:
    """Return 1 for a gene that is predictable or measured, 0 for one that is not, else NaN."""
    if "predictable" in table:
        words = table["predictable"].astype(str).str.lower()
        known = {"yes": 1.0, "measured": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
        return np.asarray(words.map(known), dtype=np.float64)
    if "is_predictable" in table:
        return np.asarray(table["is_predictable"], dtype=np.float64)
    if "rho_pooled" in table:
        rho = _numbers(table, "rho_pooled")
        return np.where(np.isnan(rho), np.nan, rho > PREDICTABLE_RHO)
    # The studies of preserved associations hold predictable genes alone.
    return np.full(len(table), 1.0 if kind == "preserved" else np.nan)


def _first(table: pd.DataFrame, names: Sequence[str]) -> str | None:
    return next((name for name in names if name in table), None)


def _numbers(table: pd.DataFrame, name: str) -> Floats:
    """Return a column as numbers, NaN where there is no value.

    Raises
    ------
    SelectionError
        If a value is neither a number nor a word for none.
    """
    column = table[name]
    numbers = pd.to_numeric(column, errors="coerce")
    wrong = column[numbers.isna() & column.notna()].astype(str).str.strip()
    wrong = wrong[~wrong.str.casefold().isin(_NO_VALUE)]
    if len(wrong):
        raise SelectionError(
            f"column {name!r} has {len(wrong):,} values that are not numbers, such as"
            f" {wrong.iloc[0][:40]!r}. Write plain numbers, with a decimal point; leave a gene that"
            " was not tested empty."
        )
    return np.asarray(numbers, dtype=np.float64)


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
