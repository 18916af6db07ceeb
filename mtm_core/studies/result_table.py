"""Tables of results by gene, of this program or another, in columns of one meaning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from mtm_core.data.genes.index import GeneIndex
from mtm_core.data.genes.names import symbols_of
from mtm_core.errors import SelectionError
from mtm_core.evaluation.accuracy import PREDICTABLE_RHO

Kind = Literal["difference", "preserved", "predictability", "scores"]
Question = Literal["tissue", "prediction"]
"""What a linear model tests: the tissue, allowing for prediction error, or its prediction."""
GROUPS = ("trait", "contrast", "adjusted_for", "tissue")
"""Columns that divide a table of results into parts, each with tests of its own."""
_EFFECTS = ("log2_fold_change", "log2FoldChange", "logFC", "log2_ratio", "rho", "slope", "stat")
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
        symbols = pd.Series(np.nan, index=names, dtype=object)
        if "gene" in table and id_column != "gene":
            own = table.drop_duplicates(id_column).set_index(id_column)["gene"]
            own.index = own.index.astype(str)
            symbols = own.reindex(names).astype(object)
        unnamed = symbols.isna().to_numpy()
        symbols[unnamed] = symbols_of(list(names[unnamed]))
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
            "the table has no columns of effect and p, such as log2_fold_change and p, rho and p,"
            " or logFC and P.Value. Name the column to rank by (--rank-by); its columns are"
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
