"""The endpoint, by real requests to a server that listens on a free port."""

from __future__ import annotations

import gzip
import json
import socket
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from threading import Thread

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import requests as plain_requests

from mtm_core.dashboard.state.batching import Batching
from mtm_core.dashboard.state.session import Session
from mtm_core.data.people.metadata_file import read_metadata
from mtm_core.data.tables.expression import read_expression
from mtm_core.endpoint.serving import ServeOptions, server_of
from mtm_core.errors import SelectionError
from mtm_core.inference.alignment import AlignmentMethod
from mtm_core.inference.options import PredictionOptions
from mtm_core.inference.predictor import Predictor
from mtm_core.inference.saved_alignment import alignment_bytes
from mtm_core.model_folder import ModelFolder
from mtm_core.model_places import DEFAULT_MODEL, find_model
from mtm_core.places import SAMPLES
from mtm_core.studies.beside_model import evaluation_of
from mtm_core.workflows.predict import predict_samples
from mtm_core.workflows.predict_options import PredictOptions
from mtm_core.workflows.uploaded_alignment import read_upload

TABLE = (SAMPLES / "blood_tpm.tsv").read_bytes()
HANGS = Path(__file__).parents[1] / "data" / "bad_files" / "hangs.h5ad.gz"
MUSCLE = "Muscle - Skeletal"
TOKEN = "a long token of many words"
requests = plain_requests.Session()
requests.headers["Authorization"] = f"Bearer {TOKEN}"
asked: list[str] = []


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server's temporary files."""
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.load(find_model(DEFAULT_MODEL))


@pytest.fixture(scope="module")
def server(folder: Path, predictor: Predictor) -> Iterator[str]:
    options = ServeOptions((DEFAULT_MODEL,), port=free_port(), token=TOKEN, max_megabytes=2, most=8)
    files = ModelFolder.open(find_model(DEFAULT_MODEL))
    evaluated = {DEFAULT_MODEL: evaluation_of(files, predictor.artefact)}
    with (
        pytest.MonkeyPatch.context() as environment,
        server_of(options, {DEFAULT_MODEL: predictor}, folder, evaluated) as running,
    ):
        environment.setenv("MTM_MAX_DOWNLOAD_MB", "20")
        thread = Thread(target=running.run)
        thread.start()
        while not running.started:
            time.sleep(0.02)
        yield f"http://127.0.0.1:{options.port}/v1"
        running.should_exit = True
        thread.join()


@pytest.fixture(autouse=True)
def empty(request: pytest.FixtureRequest) -> Iterator[None]:
    """Leave no prediction to the next test."""
    asked.clear()
    yield
    for place in asked:
        requests.delete(place, timeout=10)


def ask(url: str, data: object = TABLE, **options: object) -> plain_requests.Response:
    answer = requests.post(f"{url}/predictions", params=options, data=data, timeout=60)
    if answer.status_code == 202:
        asked.append(url.removesuffix("/v1") + answer.headers["Location"])
    return answer


def result(url: str, answer: plain_requests.Response) -> plain_requests.Response:
    assert answer.status_code == 202, answer.text
    for _ in range(10):
        done = requests.get(
            f"{url}/predictions/{answer.json()['id']}/result", params={"wait": 30}, timeout=60
        )
        if done.status_code != 202:
            return done
    raise AssertionError("it does not come to its end")


@pytest.fixture(scope="module")
def expected(predictor: Predictor) -> pd.Series:
    table = read_expression(SAMPLES / "blood_tpm.tsv", known_genes=predictor.genes)
    prediction = predictor.predict(table, source="Whole Blood", targets=["Lung", "Liver"])
    return prediction["expression"].to_series()


