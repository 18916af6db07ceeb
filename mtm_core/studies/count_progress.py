"""PyDESeq2's fits a block of genes at a time, so that they show progress and can be ended."""

from __future__ import annotations

from typing import Any

import numpy as np

from mtm_core.inference.decoder import TissueProgress

BLOCK = 250
"""Genes that are fitted between two calls: half a second of work for 100 samples."""
_BY_COLUMN = ("counts", "mu")
_BY_ROW = ("disp", "alpha_hat", "lfc")
_AXES = {"irls": (0, 1, 1, 0), "alpha_mle": (0, 0), "wald_test": (0, 0, 0), "lin_reg_mu": (1,)}
"""Fits of PyDESeq2's inference, and the axis of genes in each of their results."""
PASSES = 4
"""Fits of all genes before the tests: their means, two of dispersions, the coefficients."""


class InferenceInBlocks:
    """An inference of PyDESeq2 that tells how far it is.

    Genes are fitted one by one, so that the results are those of all genes at once.

    Parameters
    ----------
    inference
        Inference of PyDESeq2.
    n_genes, n_contrasts
        How many are fitted and tested: the work that is to be done.
    on_progress
        Called with each block.
    """

    def __init__(
        self,
        inference: Any,  # noqa: ANN401 - of a library without types
        n_genes: int,
        n_contrasts: int,
        on_progress: TissueProgress,
    ) -> None:
        self._inference, self._on_progress = inference, on_progress
        self._done, self._total = 0, n_genes * (PASSES + n_contrasts)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - as PyDESeq2 has it
        if name.startswith("_"):
            raise AttributeError(name)
        found = getattr(self._inference, name)
        return found if name not in _AXES else _Blocks(self, found, _AXES[name])

    def run(self, fit: Any, axes: tuple[int, ...], given: dict[str, Any]) -> Any:  # noqa: ANN401
        """Call ``fit`` for each block of genes, and join what it gives."""
        n_genes = given["mu" if "counts" not in given else "counts"].shape[1]
        parts = []
        for first in range(0, max(n_genes, 1), BLOCK):
            self._on_progress(min(self._done, self._total), self._total)
            own = slice(first, first + BLOCK)
            cut = dict(given)
            cut |= {name: given[name][:, own] for name in _BY_COLUMN if name in given}
            cut |= {name: given[name][own] for name in _BY_ROW if name in given}
            found = fit(**cut)
            parts.append(found if isinstance(found, tuple) else (found,))
            self._done += min(BLOCK, n_genes - first)
        columns = zip(*parts, strict=True)
        joined = tuple(np.concatenate(part, at) for part, at in zip(columns, axes, strict=True))
        return joined if len(joined) > 1 else joined[0]


class _Blocks:
    """One fit of an inference, a block at a time."""

    def __init__(self, of: InferenceInBlocks, fit: Any, axes: tuple[int, ...]) -> None:  # noqa: ANN401
        self._of, self._fit, self._axes = of, fit, axes

    def __call__(self, **given: Any) -> Any:  # noqa: ANN401
        return self._of.run(self._fit, self._axes, given)
