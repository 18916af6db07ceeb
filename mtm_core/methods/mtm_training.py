"""MTM as a method to fit. Apart from ``mtm``, so that predicting loads nothing of training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import anndata as ad

from mtm_core.config import RunConfig
from mtm_core.data.cohort.cohort import tissue_names
from mtm_core.methods.mtm import FittedMTM
from mtm_core.methods.table import Wanted
from mtm_core.training.hardware import Hardware
from mtm_core.training.trainer import TrainingProgress, train


@dataclass(frozen=True)
class MTMMethod:
    """Train MTM under a config."""

    config: RunConfig
    hardware: Hardware | None = None
    on_progress: Callable[[TrainingProgress], None] | None = field(default=None, compare=False)
    name: str = "mtm"

    def fit(self, cohort: ad.AnnData, donors: Sequence[str]) -> FittedMTM:
        """Train on ``donors``; part of them may be held back to choose the epoch.

        Raises
        ------
        KeyboardInterrupt
            If training was interrupted: what it had learnt until then is no result.
        """
        result = train(
            cohort, donors, self.config, hardware=self.hardware, on_progress=self.on_progress
        )
        if not result.finished:
            raise KeyboardInterrupt
        return FittedMTM(result.model, result.scaler, tissue_names(cohort), self.config)


def make(wanted: Wanted) -> MTMMethod:
    """Make the method as it is listed."""
    return MTMMethod(wanted.config, wanted.hardware, wanted.on_progress)
