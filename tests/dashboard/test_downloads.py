from __future__ import annotations

import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from streamlit.testing.v1 import AppTest

from mtm_core.dashboard.screens.predicted import Predicted
from mtm_core.dashboard.state.resources import served_model
from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.widgets.downloads import (
    by_tissue_bytes,
    by_tissue_file_bytes,
    csv_bytes,
    file_name,
    parquet_bytes,
    prediction_bytes,
    tissue_bytes,
    tissue_file_bytes,
)
from mtm_core.inference.export import INTERVAL, LONG_COLUMNS
from mtm_core.inference.predictor import Predictor
from mtm_core.memory_budget import shared_budget
from mtm_core.places import SAMPLES
from mtm_core.workflows.predict import predict_samples
from mtm_core.workflows.predict_options import PredictOptions


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


def test_a_table_larger_than_a_server_makes_is_refused_before_it_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def page() -> None:
        import pandas as pd

        from mtm_core.dashboard.widgets.layout import download_table

        for n_rows in (10, 100_000):
            table = pd.DataFrame({"gene": ["TP53"] * n_rows, "rho": 0.5})
            download_table(table, key=f"of_{n_rows}", label=f"Table of {n_rows}")

    monkeypatch.setenv("MTM_MAX_DOWNLOAD_MB", "2")
    # The page takes the place of the main module, which processes begun later would run again.
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    app = AppTest.from_function(page).run()
    assert not app.exception
    (said,) = (caption.value for caption in app.caption)
    assert said.startswith(
        "Table of 100000: about 7 MB as CSV; this server makes files of up to 2 MB"
    )
    assert len(app.get("download_button")) == 2


def test_a_table_takes_its_part_of_the_budget_while_it_is_there() -> None:
    before = shared_budget().in_use
    made = csv_bytes(pd.DataFrame({"rho": [0.5] * 1000}))
    assert shared_budget().in_use == before + len(made)
    del made
    assert shared_budget().in_use == before


def test_the_whole_prediction_is_the_command_lines(prediction: xr.Dataset) -> None:
    table = pd.read_csv(BytesIO(prediction_bytes(prediction, ".csv")))
    assert tuple(table.columns) == (*LONG_COLUMNS, *INTERVAL)
    assert len(table) == prediction["z"].size
    parquet = pd.read_parquet(BytesIO(prediction_bytes(prediction, ".parquet")))
    assert tuple(parquet.columns) == (*LONG_COLUMNS, *INTERVAL)


def test_an_h5ad_has_the_slots_of_the_command_lines(
    session: Session, predictor: Predictor, tmp_path: Path
) -> None:
    session.open_metadata((SAMPLES / "metadata.tsv").read_bytes(), "metadata.tsv")
    prediction, model = session.predict(predictor), served_model()
    beside = Predicted.of(prediction, session, model).beside(session.predicted_by)
    (tmp_path / "page.h5ad").write_bytes(prediction_bytes(prediction, ".h5ad", beside))
    predict_samples(
        PredictOptions(
            SAMPLES / "blood_tpm.tsv",
            tmp_path / "command.h5ad",
            prediction=session.predicted_by,
            metadata=SAMPLES / "metadata.tsv",
        )
    )
    page, command = (ad.read_h5ad(tmp_path / f"{name}.h5ad") for name in ("page", "command"))
    pd.testing.assert_frame_equal(page.obs, command.obs)
    pd.testing.assert_frame_equal(page.var, command.var)
    for name in ("out_of_fold_rho", "adjusted_rho", "predictable"):
        pd.testing.assert_frame_equal(page.varm[name], command.varm[name])
    for name in ("expression", "lower", "upper"):
        np.testing.assert_array_equal(page.layers[name], command.layers[name])
    assert page.uns["mtm"] == command.uns["mtm"]


@pytest.mark.parametrize(("ending", "read"), [(".csv", pd.read_csv), (".parquet", pd.read_parquet)])
def test_a_tissue_has_a_row_a_gene_and_a_column_a_sample(
    prediction: xr.Dataset, ending: str, read: Callable[..., pd.DataFrame]
) -> None:
    tissue = str(prediction["tissue"].to_numpy()[-1])
    data = tissue_bytes(prediction, tissue, ending)
    table = read(BytesIO(data))
    assert list(table.columns) == [
        "gene_id",
        "symbol",
        *prediction["sample"].to_numpy().astype(str),
    ]
    assert table["gene_id"].tolist() == prediction["gene"].to_numpy().astype(str).tolist()
    wanted = prediction["expression"].sel(tissue=tissue).transpose("gene", "sample").to_numpy()
    np.testing.assert_allclose(table.iloc[:, 2:].to_numpy(), wanted, rtol=1e-5)
    if ending == ".csv":  # of parquet, names of columns are most of so small a file
        assert len(data) <= tissue_file_bytes(prediction, ending) + 1000


def test_every_tissue_is_a_file_of_the_zip(prediction: xr.Dataset) -> None:
    data = by_tissue_bytes(prediction)
    with ZipFile(BytesIO(data)) as packed:
        listed = pd.read_csv(BytesIO(packed.read("tissues.csv")))
        assert {"samples.csv", "settings.json", "tissues.csv", *listed["file"]} == set(
            packed.namelist()
        )
        assert listed["tissue"].tolist() == prediction["tissue"].to_numpy().astype(str).tolist()
        for tissue, file in zip(listed["tissue"], listed["file"], strict=True):
            assert packed.read(file) == tissue_bytes(prediction, tissue, ".csv")
    assert len(data) <= by_tissue_file_bytes(prediction) + 10_000  # names of files and settings
