"""Users' metadata: what each column is taken for, and a corpus of files that need a word."""

from __future__ import annotations

import gzip
import io

import numpy as np
import openpyxl
import pandas as pd
import pytest

from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.data.people.metadata_file import metadata_template, read_metadata
from mtm_core.data.people.metadata_options import MetadataOptions
from mtm_core.errors import InputFileError, MTMError, SelectionError
from mtm_core.escaping import in_cells
from tests.table_files import as_parquet, as_xlsx

SAMPLES = [f"P-{number}" for number in range(1, 7)]
AGES = [41, 52, 63, 34, 55, 66]
SEXES = ["female", "male", "female", "male", "male", "female"]
GROUPS = ["case", "control", "case", "control", "case", "control"]


@pytest.fixture
def table() -> pd.DataFrame:
    return pd.DataFrame({"sample": SAMPLES, "age": AGES, "sex": SEXES, "group": GROUPS})


def read(table: pd.DataFrame | bytes, samples: list[str] | None = None) -> SampleMetadata:
    data = table if isinstance(table, bytes) else table.to_csv(index=False).encode()
    return read_metadata(io.BytesIO(data), "people.csv", samples=samples or SAMPLES)


def words(metadata: SampleMetadata, level: str = "warning") -> str:
    return "\n".join(str(note) for note in metadata.notes if note.level == level)


@pytest.mark.parametrize(
    "write",
    [
        lambda t: t.to_csv(index=False).encode(),
        lambda t: t.to_csv(index=False, sep="\t").encode(),
        lambda t: t.to_csv(index=False, sep=";").encode("utf-16"),
        lambda t: gzip.compress(t.to_csv(index=False).encode()),
        as_xlsx,
        as_parquet,
        lambda t: as_parquet(t.set_index("sample"), index=True),
        lambda t: t[["group", "age", "sample", "sex"]].to_csv(index=False).encode(),
        lambda t: t.iloc[::-1].to_csv(index=False).encode(),
    ],
)
def test_every_format_and_order_gives_the_same(table: pd.DataFrame, write: object) -> None:
    metadata = read(write(table))
    assert metadata.match.matched == tuple(SAMPLES)
    assert not words(metadata)
    phenotypes = metadata.phenotypes()
    assert phenotypes.index.tolist() == SAMPLES
    assert phenotypes["age"].tolist() == AGES
    assert phenotypes["sex"].tolist() == SEXES
    assert metadata.groups("group").tolist() == GROUPS
    assert metadata.numbers("age").tolist() == AGES


def test_names_escaped_for_a_spreadsheet_are_those_of_the_table(table: pd.DataFrame) -> None:
    samples = ["=1+1", "@b", "'=c", *SAMPLES[3:]]
    described = in_cells(table.assign(sample=samples))
    assert described["sample"].tolist()[:3] == ["'=1+1", "'@b", "''=c"]
    known = read(described, samples)
    assert known.match.matched == tuple(samples)
    template = metadata_template(samples)
    assert read(in_cells(template.assign(age=AGES)), samples).match.matched == tuple(samples)


def test_columns_of_age_and_sex_that_no_name_tells_are_asked_for(table: pd.DataFrame) -> None:
    """Geschlecht, sexe and edad are not read by themselves: choosing them is said."""
    known = read(table.rename(columns={"age": "Alter", "sex": "Geschlecht"}))
    said = words(known, "info")
    assert "No column is chosen for age or sex, of" in said
    assert "'Geschlecht'" in said
    assert "--age-column, --sex-column" in said
    named = known.with_roles(age_column="Alter", sex_column=None)
    assert "No column is chosen for sex, of" in words(named, "info")
    whole = known.with_roles(age_column="Alter", sex_column="Geschlecht")
    assert "is chosen for" not in words(whole, "info")
    assert whole.phenotypes()["sex"].tolist() == SEXES


