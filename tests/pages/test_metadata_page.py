from __future__ import annotations

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from mtm_core.dashboard.state.resources import EXAMPLE, EXAMPLE_METADATA
from mtm_core.data.people.metadata import SampleMetadata
from tests.pages.conftest import upload, words

METADATA = "pages/samples/metadata.py"
DIFFERENTIAL = "pages/associations/differential.py"


@pytest.fixture
def people() -> pd.DataFrame:
    return pd.read_csv(EXAMPLE_METADATA, sep="\t")


@pytest.fixture
def with_samples(app: AppTest) -> AppTest:
    """A session with the example's samples as a user's own, and no metadata."""
    return upload(app, "mine.tsv", EXAMPLE.read_bytes())


def give(app: AppTest, table: pd.DataFrame | bytes, name: str = "people.csv") -> AppTest:
    """Return the metadata page a file."""
    data = table if isinstance(table, bytes) else table.to_csv(index=False).encode()
    app.switch_page(METADATA).run()
    app.file_uploader[0].upload(name, data)
    app.run()
    assert not app.exception
    return app


def metrics(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def metadata_of(app: AppTest) -> SampleMetadata:
    metadata = app.session_state["mtm"].metadata
    assert isinstance(metadata, SampleMetadata)
    return metadata


def test_without_samples_the_next_step_is_named(app: AppTest) -> None:
    app.switch_page(METADATA).run()
    assert not app.exception
    assert "No samples yet" in app.info[0].value
    app.button(key="to_upload").click().run()
    assert app.title[0].value == "Upload"


def test_without_metadata_there_is_a_template(with_samples: AppTest) -> None:
    with_samples.switch_page(METADATA).run()
    assert not with_samples.exception
    assert "Upload a table, or fill in the template" in with_samples.info[0].value
    assert with_samples.download_button(key="download_metadata_template_csv")
    listed = set(with_samples.file_uploader[0].proto.type)
    assert {".csv", ".csv.gz", ".tsv", ".xlsx", ".parquet"} <= listed


def test_the_example_brings_its_metadata(with_example: AppTest) -> None:
    with_example.switch_page(METADATA).run()
    assert not with_example.exception
    assert metrics(with_example) == {
        "Samples with metadata": "40 of 40",
        "Columns": "3",
        "Age known": "40",
        "Sex known": "40",
    }
    described = with_example.dataframe[0].value.set_index("column")
    assert described["holds"].to_dict() == {
        "group": "two groups",
        "sex": "two groups",
        "age": "number",
    }
    assert described["groups"]["group"] == "case (20), control (20)"
    assert "Simulated samples" in words(with_example)


def test_names_that_do_not_match_are_shown_and_near_ones_taken_when_agreed(
    with_samples: AppTest, people: pd.DataFrame
) -> None:
    people["sample"] = people["sample"].str.replace("SIM-", "sim.")
    people.loc[0, "sample"] = "somebody"
    app = give(with_samples, people)
    assert metrics(app)["Samples with metadata"] == "0 of 40"
    assert "No sample of the metadata is in the expression table" in words(app)
    assert app.expander[0].label == "Names that do not match"
    difference = app.expander[0].dataframe[0].value
    assert difference["found in"].value_counts().to_dict() == {
        "metadata only": 40,
        "expression table only": 40,
    }
    app.button(key="accept_near").click().run()
    assert not app.exception
    assert metrics(app)["Samples with metadata"] == "39 of 40"
    assert app.expander[0].dataframe[0].value["sample"].tolist() == ["somebody", "SIM-001"]
    app.run()
    assert metrics(app)["Samples with metadata"] == "39 of 40"


def test_codes_of_sex_are_asked_about(with_samples: AppTest, people: pd.DataFrame) -> None:
    people["sex"] = people["sex"].map({"male": 1, "female": 2})
    app = give(with_samples, people)
    assert metrics(app)["Sex known"] == "0"
    one, two = (c for c in app.segmented_control if c.label.startswith("What does"))
    assert (one.label, one.value) == ("What does 1 mean?", "not known")
    one.set_value("male").run()
    assert metrics(app)["Sex known"] == "19"
    _, two = (c for c in app.segmented_control if c.label.startswith("What does"))
    two.set_value("female").run()
    assert not app.exception
    assert metrics(app)["Sex known"] == "40"


def test_another_column_can_be_the_ages(with_samples: AppTest, people: pd.DataFrame) -> None:
    app = give(with_samples, people.rename(columns={"age": "Alter"}))
    assert metrics(app)["Age known"] == "0"
    choice = next(box for box in app.selectbox if box.label == "Column of ages")
    choice.set_value("Alter").run()
    assert metrics(app)["Age known"] == "40"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"%PDF-1.4 and so on", "people.csv: the file is a PDF"),
        (b"sample,group\nSIM-001,a\nSIM-001,b\n", "is duplicated"),
        (EXAMPLE.with_name("blood_tpm.gct").read_bytes(), "looks like an expression table"),
    ],
)
def test_bad_files_are_errors_in_words(
    with_samples: AppTest, people: pd.DataFrame, data: bytes, message: str
) -> None:
    give(with_samples, people)
    app = give(with_samples, data)
    assert message in app.error[0].value
    assert metrics(app)["Samples with metadata"] == "40 of 40"  # those before


def test_metadata_survive_a_page_switch_and_go_with_the_samples(
    with_samples: AppTest, people: pd.DataFrame
) -> None:
    app = give(with_samples, people)
    app.switch_page("pages/samples/upload.py").run()
    app.switch_page(METADATA).run()
    assert metrics(app)["Samples with metadata"] == "40 of 40"
    app.switch_page("pages/samples/upload.py").run()
    app.button(key="delete").click().run()
    app.switch_page(METADATA).run()
    assert "No samples yet" in app.info[0].value


def test_an_unknown_word_is_asked_about(with_samples: AppTest, people: pd.DataFrame) -> None:
    people.loc[:3, "group"] = "NA"
    app = give(with_samples, people)
    assert any("'NA' (4)" in warning.value for warning in app.warning)
    assert metadata_of(app).column("group").levels["NA"] == 4
    unknown = next(widget for widget in app.multiselect if widget.key.startswith("unknown_"))
    unknown.select("NA").run()
    assert not app.exception
    assert "NA" not in metadata_of(app).column("group").levels
    assert metadata_of(app).groups("group").isna().sum() == 4
