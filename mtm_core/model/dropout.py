"""Dropout whose mask is cheap to draw on a CPU."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_LEVELS = 2**16
"""A unit's chance to be dropped is a whole number of these: 0.3 becomes 0.30000."""


class Dropout(nn.Module):
    """Set a share ``p`` of the units to 0 and scale the others by 1 / (1 - p), while training.

    As :class:`torch.nn.Dropout`, which on a CPU draws one unit at a time and took a third of a
    training step on small networks (``benchmarks/training.py``). Here one 64-bit draw serves four
    units. On a GPU torch's own is used.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"expected a share of dropped units in [0, 1), got {p}")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Drop units of ``x``, of any shape and kind of float."""
        if not self.training or self.p == 0:
            return x
        if x.device.type != "cpu":
            return F.dropout(x, self.p)
        return x * self._factors(x)

    def _factors(self, x: Tensor) -> Tensor:
        """Return 0 or 1 / (1 - p) for each unit, drawn from torch's generator."""
        n_dropped = round(self.p * _LEVELS)
        words = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        level = words.view(torch.int16)[: x.numel()].view(x.shape)  # uniform over _LEVELS
        mask = (level >= n_dropped - _LEVELS // 2).to(x.dtype)
        return mask.mul_(_LEVELS / (_LEVELS - n_dropped))

    def extra_repr(self) -> str:
        """Show ``p``, as torch does."""
        return f"p={self.p}"
