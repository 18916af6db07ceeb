"""Rows of a stored table that are read in blocks: row groups of parquet, chunks of HDF5 and zarr.

A block is decoded whole, whichever of its rows are asked for. People in another order than the
blocks need rows of nearly every block each time, so the blocks read last are held.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

HELD_BYTES = 256 * 1024**2
"""Most memory of the blocks of a table that are held: 3,400 samples of 19,291 genes in float32."""


@dataclass(frozen=True)
class RowBlocks:
    """Rows read in blocks.

    Attributes
    ----------
    ends
        Number of rows up to the end of each block.
    load
        Reads the block of a number: (rows, columns).
    """

    ends: NDArray[np.int64]
    load: Callable[[int], NDArray[Any]]
    _held: OrderedDict[int, NDArray[Any]] = field(default_factory=OrderedDict, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return rows ``start`` to ``stop``."""
        return self.take(np.arange(start, stop))

    def take(self, rows: NDArray[np.intp]) -> NDArray[Any]:
        """Return ``rows``, one or more in ascending order."""
        of_rows = np.searchsorted(self.ends, rows, side="right")
        parts = []
        for i in np.unique(of_rows).tolist():
            begin = self.ends[i - 1] if i else 0
            parts.append(self._block(i)[rows[of_rows == i] - begin])
        return np.concatenate(parts)

    def _block(self, i: int) -> NDArray[Any]:
        with self._lock:  # threads of a worker share the blocks
            if i in self._held:
                self._held.move_to_end(i)
                return self._held[i]
            block = self.load(i)
            if block.nbytes <= HELD_BYTES:
                self._held[i] = block
            while sum(held.nbytes for held in self._held.values()) > HELD_BYTES:
                self._held.popitem(last=False)
            return block
