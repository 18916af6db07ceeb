"""Validation during training: accuracy in donors who are held out of it."""

from __future__ import annotations

from dataclasses import dataclass

import anndata as ad
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtm_core.data.cohort.cohort import tissue_codes, tissue_names
from mtm_core.data.cohort.pairs import ordered_pairs
from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.errors import TrainingError
from mtm_core.model.mtm import MTM
from mtm_core.statistics.correlation import columnwise_correlation

MINIMUM_DONORS = 5
"""Fewest held-out donors of a target tissue for a correlation across donors."""


@dataclass(frozen=True)
class ValidationPairs:
    """Pairs of source and target samples of held-out donors, from one source tissue.

    Attributes
    ----------
    source_z, target_z
        z-scores (P, G) of the two samples of each pair.
    source, target
        Tissue indices (P,).
    """

    source_z: Tensor
    source: Tensor
    target_z: Tensor
    target: Tensor

    @classmethod
    def of(
        cls,
        cohort: ad.AnnData,
        rows: NDArray[np.intp],
        scaler: TissueScaler,
        source: str,
        device: torch.device,
    ) -> ValidationPairs:
        """Pair the samples ``rows`` of ``cohort`` by donor, from the tissue ``source``.

        Raises
        ------
        TrainingError
            If there is no tissue ``source``, or no target has ``MINIMUM_DONORS`` pairs.
        """
        names = tissue_names(cohort)
        if source not in names:
            raise TrainingError(
                f"no tissue {source!r} to watch held-out donors from; the cohort has"
                f" {', '.join(names[:5])}, …"
            )
        tissue = tissue_codes(cohort)[rows]
        pairs = ordered_pairs(cohort.obs["donor"].to_numpy()[rows])
        pairs = pairs[tissue[pairs[:, 0]] == names.index(source)]
        counts = np.bincount(tissue[pairs[:, 1]], minlength=len(names))
        if counts.max() < MINIMUM_DONORS:
            raise TrainingError(
                f"held-out donors have too few pairs from {source!r}: at most {counts.max()} a"
                f" target, {MINIMUM_DONORS} are needed. Choose another validation source or a"
                " larger validation fraction."
            )
        z = torch.from_numpy(scaler.transform(np.asarray(cohort.X[rows]), tissue)).to(device)
        codes = torch.from_numpy(tissue).to(device)
        first, second = torch.from_numpy(pairs).to(device).unbind(dim=1)
        return cls(z[first], codes[first], z[second], codes[second])

    def score(self, model: MTM) -> tuple[float, float]:
        """Predict all pairs and compute their accuracy.

        Returns
        -------
        tuple
            Gene-wise rho and mean absolute error of z-scores. Rho is Pearson's across the donors of
            a target tissue, averaged over genes, then over tissues weighted by their donors.
        """
        predicted = predict_in_chunks(model, self.source_z, self.source, self.target)
        observed = self.target_z.cpu().numpy()
        target = self.target.cpu().numpy()
        rhos, weights = [], []
        for t in np.unique(target):
            chosen = target == t
            if chosen.sum() >= MINIMUM_DONORS:
                rho = columnwise_correlation(predicted[chosen], observed[chosen])
                rhos.append(np.nan_to_num(rho).mean())
                weights.append(chosen.sum())
        return (
            float(np.average(rhos, weights=weights)),
            float(np.abs(predicted - observed).mean()),
        )


@torch.inference_mode()
def predict_in_chunks(
    model: MTM, z: Tensor, source: Tensor, target: Tensor, *, chunk: int = 8192
) -> NDArray[np.float32]:
    """Predict z-scores (P, G) of ``target`` (P,) from ``z`` (P, G) of ``source`` (P,)."""
    was_training = model.training
    model.eval()
    parts = [
        model(z[i : i + chunk], source[i : i + chunk], target[i : i + chunk]).float().cpu()
        for i in range(0, len(z), chunk)
    ]
    model.train(was_training)
    predicted: NDArray[np.float32] = torch.cat(parts).numpy()
    return predicted
