"""Formulas and designs against formulaic, and the designs that are refused, by name."""

from __future__ import annotations

import io

import formulaic
import numpy as np
import pandas as pd
import pytest

from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.data.people.metadata_file import read_metadata
from mtm_core.errors import SelectionError
from mtm_core.studies.design import make_design
from mtm_core.studies.formula import formula_text, parse_formula

N = 24


def people() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "sample": [f"s{i}" for i in range(N)],
            "group": ["case", "control"] * 12,
            "sex": rng.choice(["F", "M"], N),
            "age": rng.integers(20, 80, N),
            "day": np.tile([1, 2, 3], 8),
            "subject": np.repeat([f"p{i}" for i in range(12)], 2),
            "site": np.repeat(["A", "B", "C"], 8),
            "batch": ["x", "y"] * 12,
            "arm": np.repeat(["t", "u"], 12),
            "a+b": rng.normal(size=N),
            "one": "same",
            "lone": ["z"] + ["w", "v"] * 11 + ["w"],
            "alone": ["z"] + ["w"] * 23,
        }
    )


def metadata_of(table: pd.DataFrame) -> SampleMetadata:
    data = io.BytesIO(table.to_csv(index=False).encode())
    return read_metadata(data, "people.csv", samples=[f"s{i}" for i in range(N)])


@pytest.fixture(scope="module")
def known() -> SampleMetadata:
    return metadata_of(people())


def test_the_table_of_a_design_has_every_column_whatever_it_is_called() -> None:
    table = people().rename(columns={"sample": "name", "age": "sample"})
    table["block"] = np.random.default_rng(1).normal(size=N)
    design = make_design(metadata_of(table), "group + sample + block", block="subject")
    written = design.as_table()
    assert list(written.columns[:1]) == ["sample_name"]
    assert list(written.columns[-1:]) == ["block: subject"]
    for name in ("sample", "block"):
        centred = table[name] - table[name].mean()
        np.testing.assert_allclose(written[name].astype(float), centred, atol=1e-9)
    assert written["block: subject"].tolist() == table["subject"].tolist()


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("group + age", "group + age"),
        ("~ 1 + group * sex", "group * sex"),
        ("site + group + site:group", "site * group"),
        ("C(day) * age", "C(day) * age"),
        ("`a+b` + group*sex*age", "`a+b` + group * sex * age"),
        ("group*sex + age", "group + sex + age + group:sex"),
    ],
)
def test_a_design_spans_what_formulaic_makes_of_it(
    known: SampleMetadata, ours: str, theirs: str
) -> None:
    design = make_design(known, ours)
    peer = formulaic.model_matrix(theirs, people()).to_numpy(dtype=float)
    own = design.matrix.to_numpy()
    assert own.shape[1] == np.linalg.matrix_rank(own) == np.linalg.matrix_rank(peer)
    together = np.linalg.matrix_rank(np.hstack([own, peer]))
    assert together == own.shape[1]


def test_a_formula_says_itself_again() -> None:
    columns = ["a", "b c", "x+y", "day"]
    terms = parse_formula("b c * a + `x+y` + C(day)", columns)
    assert formula_text(terms) == "b c + a + `x+y` + C(day) + b c:a"
    assert parse_formula(formula_text(terms), columns) == terms


def test_contrasts_are_differences_of_fitted_groups(known: SampleMetadata) -> None:
    design = make_design(
        known, "site*age + group", contrasts=["site", ("site", "C", "B"), "age", "group"]
    )
    y = np.random.default_rng(1).normal(size=N)
    fitted = np.linalg.lstsq(design.matrix.to_numpy(), y)[0]
    site, c_b, age, group = design.contrasts
    peer = formulaic.model_matrix(
        "C(site, contr.treatment('B')) * age + group",
        people().assign(age=lambda t: t.age - t.age.mean()),
    )
    coefficients = pd.Series(np.linalg.lstsq(peer.to_numpy(dtype=float), y)[0], peer.columns)
    of_c = next(name for name in coefficients.index if "T.C]" in name and ":" not in name)
    assert c_b.rows @ fitted == pytest.approx(coefficients[of_c])
    assert c_b.meaning == f"C against B, at age {people().age.mean():.4g}"
    assert site.rows.shape == (2, design.matrix.shape[1])
    assert not site.is_single
    assert age.meaning == "change with age, at site B"
    assert group.meaning == "case against control"


def test_samples_without_a_value_are_left_out_and_counted() -> None:
    table = people()
    table["age"] = table["age"].astype(object)
    table.loc[[2, 5], "age"], table.loc[7, "subject"] = None, None
    design = make_design(metadata_of(table), "group + age", block="subject")
    assert design.dropped.to_dict() == {"s2": "age", "s5": "age", "s7": "subject"}
    assert len(design.samples) == N - 3
    assert "age (2), subject (1)" in str(design.notes[0])
    assert "21 are" in str(design.notes[0])


