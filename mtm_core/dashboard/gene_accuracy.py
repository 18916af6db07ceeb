"""How well each gene of each tissue was predicted on donors that the model had not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from mtm_core.dashboard.resources import ServedModel
from mtm_core.evaluation.accuracy import PREDICTABLE_RHO
from mtm_core.evaluation.predictability import held_out_rho


@dataclass(frozen=True)
class GeneAccuracy:
    """Accuracy of the model's own method, from one source tissue.

    Attributes
    ----------
    genes
        Of :func:`mtm_core.evaluation.predictability.held_out_rho`.
    """

    genes: pd.DataFrame

    @classmethod
    def of(cls, model: ServedModel, source: str) -> GeneAccuracy:
        """Take the rows of the model's method, if it was evaluated from ``source``."""
        method = model.predictor.artefact.method.name
        return cls(held_out_rho(model.evaluation, method, source))

    @property
    def exists(self) -> bool:
        """Whether the model was evaluated."""
        return not self.genes.empty

    def of_pairs(self, tissues: Sequence[str], genes: Sequence[str]) -> pd.DataFrame:
        """Give the figures of each (tissue, gene id), NaN where there are none.

        With ``predictable``, "yes" above the paper's pooled rho of 0.3, else "no", and
        "not evaluated".
        """
        pairs = pd.MultiIndex.from_arrays([list(tissues), list(genes)], names=["tissue", "gene_id"])
        rows = self.genes.reindex(pairs)
        pooled = rows["rho_pooled"]
        predictable = pd.Series("not evaluated", index=pairs).mask(
            pairs.isin(self.genes.index), "no"
        )
        return rows.assign(predictable=predictable.mask(pooled > PREDICTABLE_RHO, "yes"))

    def in_words(self, tissue: str, gene: str) -> str:
        """Say the accuracy of one gene in one tissue in a few words."""
        row = self.of_pairs([tissue], [gene]).iloc[0]
        if row["predictable"] == "not evaluated":
            return "not evaluated"
        if pd.isna(row["rho_by_fold"]):
            return f"rho undefined, n = {row['n']:.0f}"
        return f"rho {row['rho_by_fold']:.2f}, n = {row['n']:.0f}"
