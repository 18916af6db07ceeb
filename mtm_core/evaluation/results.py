"""The tables of an evaluation, on disk and in memory."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mtm_core.errors import InputFileError
from mtm_core.evaluation.accuracy import Accuracy


@dataclass(frozen=True)
class EvaluationTables:
    """Accuracy of several methods on the same folds.

    Attributes
    ----------
    genes, tissues
        Those of :class:`mtm_core.evaluation.accuracy.Accuracy`, with a column ``method``.
    settings
        What was run: cohort hash, folds, seed, source, settings of MTM.
    """

    genes: pd.DataFrame
    tissues: pd.DataFrame
    settings: dict[str, Any]

    @classmethod
    def of(cls, accuracies: dict[str, Accuracy], settings: dict[str, Any]) -> EvaluationTables:
        """Join the accuracy of each method, by its name."""
        return cls(
            pd.concat([a.genes.assign(method=name) for name, a in accuracies.items()]),
            pd.concat(
                [a.tissues.reset_index().assign(method=name) for name, a in accuracies.items()]
            ),
            settings,
        )

    def summary(self) -> pd.DataFrame:
        """Give means over the tissues, one row a method, in the order they were run."""
        figures = self.tissues.drop(columns=["tissue", "n"])
        return figures.groupby("method", sort=False).mean().add_suffix("_mean")

    def of_method(self, method: str) -> dict[str, Any]:
        """Give what a model's artefact keeps: ``summary`` and ``tissues`` of one method."""
        tissues = self.tissues[self.tissues["method"] == method].drop(columns="method")
        return {
            "summary": self.summary().loc[method].to_dict(),
            "tissues": tissues.to_dict("records"),
            "settings": self.settings,
        }

    def save(self, folder: Path) -> None:
        """Write ``genes.parquet``, ``tissues.csv``, ``summary.csv`` and ``settings.json``."""
        folder.mkdir(parents=True, exist_ok=True)
        self.genes.to_parquet(folder / "genes.parquet", index=False)
        self.tissues.to_csv(folder / "tissues.csv", index=False, float_format="%.6g")
        self.summary().to_csv(folder / "summary.csv", float_format="%.6g")
        (folder / "settings.json").write_text(json.dumps(self.settings, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> EvaluationTables:
        """Read what :meth:`save` wrote.

        Raises
        ------
        InputFileError
            If the folder does not hold an evaluation.
        """
        try:
            return cls(
                pd.read_parquet(folder / "genes.parquet"),
                pd.read_csv(folder / "tissues.csv"),
                json.loads((folder / "settings.json").read_text()),
            )
        except (OSError, ValueError) as error:
            raise InputFileError(
                f"{folder} holds no evaluation ({error}). Make one with 'mtm evaluate'."
            ) from error
