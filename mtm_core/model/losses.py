"""Losses of MTM, one function for each equation of He et al. 2023, section 2.2.

All are means over elements, so that they do not grow with the number of genes.

Shapes: B samples in a batch, G genes, C size of a latent code.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mtm_core.config import Distance, LossConfig


def latent_loss(code_again: Tensor, code: Tensor) -> Tensor:
    """Eq 1: L1 distance between E(G(c~, t~), t~) and c~, both (B, C)."""
    return F.l1_loss(code_again, code)


def discriminator_loss(score_real: Tensor, score_fake: Tensor) -> Tensor:
    """Eq 2, hinge loss: real profiles should score above 1, generated ones below -1."""
    return F.relu(1 - score_real).mean() + F.relu(1 + score_fake).mean()


def generator_loss(score_fake: Tensor) -> Tensor:
    """Eq 3: generated profiles should have high scores."""
    return -score_fake.mean()


def individual_loss(
    predicted: Tensor,
    observed: Tensor,
    distance: Distance = "l1",
    log_variance: Tensor | None = None,
) -> Tensor:
    """Eq 4: distance between G(E(x_s, s), t) and x_t, both (B, G); L1 in the paper.

    Parameters
    ----------
    predicted, observed
        z-scores (B, G).
    distance
        Kind of distance.
    log_variance
        Log of the error variance (B, G); used only by ``"nll"``, the Gaussian negative
        log-likelihood.
    """
    return _distance(predicted, observed, distance, log_variance)


def cycle_loss(
    source_again: Tensor,
    source: Tensor,
    distance: Distance = "l1",
    log_variance: Tensor | None = None,
) -> Tensor:
    """Eq 5: distance between G(E(G(E(x_s, s), t), t), s) and x_s, both (B, G); L1 in the paper.

    The parameters are those of :func:`individual_loss`.
    """
    return _distance(source_again, source, distance, log_variance)


def total_loss(terms: dict[str, Tensor], weights: LossConfig) -> Tensor:
    """Eq 6: the sum of ``terms``, weighted by the attributes of ``weights`` of the same names."""
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
        # Not torch.nn.functional.gaussian_nll_loss, which synchronises with the host every step.
        square = (predicted - observed) ** 2 * torch.exp(-log_variance)
        return 0.5 * (square + log_variance).mean()
    return F.huber_loss(predicted, observed)
