"""How well each gene of each tissue was predicted on donors that the model had not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.dashboard.state.resources import ServedModel
from mtm_core.evaluation.accuracy import PREDICTABLE_RHO
from mtm_core.evaluation.predictability import matrix_of, out_of_fold_rho
from mtm_core.evaluation.results import EvaluationTables

_FEW_GENES = 500
"""Genes up to which they are picked while reading."""


@dataclass(frozen=True)
class GeneAccuracy:
    """Accuracy of the model's own method, from one source tissue, read as it is asked for.

    Attributes
    ----------
    evaluation
        Evaluation of the model; ``None`` if it was not evaluated.
    method
        The model's own.
    source
        Tissue that is predicted from, or several.
    """

    evaluation: EvaluationTables | None
    method: str
    source: str | tuple[str, ...]

    @classmethod
    def of(cls, model: ServedModel, source: str | tuple[str, ...]) -> GeneAccuracy:
        """Take the rows of the model's method, if it was evaluated from ``source``."""
        return cls(model.evaluation, model.predictor.artefact.method.name, source)

    @property
    def exists(self) -> bool:
        """Whether the model was evaluated from these tissues."""
        evaluation = self.evaluation
        known = None if evaluation is None else evaluation.from_sources(self.source, self.method)
        return known is not None and self.method in known.methods

    @property
    def genes(self) -> pd.DataFrame:
        """Figures of every gene in every tissue: of a wide model, a million rows."""
        return out_of_fold_rho(self.evaluation, self.method, self.source)

    def of_tissues(self, tissues: Sequence[str]) -> pd.DataFrame:
        """Return the figures of every gene in some tissues, as :func:`out_of_fold_rho`."""
        return out_of_fold_rho(self.evaluation, self.method, self.source, tissues=tissues)

    def of_pairs(self, tissues: Sequence[str], genes: Sequence[str]) -> pd.DataFrame:
        """Return the figures of each (tissue, gene id), NaN where there are none.

        With ``predictable``, "yes" above the paper's pooled rho of 0.3, else "no", and
        "not evaluated".
        """
        pairs = pd.MultiIndex.from_arrays([list(tissues), list(genes)], names=["tissue", "gene_id"])
        wanted = sorted(set(genes))
        known = out_of_fold_rho(
            self.evaluation,
            self.method,
            self.source,
            tissues=sorted(set(tissues)),
            genes=wanted if len(wanted) <= _FEW_GENES else None,
        )
        rows = known.reindex(pairs)
        pooled = rows["rho_pooled"]
        predictable = pd.Series("not evaluated", index=pairs).mask(pairs.isin(known.index), "no")
        return rows.assign(predictable=predictable.mask(pooled > PREDICTABLE_RHO, "yes"))

    def of_tissues_and_genes(
        self, tissues: Sequence[str], genes: Sequence[str]
    ) -> dict[str, NDArray[np.generic]]:
        """Return ``rho_by_fold``, ``rho_pooled`` and ``predictable`` of every pair of both.

        Each (tissues, genes), and as :meth:`of_pairs`, of which a million would take seconds.
        """
        shape = (len(tissues), len(genes))
        nothing = np.full(shape, np.nan)
        evaluation = self.evaluation
        known = None if evaluation is None else evaluation.from_sources(self.source, self.method)
        if known is None:
            none = np.full(shape, "not evaluated", dtype=object)
            return {"rho_by_fold": nothing, "rho_pooled": nothing, "predictable": none}

        def read(column: str) -> NDArray[np.float64]:
            rows = matrix_of(known, self.method, column, list(tissues))
            placed = rows.reindex(index=list(tissues), columns=list(genes))
            return np.asarray(placed, dtype=np.float64)

        n, by_fold, pooled = (read(name) for name in ("n", "rho_by_fold", "rho_pooled"))
        words = np.where(np.isnan(n), "not evaluated", "no").astype(object)
        words[pooled > PREDICTABLE_RHO] = "yes"
        return {"rho_by_fold": by_fold, "rho_pooled": pooled, "predictable": words}

    def in_words(self, tissue: str, gene: str) -> str:
        """Say the accuracy of one gene in one tissue in a few words."""
        return self.by_tissue_in_words([tissue], gene)[tissue]

    def by_tissue_in_words(self, tissues: Sequence[str], gene: str) -> dict[str, str]:
        """Say the accuracy of one gene in each of some tissues, read from disk at once."""
        rows = self.of_pairs(tissues, [gene] * len(tissues))
        columns = (rows[name].tolist() for name in ("predictable", "rho_by_fold", "n"))
        return dict(zip(tissues, map(_in_words, *columns), strict=True))


def _in_words(predictable: str, rho: float, n: float) -> str:
    if predictable == "not evaluated":
        return "not evaluated"
    if pd.isna(rho):
        return f"rho undefined, n = {n:.0f}"
    return f"rho {rho:.2f}, n = {n:.0f}"