def test_cells_that_a_spreadsheet_shows_and_the_file_lacks_are_pointed_out(
    table: pd.DataFrame,
) -> None:
    """Formulas without results, and rows under a merged cell, read as blank."""
    book = openpyxl.Workbook()
    for row in [list(table.columns), *table.values.tolist()]:
        book.active.append(row)
    column = 1 + table.columns.get_loc("group")

    assert not words(read(saved(book)))
    book.active.merge_cells(start_row=2, end_row=3, start_column=column, end_column=column)
    merged = read(saved(book))
    assert "1 merged cell spans several rows" in words(merged)
    assert merged.groups("group").isna().tolist() == [False, True, *[False] * (len(table) - 2)]
    book.active.merge_cells(start_row=1, end_row=1, start_column=1, end_column=2)
    for row in (4, 5):
        book.active.cell(row, column).value = '=IF(1>0,"case","control")'
    found = words(read(saved(book)))
    assert "2 cells hold formulas without a saved result. They were read as blank." in found
    assert "1 merged cell" in found


def test_rows_columns_and_sheets_that_are_hidden_are_read_and_pointed_out(
    table: pd.DataFrame,
) -> None:
    """A spreadsheet shows fewer people than are read, where a filter hides some."""
    book = openpyxl.Workbook()
    sheet = book.active
    for row in [list(table.columns), *table.values.tolist()]:
        sheet.append(row)
    for number in (3, 5, 90):  # the last has no cells
        sheet.row_dimensions[number].hidden = True
    first = read(saved(book))
    assert words(first).count("hidden") == 2
    assert "2 rows are hidden in the sheet 'Sheet', as by a filter." in words(first)
    assert first.groups("group").tolist() == GROUPS
    sheet.column_dimensions.group("C", "D", hidden=True)
    sheet.column_dimensions.group("T", "XFD", hidden=True)
    both = words(read(saved(book)))
    assert "2 rows and columns C, D are hidden" in both
    assert "They were read like the others." in both
    book.create_sheet("Notes")["A1"] = "Blood of 2024"
    sheet.sheet_state = "hidden"
    assert "The sheet 'Sheet' is hidden in the workbook. It was read." in words(read(saved(book)))


def saved(book: openpyxl.Workbook) -> bytes:
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def test_columns_are_distinguished() -> None:
    table = pd.DataFrame(
        {
            "sample": SAMPLES,
            "bmi": [21.5, 23, 30, 28.1, 25, 24],
            "treated": [0, 1, 0, 1, 1, 0],
            "smoker": [True, False, True, False, True, False],
            "stage": ["I", "II", "III", "I", "II", "III"],
            "site": ["Bern"] * 6,
            "remark": ["a", "b", "c", "d", "e", "f"],
            "batch": [1, 2, 3, 1, 2, 3],
            "empty": [""] * 6,
        }
    )
    metadata = read(table)
    kinds = {column.name: column.kind for column in metadata.columns}
    assert kinds == {
        "bmi": "number",
        "treated": "two groups",
        "smoker": "two groups",
        "stage": "several groups",
        "site": "one value",
        "remark": "free text",
        "batch": "number",
    }
    assert "No value in 'empty'. They were set aside." in words(metadata, "info")
    assert metadata.column("stage").levels == {"I": 2, "II": 2, "III": 2}
    assert [c.name for c in metadata.columns if c.has_groups] == [
        *("bmi", "treated", "smoker", "stage", "batch"),
    ]
    assert metadata.groups("batch").tolist() == ["1", "2", "3"] * 2
    assert metadata.groups("treated").tolist() == ["0", "1", "0", "1", "1", "0"]
    assert metadata.phenotypes().isna().all(axis=None)
    with pytest.raises(SelectionError, match="'remark' holds free text"):
        metadata.groups("remark")
    with pytest.raises(SelectionError, match="'site' holds one value: there are no groups"):
        metadata.groups("site")
    with pytest.raises(SelectionError, match=r"'stage' holds several groups.*'bmi', 'batch'"):
        metadata.numbers("stage")
    with pytest.raises(SelectionError, match="did you mean 'stage'"):
        metadata.groups("stages")


def test_a_number_among_words_does_not_make_numbers(table: pd.DataFrame) -> None:
    table["dose"] = ["1", "2", "n.d.", "4", "5", "n.d."]
    metadata = read(table)
    assert metadata.column("dose").kind == "number"
    assert "2 of 6 cells in column 'dose', of numbers, are 'n.d.'" in words(metadata, "info")
    assert metadata.numbers("dose").isna().tolist() == [False, False, True, False, False, True]
    table["dose"] = ["low", "2", "low", "high", "5", "high"]
    assert read(table).column("dose").kind == "free text"


