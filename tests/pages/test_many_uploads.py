"""Files of one sample each on the Upload page: read as the table that they are together."""

from __future__ import annotations

import shutil
from pathlib import Path

from numpy.testing import assert_allclose
from streamlit.testing.v1 import AppTest

from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.widgets.uploads import Upload, last_chosen
from tests.cases import base, many_files
from tests.pages.conftest import UPLOAD
from tests.pages.test_upload import metrics


def session_of(app: AppTest) -> Session:
    session: Session = app.session_state["mtm"]
    return session


def test_files_given_at_once_are_joined_and_a_table_takes_their_place(
    app: AppTest, tmp_path: Path
) -> None:
    many_files.star(tmp_path)
    files = [(path.name, path.read_bytes(), "text/plain") for path in tmp_path.glob("*PerGene*")]
    app.switch_page(UPLOAD).run()
    app.file_uploader[1].set_value(files).run()
    assert not app.exception
    assert metrics(app)["Samples"] == "24"
    assert any("24 files" in header.value for header in app.header)
    table = session_of(app).table
    assert table is not None
    assert_allclose(table.values.T[list(base.counts())], base.counts())
    tables, transcripts = table.report.given
    assert sorted(tables) == sorted(name for name, _, _ in files)
    assert transcripts == ""
    app.file_uploader[0].upload("few.csv", base.counts().iloc[:, :3].to_csv().encode()).run()
    assert metrics(app)["Samples"] == "3"
    assert not app.run().exception
    assert metrics(app)["Samples"] == "3"


def test_files_of_one_name_are_refused_with_the_advice_to_zip_them(app: AppTest) -> None:
    quant = many_files.quant_sf(base.counts()["PT01"]).to_csv(sep="\t").encode()
    app.switch_page(UPLOAD).run()
    app.file_uploader[1].set_value([("quant.sf", quant, ""), ("quant.sf", quant + b"\n", "")]).run()
    assert not app.exception
    assert "given more than once" in app.error[0].value
    assert not app.run().exception


def test_a_zip_and_the_table_of_its_transcripts_are_given_at_once(
    app: AppTest, tmp_path: Path
) -> None:
    (tmp_path / "study").mkdir()
    many_files.salmon(tmp_path / "study")
    packed = Path(shutil.make_archive(str(tmp_path / "runs"), "zip", tmp_path / "study"))
    table = many_files.tx2gene(tmp_path / "t.csv")
    app.switch_page(UPLOAD).run()
    files = [(path.name, path.read_bytes(), "") for path in (packed, table)]
    app.file_uploader[1].set_value(files).run()
    assert not app.exception
    assert metrics(app)["Samples"] == "24"
    read = session_of(app).table
    assert read is not None
    assert read.report.given == (("runs.zip",), "t.csv")  # what the command line is to be given


class Held:
    """A file in an uploader."""

    def __init__(self, file_id: str) -> None:
        self.file_id, self.name, self.size = file_id, f"{file_id}.csv", 1

    def getvalue(self) -> bytes:
        return b"x"


def chosen(one: str, many: str, seen: str) -> tuple[str, str, bool]:
    uploads = [Upload.of([Held(name) for name in names]) for names in (one, many)]
    upload, seen, is_new = last_chosen(uploads, seen)
    return "" if upload is None else upload.file_id, seen, is_new


def test_the_last_choice_counts_until_it_is_taken_back() -> None:
    upload, seen, is_new = chosen("", "", "")
    assert (upload, is_new) == ("", False)
    upload, seen, is_new = chosen("a", "", seen)
    assert (upload, is_new) == ("a", True)
    upload, seen, is_new = chosen("a", "bc", seen)
    assert (upload, is_new) == ("b+c", True)
    upload, seen, is_new = chosen("a", "bc", seen)
    assert (upload, is_new) == ("b+c", False)
    upload, seen, is_new = chosen("d", "bc", seen)
    assert (upload, is_new) == ("d", True)
    upload, seen, is_new = chosen("", "bc", seen)
    assert (upload, is_new) == ("b+c", False)


def test_files_larger_together_than_one_may_be_are_refused() -> None:
    files = [Held("a"), Held("b")]
    files[0].size = 10**9
    upload = Upload.of(files)
    assert upload is not None
    assert "2 files are 954 MB together; this server accepts" in upload.problem