def test_a_table_comes_back_as_its_prediction(server: str, expected: pd.Series) -> None:
    about = requests.get(f"{server}/models", timeout=10).json()
    assert about["models"][0]["name"] == DEFAULT_MODEL
    answer = ask(server, targets=["Lung", "Liver"], format="parquet", name="mine.tsv")
    done = result(server, answer)
    assert done.status_code == 200, done.text
    assert "prediction.parquet" in done.headers["Content-Disposition"]
    assert done.headers["Cache-Control"] == "no-store"
    rows = pd.read_parquet(BytesIO(done.content))
    ours = rows.set_index(["sample", "tissue", "gene_id"])["expression"]
    theirs = expected.rename_axis(["sample", "tissue", "gene_id"]).reindex(
        pd.MultiIndex.from_frame(ours.index.to_frame().astype(str))
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    place = f"{server}/predictions/{answer.json()['id']}"
    state = requests.get(place, timeout=10).json()
    assert state["state"] == "done"
    assert any("59 of the model's 59 genes" in note["message"] for note in state["notes"])
    assert requests.delete(place, timeout=10).status_code == 204
    gone = requests.get(f"{place}/result", timeout=10)
    assert gone.status_code == 404
    assert gone.json()["error"]["type"] == "UnknownJobError"


def test_several_at_once_each_get_their_own(server: str) -> None:
    tables = []
    whole = pd.read_csv(BytesIO(TABLE), sep="\t", index_col=0)
    for i in range(6):
        tables.append(whole.iloc[i * 5 : i * 5 + 10].to_csv(sep="\t").encode())

    def one(data: bytes) -> ad.AnnData:
        answer = ask(server, data, targets="Lung", format="h5ad", unit="tpm")
        done = result(server, answer)
        assert done.status_code == 200, done.text
        requests.delete(f"{server}/predictions/{answer.json()['id']}", timeout=10)
        path = BytesIO(done.content)
        return ad.read_h5ad(path)

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(one, tables))
    for i, prediction in enumerate(found):
        assert prediction.obs["sample"].tolist() == whole.index[i * 5 : i * 5 + 10].tolist()
    assert requests.get(f"{server}/health", timeout=10).json()["predictions"] == 0


def test_errors_are_json(server: str) -> None:
    for options, status, words in (
        ({"targets": "Lnug"}, 400, "Lung"),
        ({"model": "another"}, 400, DEFAULT_MODEL),
        ({"format": "xlsx"}, 400, "'csv', 'parquet' or 'h5ad'"),
        ({"unit": "smoots"}, 400, "unit"),
        ({"source": "Nowhere"}, 400, "Nowhere"),
        ({"units": "tpm"}, 400, "unknown option: 'units' (did you mean 'unit'?)"),
        ({"unit": ["counts", "tpm"]}, 400, "'unit' is given more than once"),
    ):
        answer = ask(server, **options)
        assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/json")
        assert words in answer.json()["error"]["message"]
    assert ask(server, b"").json()["error"]["message"].startswith("the body is empty")
    failed = result(server, ask(server, b"%PDF-1.7 not a table", name="paper.pdf"))
    assert failed.status_code == 400
    assert failed.json()["error"]["type"] == "InputFileError"
    assert "paper.pdf" in failed.json()["error"]["message"]
    nowhere = requests.get(f"{server}/../etc/passwd", timeout=10)
    assert (nowhere.status_code, nowhere.json()["error"]["type"]) == (404, "RequestError")
    paths = requests.get(server.replace("/v1", "/openapi.json"), timeout=10).json()["paths"]
    assert {"/v1/predictions", "/v1/predictions/{name}/result"} <= set(paths)


def test_a_too_large_table_is_refused(server: str) -> None:
    heavy = ask(server, b"x" * 2_100_000)
    assert heavy.status_code == 413
    assert "larger than 2 MB" in heavy.json()["error"]["message"]

    def endless() -> Iterator[bytes]:
        for _ in range(40):
            yield b"y" * 100_000

    with suppress(plain_requests.ConnectionError):  # hung up on while it still sends
        assert ask(server, endless()).status_code == 413
    whole = pd.read_csv(BytesIO(TABLE), sep="\t", index_col=0)
    many = pd.concat([whole] * 3)
    many.index = [f"P{i}" for i in range(len(many))]
    answer = result(server, ask(server, gzip.compress(many.to_csv(sep="\t").encode())))
    assert answer.status_code == 413
    assert "this server makes at most 20 MB" in answer.json()["error"]["message"]


def test_a_file_that_hangs_its_reader_ends_and_others_go_on(server: str) -> None:
    hostile = ask(server, gzip.decompress(HANGS.read_bytes()))
    assert result(server, ask(server, targets="Lung")).status_code == 200
    place = f"{server}/predictions/{hostile.json()['id']}"
    assert requests.get(place, timeout=10).json()["state"] == "running"
    assert requests.delete(place, timeout=10).status_code == 204
    bomb = result(server, ask(server, gzip.compress(bytes(60_000_000), 9)))
    assert bomb.status_code == 400
    assert result(server, ask(server, targets="Lung")).status_code == 200