def test_samples_that_do_not_match_are_a_diff(table: pd.DataFrame) -> None:
    table["sample"] = [*SAMPLES[:4], "Q-1", "Q-2"]
    metadata = read(table)
    assert metadata.match.matched == tuple(SAMPLES[:4])
    assert metadata.match.metadata_only == ("Q-1", "Q-2")
    assert metadata.match.expression_only == ("P-5", "P-6")
    assert metadata.match.near == ()
    assert "4 of 6 samples of the expression table have metadata." in words(metadata)
    assert "2 rows of the metadata do not match a sample" in words(metadata)
    assert metadata.groups("group").isna().tolist() == [False] * 4 + [True] * 2


def test_near_names_are_proposed_and_only_taken_when_agreed(table: pd.DataFrame) -> None:
    table["sample"] = ["p-1", "P.2", "P 3", "P_4", "P5", "P-6"]
    metadata = read(table)
    assert metadata.match.matched == ("P-6",)
    assert [(near.metadata, near.expression) for near in metadata.match.near] == [
        ("p-1", "P-1"),
        ("P.2", "P-2"),
        ("P 3", "P-3"),
        ("P_4", "P-4"),
        ("P5", "P-5"),
    ]
    assert metadata.phenotypes()["age"].notna().sum() == 1
    agreed = metadata.with_near_matches()
    assert agreed.match.matched == tuple(SAMPLES)
    assert agreed.phenotypes()["age"].tolist() == AGES
    assert "5 names differed" in words(agreed, "info")
    assert metadata.match.matched == ("P-6",)


def test_no_common_name_is_reported_and_matches_none(table: pd.DataFrame) -> None:
    table["sample"] = [f"Q{number}" for number in range(11, 17)]
    metadata = read(table)
    assert not metadata.match.matched
    assert "No sample of the metadata is in the expression table" in words(metadata)
    assert metadata.phenotypes().isna().all(axis=None)


@pytest.mark.parametrize("name", ["Age", "AGE (years)", "age_years", "Age [y]"])
@pytest.mark.parametrize("sex", ["Sex", "GENDER"])
def test_age_and_sex_are_known_by_their_names(table: pd.DataFrame, name: str, sex: str) -> None:
    metadata = read(table.rename(columns={"age": name, "sex": sex}))
    assert (metadata.age_column, metadata.sex_column) == (name, sex)
    assert metadata.phenotypes()["age"].tolist() == AGES
    assert metadata.phenotypes()["sex"].tolist() == SEXES


def test_another_column_can_be_named_and_none(table: pd.DataFrame) -> None:
    metadata = read(table.rename(columns={"age": "Alter"}))
    assert metadata.age_column is None
    named = metadata.with_roles(age_column="Alter", sex_column=None)
    assert named.phenotypes()["age"].tolist() == AGES
    assert named.phenotypes()["sex"].isna().all()
    with pytest.raises(SelectionError, match="unknown metadata column: 'agee'"):
        metadata.with_roles(age_column="agee", sex_column=None)


@pytest.mark.parametrize("codes", [["F", "M"], ["f", "m"], ["FEMALE", "Male"], ["woman", "man"]])
def test_words_for_sex_are_explained(table: pd.DataFrame, codes: list[str]) -> None:
    table["sex"] = [codes[sex == "male"] for sex in SEXES]
    metadata = read(table)
    assert metadata.phenotypes()["sex"].tolist() == SEXES
    assert not words(metadata)
    assert f"'{codes[0]}' as female" in words(metadata, "info")
    assert "3 female, 3 male, 0 unknown" in words(metadata, "info")


def test_numbers_for_sex_are_asked_for(table: pd.DataFrame) -> None:
    table["sex"] = [1 + (sex == "female") for sex in SEXES]
    metadata = read(table)
    assert metadata.unclear_sex_codes == ("1", "2")
    assert metadata.phenotypes()["sex"].isna().all()
    assert "Say what each code means" in words(metadata)
    said = metadata.with_roles(
        age_column="age", sex_column="sex", sex_codes={"1": "male", "2": "female"}
    )
    assert said.phenotypes()["sex"].tolist() == SEXES
    assert said.unclear_sex_codes == ()
    assert not words(said)


