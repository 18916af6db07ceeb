"""Quality and Blood composition in the dashboard."""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from mtm_core.dashboard.screens.composition import adjusted_for_composition
from mtm_core.dashboard.state.resources import served_model
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.inference.blood_cells import CELLS, COLUMNS, blood_signature
from mtm_core.places import SAMPLES
from tests.cli.conftest import Mtm
from tests.cli.conftest import mtm as mtm
from tests.pages.conftest import UPLOAD, go_to, rows, unit_choice, upload, words

QUALITY, COMPOSITION = "pages/samples/quality.py", "pages/samples/composition.py"
TRAITS, METADATA = "pages/associations/traits.py", "pages/samples/metadata.py"


def mixed_bloods() -> tuple[bytes, pd.DataFrame]:
    """Give counts of twelve mixtures of blood cells, with the model's genes, and the shares."""
    rng, profiles = np.random.default_rng(0), blood_signature().profiles
    shares = rng.dirichlet([6, 1, 0.5, 1, 1, 0.5], 12)
    own = pd.read_csv(SAMPLES / "blood_counts.csv", index_col=0)
    names = list(own.columns[:12])
    mixed = pd.DataFrame(profiles.to_numpy() @ shares.T * 10, profiles.index, names).round()
    table = pd.concat([own[names], mixed]).rename_axis("gene")
    return table.to_csv().encode(), pd.DataFrame(shares, names, profiles.columns)


def test_the_example_is_reviewed(with_example: AppTest) -> None:
    app = go_to(with_example, QUALITY)
    said = words(app)
    assert "Sex cannot be determined: neither XIST" in said
    assert "A star means an FDR of at most 5%" in said
    outliers = rows(app)
    assert list(outliers.columns) == ["sample", "reasons"]
    samples = next(d.value for d in app.dataframe if "nearest_tissue" in d.value)
    assert len(samples) == 40
    assert set(outliers["sample"]) == set(samples.loc[samples["is_outlier"], "sample"])
    app.selectbox(key="component_colour").set_value("age").run()
    app.selectbox(key="component_x").set_value("PC3").run()
    app.toggle(key="component_reference").set_value(False).run()
    assert not app.exception


