from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from mtm_core.dashboard.state.resources import EXAMPLE
from tests.cases import base
from tests.cases.units import centred, small_fpkm
from tests.pages.conftest import MODEL_CARD, PREDICTED, UPLOAD, unit_choice, upload, words

COUNTS = EXAMPLE.with_name("blood_counts.csv")


def metrics(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def table(**changes: object) -> bytes:
    """Return the example as a user's own file: other samples' names, and the changes asked for."""
    values = pd.read_csv(EXAMPLE, sep="\t", index_col="sample").add_prefix("P-", axis="index")
    if "without" in changes:
        values = values.drop(columns=changes["without"])
    if "rows" in changes:
        values = values.iloc[: changes["rows"]]
    return values.to_csv(sep="\t").encode()


def test_without_a_table_the_next_step_is_named(app: AppTest) -> None:
    app.switch_page(UPLOAD).run()
    assert not app.exception
    assert "Upload a table, or try the example" in app.info[0].value
    assert not app.metric


def test_every_format_is_listed_for_the_browser(app: AppTest) -> None:
    app.switch_page(UPLOAD).run()
    listed = set(app.file_uploader[0].proto.type)
    assert {".csv", ".csv.gz", ".tsv.gz", ".gct", ".gct.gz", ".xlsx", ".h5ad"} <= listed


@pytest.mark.parametrize(
    ("file", "ids", "layout", "unit"),
    [
        ("blood_tpm.tsv", "symbol", "samples in rows", "tpm"),
        ("blood_counts.csv", "Ensembl with version", "genes in rows", "counts"),
        ("blood_tpm.gct", "Ensembl with version", "genes in rows", "tpm"),
    ],
)
def test_report_says_what_was_found(
    app: AppTest, file: str, ids: str, layout: str, unit: str
) -> None:
    upload(app, file, (EXAMPLE.parent / file).read_bytes())
    found = metrics(app)
    assert found["Samples"] == "40"
    assert found["Genes in the table"] == "59"
    assert found["Layout"] == layout
    assert found["Gene ids"] == ids
    assert unit_choice(app).value == unit
    assert "Judged by the values" in words(app)
    assert "**simulated**" in words(app)


def test_gzipped_table_is_read(app: AppTest) -> None:
    upload(app, "mine.csv.gz", gzip.compress(COUNTS.read_bytes()))
    assert metrics(app)["Samples"] == "40"


def test_missing_genes_are_listed_and_can_be_downloaded(app: AppTest) -> None:
    upload(app, "mine.tsv", table(without=["SDHB", "MUTYH"]))
    (listed,) = (one for one in app.expander if one.label == "2 genes that the table lacks")
    missing = listed.dataframe[0].value
    assert missing["symbol"].tolist() == ["SDHB", "MUTYH"]
    assert app.download_button(key="download_missing_genes_csv").label == "Missing genes (CSV)"
    assert any("57 of the model's 59 genes" in box.value for box in app.warning)


def test_unit_can_be_changed(app: AppTest) -> None:
    upload(app, "mine.csv", COUNTS.read_bytes().replace(b"SIM-", b"P-"))
    assert "Counts" in app.button(key="predict").label
    unit_choice(app).set_value("cpm").run()
    assert "CPM" in app.button(key="predict").label


def test_impossible_unit_is_an_error_in_words(app: AppTest) -> None:
    upload(app, "mine.csv", COUNTS.read_bytes())
    unit_choice(app).set_value("log2").run()
    assert not app.exception
    assert "expected log2(1 + x)" in app.error[0].value
    unit_choice(app).set_value("counts").run()
    assert not app.error


def test_few_samples_are_not_aligned_which_is_reported(app: AppTest) -> None:
    upload(app, "mine.tsv", table(rows=5))
    assert any("5 samples are fewer" in box.value for box in app.warning)
    app.radio(key="alignment").set_value("cohort").run()
    assert any("5 samples are few for alignment" in box.value for box in app.warning)


def test_distance_is_shown_beside_the_reference(app: AppTest) -> None:
    upload(app, "mine.tsv", table())
    shown = [frame.value for frame in app.dataframe]
    (summary,) = [frame for frame in shown if "median" in frame]
    assert "GTEx reference donors" in summary.index
    assert summary["median"].between(0.3, 3).all()


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("cut.csv.gz", gzip.compress(b"sample,BRCA1\n" * 500)[:40], "cut.csv.gz"),
        ("empty.csv", b"", "empty.csv"),
        ("letter.txt", b"Dear all,\nplease find attached\n", "letter.txt"),
        ("words.tsv", b"sample\tBRCA1\tBRCA2\nA\thigh\tlow\n", "words.tsv"),
        ("few.tsv", b"sample\tBRCA1\tBRCA2\nA\t1.5\t2.5\nB\t2.5\t3.5\n", "2 of the model's 59"),
        (
            "mouse.csv",
            b"gene,A,B\nENSMUSG00000017146,1,2\nENSMUSG00000041147,3,4\n",
            "0 of the model's 59",
        ),
        ("image.xlsx", b"\x89PNG\r\n\x1a\n", "image.xlsx"),
    ],
)
def test_bad_file_is_an_error_in_words(app: AppTest, name: str, data: bytes, said: str) -> None:
    upload(app, name, data)
    assert said in app.error[0].value
    assert not app.exception


