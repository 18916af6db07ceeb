"""The scores of a method, stored: a run that was stopped, or asked for one method more, goes on.

A folder a method and run, of parquet tables; ``scores.json`` comes last, and says whose they are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mtm_core.evaluation.accuracy import Accuracy
from mtm_core.evaluation.bootstrap import ResampledRho
from mtm_core.safe_output import replacing

_FORMAT = 1
"""To be raised with whatever changes a score of the same predictions."""
_ABOUT = "scores.json"
_TABLES = ("genes", "tissues", "samples", "strata", "resampled", "resampled_samples")


@dataclass(frozen=True)
class MethodScores:
    """What is known of a method.

    Attributes
    ----------
    accuracy, strata
        Of :mod:`mtm_core.evaluation.accuracy`.
    resampled
        Result of :func:`mtm_core.evaluation.bootstrap.resample_donors`.
    """

    accuracy: Accuracy
    resampled: ResampledRho
    strata: pd.DataFrame

    def save(self, folder: Path) -> None:
        """Write the scores into ``folder``, which is made.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        tables = {
            "genes": self.accuracy.genes,
            "tissues": self.accuracy.tissues,
            "samples": self.accuracy.samples,
            "strata": self.strata,
            "resampled": pd.DataFrame(self.resampled.by_tissue, columns=self.resampled.tissues),
            "resampled_samples": self.resampled.samples.to_frame(index=False),
        }
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            with replacing(folder / f"{name}.parquet") as place:
                table.to_parquet(place, compression="zstd")
        with replacing(folder / _ABOUT) as place:
            about = {"format": _FORMAT, "estimate": self.resampled.estimate}
            place.write_text(json.dumps(about) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> MethodScores | None:
        """Read what :meth:`save` wrote; ``None`` if it is not there, or not whole."""
        try:
            about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
            if about["format"] != _FORMAT:
                return None
            read = {name: pd.read_parquet(folder / f"{name}.parquet") for name in _TABLES}
            return cls(
                Accuracy(read["genes"], read["tissues"], read["samples"]),
                ResampledRho(
                    read["resampled"].to_numpy(),
                    tuple(str(name) for name in read["resampled"].columns),
                    pd.MultiIndex.from_frame(read["resampled_samples"]),
                    float(about["estimate"]),
                ),
                read["strata"],
            )
        except (OSError, ValueError, LookupError, TypeError):
            return None


def score_folder(folder: Path, method: str, of: Mapping[str, object]) -> Path:
    """Name the folder of a method's scores; ``of`` is, as JSON values, all that they come from."""
    digest = hashlib.sha256(json.dumps(of, sort_keys=True).encode()).hexdigest()[:16]
    return folder / f"{method}-{digest}"
