"""A trained MTM as a fitted method. It is trained in :mod:`mtm_core.methods.mtm_training`."""

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
    TargetPredictor,
    TargetPredictorMixin,
    select_genes,
    tissue_index,
)
from mtm_core.methods.table import SavedMethod
from mtm_core.model.mtm import MTM
from mtm_core.model.networks import check_sizes, check_weights

_SAVED = ("encoder.", "generator.", "log_variance.")


@dataclass(frozen=True)
class FittedMTM(TargetPredictorMixin):
    """Trained MTM, which predicts any tissue from any other with one model.

    The latent codes of several source tissues of a donor are averaged.

    Attributes
    ----------
    model
        The networks, in evaluation mode.
    scaler
        Scaler of the z-scores.
    tissues
        Names of the tissues.
    config
        Configuration of the training run.
    """

    model: MTM
    scaler: TissueScaler
    tissues: tuple[str, ...]
    config: RunConfig
    covariates: tuple[CovariateName, ...] = ()
    name: str = "mtm"

    def target_predictor(
        self, profiles: Mapping[str, Floats], phenotypes: pd.DataFrame | None = None
    ) -> TargetPredictor:
        """Encode the profiles once; each target is decoded from the latent codes.

        If the model learns an error variance, it depends on tissue and gene, not on the donor.
        """
        with torch.inference_mode():
            code = self._code(profiles)

        @torch.inference_mode()
        def predict(target: str, genes: Genes | None = None) -> PredictedProfiles:
            tissue = self._tissue(target)
            mean = self.model.decode(code, tissue)
            log_variance = self.model.error_log_variance(tissue)
            sd = (
                None
                if log_variance is None
                else torch.exp(log_variance / 2).expand_as(mean).numpy()
            )
            return select_genes(PredictedProfiles(mean.numpy(), sd), genes)

        return predict

    def codes(self, profiles: Mapping[str, Floats]) -> Floats:
        """Return the donors' latent codes (N, C)."""
        with torch.inference_mode():
            codes: Floats = self._code(profiles).numpy()
        return codes

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the weights of encoder and generator, and the error variance if it is estimated.

        Prediction needs no other weights.
        """
        state = self.model.state_dict()
        return {name: t.cpu().numpy() for name, t in state.items() if name.startswith(_SAVED)}

    def settings(self) -> dict[str, Any]:
        """Return the configuration of the run."""
        return {"config": to_json(self.config)}

    @classmethod
    def restore(cls, saved: SavedMethod) -> FittedMTM:
        """Restore from what :meth:`arrays` and :meth:`settings` returned.

        Raises
        ------
        ValueError
            If the weights do not fit the config.
        """
        scaler, config = saved.scaler, from_json(saved.settings["config"])
        check_sizes(config.model)
        if config.scaling.scale != scaler.scale:
            raise ValueError(f"trained on scale {config.scaling.scale!r}, not {scaler.scale!r}")
        with torch.device("meta"):  # no weights are drawn just to be overwritten
            model = MTM(config.model, scaler, for_training=False)
        state = {
            name: torch.from_numpy(np.require(a, None, "W")) for name, a in saved.arrays.items()
        }
        check_weights(state, model)
        missing, unexpected = model.load_state_dict(state, strict=False, assign=True)
        lost = [name for name in missing if name.startswith(_SAVED)]
        if lost or unexpected:
            raise ValueError(f"weights missing: {lost[:3]}; unexpected: {unexpected[:3]}")
        return cls(model.eval(), scaler, saved.tissues, config)

    def _code(self, profiles: Mapping[str, Floats]) -> torch.Tensor:
        codes = [
            # A copy, because torch does not share the memory of a read-only array.
            self.model.encode(torch.tensor(z), self._tissue(source))
            for source, z in profiles.items()
        ]
        return torch.stack(codes).mean(dim=0)

    def _tissue(self, name: str) -> torch.Tensor:
        """Return the index (1,) of a tissue, broadcast over samples."""
        return torch.tensor([tissue_index(self.tissues, name)])


restore = FittedMTM.restore
