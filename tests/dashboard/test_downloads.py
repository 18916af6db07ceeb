from __future__ import annotations

from io import BytesIO

import pandas as pd
import pytest
import xarray as xr

from mtm_core.dashboard.downloads import csv_bytes, file_name, parquet_bytes, prediction_bytes
from mtm_core.inference.export import INTERVAL, LONG_COLUMNS


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("z_Brain - Cortex", "z_Brain_-_Cortex.research_use_only.csv"),
        ("a/../b", "a_.._b.research_use_only.csv"),
        ("missing_genes", "missing_genes.research_use_only.csv"),
    ],
)
def test_every_file_is_named_for_its_use(stem: str, name: str) -> None:
    assert file_name(stem, ".csv") == name


def test_tables_come_back_as_they_were() -> None:
    table = pd.DataFrame({"gene": ["TP53", "A,B"], "z": [0.5, -1.25]})
    pd.testing.assert_frame_equal(pd.read_csv(BytesIO(csv_bytes(table))), table)
    read = pd.read_parquet(BytesIO(parquet_bytes(table)))
    assert read.attrs["use"] == "For research use, not for diagnosis."
    pd.testing.assert_frame_equal(read, table)
    assert table.attrs == {}


def test_the_whole_prediction_is_the_command_lines(prediction: xr.Dataset) -> None:
    table = pd.read_csv(BytesIO(prediction_bytes(prediction, ".csv")))
    assert tuple(table.columns) == (*LONG_COLUMNS, *INTERVAL)
    assert len(table) == prediction["z"].size
    parquet = pd.read_parquet(BytesIO(prediction_bytes(prediction, ".parquet")))
    assert tuple(parquet.columns) == (*LONG_COLUMNS, *INTERVAL)
