"""Models of measured counts on the screen Differential expression, by PyDESeq2."""

from __future__ import annotations

import shlex
import sys

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from mtm_core import SAMPLES
from mtm_core.dashboard.screens.differential import COUNTS
from mtm_core.inference.predictor import Predictor
from mtm_core.studies.count_models import compare_counts
from mtm_core.studies.design import make_design
from tests.pages.conftest import go_to, upload, words
from tests.pages.test_linear_models_page import rows
from tests.pages.test_metadata_page import DIFFERENTIAL, give

FEW = [f"SIM-{i:03}" for i in (*range(1, 9), *range(21, 29))]


@pytest.fixture
def screen(app: AppTest) -> AppTest:
    counts = pd.read_csv(SAMPLES / "blood_counts.csv", index_col=0)
    upload(app, "counts.csv", counts[FEW].to_csv().encode())
    give(app, (SAMPLES / "metadata.tsv").read_bytes(), "people.tsv")
    go_to(app, DIFFERENTIAL)
    return app.segmented_control(key="differential_test").set_value(COUNTS).run()


def test_counts_are_tested_when_asked_as_the_package_tests_them(screen: AppTest) -> None:
    assert not any("gene_id" in one.value for one in screen.dataframe)
    screen.button(key="test_counts").click().run()
    session = screen.session_state["mtm"]
    assert all(job.wait(60) for job in session.jobs.under_way)
    screen.run()
    assert not screen.exception
    shown = rows(screen).set_index("gene_id")
    predictor = Predictor.load("gtex_v8_acmg59_stack")
    table = session.table
    prepared = predictor.prepare(table, unit="counts")
    design = make_design(session.metadata, "group", contrasts=[("group", "case", "control")])
    peer = compare_counts(table, prepared, pd.Series(dtype=object), design).set_index("gene_id")
    for name in ("log2_fold_change", "p", "fdr"):
        np.testing.assert_allclose(shown[name], peer.loc[shown.index, name])
    assert (shown["n"] == len(FEW)).all()
    command = shlex.split(screen.code[-1].value)
    assert "--counts" in command
    assert command[command.index("--formula") + 1] == "group"
    assert "negative binomial model (group) in 16 samples" in words(screen)


def test_other_tables_and_servers_without_pydeseq2_have_their_reason_shown(
    with_example: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_to(with_example, DIFFERENTIAL)
    with_example.segmented_control(key="differential_test").set_value(COUNTS).run()
    assert "your table was read as tpm" in words(with_example)
    monkeypatch.setitem(sys.modules, "pydeseq2.dds", None)
    assert "which is not installed. Install it with: pip install" in words(with_example.run())
