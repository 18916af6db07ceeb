"""Rows in blocks are those of the whole in any order; a block is decoded once while it is held."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest

from mtm_core.data.formats import row_blocks
from mtm_core.data.formats.row_blocks import RowBlocks
from mtm_core.data.formats.stored_table import open_stored_table


class Loader:
    """Blocks of a matrix, and the numbers of those that were loaded."""

    def __init__(self, whole: np.ndarray, ends: list[int]) -> None:
        self.whole, self.starts, self.ends = whole, [0, *ends], ends
        self.loaded: list[int] = []

    def __call__(self, i: int) -> np.ndarray:
        self.loaded.append(i)
        return self.whole[self.starts[i] : self.ends[i]]


@pytest.fixture
def load(rng: np.random.Generator) -> Loader:
    return Loader(rng.normal(size=(20, 3)).astype(np.float32), [4, 9, 10, 20])


def test_rows_in_any_blocks_are_those_of_the_whole(load: Loader) -> None:
    blocks = RowBlocks(np.array(load.ends), load)
    for rows in ([0], [3, 4], [19], [1, 8, 9, 10, 15], range(20)):
        np.testing.assert_array_equal(blocks.take(np.array(rows)), load.whole[list(rows)])
    np.testing.assert_array_equal(blocks.read(2, 12), load.whole[2:12])
    assert sorted(load.loaded) == [0, 1, 2, 3]


def test_what_is_held_has_a_limit(load: Loader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_blocks, "HELD_BYTES", 9 * 3 * 4)  # rows 0 to 9, not the last ten
    blocks = RowBlocks(np.array(load.ends), load)
    for rows in ([0, 5], [1, 6], [11, 12], [2, 7], [9], [8], [3]):
        np.testing.assert_array_equal(blocks.take(np.array(rows)), load.whole[rows])
    # The third block is held in place of the first, the one that was not used for longest.
    assert load.loaded == [0, 1, 3, 2, 0]


@pytest.mark.parametrize("rows_together", [1, 5, 17, 40])
def test_chunks_of_a_compressed_matrix_do_not_show(
    tmp_path: Path, rng: np.random.Generator, rows_together: int
) -> None:
    names = [f"ENSG{i:011d}" for i in range(6)]
    table = pd.DataFrame(rng.gamma(1, 20, size=(17, 6)), [f"s{i}" for i in range(17)], names)
    ad.AnnData(table).write_h5ad(tmp_path / "t.h5ad")
    with h5py.File(tmp_path / "t.h5ad", "r+") as file:
        attributes = dict(file["X"].attrs)
        del file["X"]
        chunks = (min(rows_together, 17), 2)
        file.create_dataset("X", data=table.to_numpy(), chunks=chunks, compression="gzip")
        file["X"].attrs.update(attributes)
    stored = open_stored_table(tmp_path / "t.h5ad")
    for rows in ([16], [3, 2, 11], rng.permutation(17)):
        pd.testing.assert_frame_equal(
            stored.take(np.array(rows)), table.iloc[list(rows)], check_names=False
        )
