"""What the report says is what the prediction, the table and the evaluation hold."""

from __future__ import annotations

import io
import zipfile

import pandas as pd
import pytest

from mtm_core.dashboard.screens import report as screen
from mtm_core.dashboard.screens.report import bundle_of, record_of, report_bytes, report_of
from mtm_core.dashboard.state.resources import EXAMPLE, ServedModel
from mtm_core.dashboard.state.session import Session
from mtm_core.errors import SelectionError
from mtm_core.inference.predictor import Predictor
from mtm_core.model_places import DEFAULT_MODEL, find_model
from mtm_core.reporting.report import Report, Section

EVIL = "<script>alert(1)</script>"


def sections(report: Report) -> dict[str, Section]:
    return {section.heading: section for section in report.sections}


def predicted(model: ServedModel, *targets: str, source: str = "Whole Blood") -> Session:
    session = Session(targets=targets, source=source)
    session.open(EXAMPLE.read_bytes(), EXAMPLE.name, model.predictor)
    session.predict(model.predictor)
    return session


def test_without_a_current_prediction_there_is_no_record(
    session: Session, evaluated_model: ServedModel
) -> None:
    with pytest.raises(SelectionError, match="Predict first"):
        record_of(session, evaluated_model)
    session.predict(evaluated_model.predictor)
    record_of(session, evaluated_model)
    session.unit = "cpm"
    with pytest.raises(SelectionError, match="Predict first"):
        record_of(session, evaluated_model)


def test_accuracy_is_that_of_the_evaluation(evaluated_model: ServedModel) -> None:
    session = predicted(evaluated_model, "Lung", "Liver")
    report = report_of(record_of(session, evaluated_model), evaluated_model)
    assert evaluated_model.evaluation is not None
    tissues = evaluated_model.evaluation.tissues
    own = tissues[(tissues["method"] == "mtm") & tissues["tissue"].isin(["Lung", "Liver"])]
    own = own.sort_values("gene_rho_by_fold", ascending=False)
    table = sections(report)["Predicted tissues"].table
    assert table["tissue"].tolist() == own["tissue"].tolist()
    assert table["rho, by fold"].tolist() == [f"{x:.3f}" for x in own["gene_rho_by_fold"]]
    assert "adjusted rho" not in table  # was not made
    drawn = [figure.title for figure in sections(report)["Predicted values"].figures]
    assert drawn == own["tissue"].tolist()

    genes = evaluated_model.evaluation.genes
    good = genes[(genes["method"] == "mtm") & (genes["rho_pooled"] > 0.3)]
    good = good[good["tissue"].isin(["Lung", "Liver"])]
    listed = sections(report)["Best predicted genes"]
    assert listed.text[0].startswith(f"{len(good):,} of {2 * 59:,} pairs")
    assert len(listed.table) == min(len(good), screen.MOST_ROWS)
    assert listed.table["rho, by fold"].iloc[0] == f"{good['rho_by_fold'].max():.2f}"
    assert set(listed.table["gene"]) <= set(evaluated_model.predictor.artefact.genes["symbol"])


def test_simulated_samples_are_named_so(evaluated_model: ServedModel) -> None:
    session = predicted(evaluated_model, "Lung")
    report = report_of(record_of(session, evaluated_model), evaluated_model)
    assert report.lead == (
        "For research use, not for diagnosis.",
        "Simulated samples, not real people.",
    )
    assert sections(report)["Methods"].verbatim.startswith("THE SAMPLES ARE SIMULATED")
    own = Session(targets=("Lung",))
    own.open(EXAMPLE.read_bytes().replace(b"SIM-", b"P-"), "mine.tsv", evaluated_model.predictor)
    own.predict(evaluated_model.predictor)
    page = report_bytes(record_of(own, evaluated_model), evaluated_model).decode()
    assert "imulated samples" not in page
    assert "Predicted expression: mine.tsv" in page


def test_no_accuracy_is_borrowed_for_another_source(evaluated_model: ServedModel) -> None:
    session = predicted(evaluated_model, "Lung", source="Spleen")
    record = record_of(session, evaluated_model)
    found = sections(report_of(record, evaluated_model))
    assert found["The model, and how good it is"].facts["Accuracy"] == "Not evaluated from Spleen."
    assert found["Predicted tissues"].table.empty
    assert "not evaluated" in found["Best predicted genes"].text[0]
    (heatmap,) = found["Predicted values"].figures
    assert "held-out" not in heatmap.caption
    archive = zipfile.ZipFile(io.BytesIO(bundle_of(record, evaluated_model)))
    assert "held_out_accuracy.csv" not in archive.namelist()


def test_bundle_has_the_accuracy_of_its_own_tissues_and_method(
    evaluated_model: ServedModel,
) -> None:
    session = predicted(evaluated_model, "Lung", "Liver")
    data = bundle_of(record_of(session, evaluated_model), evaluated_model)
    archive = zipfile.ZipFile(io.BytesIO(data))
    accuracy = pd.read_csv(archive.open("held_out_accuracy.csv"))
    assert set(accuracy["tissue"]) == {"Lung", "Liver"}
    assert set(accuracy["method"]) == {"mtm"}
    assert len(accuracy) == 2 * 59


def test_missing_genes_and_findings_are_listed(predictor: Predictor) -> None:
    model = ServedModel.load(find_model(DEFAULT_MODEL))
    table = pd.read_csv(EXAMPLE, sep="\t", index_col="sample").drop(columns=["BRCA1", "TP53"])
    session = Session(targets=("Lung",))
    session.open(table.to_csv().encode(), "less.csv", predictor)
    session.predict(predictor)
    found = sections(report_of(record_of(session, model), model))[
        "What was uploaded, and what was found in it"
    ]
    assert found.facts["Genes missing"] == "TP53, BRCA1"
    assert found.facts["Genes of the model found"] == "57 of 59"
    assert any(note.level == "warning" and "'BRCA1'" in note.found for note in found.notes)


def test_a_figure_says_how_much_of_too_much_data_it_draws(
    evaluated_model: ServedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, most in (("HEATMAPS", 2), ("GENES", 10), ("SAMPLES", 5), ("ROWS", 3)):
        monkeypatch.setattr(screen, f"MOST_{name}", most)
    session = predicted(evaluated_model, "Lung", "Liver", "Spleen")
    found = sections(report_of(record_of(session, evaluated_model), evaluated_model))
    values = found["Predicted values"]
    assert len(values.figures) == 2
    assert "Shown: the 2 tissues that are predicted best." in values.text
    assert "5 of 40 samples in rows, 10 of 59 genes in columns" in values.figures[0].caption
    assert len(found["Best predicted genes"].table) == 3


def test_a_sample_named_as_a_script_stays_a_name(evaluated_model: ServedModel) -> None:
    session = Session(targets=("Lung",))
    data = EXAMPLE.read_bytes().replace(b"SIM-001", EVIL.encode())
    session.open(data, f"{EVIL}.tsv", evaluated_model.predictor)
    session.predict(evaluated_model.predictor)
    page = report_bytes(record_of(session, evaluated_model), evaluated_model).decode()
    assert EVIL not in page
    assert "Predicted expression: &lt;script&gt;" in page
    assert r"&lt;script&gt;alert(1)&lt;\u002fscript&gt;" in page  # in the figures' JSON