def test_exchanged_samples_are_listed_with_reasons_and_a_command(
    app: AppTest, mtm: Mtm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = pd.read_csv(SAMPLES / "blood_tpm.tsv", sep="\t", index_col=0)
    upload(app, "first.tsv", own.add_prefix("P-", axis=0).to_csv(sep="\t").encode())
    app.selectbox(
        key=next(b.key for b in app.selectbox if b.label == "Unit of the values")
    ).set_value("tpm").run()
    later = own * np.exp2(np.random.default_rng(0).normal(0, 0.3, own.shape))
    later = later.add_prefix("P-", axis=0).rename(
        index={"P-SIM-002": "P-SIM-009", "P-SIM-009": "P-SIM-002"}
    )
    go_to(app, QUALITY)
    app.file_uploader[0].upload("later.tsv", later.to_csv(sep="\t").encode())
    app.run()
    (unit,) = (box for box in app.selectbox if box.label == "Unit of the second table")
    unit.set_value("tpm").run()
    assert not app.exception
    said = words(app)
    assert "**P-SIM-002**: in the second table most like P-SIM-009 (rho 0." in said
    assert "**P-SIM-009**: in the second table most like P-SIM-002 (rho 0." in said
    assert {m.label: m.value for m in app.metric}["Suspicious"] == "2"
    assert "Sex by expression is not compared" in words(app)
    for name, data in (("first.tsv", own.add_prefix("P-", axis=0)), ("later.tsv", later)):
        data.to_csv(tmp_path / name, sep="\t")
    monkeypatch.chdir(tmp_path)
    done = mtm(*shlex.split(app.code[-1].value)[1:])
    assert done.code == 0, done.err
    found = pd.read_csv("quality/between_tables.csv")
    assert set(found.loc[found["is_suspicious"], "sample"]) == {"P-SIM-002", "P-SIM-009"}
    app.button(key="second_remove").click().run()
    assert app.session_state["mtm"].second is None
    assert "Suspicious" not in {m.label for m in app.metric}


def test_a_further_tissue_is_compared_with_its_prediction(with_example: AppTest) -> None:
    session = with_example.session_state["mtm"]
    predictor = served_model().predictor
    session.source, session.unit = "Whole Blood", "tpm"
    table = session.table.values
    lung = predictor.predict(table, targets=["Lung"], unit="tpm")["expression"].sel(tissue="Lung")
    names = list(table.index)
    measured = lung.to_pandas() * np.exp2(np.random.default_rng(0).normal(0, 0.1, lung.shape))
    swapped = measured.rename(index={names[2]: names[6], names[6]: names[2]})
    task = session.reading_further(swapped.to_csv().encode(), "lung.csv", "Lung", predictor)
    task.now()
    session.set_further(tuple(replace(one, unit="cpm") for one in session.further))
    app = go_to(with_example, QUALITY)
    assert app.selectbox(
        key=next(b.key for b in app.selectbox if "Second table" in b.label)
    ).value == ("Lung: lung.csv")
    assert not app.exception
    assert f"**{names[2]}**: in Lung most like {names[6]}" in words(app)
    assert {m.label: m.value for m in app.metric}["Suspicious"] == "2"
    assert "--also lung.csv --also-tissue Lung --also-unit cpm" in app.code[-1].value


def test_without_samples_both_name_the_next_step(app: AppTest) -> None:
    for page in (QUALITY, COMPOSITION):
        assert "No samples yet" in go_to(app, page).info[0].value


def test_59_genes_have_no_composition(with_example: AppTest) -> None:
    app = go_to(with_example, COMPOSITION)
    assert "The composition cannot be estimated: 0 of the" in app.info[0].value
    assert list(rows(app)["cells"]) == list(CELLS)
    assert not app.exception
    assert "22 CIBERSORT scores of GTEx v7 blood" in words(app)
    adjusted = app.dataframe[-1].value.set_index("tissue")
    assert adjusted.loc["Kidney - Cortex", "donors"] == 30
    assert (adjusted["adjusted for composition"] < adjusted["rho"]).mean() > 0.9


def test_estimated_shares_become_covariates(app: AppTest) -> None:
    data, shares = mixed_bloods()
    upload(app, "mixed.csv", data)
    go_to(app, COMPOSITION)
    table = rows(app).set_index("sample")
    np.testing.assert_allclose(table["neutrophils"], shares["neutrophils"], atol=0.01)
    app.button(key="add_composition").click().run()
    assert "The shares are now columns of the metadata" in app.success[0].value
    app.multiselect(key="own_shares").set_value([COLUMNS["B cells"]]).run()
    assert not app.exception
    go_to(app, TRAITS)
    app.selectbox(key="trait").set_value(COLUMNS["neutrophils"]).run()
    app.multiselect(key="covariates").set_value([COLUMNS["monocytes"]]).run()
    assert not app.exception
    (compose, compare) = (code.value for code in app.code)
    assert compose.startswith("mtm composition mixed.csv --model gtex_v8_acmg59_stack --unit ")
    assert compose.endswith(" --output with_cells.csv")
    assert "--metadata with_cells.csv" in compare
    assert "--covariates RNA_share_monocytes" in compare


def test_shares_of_the_users_own_are_not_estimated_by_the_shown_command(app: AppTest) -> None:
    """The same columns, counted elsewhere: what the command reads is what the page reads."""
    data, shares = mixed_bloods()
    upload(app, "mixed.csv", data)
    own = pd.DataFrame({name: np.linspace(0.1, 0.3, len(shares)) for name in COLUMNS.values()})
    own.insert(0, "sample", list(shares.index))
    go_to(app, METADATA)
    app.file_uploader[0].upload("own.csv", own.to_csv(index=False).encode())
    app.run()
    go_to(app, TRAITS)
    app.selectbox(key="trait").set_value(COLUMNS["neutrophils"]).run()
    assert not app.exception
    assert "--composition" not in app.code[-1].value
    assert "--metadata own.csv" in app.code[-1].value


def test_accuracy_adjusted_for_composition_is_that_of_the_models_own_method() -> None:
    tissues = pd.DataFrame(
        {
            "method": ["own", "own", "ridge"],
            "tissue": ["Lung", "Liver", "Lung"],
            "gene_rho_composition_known": [0.3, 0.4, 0.2],
            "gene_rho_adjusted_for_composition": [0.1, 0.2, 0.0],
        }
    )
    tables = EvaluationTables(pd.DataFrame(), tissues, {})
    found = adjusted_for_composition(tables, "own")
    assert found is not None
    assert found.to_numpy().tolist() == [["Liver", 0.4, 0.2], ["Lung", 0.3, 0.1]]
    assert adjusted_for_composition(None, "own") is None
    without = tissues.drop(columns="gene_rho_adjusted_for_composition")
    assert adjusted_for_composition(EvaluationTables(pd.DataFrame(), without, {}), "own") is None


def test_estimated_shares_go_when_the_values_are_read_otherwise(app: AppTest) -> None:
    """Shares of counts are not those of the same values read as FPKM, or as logarithms."""
    data, _ = mixed_bloods()
    upload(app, "mixed.csv", data)
    own = pd.DataFrame({"sample": [f"SIM-{i:03}" for i in range(1, 13)], "bmi": range(20, 32)})
    go_to(app, METADATA)
    app.file_uploader[0].upload("own.csv", own.to_csv(index=False).encode())
    app.run()
    session = app.session_state["mtm"]
    digest = session.metadata.sha256
    go_to(app, COMPOSITION)
    app.button(key="add_composition").click().run()
    assert COLUMNS["monocytes"] in session.metadata.values
    assert (
        session.metadata.sha256
        == digest
        == hashlib.sha256(own.to_csv(index=False).encode()).hexdigest()
    )
    go_to(app, UPLOAD)
    assert COLUMNS["monocytes"] in session.metadata.values
    unit_choice(app).set_value("vst").run()
    assert "The estimated shares of blood cells were removed" in words(app)
    assert list(session.metadata.values) == ["bmi"]
    assert "RNA_share" not in str(session.metadata.notes)


def test_the_command_of_a_review_by_batch_has_the_batches(
    app: AppTest, mtm: Mtm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = pd.read_csv(SAMPLES / "blood_counts.csv", index_col=0)
    run = np.where(np.arange(40) < 20, "first", "second")
    own.iloc[:, 20:] *= np.random.default_rng(1).integers(1, 9, (len(own), 1))
    upload(app, "mine.csv", own.to_csv().encode())
    people = pd.DataFrame({"sample": own.columns, "run": run})
    go_to(app, METADATA)
    app.file_uploader[0].upload("runs.csv", people.to_csv(index=False).encode())
    app.run()
    go_to(app, UPLOAD)
    (batches,) = (box for box in app.selectbox if box.label == "Batches by")
    batches.set_value("run").run()
    shown = next(d.value for d in go_to(app, QUALITY).dataframe if "nearest_tissue" in d.value)
    own.to_csv(tmp_path / "mine.csv")
    people.to_csv(tmp_path / "runs.csv", index=False)
    monkeypatch.chdir(tmp_path)
    done = mtm(*shlex.split(app.code[-1].value)[1:])
    assert done.code == 0, done.err
    again = pd.read_csv("quality/samples.csv")
    for name in ("median_correlation", "robust_distance", "distance_p"):
        np.testing.assert_allclose(again[name], shown[name], rtol=2e-5, atol=1e-9)