def test_a_table_says_what_each_coefficient_is(known: SampleMetadata) -> None:
    table = make_design(known, "site + age").summary()
    assert table["coefficient"].tolist() == ["intercept", "site[B]", "site[C]", "age"]
    assert table["samples"].tolist()[1:] == ["8 of 24", "8 of 24", "24"]
    assert table["meaning"][1] == "difference from A"


@pytest.mark.parametrize(
    ("formula", "options", "words"),
    [
        ("group + batch", {}, "'batch' follows from 'group'.*samples of batch y are those of"),
        ("site + arm + site:arm", {}, "no sample is both|follows from"),
        ("arm", {"block": "subject", "block_as": "fixed"}, "'arm' does not vary within 'subject'"),
        ("group", {"block": "sample_name"}, "unknown metadata column: 'sample_name'"),
        ("subject + arm", {}, "'arm' follows from"),
        ("group", {"block": "batch"}, "the blocks of 'batch' follow from the formula 'group'"),
        ("one", {}, "'one' is 'same' in all 24 samples"),
        ("lone", {"contrasts": [("lone", "z", "w")]}, "'z' of column 'lone' has one sample"),
        ("alone", {}, "'z' of column 'alone' has one sample"),
        ("C(age) + group", {}, "names rather than groups"),
        ("subject * group", {}, "no sample is both|coefficients|follows"),
        ("group + subject", {"block": "subject"}, "both in the formula and the block"),
        ("group", {"block": "a+b"}, "no two samples have the same 'a\\+b'"),
        ("group + grup", {}, "did you mean 'group'"),
        ("log(age)", {}, "cannot be read"),
        ("group - 1", {}, "cannot be read"),
        ("0 + group", {}, "removes the intercept"),
        ("group + group:sex", {}, "without sex. Write group\\*sex"),
        ("group +", {}, "an operator without a column beside it"),
        ("`group", {}, "an unpaired backtick"),
        (" ~ ", {}, "the formula is empty"),
        ("1", {}, "names no column"),
        ("age + C(age)", {}, "both as numbers and as groups"),
        ("group", {"contrasts": ["age"]}, "not a term of the formula, which has group"),
        ("age", {"contrasts": [("age", "1", "2")]}, "write C\\(age\\) in the formula"),
        ("group", {"contrasts": [("group", "case", "case")]}, "compared with itself"),
        ("group", {"contrasts": [("group", "case", "contol")]}, "did you mean 'control'"),
        ("group", {"block": "subject", "block_as": "mixed"}, "unknown kind of block"),
    ],
)
def test_bad_designs_are_refused_by_name(
    known: SampleMetadata, formula: str, options: dict[str, object], words: str
) -> None:
    with pytest.raises(SelectionError, match=words):
        make_design(known, formula, **options)  # type: ignore[arg-type]


def test_a_formula_runs_nothing(known: SampleMetadata) -> None:
    for text in ("__import__('os').getcwd()", "C(open('/etc/passwd'))", "{1}", "group;age"):
        with pytest.raises(SelectionError):
            make_design(known, text)


def test_too_few_samples_for_the_coefficients_are_refused() -> None:
    table = people().iloc[:5]
    with pytest.raises(SelectionError, match=r"5 samples are used .* at least 6 samples"):
        make_design(metadata_of(table), "group + age + `a+b`")


def test_labels_are_dealt_within_blocks_or_among_them(known: SampleMetadata) -> None:
    within = make_design(known, "group + age", block="subject").shuffled(1)
    per_subject = within.values.groupby("subject")["group"].nunique()
    assert (per_subject == 2).all()
    assert (within.values["age"] == make_design(known, "age").values["age"]).all()
    among = make_design(known, "arm", block="subject", contrasts=["arm"])
    dealt = among.shuffled(1)
    assert dealt.values.groupby("subject")["arm"].nunique().max() == 1
    assert sorted(dealt.values["arm"]) == sorted(among.values["arm"])
    assert dealt.values["arm"].tolist() != among.values["arm"].tolist()
    assert dealt.shuffled(1).matrix.shape == among.matrix.shape
    fixed = make_design(known, "group", block="subject", block_as="fixed").shuffled(1)
    assert fixed.formula == "group + C(subject)"


def test_a_reference_of_a_column_that_is_read_as_numbers_is_refused(known: SampleMetadata) -> None:
    with pytest.raises(SelectionError, match=r"'day'.*Write C\(day\)"):
        make_design(known, "group + day", references={"day": "2"})
    with pytest.raises(SelectionError, match="'site', which the formula does not read"):
        make_design(known, "group + day", references={"site": "B"})
    design = make_design(known, "group + C(day)", references={"day": "2"})
    assert list(design.matrix) == ["intercept", "group[case]", "day[1]", "day[3]"]
