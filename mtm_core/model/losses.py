"""The objectives of MTM: one function an equation (He et al. 2023, section 2.2).

All are means over every element, so their size does not grow with the number of genes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mtm_core.config import Distance, LossConfig


def latent_loss(code_again: Tensor, code: Tensor) -> Tensor:
    """Eq 1: L1 between E(G(c~, t~), t~) and c~, both (B, C)."""
    return F.l1_loss(code_again, code)


def discriminator_loss(score_real: Tensor, score_fake: Tensor) -> Tensor:
    """Eq 2, hinge: real profiles are to score above 1, generated ones below -1."""
    return F.relu(1 - score_real).mean() + F.relu(1 + score_fake).mean()


def generator_loss(score_fake: Tensor) -> Tensor:
    """Eq 3: generated profiles are to score high."""
    return -score_fake.mean()


def individual_loss(
    predicted: Tensor,
    observed: Tensor,
    distance: Distance = "l1",
    log_variance: Tensor | None = None,
) -> Tensor:
    """Eq 4: distance between G(E(x_s, s), t) and x_t, both (B, G); L1 in the paper.

    ``log_variance`` (B, G) is of the error expected of each value: ``"nll"`` needs it, no other.
    """
    return _distance(predicted, observed, distance, log_variance)


def cycle_loss(
    source_again: Tensor,
    source: Tensor,
    distance: Distance = "l1",
    log_variance: Tensor | None = None,
) -> Tensor:
    """Eq 5: distance between G(E(G(E(x_s, s), t), t), s) and x_s, both (B, G); L1 in the paper.

    ``log_variance`` as in Eq 4.
    """
    return _distance(source_again, source, distance, log_variance)


def total_loss(terms: dict[str, Tensor], weights: LossConfig) -> Tensor:
    """Eq 6: the weighted sum of the ``terms`` that are there, by their names in ``weights``."""
    weighted = [getattr(weights, name) * term for name, term in terms.items()]
    return torch.stack(weighted).sum()


def _distance(
    predicted: Tensor, observed: Tensor, distance: Distance, log_variance: Tensor | None
) -> Tensor:
    if distance == "l1":
        return F.l1_loss(predicted, observed)
    if distance == "mse":
        return F.mse_loss(predicted, observed)
    if distance == "nll":
        if log_variance is None:
            raise ValueError("expected the variance that a likelihood needs, got none")
        # Not torch's own, which checks the variance on the host at every step.
        square = (predicted - observed) ** 2 * torch.exp(-log_variance)
        return 0.5 * (square + log_variance).mean()
    return F.huber_loss(predicted, observed)
