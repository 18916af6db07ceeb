"""Dropout with a mask that is fast to draw on a CPU."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_LEVELS = 2**16
"""Number of levels to which the dropout probability is rounded."""


class Dropout(nn.Module):
    """Dropout, as :class:`torch.nn.Dropout`.

    On a CPU, torch draws one random number for each unit, which took a third of a training step of
    small networks (``benchmarks/training.py``). Here one 64-bit draw serves four units. On a GPU,
    torch's dropout is used.

    Parameters
    ----------
    p
        Probability that a unit is set to 0; the others are scaled by 1 / (1 - p).

    Raises
    ------
    ValueError
        If ``p`` is not in [0, 1).
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"expected a share of dropped units in [0, 1), got {p}")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Apply dropout to ``x``, of any shape and float type, in training mode."""
        if not self.training or self.p == 0:
            return x
        if x.device.type != "cpu":
            return F.dropout(x, self.p)
        return x * self._factors(x)

    def _factors(self, x: Tensor) -> Tensor:
        """Draw 0 or 1 / (1 - p) for each unit from torch's generator."""
        n_dropped = round(self.p * _LEVELS)
        words = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        level = words.view(torch.int16)[: x.numel()].view(x.shape)  # uniform over _LEVELS
        mask = (level >= n_dropped - _LEVELS // 2).to(x.dtype)
        return mask.mul_(_LEVELS / (_LEVELS - n_dropped))

    def extra_repr(self) -> str:
        """Return ``p`` for the printed form of the module."""
        return f"p={self.p}"
