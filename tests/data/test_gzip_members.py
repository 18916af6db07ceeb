"""Files of several gzip members, as bgzip writes them."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from mtm_core.data.files import table_bytes
from mtm_core.data.files.table_bytes import gunzip
from mtm_core.errors import InputFileError


@pytest.mark.parametrize("piece", [1, 7, 64, 1 << 18])
def test_members_are_joined_wherever_they_are_cut(
    piece: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_bytes, "_PIECE", piece)
    parts = [rng.integers(0, 256, n, dtype=np.uint8).tobytes() for n in (0, 1, 50, 64, 3000)]
    data = b"".join(map(gzip.compress, parts))
    whole = b"".join(parts)
    assert gunzip(data, len(whole)) == gunzip(data + b"\0" * 9, len(whole)) == whole
    with pytest.raises(InputFileError, match="larger than"):
        gunzip(data, len(whole) - 1)
    with pytest.raises(InputFileError, match="ends early"):
        gunzip(data[:-1], len(whole))
