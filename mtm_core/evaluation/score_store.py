"""Stored scores of a method, so that an interrupted or extended evaluation can be continued.

There is one folder of parquet tables for each method and run; ``scores.json`` is written last and
marks it as complete.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mtm_core.accuracy_names import current_name
from mtm_core.evaluation.accuracy import Accuracy
from mtm_core.evaluation.bootstrap import ResampledRho
from mtm_core.safe_output import replacing

_FORMAT = 1
"""Version of the scores; raise it with any change of the scores of given predictions."""
_ABOUT = "scores.json"
_TABLES = ("genes", "tissues", "samples", "strata", "resampled", "resampled_samples")


@dataclass(frozen=True)
class MethodScores:
    """All scores of one method.

    Attributes
    ----------
    accuracy
        Result of :func:`mtm_core.evaluation.accuracy.accuracy`.
    resampled
        Result of :func:`mtm_core.evaluation.bootstrap.resample_donors`.
    strata
        Result of :func:`mtm_core.evaluation.accuracy.accuracy_in_strata`.
    """

    accuracy: Accuracy
    resampled: ResampledRho
    strata: pd.DataFrame

    def save(self, folder: Path) -> None:
        """Write the scores into ``folder``, which is created.

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
        """Read scores that :meth:`save` wrote; ``None`` if missing or incomplete."""
        try:
            about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
            if about["format"] != _FORMAT:
                return None
            read = {name: pd.read_parquet(folder / f"{name}.parquet") for name in _TABLES}
            for name in ("genes", "tissues", "strata"):
                read[name] = read[name].rename(columns=current_name)
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
    """Return the folder of a method's scores, given the JSON values that determine them."""
    digest = hashlib.sha256(json.dumps(of, sort_keys=True).encode()).hexdigest()[:16]
    return folder / f"{method}-{digest}"
