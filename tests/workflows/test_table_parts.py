"""A table that is written in parts is, to the byte of its cells, the table as a whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from mtm_core.escaping import in_cells
from mtm_core.workflows.table_parts import TableInParts


def test_parts_below_each_other_are_the_whole(tmp_path: Path, rng: np.random.Generator) -> None:
    whole = pd.DataFrame(
        {
            "tissue": ["Lung"] * 4 + ["=Liver"] * 3,
            "n": np.arange(7),
            "p": [np.nan] * 4 + rng.uniform(size=3).tolist(),
            "outcome": pd.Categorical(["tested"] * 5 + ["constant"] * 2, ["tested", "constant"]),
        }
    )
    for ending in ("csv", "parquet"):
        with TableInParts(tmp_path / f"t.{ending}", ending) as table:  # type: ignore[arg-type]
            for part in (whole[:4], whole[4:5], whole[5:]):
                table.add(part)
    expected = in_cells(whole).to_csv(index=False, float_format="%.6g")
    assert (tmp_path / "t.csv").read_text() == expected
    again = pd.read_parquet(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(again, whole)