def test_a_killed_client_leaves_nothing(server: str) -> None:
    before = requests.get(f"{server}/health", timeout=10).json()["predictions"]
    host, port = server.removeprefix("http://").removesuffix("/v1").split(":")
    for _ in range(3):
        with socket.create_connection((host, int(port))) as line:
            head = (
                f"POST /v1/predictions HTTP/1.1\r\nHost: {host}\r\nContent-Length: 900000\r\n\r\n"
            )
            line.sendall(head.encode() + b"gene\tS1\n")
    assert result(server, ask(server, targets="Lung")).status_code == 200
    after = requests.get(f"{server}/health", timeout=10).json()["predictions"]
    assert after == before + 1


def test_other_names_and_websites_get_no_answer(server: str) -> None:
    url = f"{server}/models"
    for headers in (
        {"Host": "evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Host": "127.0.0.1.evil.example:80"},
    ):
        assert requests.get(url, headers=headers, timeout=10).status_code == 403
    assert requests.get(url, headers={"Host": "localhost:99"}, timeout=10).status_code == 200


def test_a_token_is_asked_for(server: str) -> None:
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": f"Basic {TOKEN}"}):
        answer = plain_requests.get(f"{server}/models", headers=headers, timeout=10)
        assert answer.status_code == 401
        assert TOKEN not in answer.text
    refused = plain_requests.post(f"{server}/predictions", data=TABLE, timeout=10)
    assert refused.status_code == 401


def test_a_full_server_answers_429_and_deleted_results_leave_the_disk(
    server: str, folder: Path
) -> None:
    answers = [ask(server, targets="Lung") for _ in range(9)]
    assert [answer.status_code for answer in answers] == [202] * 8 + [429]
    assert answers[-1].headers["Retry-After"] == "10"
    for answer in answers[:-1]:
        assert result(server, answer).status_code == 200
    stored = list(folder.rglob("prediction.csv"))
    assert len(stored) == 8
    assert all(path.parent.stat().st_mode & 0o077 == 0 for path in stored)
    for answer in answers[:-1]:
        requests.delete(f"{server}/predictions/{answer.json()['id']}", timeout=30)
    assert not list(folder.rglob("prediction.csv"))


def test_a_server_that_others_can_reach_needs_a_token() -> None:
    with pytest.raises(SelectionError, match="give a token of 16 characters"):
        ServeOptions(("any",), "0.0.0.0", token="short")


def form(url: str, files: Mapping[str, object], **options: object) -> plain_requests.Response:
    answer = requests.post(f"{url}/predictions", params=options, files=files, timeout=60)
    if answer.status_code == 202:
        asked.append(url.removesuffix("/v1") + answer.headers["Location"])
    return answer


def test_age_and_sex_are_read_from_a_file_or_json(server: str, predictor: Predictor) -> None:
    people = pd.read_csv(SAMPLES / "metadata.tsv", sep="\t").iloc[:38]
    table = read_expression(SAMPLES / "blood_tpm.tsv", known_genes=predictor.genes)
    known = read_metadata(
        BytesIO(people.to_csv(index=False).encode()), "p.csv", samples=list(table.values.index)
    )
    wanted, without = (
        predictor.predict(table, targets=["Lung"], phenotypes=phenotypes)["z"].sel(tissue="Lung")
        for phenotypes in (known.phenotypes(), None)
    )
    assert predictor.covariates == ("age", "sex")
    by_sample = people.set_index("sample")[["age", "sex"]].to_dict("index")
    for metadata in (
        ("people.csv", people.to_csv(index=False)),
        ("", json.dumps(by_sample), "application/json"),
        ("rows", people.to_json(orient="records"), "application/json"),
    ):
        files = {"table": ("mine.tsv", TABLE), "metadata": metadata}
        answer = form(server, files, targets="Lung", format="h5ad")
        done = result(server, answer)
        assert done.status_code == 200, done.text
        found = ad.read_h5ad(BytesIO(done.content))
        np.testing.assert_allclose(found.X, wanted, rtol=1e-5, atol=1e-6)
        assert np.abs(found.X - without.to_numpy())[:38].max() > 0.01
        assert found.obs["age"].notna().sum() == 38
        state = requests.get(f"{server}/predictions/{answer.json()['id']}", timeout=10).json()
        messages = [note["message"] for note in state["notes"]]
        assert any("38 samples are predicted with age and sex, 2 without" in m for m in messages)
        assert "38 samples are predicted" in found.uns["mtm"]["notes"]