def test_words_for_no_sex_are_unknown(table: pd.DataFrame) -> None:
    table["sex"] = ["female", "male", "n/k", "male", "", "other"]
    metadata = read(table)
    assert metadata.phenotypes()["sex"].fillna("?").tolist() == [
        *("female", "male", "?", "male", "?", "?"),
    ]
    assert "'n/k', 'other', neither female nor male" in words(metadata)
    assert metadata.unclear_sex_codes == ()


def test_a_column_of_many_codes_is_no_sex(table: pd.DataFrame) -> None:
    table["sex"] = [11, 12, 13, 14, 15, 16]
    metadata = read(table)
    assert metadata.unclear_sex_codes == ()
    assert "neither female nor male" in words(metadata)


@pytest.mark.parametrize(
    ("ages", "known", "said"),
    [
        ([41, 52, 63, 34, 55, -9], [41, 52, 63, 34, 55, None], "1 ages lie outside 0 to 120: '-9'"),
        ([41, 52, 63, 34, 55, 999], [41, 52, 63, 34, 55, None], "outside 0 to 120: '999'"),
        ([15000, 19000, 23000, 12000, 20000, 24000], [None] * 6, "not ages in years"),
        (["41", "52", "63", "34", "55", "89+"], [41, 52, 63, 34, 55, None], "not numbers: '89+'"),
        (["old", "young", "old", "young", "old", "old"], [None] * 6, "holds no ages in years"),
        ([3, 52, 63, 34, 55, 66], [3, 52, 63, 34, 55, 66], "1 sample is younger than 20"),
    ],
)
def test_impossible_ages_are_reported(
    table: pd.DataFrame, ages: list[object], known: list[float | None], said: str
) -> None:
    table["age"] = ages
    metadata = read(table)
    expected = pd.Series(known, index=pd.Index(SAMPLES, name="sample"), dtype=float, name="age")
    pd.testing.assert_series_equal(metadata.phenotypes()["age"], expected)
    assert said in words(metadata)


def test_bands_of_age_give_their_middle(table: pd.DataFrame) -> None:
    table["age"] = ["20-29", "60-69", "60-69", "20-29", "", "70-79"]
    metadata = read(table)
    assert metadata.phenotypes()["age"].tolist()[:4] == [24.5, 64.5, 64.5, 24.5]
    assert np.isnan(metadata.phenotypes()["age"]["P-5"])
    assert "The middle of each band was used" in words(metadata, "info")


@pytest.mark.parametrize(
    ("ages", "known"),
    [
        ([70] * 6, [70.0] * 6),
        ([30, 70, 30, 70, 30, 70], [30.0, 70.0] * 3),
        (["30", "60-69", "", "old", "30", "60-69"], [30, 64.5, None, None, 30, 64.5]),
    ],
)
def test_few_different_ages_are_ages_too(
    table: pd.DataFrame, ages: list[object], known: list[float | None]
) -> None:
    table["age"] = ages
    expected = pd.Series(known, index=pd.Index(SAMPLES, name="sample"), dtype=float, name="age")
    pd.testing.assert_series_equal(read(table).phenotypes()["age"], expected)


def test_groups_that_differ_in_spelling_stay_separate_and_are_reported(table: pd.DataFrame) -> None:
    table["group"] = ["case", "Case ", "control", "control", "case", "control"]
    metadata = read(table)
    assert metadata.column("group").levels == {"control": 3, "case": 2, "Case": 1}
    assert "with nearly the same spelling: 'case', 'Case'" in words(metadata)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(64), "not in a supported format"),
        (b"%PDF-1.4 and so on", "a PDF"),
        (b"sample,group\n", "no rows below it"),
        (b"sample,group\nP-1,case\nP-1,control\n", "1 sample is duplicated .*'P-1'"),
        (b"sample,group\nP-1,case\n,control\nP-2,case\n", "row 2 has no name"),
        (b"sample,age,age\nP-1,3,4\nP-2,5,6\n", "two columns are named 'age'"),
        (b",P-1,P-2,P-3\nage,40,50,60\nsex,f,m,f\n", "Transpose the table"),
        (b"sample\nP-1\nP-2\n", "not have the same number of columns"),
        (as_parquet(pd.DataFrame({"sample": SAMPLES})), "one column, 'sample'"),
        (b"#1.2\n2\t2\nName\tDescription\tP-1\tP-2\nTP53\tx\t1\t2\nMLH1\tx\t3\t4\n", "expression"),
    ],
)
def test_bad_files_are_errors_in_words(data: bytes, message: str) -> None:
    with pytest.raises(InputFileError, match=rf"^people\.csv: .*{message}") as caught:
        read(data)
    assert isinstance(caught.value, MTMError)


