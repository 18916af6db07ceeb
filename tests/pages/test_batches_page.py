"""Batches and later samples on the Upload page."""

from __future__ import annotations

import io
import json
import shlex
import zipfile

import numpy as np
import pandas as pd
from streamlit.testing.v1 import AppTest

from mtm_core.dashboard.screens.report import bundle_of, methods_of, record_of
from mtm_core.dashboard.state.batching import Batching
from mtm_core.dashboard.state.resources import EXAMPLE, served_model
from mtm_core.dashboard.state.session import Session
from mtm_core.inference.predictor import Predictor
from mtm_core.inference.saved_alignment import alignment_bytes
from mtm_core.model_places import DEFAULT_MODEL
from tests.cli.conftest import Mtm
from tests.cli.conftest import mtm as mtm
from tests.pages.conftest import UPLOAD, go_to, upload, words

EXAMPLE_TABLE = pd.read_csv(EXAMPLE, sep="\t", index_col="sample").add_prefix("P-", axis="index")


def as_file(values: pd.DataFrame) -> bytes:
    return values.to_csv(sep="\t").encode()


def test_batches_are_chosen_shown_and_carried(
    app: AppTest, mtm: Mtm, tmp_path, monkeypatch
) -> None:  # type: ignore[no-untyped-def]
    upload(app, "blood.tsv", as_file(EXAMPLE_TABLE))
    session: Session = app.session_state["mtm"]
    known = pd.DataFrame({"plate": np.repeat([1, 2], 20)}, EXAMPLE_TABLE.index)
    known["group"] = np.repeat(["ill", "well"], 20)
    session.open_metadata(known.to_csv(index_label="sample").encode(), "people.csv")
    session.unit, session.targets = "tpm", ("Lung",)
    go_to(app, UPLOAD)
    (column,) = (box for box in app.selectbox if box.label == "Batches by")
    column.set_value("plate").run()
    assert not app.exception
    assert not app.error
    (table,) = (frame.value for frame in app.dataframe if "parameters_of" in frame.value)
    assert table["batch"].tolist() == ["1", "2"]
    assert "The batches of 'plate' and the groups of 'group' coincide" in words(app)
    predictor = Predictor.load(DEFAULT_MODEL)
    batch = known["plate"].astype(str)
    expected = predictor.predict(EXAMPLE_TABLE, unit="tpm", targets=["Lung"], batch=batch)
    prediction = session.predict(predictor)
    np.testing.assert_allclose(prediction["z"], expected["z"], atol=1e-6)
    medians = expected["distance_after"].to_series().groupby(batch).median()
    np.testing.assert_allclose(table["distance_after"], medians)
    # A saved session holds it; a bundle repeats it.
    assert Batching.from_text(session.batching.text) == session.batching
    record = record_of(session, served_model())
    assert "of each of 2 batches" in methods_of(record, served_model())
    with zipfile.ZipFile(io.BytesIO(bundle_of(record, served_model()))) as bundle:
        bundle.extractall(tmp_path)
    (tmp_path / "blood.tsv").write_bytes(as_file(EXAMPLE_TABLE))
    monkeypatch.chdir(tmp_path)
    command = shlex.split((tmp_path / "reproduce.sh").read_text().splitlines()[-1])
    done = mtm(*command[1:])
    assert done.code == 0, done.err
    again = (tmp_path / "reproduced.parquet").read_bytes()
    assert again == (tmp_path / "predicted.parquet").read_bytes()


def test_one_later_sample_is_read_by_an_uploaded_alignment(app: AppTest) -> None:
    predictor = Predictor.load(DEFAULT_MODEL)
    saved = predictor.prepare(EXAMPLE_TABLE.iloc[:20], unit="tpm", alignment="robust").alignment
    upload(app, "later.tsv", as_file(EXAMPLE_TABLE.iloc[20:21]))
    session: Session = app.session_state["mtm"]
    session.unit = "tpm"
    app.run()

    def give(content: bytes, name: str = "alignment.json") -> None:
        (place,) = (one for one in app.file_uploader if one.label.startswith("Saved alignment"))
        place.upload(name, content)
        app.run()
        assert not app.exception

    give(b"sample,gene\n", "table.json")
    assert any("table.json is not a saved alignment" in box.value for box in app.error)
    assert not session.batching.saved
    give(alignment_bytes(saved))
    assert not app.error
    assert app.radio(key="alignment").disabled
    assert "1 sample was aligned by the saved alignment of 20 earlier samples" in words(app)
    expected = predictor.prepare(EXAMPLE_TABLE.iloc[20:21], unit="tpm", alignment_from=saved)
    np.testing.assert_array_equal(session.prepare(predictor).aligned.z, expected.aligned.z)
    assert session.options(predictor).alignment_from == "alignment.json"
    # It stays for the next table, and is refused for another model's.
    upload(app, "next.tsv", as_file(EXAMPLE_TABLE.iloc[21:22]))
    assert session.batching.saved[0].digest == saved.digest
    other = json.loads(alignment_bytes(saved))
    other["model"] = {"name": "other", "sha256": "0" * 64}
    session.unit = "tpm"
    give(json.dumps(other).encode())
    assert any("of the model 'other'" in box.value for box in app.error)
    app.button(key="leave_out_alignment").click().run()
    assert not app.error
    assert not session.batching.saved