def test_later_samples_are_read_by_an_alignment_that_is_sent(
    server: str, predictor: Predictor
) -> None:
    table = read_expression(SAMPLES / "blood_tpm.tsv", known_genes=predictor.genes)
    earlier = predictor.prepare(table, unit="tpm")
    one = table.values.iloc[[4]].to_csv(sep="\t").encode()
    files = {"table": ("one.tsv", one), "alignment": alignment_bytes([earlier.alignment])}
    done = result(server, form(server, files, targets="Lung"))
    assert done.status_code == 200, done.text
    got = pd.read_csv(BytesIO(done.content))
    wanted = predictor.predict_prepared(earlier, ["Lung"])["z"].isel(sample=4, tissue=0)
    np.testing.assert_allclose(got["z"], wanted, rtol=1e-4, atol=1e-4)
    refused = result(server, form(server, files, source="Lung", targets="Liver"))
    assert (
        "an alignment of samples of Whole Blood, not of Lung" in refused.json()["error"]["message"]
    )
    both = form(server, files, alignment="cohort")
    assert "leave out alignment=cohort" in both.json()["error"]["message"]


@pytest.mark.parametrize("alignment", ["cohort", "robust", "quantiles"])
def test_a_later_sample_is_the_same_to_the_bit_by_every_entrance(
    server: str, predictor: Predictor, tmp_path: Path, alignment: AlignmentMethod
) -> None:
    values = pd.read_csv(SAMPLES / "blood_tpm.tsv", sep="\t", index_col="sample")
    batch = pd.Series(["a", "b"] * 20, values.index, name="plate")
    earlier = predictor.prepare(values, unit="tpm", alignment=alignment, batch=batch)
    file = tmp_path / "alignment.json"
    file.write_bytes(alignment_bytes([earlier.alignment]))
    one = values.iloc[[7]].to_csv(sep="\t").encode()
    table = tmp_path / "one.tsv"
    table.write_bytes(one)
    options = PredictionOptions(targets=("Lung",), alignment_from=str(file), as_batch="b")
    predict_samples(PredictOptions((table,), tmp_path / "one.parquet", prediction=options))
    files = {"table": ("one.tsv", one), "alignment": file.read_bytes()}
    answer = form(server, files, targets="Lung", as_batch="b", format="parquet")
    session = Session()
    session.open(one, "one.tsv", predictor)
    session.targets = ("Lung",)
    session.batching = Batching("", "b", file.name, read_upload(file.read_bytes(), file.name))
    by_entrance = {
        "command": pd.read_parquet(tmp_path / "one.parquet")["z"],
        "endpoint": pd.read_parquet(BytesIO(result(server, answer).content))["z"],
        "dashboard": session.predict(predictor)["z"].to_numpy().ravel(),
    }
    prepared = options.prepare(predictor, read_expression(table, known_genes=predictor.genes))
    np.testing.assert_array_equal(prepared.aligned.z[0], earlier.aligned.z[7])
    wanted = predictor.predict_prepared(prepared, ["Lung"])["z"].to_numpy().ravel()
    for name, z in by_entrance.items():
        np.testing.assert_array_equal(z, wanted, err_msg=name)