def test_an_expression_table_is_refused() -> None:
    wide = pd.DataFrame(np.ones((6, 1200)), columns=[f"G{i}" for i in range(1200)])
    wide.insert(0, "sample", SAMPLES)
    with pytest.raises(InputFileError, match="1,201 columns looks like an expression table"):
        read(wide)


def test_template_comes_back_as_it_was_given() -> None:
    template = metadata_template(SAMPLES)
    assert template.columns.tolist() == ["sample", "age", "sex", "group"]
    metadata = read(template)
    assert metadata.match.matched == tuple(SAMPLES)
    assert metadata.columns == ()
    assert "No column holds a value" in words(metadata)
    filled = template.assign(age=AGES, sex=SEXES, group=GROUPS)
    assert read(filled).phenotypes()["age"].tolist() == AGES


def test_numbers_written_for_no_value_are_pointed_out(table: pd.DataFrame) -> None:
    """A body mass index of -9 or 999 would decide every correlation."""
    table["bmi"] = ["22.5", "-9", "31", "999", "24", "-9"]
    metadata = read(table)
    assert "3 of 6 cells in column 'bmi' read '-9', '999'" in words(metadata)
    assert "all others lie between 22.5 and 31" in words(metadata)
    assert "--unknown=-9,999" in words(metadata)
    assert metadata.column("bmi").markers == ("-9", "999")  # offered on the screen
    said = metadata.read_by(MetadataOptions(unknown=("-9", "999")))
    assert said.numbers("bmi").dropna().tolist() == [22.5, 31.0, 24.0]
    for plain in (["-9", "-12", "3", "4", "5", "6"], ["999", "880", "600", "400", "700", "720"]):
        table["bmi"] = plain  # such numbers among others like them
        assert not words(read(table))


def test_words_for_no_value_are_pointed_out(table: pd.DataFrame) -> None:
    table["group"] = ["case", "control", "Unknown", "case", "?", "not reported"]
    assert "'Unknown' (1), '?' (1), 'not reported' (1): a group, or no value" in words(read(table))


def test_m_beside_h_is_asked_for(table: pd.DataFrame) -> None:
    """Hombre and mujer: read as in English every woman would be a man."""
    table["sex"] = ["M" if sex == "female" else "H" for sex in SEXES]
    metadata = read(table)
    assert metadata.phenotypes()["sex"].isna().all()
    assert metadata.unclear_sex_codes == ("H", "M")
    assert "M may be a woman" in words(metadata)
    said = metadata.with_roles(
        age_column="age", sex_column="sex", sex_codes={"H": "male", "M": "female"}
    )
    assert said.phenotypes()["sex"].tolist() == SEXES
    table["sex"] = ["F" if sex == "female" else "M" for sex in SEXES]
    table.loc[0, "sex"] = "h"
    assert read(table).phenotypes()["sex"].tolist()[1:] == SEXES[1:]


def test_words_of_another_language_for_sex_can_be_explained(table: pd.DataFrame) -> None:
    table["sex"] = ["weiblich" if sex == "female" else "männlich" for sex in SEXES]
    metadata = read(table)
    assert metadata.unclear_sex_codes == ("männlich", "weiblich")
    assert "Say what each means (on the command line: --sex-codes)" in words(metadata)
    said = metadata.with_roles(
        age_column=None, sex_column="sex", sex_codes={"weiblich": "female", "männlich": "male"}
    )
    assert said.phenotypes()["sex"].tolist() == SEXES


def test_numbers_with_a_unit_are_said_to_be_text(table: pd.DataFrame) -> None:
    table["dose"] = ["5 mg", "7 mg", "9 mg", "11 mg", "2,5 mg", "3 mg"]
    assert "Column 'dose' has numbers with a unit, such as '5 mg'" in words(read(table), "info")
    table["dose"] = ["5a", "7b", "9a", "11c", "2d", "3e"]
    assert "unit" not in words(read(table), "info")
