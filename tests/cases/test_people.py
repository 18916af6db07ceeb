"""Metadata people bring: each group is there as it is written, each id matches, and it is said."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest

from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.data.people.metadata_file import read_metadata
from mtm_core.data.people.metadata_options import AS_FOUND, MetadataOptions
from mtm_core.errors import InputFileError, SelectionError
from tests.cases import people
from tests.cases.base import case_file

TWELVE = people.N_PEOPLE // 2
every_format = pytest.mark.parametrize("ending", list(people.FORMATS))


def read(
    table: pd.DataFrame,
    ending: str = "csv",
    samples: list[str] | None = None,
    options: MetadataOptions = AS_FOUND,
) -> SampleMetadata:
    data = people.FORMATS[ending](table)
    return read_metadata(
        io.BytesIO(data), f"people.{ending}", samples=samples or people.NAMES, options=options
    )  # fmt: skip


def words(metadata: SampleMetadata) -> str:
    return "\n".join(str(note) for note in metadata.notes)


def hold_none(metadata: SampleMetadata) -> None:
    assert metadata.column("treatment").levels == {"None": TWELVE, "Drug": TWELVE}
    assert metadata.column("status").levels == {"covid": TWELVE, "NA": TWELVE}
    assert metadata.groups("status").notna().all()
    assert "Column 'treatment' has cells that read 'None' (12)" in words(metadata)
    assert "Column 'status' has cells that read 'NA' (12)" in words(metadata)
    assert "read as a group of that name" in words(metadata)


def hold_zeros(metadata: SampleMetadata) -> None:
    assert metadata.match.matched == tuple(people.ZEROS)
    assert not metadata.match.near
    assert metadata.groups("group").tolist() == people.GROUPS
    assert metadata.phenotypes().notna().all(axis=None)


def hold_spellings(metadata: SampleMetadata) -> None:
    levels = {column.name: dict(column.levels) for column in metadata.columns}
    assert levels["smoker"] == {"TRUE": TWELVE, "FALSE": TWELVE}
    assert levels["stage"] == {"COVID, severe": TWELVE, "healthy": TWELVE}
    assert levels["code"] == {"1": TWELVE, "0": TWELVE}
    assert levels["eq"] == {"a=b": TWELVE, "c": TWELVE}
    assert levels["group"] == metadata.values["group"].value_counts().to_dict()
    assert set(levels["group"]) == {"COVID", "healthy", "covid", "HEALTHY"}
    said = words(metadata)
    for first, second in (("COVID", "covid"), ("healthy", "HEALTHY")):
        pairs = (f"{a!r}, {b!r}" for a, b in ((first, second), (second, first)))
        assert any(f"with nearly the same spelling: {pair}" in said for pair in pairs)
    for asked in ("TRUE", "True", "true", " true"):
        assert metadata.level("smoker", asked) == "TRUE"
    assert metadata.level("code", "1.0") == "1"
    assert metadata.level("group", "covid") == "covid"
    with pytest.raises(SelectionError, match="unknown group: 'Covid'"):
        metadata.level("group", "Covid")


@every_format
def test_groups_named_none_and_na_are_groups(ending: str) -> None:
    hold_none(read(people.with_none(), ending))


@every_format
def test_ids_keep_their_zeros_in_any_column(ending: str) -> None:
    hold_zeros(read(people.with_zeros(), ending, people.ZEROS))


@every_format
def test_groups_are_as_written(ending: str) -> None:
    hold_spellings(read(people.with_spellings(), ending))


def test_cases_that_people_brought() -> None:
    def brought(name: str, samples: list[str]) -> SampleMetadata:
        return read_metadata(case_file(name), samples=samples)

    hold_none(brought("40_meta_none/meta.csv", people.NAMES))
    hold_spellings(brought("45_meta_spelling/meta.csv", people.NAMES))
    for name in ("meta.csv", "meta.tsv"):
        hold_zeros(brought(f"41_meta_leading0/{name}", people.ZEROS))


@pytest.mark.parametrize(
    "ids",
    [
        ["1e5", "1E6", "2e3", "100000", "1000000", "2000"],
        ["1-2", "2-1", "3-4", "2021-03-01", "01/02/2021", "Mar-1"],
        ["NA", "None", "null", "NaN", "TRUE", "true"],
        ["1.0", "1.10", "1.1", "01", "1", "+1"],
        ["0x10", "1_000", "inf", "nan ", "é", "样本"],
    ],
)
@every_format
def test_every_id_is_its_own(ids: list[str], ending: str) -> None:
    table = pd.DataFrame({"site": "a", "id": ids, "group": list("xyxyxy")})
    samples = [name.strip() for name in ids]
    metadata = read(table, ending, samples)
    assert metadata.match.matched == tuple(samples)
    assert metadata.groups("group").tolist() == list("xyxyxy")


def test_a_word_for_a_missing_value_counts_among_numbers_or_if_the_user_says_so() -> None:
    table = people.base().assign(
        bmi=[f"{20 + i / 4}" for i in range(people.N_PEOPLE)],
        mutated=["0", "1"] * TWELVE,
        group=["NA" if i < 3 else group for i, group in enumerate(people.GROUPS)],
    )
    table.loc[:4, "bmi"] = "NA"
    table.loc[5, "mutated"] = "N/A"
    metadata = read(table)
    assert metadata.column("bmi").kind == "number"
    assert metadata.numbers("bmi").isna().sum() == 5
    assert metadata.column("mutated").levels == {"0": 12, "1": 11}
    assert metadata.column("group").levels["NA"] == 3
    said = words(metadata)
    assert "5 of 24 cells in column 'bmi', of numbers, are 'NA'. They are read as unknown." in said
    assert "1 of 24 cells in column 'mutated', of numbers, are 'N/A'." in said
    assert "Samples without a value, of 24: 'bmi (5)', 'mutated (1)'." in said

    without = metadata.with_roles(age_column="age", sex_column="sex", unknown=["NA"])
    assert without.column("group").kind == "two groups"
    assert without.groups("group").isna().tolist() == [True] * 3 + [False] * 21
    assert "'group (3)'" in words(without)
    assert without.state != metadata.state
    again = read(table, options=without.options)
    assert again.state == without.state
    assert again.groups("group").equals(without.groups("group"))


def test_spaces_around_a_group_are_ignored_and_reported() -> None:
    table = people.base()
    table.loc[0, "group"] = "covid "
    metadata = read(table)
    assert metadata.column("group").levels == {"covid": TWELVE, "healthy": TWELVE}
    assert "Column 'group' has cells that differ only in spaces around them" in words(metadata)


@pytest.mark.parametrize(
    ("levels", "alike"),
    [
        (["+", "-"], []),
        (["CD4+", "CD4-"], []),
        (["é", "è"], []),
        (["1.5", "15"], []),
        (["Covid-19", "COVID 19"], ["'Covid-19', 'COVID 19'"]),
        (["wild_type", "Wild type"], ["'wild_type', 'Wild type'"]),
        (["straße", "STRASSE"], ["'straße', 'STRASSE'"]),
    ],
)
def test_groups_are_alike_only_where_writing_differs(levels: list[str], alike: list[str]) -> None:
    table = people.base().assign(kind=levels * TWELVE)
    said = [str(n) for n in read(table).notes if "nearly the same spelling" in str(n)]
    assert [any(pair in note for note in said) for pair in alike] == [True] * len(alike)
    assert len(said) == len(alike)


def test_numbers_keep_their_value_and_groups_their_writing() -> None:
    table = people.base().assign(
        dose=[["1.50", "2.00", "03"][i % 3] for i in range(people.N_PEOPLE)],
        comma=[f"{i},5" for i in range(people.N_PEOPLE)],
        thousands=[f"{i + 1},000" for i in range(people.N_PEOPLE)],
    )
    metadata = read(table)
    assert metadata.numbers("dose").tolist() == [1.5, 2.0, 3.0] * 8
    assert metadata.column("dose").levels == {"1.50": 8, "2.00": 8, "03": 8}
    np.testing.assert_array_equal(metadata.numbers("comma"), np.arange(24) + 0.5)
    assert "Column 'comma' has decimal commas" in words(metadata)
    assert metadata.column("thousands").kind == "free text"
    assert "may have a thousands separator or a decimal comma" in words(metadata)


def test_ages_in_months_are_not_read_as_years() -> None:
    table = people.base().rename(columns={"age": "age_months"})
    metadata = read(table, options=MetadataOptions(age_column="age_months"))
    assert metadata.phenotypes()["age"].isna().all()
    assert "named as one of months, not of years" in words(metadata)


def test_zeros_that_a_spreadsheet_took_away_are_proposed_not_taken(tmp_path: Path) -> None:
    table = people.with_zeros().assign(sample=range(1, people.N_PEOPLE + 1))
    metadata = read(table, "xlsx", people.ZEROS)
    assert not metadata.match.matched
    assert len(metadata.match.near) == people.N_PEOPLE
    assert {near.difference for near in metadata.match.near} == {"leading zeros"}
    hold_zeros(metadata.with_near_matches())


def test_columns_are_named_once_and_codes_as_the_user_writes_them() -> None:
    table = people.base().assign(sex=["1.0", "2.0"] * TWELVE)
    metadata = read(table)
    assert metadata.unclear_sex_codes == ("1.0", "2.0")
    said = read(table, options=MetadataOptions(sex_codes=(("1", "male"), ("2", "female"))))
    assert said.phenotypes()["sex"].tolist() == ["male", "female"] * TWELVE
    none = read(table, options=MetadataOptions(age_column="", sex_column=""))
    assert none.phenotypes().isna().all(axis=None)
    with pytest.raises(SelectionError, match="unknown metadata column: 'alter'"):
        read(table, options=MetadataOptions(age_column="alter"))
    with pytest.raises(SelectionError, match="unknown sex: 'boy'"):
        MetadataOptions(sex_codes=(("1", "boy"),))  # type: ignore[arg-type]


def test_the_sheet_of_the_metadata_can_be_chosen() -> None:
    book, file = openpyxl.Workbook(), io.BytesIO()
    counts = book.active
    counts.append(["gene", *people.NAMES])
    counts.append(["TP53", *range(people.N_PEOPLE)])
    sheet = book.create_sheet("People")
    for row in [list(people.base().columns), *people.base().to_numpy(dtype=object).tolist()]:
        sheet.append(row)
    book.save(file)
    with pytest.raises(InputFileError, match=r"samples are in the columns.*'Sheet', 'People'"):
        read_metadata(io.BytesIO(file.getvalue()), "b.xlsx", samples=people.NAMES)
    metadata = read_metadata(
        io.BytesIO(file.getvalue()),
        "b.xlsx",
        samples=people.NAMES,
        options=MetadataOptions(sheet="People"),
    )
    assert metadata.groups("group").tolist() == people.GROUPS
    assert metadata.options.sheet == "People"
