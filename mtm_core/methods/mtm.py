"""A trained MTM behind the protocol of all methods. How it is trained: ``mtm_training``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from mtm_core.config import RunConfig, from_json, to_json
from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.methods.covariates import CovariateName
from mtm_core.methods.protocol import (
    Floats,
    Genes,
    PredictedProfiles,
    PredictTarget,
    cut,
    tissue_index,
)
from mtm_core.methods.table import Saved
from mtm_core.model.mtm import MTM
from mtm_core.model.networks import check_sizes, check_weights

_SAVED = ("encoder.", "generator.", "log_variance.")


@dataclass(frozen=True)
class FittedMTM:
    """A trained MTM: any tissue in, any tissue out, with one model.

    From several source tissues of a donor, their latent codes are averaged.
    """

    model: MTM
    scaler: TissueScaler
    tissues: tuple[str, ...]
    config: RunConfig
    covariates: tuple[CovariateName, ...] = ()
    name: str = "mtm"

    def predict(
        self,
        profiles: Mapping[str, Floats],
        target: str,
        phenotypes: pd.DataFrame | None = None,
    ) -> PredictedProfiles:
        """Predict as :class:`~mtm_core.methods.protocol.FittedMethod` says.

        The spread, where the model learns one, is of the tissue and gene, alike in all donors.
        """
        return self.begin(profiles)(target)

    def begin(
        self, profiles: Mapping[str, Floats], phenotypes: pd.DataFrame | None = None
    ) -> PredictTarget:
        """Encode the profiles; each target is then decoded from their codes."""
        with torch.inference_mode():
            code = self._code(profiles)

        @torch.inference_mode()
        def predict(target: str, genes: Genes | None = None) -> PredictedProfiles:
            tissue = self._tissue(target)
            mean = self.model.decode(code, tissue)
            spread = self.model.error_log_variance(tissue)
            sd = None if spread is None else torch.exp(spread / 2).expand_as(mean).numpy()
            return cut(PredictedProfiles(mean.numpy(), sd), genes)

        return predict

    def codes(self, profiles: Mapping[str, Floats]) -> Floats:
        """Return the donors' latent codes (N, C)."""
        with torch.inference_mode():
            codes: Floats = self._code(profiles).numpy()
        return codes

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Get the weights of the encoder and the generator, and the variance where one is learnt.

        Prediction needs no others.
        """
        state = self.model.state_dict()
        return {name: t.cpu().numpy() for name, t in state.items() if name.startswith(_SAVED)}

    def settings(self) -> dict[str, Any]:
        """Return the run's config."""
        return {"config": to_json(self.config)}

    @classmethod
    def restore(
        cls,
        arrays: Mapping[str, NDArray[Any]],
        settings: Mapping[str, Any],
        scaler: TissueScaler,
        tissues: tuple[str, ...],
    ) -> FittedMTM:
        """Put together what :meth:`arrays` and :meth:`settings` gave.

        Raises
        ------
        ValueError
            If the weights do not fit the config.
        """
        config = from_json(settings["config"])
        check_sizes(config.model)
        if config.scaling.scale != scaler.scale:
            raise ValueError(f"trained on scale {config.scaling.scale!r}, not {scaler.scale!r}")
        with torch.device("meta"):  # no weights are drawn, only to be overwritten
            model = MTM(config.model, scaler, for_training=False)
        state = {name: torch.from_numpy(np.require(a, None, "W")) for name, a in arrays.items()}
        check_weights(state, model)
        missing, unexpected = model.load_state_dict(state, strict=False, assign=True)
        lost = [name for name in missing if name.startswith(_SAVED)]
        if lost or unexpected:
            raise ValueError(f"weights missing: {lost[:3]}; unexpected: {unexpected[:3]}")
        return cls(model.eval(), scaler, tissues, config)

    def _code(self, profiles: Mapping[str, Floats]) -> torch.Tensor:
        codes = [
            # Copied: torch shares no memory with an array that may not be written.
            self.model.encode(torch.tensor(z), self._tissue(source))
            for source, z in profiles.items()
        ]
        return torch.stack(codes).mean(dim=0)

    def _tissue(self, name: str) -> torch.Tensor:
        """Get the code (1,) of a tissue that all samples are of: its numbers are not repeated."""
        return torch.tensor([tissue_index(self.tissues, name)])


def restore(saved: Saved) -> FittedMTM:
    """Restore what was saved of a fitted one."""
    return FittedMTM.restore(saved.arrays, saved.settings, saved.scaler, saved.tissues)
