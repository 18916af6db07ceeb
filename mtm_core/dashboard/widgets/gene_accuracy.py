"""How well each gene of each tissue was predicted on donors that the model had not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from mtm_core.dashboard.state.resources import ServedModel
from mtm_core.evaluation.accuracy import PREDICTABLE_RHO
from mtm_core.evaluation.predictability import out_of_fold_rho
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