def test_several_tissues_of_the_same_people_are_predicted_from_together(
    server: str, predictor: Predictor
) -> None:
    values = pd.read_csv(SAMPLES / "blood_tpm.tsv", sep="\t", index_col="sample")
    tables = {"Whole Blood": values.iloc[:30], MUSCLE: values.iloc[8:] + 1}
    plate = pd.Series(["a", "b"] * 20, values.index, name="plate")
    people = pd.DataFrame({"sample": values.index, "plate": plate, "age": 50, "sex": "female"})
    files: dict[str, object] = {
        part: (f"{part}.tsv", table.to_csv(sep="\t").encode())
        for part, table in zip(("table", "own"), tables.values(), strict=True)
    }
    files["metadata"] = ("people.csv", people.to_csv(index=False).encode())
    asked_for = {"unit": "tpm", "targets": "Lung", "format": "h5ad"}
    asked_for |= {"and": f"{MUSCLE}=own", "and_unit": f"{MUSCLE}=tpm"}
    answer = form(server, files, **asked_for, and_batch=f"{MUSCLE}=plate")
    done = result(server, answer)
    assert done.status_code == 200, done.text
    found = ad.read_h5ad(BytesIO(done.content))
    prepared = predictor.prepare_tables(tables, unit="tpm", batch={MUSCLE: plate})
    wanted = predictor.predict_prepared(
        prepared, ["Lung"], phenotypes=people.set_index("sample")[["age", "sex"]]
    )
    assert list(found.obs["sample"]) == [str(name) for name in wanted["sample"].to_numpy()]
    np.testing.assert_array_equal(found.X, wanted["z"].isel(tissue=0))
    state = requests.get(f"{server}/predictions/{answer.json()['id']}", timeout=10).json()
    notes = " ".join(note["message"] for note in state["notes"])
    assert "from Whole Blood: 8 people; from Whole Blood and Muscle - Skeletal: 22 people" in notes
    assert "Out-of-fold rho from these tissues: 0." in notes
    assert f"{MUSCLE}: 22 people are in both tables, 8 only in the first, 10 only in this" in notes
    # An alignment of both tissues that has batches of the second alone reads later samples.
    saved = alignment_bytes([one.alignment for one in prepared.tables])
    later = form(server, {**files, "alignment": saved}, **asked_for, and_batch=f"{MUSCLE}=plate")
    done = result(server, later)
    assert done.status_code == 200, done.text
    again = ad.read_h5ad(BytesIO(done.content))
    np.testing.assert_allclose(again.X, found.X, rtol=1e-4, atol=1e-4)


def test_a_form_that_is_not_as_it_should_be_is_refused_in_words(server: str) -> None:
    table = ("t.tsv", TABLE)
    for files, options, words in (
        ({"tabel": table}, {}, "a part 'tabel'; its parts are table, metadata, alignment"),
        ({"table": table}, {"and": f"{MUSCLE}=own"}, "the form has no part 'own'"),
        ({"table": table, "own": table}, {}, "named there, as and=TISSUE=PART"),
        ({"table": table}, {"and": MUSCLE}, "and: expected TISSUE=PART"),
        ({"table": table}, {"and": "Muscel=own"}, "did you mean 'Muscle - Skeletal'?"),
        ({"table": table}, {"and": f"{MUSCLE}=table"}, "the part 'table' is not a table of a fur"),
        ({"table": table}, {"and": ["Lung=own", "Liver=own"]}, "two tissues name the part 'own'"),
        (
            {"table": table, "own": table},
            {"and": f"{MUSCLE}=own", "and_batch": f"{MUSCLE}=run"},
            "and_batch='run' names a column of the metadata",
        ),
        ({"metadata": table}, {}, "no part 'table'"),
        ({"table": ("t.tsv", b"")}, {}, "the part 'table' of the form is empty"),
        ({"table": table}, {"batch": "run"}, "batch='run' names a column of the metadata"),
        ({"table": table}, {"as_batch": "b1"}, "as_batch='b1' names a batch of a saved alignment"),
        ({"table": table}, {"sex_codes": "1=m"}, "sex_codes expects 1=male,2=female"),
    ):
        answer = form(server, files, **options)
        assert answer.status_code == 400
        assert words in answer.json()["error"]["message"]
    for metadata, words in (
        ((None, b'{"P1": {"age": ', "application/json"), "the metadata cannot be read as JSON"),
        ((None, b'{"P1": 61}', "application/json"), "Expected an object by sample"),
        (("other.csv", b"sample,age\nP1,50\nP2,60\n"), "has no sample of the expression table"),
        (("people.xlsx", b"%PDF-1.7"), "people.xlsx"),
    ):
        failed = result(server, form(server, {"table": table, "metadata": metadata}))
        assert failed.status_code == 400, failed.text
        assert words in failed.json()["error"]["message"]
    cut = {"Content-Type": "multipart/form-data; boundary=x"}
    body = b'--x\r\nContent-Disposition: form-data; name="table"\r\n\r\ngene\tS1\n'
    early = requests.post(f"{server}/predictions", data=body, headers=cut, timeout=10)
    assert "it ends early" in early.json()["error"]["message"]
    large = form(server, {"table": table, "metadata": ("m.csv", b"x" * 2_000_000)})
    assert large.status_code == 413
