"""Training data held on the device as a whole, so that no batch is copied from the host."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import anndata as ad
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtm_core.config import TrainingConfig
from mtm_core.data.cohort.cohort import tissue_codes, tissue_names
from mtm_core.data.cohort.pairs import ordered_pairs
from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.errors import TrainingError


class Batch(NamedTuple):
    """A batch of B ordered pairs of samples of the same donor, with random draws for Eqs 1-3.

    Attributes
    ----------
    source_z, target_z
        z-scores (B, G) of the two samples.
    source, target
        Tissue indices (B,).
    noise
        Standard normal noise (B, Z) for the mapping network.
    drawn
        Tissue indices (B,) to generate from the noise.
    """

    source_z: Tensor
    source: Tensor
    target_z: Tensor
    target: Tensor
    noise: Tensor
    drawn: Tensor


class ResidentPairs:
    """All samples of the training donors on the device, and their ordered pairs.

    The random draws of an epoch depend on seed and epoch alone, so that a resumed run continues as
    if it had not been interrupted. All processes draw the same global batch and take their own rows
    of it, so that the batches do not depend on the number of processes.

    Parameters
    ----------
    cohort
        Cohort of samples.
    rows
        Rows of the training samples.
    scaler
        Scaler of the z-scores.
    config
        Batch size, seed and how pairs are drawn.
    n_noise
        Size of the noise, Z.
    device
        Device to hold the data.
    rank, world_size
        Number of this process, and of all processes.

    Raises
    ------
    TrainingError
        If there are fewer than two pairs, or the batch cannot be divided over the processes.
    """

    def __init__(
        self,
        cohort: ad.AnnData,
        rows: NDArray[np.intp],
        scaler: TissueScaler,
        config: TrainingConfig,
        *,
        n_noise: int,
        device: torch.device,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        tissue = tissue_codes(cohort)[rows]
        donor = cohort.obs["donor"].to_numpy()[rows]
        pairs = ordered_pairs(donor)
        if len(pairs) < 2:
            raise TrainingError(
                f"{len(rows)} training samples make {len(pairs)} same-donor pairs; training needs"
                " donors with two tissues or more."
            )
        if config.batch_size % world_size:
            raise TrainingError(
                f"the batch of {config.batch_size} pairs does not divide over {world_size}"
                " processes. Choose a batch size that is a multiple of their number."
            )
        self.config = config
        self.n_noise = n_noise
        self.device = device
        z = scaler.transform(np.asarray(cohort.X[rows]), tissue)
        self.z = torch.from_numpy(z).to(device)
        self.tissue = torch.from_numpy(tissue).to(device)
        self.pairs = torch.from_numpy(pairs).to(device)
        self.weights = _pair_weights(pairs, donor, tissue, tissue_names(cohort), config)
        n_tissues = len(tissue_names(cohort))
        n_targets = np.bincount(tissue[pairs[:, 1]], minlength=n_tissues)
        odds = n_targets if config.tissue_draw == "pairs" else np.ones(n_tissues)
        self.tissue_odds = torch.as_tensor(odds, dtype=torch.float32, device=device)
        self.batch_size = min(config.batch_size, len(pairs) // world_size * world_size)
        share = self.batch_size // world_size
        self.own_rows = slice(rank * share, (rank + 1) * share)

    @property
    def steps_per_epoch(self) -> int:
        """Number of full batches in an epoch; the remaining pairs differ between epochs."""
        return len(self.pairs) // self.batch_size

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Yield this process's share of each global batch of ``epoch``."""
        seed = self.config.seed * 1_000_003 + epoch
        order_generator = torch.Generator().manual_seed(seed)
        draw_generator = torch.Generator(self.device).manual_seed(seed)
        n_pairs = len(self.pairs)
        if self.weights is None:
            order = torch.randperm(n_pairs, generator=order_generator)
        else:
            order = torch.multinomial(
                self.weights, n_pairs, replacement=True, generator=order_generator
            )
        order = order.to(self.device)
        for step in range(self.steps_per_epoch):
            chosen = order[step * self.batch_size : (step + 1) * self.batch_size]
            noise = torch.randn(
                self.batch_size, self.n_noise, generator=draw_generator, device=self.device
            )
            drawn = torch.multinomial(
                self.tissue_odds, self.batch_size, replacement=True, generator=draw_generator
            )
            source, target = self.pairs[chosen[self.own_rows]].unbind(dim=1)
            yield Batch(
                self.z[source],
                self.tissue[source],
                self.z[target],
                self.tissue[target],
                noise[self.own_rows],
                drawn[self.own_rows],
            )


def _pair_weights(
    pairs: NDArray[np.int32],
    donor: NDArray[np.object_],
    tissue: NDArray[np.int64],
    names: tuple[str, ...],
    config: TrainingConfig,
) -> Tensor | None:
    """Return the sampling weight of each pair, or ``None`` if all are equal."""
    weights = np.ones(len(pairs))
    if config.pair_weighting == "donors":
        _, code, count = np.unique(donor, return_inverse=True, return_counts=True)
        weights /= (count[code] - 1)[pairs[:, 0]]
    if config.source_share is not None:
        if config.validation_source not in names:
            raise TrainingError(
                f"no tissue {config.validation_source!r} to draw sources from; the cohort has"
                f" {', '.join(names[:5])}, …"
            )
        from_source = tissue[pairs[:, 0]] == names.index(config.validation_source)
        if from_source.any() and not from_source.all():
            share = config.source_share
            weights[from_source] *= share / weights[from_source].sum()
            weights[~from_source] *= (1 - share) / weights[~from_source].sum()
    if np.ptp(weights) == 0:
        return None
    return torch.from_numpy(weights)