def test_a_bad_file_changes_nothing_and_names_the_table_in_use(app: AppTest) -> None:
    upload(app, "mine.tsv", table())
    upload(app, "bad.csv", b"")
    assert "bad.csv" in app.error[0].value
    assert "mine.tsv" in app.info[0].value
    assert app.header[0].value == "What was found in mine.tsv"
    upload(app, "other.tsv", table(rows=30))
    assert not app.error
    assert app.header[0].value == "What was found in other.tsv"


def test_predict_leads_on(app: AppTest) -> None:
    upload(app, "mine.tsv", table())
    app.button(key="predict").click().run()
    assert not app.exception
    assert app.title[0].value == "Predicted expression"
    assert "40 samples of Whole Blood" in words(app)
    assert "imulated" not in words(app)


def test_table_and_options_survive_a_page_switch(app: AppTest) -> None:
    upload(app, "mine.tsv", table(rows=30))
    unit_choice(app).set_value("cpm").run()
    app.radio(key="alignment").set_value("none").run()
    app.selectbox(key="source").set_value("Spleen").run()
    for page in (MODEL_CARD, PREDICTED, UPLOAD):
        app.switch_page(page).run()
        assert not app.exception
    assert metrics(app)["Samples"] == "30"
    assert unit_choice(app).value == "cpm"
    assert app.radio(key="alignment").value == "none"
    assert app.selectbox(key="source").value == "Spleen"


def test_delete_now_deletes(app: AppTest) -> None:
    upload(app, "mine.tsv", table())
    app.button(key="delete").click().run()
    assert not app.exception
    assert not app.metric
    assert "mine.tsv" not in words(app)
    app.switch_page(PREDICTED).run()
    assert "No samples yet" in app.info[0].value


def test_a_table_that_cannot_be_used_can_be_deleted(app: AppTest) -> None:
    genes = list(pd.read_csv(EXAMPLE, sep="\t", index_col="sample"))
    upload(app, "few.tsv", table(without=genes[:40]))
    assert "at least half are needed" in app.error[0].value
    app.button(key="delete").click().run()
    assert not app.error
    assert not app.metric
    assert "No samples yet" in app.info[0].value


def test_sessions_do_not_see_each_other(open_app: Callable[[], AppTest], tmp_path: Path) -> None:
    first, second = open_app(), open_app()
    upload(first, "first.tsv", table(rows=30))
    upload(second, "second.tsv", table(rows=25))
    first.run()
    assert metrics(first)["Samples"] == "30"
    assert metrics(second)["Samples"] == "25"
    assert "second.tsv" not in words(first)
    assert "first.tsv" not in words(second)


def test_a_unit_that_is_not_clear_is_asked_for_and_nothing_is_predicted_before(
    app: AppTest,
) -> None:
    case = small_fpkm()
    upload(app, "mine.csv", case.values.to_csv().encode())
    assert unit_choice(app).value is None
    assert app.button(key="predict").disabled
    (asked,) = (box.value for box in app.warning if "Choose the unit" in box.value)
    assert "FPKM or RPKM" in asked
    assert "log2(1 + x)" in asked
    app.switch_page(PREDICTED).run()
    assert not app.exception
    assert any("The unit of the values is not clear" in box.value for box in app.info)
    app.switch_page(UPLOAD).run()
    unit_choice(app).set_value("fpkm").run()
    assert not app.exception
    assert not app.button(key="predict").disabled
    assert "FPKM" in app.button(key="predict").label
    prepared = app.session_state["mtm"].prepare(base.predictor())
    assert prepared.unit == "fpkm"
    np.testing.assert_allclose(prepared.aligned.z, case.expected, atol=1e-3)


def test_centred_values_are_refused_with_the_reason(app: AppTest) -> None:
    upload(app, "mine.csv", centred()["z-scores of genes"].to_csv().encode())
    assert "z-scores, centred logarithms" in app.error[0].value
    assert not app.exception
    unit_choice(app).set_value("log2").run()
    assert "z-scores, centred logarithms" in app.error[0].value
