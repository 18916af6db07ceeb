"""A training step as one CUDA graph, which launches its hundred small kernels at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mtm_core.config import LossConfig
from mtm_core.training.resident import Batch

Step = Callable[[Batch, LossConfig], dict[str, Tensor]]

_WARM_UP = 3
"""Ordinary steps before the capture, so that no initialisation is captured."""


class CapturedStep:
    """Training step that is captured as a CUDA graph after a few ordinary steps, then replayed.

    Every call trains, in the warm-up too. When the loss weights change, the graph is captured
    again, because a term of weight 0 is not in it.

    Parameters
    ----------
    step
        The step to capture. All batches must have the same size, and the step must not read a
        tensor's value on the host.
    """

    def __init__(self, step: Step) -> None:
        self._step = step
        self._weights: LossConfig | None = None
        self._taken = 0
        self._stream: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self._graph: torch.cuda.CUDAGraph | None = None
        self._batch: Batch | None = None
        self._terms: dict[str, Tensor] = {}

    def __call__(self, batch: Batch, weights: LossConfig) -> dict[str, Tensor]:
        """Take one step, and return the loss terms by name."""
        if weights != self._weights:
            self._weights, self._taken = weights, 0
            self._graph = self._batch = None
        self._taken += 1
        if self._taken <= _WARM_UP:
            return self._ordinary_step(batch, weights)
        if self._graph is None or self._batch is None:
            self._capture(batch, weights)
        else:
            for static, new in zip(self._batch, batch, strict=True):
                static.copy_(new)
        if self._graph is not None:
            self._graph.replay()
        return {name: term.clone() for name, term in self._terms.items()}

    def _ordinary_step(self, batch: Batch, weights: LossConfig) -> dict[str, Tensor]:
        """Take an ordinary step on the stream that the capture will use."""
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            terms = self._step(batch, weights)
        torch.cuda.current_stream().wait_stream(self._stream)
        return terms

    def _capture(self, batch: Batch, weights: LossConfig) -> None:
        """Capture a step on a static batch, without executing it."""
        self._batch = Batch(*(part.clone() for part in batch))
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, stream=self._stream):
            self._terms = self._step(self._batch, weights)
