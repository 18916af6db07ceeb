"""MTM as a method to fit, apart from ``mtm`` so that predicting imports no training code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import anndata as ad

from mtm_core.config import RunConfig
from mtm_core.data.cohort.cohort import tissue_names
from mtm_core.methods.mtm import FittedMTM
from mtm_core.methods.table import MethodRequest
from mtm_core.training.hardware import Hardware
from mtm_core.training.trainer import TrainingProgress, train


@dataclass(frozen=True)
class MTMMethod:
    """MTM, trained under a configuration.

    Attributes
    ----------
    config
        Sizes, losses and training.
    hardware
        Devices to train on; ``None`` for the default.
    on_progress
        Called at each step of the training.
    """

    config: RunConfig
    hardware: Hardware | None = None
    on_progress: Callable[[TrainingProgress], None] | None = field(default=None, compare=False)
    name: str = "mtm"

    def fit(self, cohort: ad.AnnData, donors: Sequence[str]) -> FittedMTM:
        """Train on ``donors``, some of whom may be held out to choose the epoch.

        Raises
        ------
        KeyboardInterrupt
            If training was interrupted, as an unfinished model is no result.
        """
        result = train(
            cohort, donors, self.config, hardware=self.hardware, on_progress=self.on_progress
        )
        if not result.finished:
            raise KeyboardInterrupt
        return FittedMTM(result.model, result.scaler, tissue_names(cohort), self.config)


def make(request: MethodRequest) -> MTMMethod:
    """Make MTM with the configuration of ``request``."""
    return MTMMethod(request.config, request.hardware, request.on_progress)
