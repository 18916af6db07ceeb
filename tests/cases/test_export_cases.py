"""Tables as other programs and spreadsheets export them: the values of the clean table."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import numpy as np
import openpyxl
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from mtm_core.data.files.reading_options import ReadingOptions
from mtm_core.errors import ExpressionError
from tests.cases import base

PEOPLE = list(base.counts().columns)


def side_by_side(**quantities: pd.DataFrame) -> pd.DataFrame:
    """Put columns of each sample beside each other, named by ``{}`` for the sample."""
    named = {
        form.format(name): table[name] for name in PEOPLE for form, table in quantities.items()
    }
    return pd.DataFrame(named)


def random_shares() -> pd.DataFrame:
    shares = np.random.default_rng(8).uniform(0, 1, base.counts().shape)
    return pd.DataFrame(shares, base.counts().index, PEOPLE)


def clc() -> pd.DataFrame:
    table = side_by_side(
        **{
            "{} (GE) - TPM": base.tpm(),
            "{} (GE) - RPKM": base.tpm() * 1.2,
            "{} (GE) - Total gene reads": base.counts(),
            "{} (GE) - Unique gene reads": base.counts() // 2,
        }
    )
    return table.assign(Region="1..20")


def cufflinks() -> pd.DataFrame:
    fpkm = base.tpm()
    return side_by_side(
        **{"{}_FPKM": fpkm, "{}_conf_lo": fpkm * 0.8, "{}_conf_hi": fpkm * 1.2}
    ).assign(PT01_status="OK")


def bead_array() -> pd.DataFrame:
    signal = np.log2(1 + base.tpm())
    return side_by_side(**{"{}.AVG_Signal": signal, "{}.Detection Pval": random_shares()})


def logs_beside() -> pd.DataFrame:
    return pd.concat([base.counts(), np.log2(base.counts() + 1).add_prefix("log2_")], axis=1)


def second_block() -> pd.DataFrame:
    return pd.concat([base.counts(), base.tpm().add_suffix(".1")], axis=1)


@pytest.mark.parametrize(
    ("table", "quantity", "other"),
    [
        (clc, "Total gene reads", "TPM"),
        (cufflinks, "FPKM", "conf_lo"),
        (bead_array, "AVG_Signal", "Detection Pval"),
        (second_block, "plain", "1"),
        (logs_beside, "plain", "log2"),
    ],
)
def test_one_quantity_of_each_sample_is_read(
    table: Callable[[], pd.DataFrame], quantity: str, other: str, tmp_path: Path
) -> None:
    path = base.write(table(), tmp_path / "export.csv")
    read = base.read(path)
    (choice,) = read.report.choices
    assert choice.taken == quantity
    assert other in choice.offered
    counted = table in (clc, second_block, logs_beside)
    expected = base.clean_z() if counted else base.clean_z_of_tpm()
    found = base.z_of(path, unit="log2" if table is bead_array else "auto")
    base.same_z(found, expected)


def test_a_second_quantity_can_be_chosen(tmp_path: Path) -> None:
    path = base.write(second_block(), tmp_path / "x.csv")
    base.same_z(base.z_of(path, ReadingOptions(quantity="1")), base.clean_z_of_tpm())


@pytest.mark.parametrize(("first", "second"), [("", ".1"), ("_L001", "_L002")])
@pytest.mark.parametrize("depth", [1, 40])
def test_samples_sequenced_twice_are_all_read(
    first: str, second: str, depth: int, tmp_path: Path
) -> None:
    """Two runs of one library differ by chance, two quantities of one run by less."""
    runs = np.random.default_rng(9).poisson(base.counts() * depth, (2, *base.counts().shape))
    tables = [pd.DataFrame(run, base.counts().index, PEOPLE) for run in runs]
    both = pd.concat([tables[0].add_suffix(first), tables[1].add_suffix(second)], axis=1)
    read = base.read(base.write(both, tmp_path / "x.csv"))
    assert list(read.values.index) == list(both.columns)


def test_two_counts_of_one_run_are_not_two_people(tmp_path: Path) -> None:
    unique = np.random.default_rng(9).binomial(base.counts() * 40, 0.8)
    both = pd.concat(
        [
            (base.counts() * 40).add_suffix("_total"),
            pd.DataFrame(unique, base.counts().index, PEOPLE).add_suffix("_unique"),
        ],
        axis=1,
    )
    path = base.write(both, tmp_path / "x.csv")
    with pytest.raises(ExpressionError, match=r"quantities .*'total', 'unique'.*--quantity"):
        base.read(path)
    base.same_z(base.z_of(path, ReadingOptions(quantity="total")), base.clean_z(), 0.05)


@pytest.mark.parametrize("format_", ["csv", "xlsx"])
def test_a_line_break_in_a_name_breaks_no_row(format_: str, tmp_path: Path) -> None:
    table = base.counts().add_suffix("\n(day 1)")
    table.insert(0, "what", 'a "protein", that\nbinds')
    path = tmp_path / f"x.{format_}"
    table.to_csv(path) if format_ == "csv" else table.to_excel(path)
    read = base.read(path)
    assert list(read.values.index) == [f"{name}\n(day 1)" for name in PEOPLE]
    assert_array_equal(read.values.T, base.counts())


def test_an_unpaired_quote_is_a_character(tmp_path: Path) -> None:
    rows = base.counts().to_csv(sep="\t").splitlines()
    rows[0] += "\tnote"
    rows[1:] = [f'{row}\tarm 5" long' for row in rows[1:]]
    (tmp_path / "x.tsv").write_text("\n".join(rows))
    assert_array_equal(base.read(tmp_path / "x.tsv").values.T, base.counts())


def test_dates_as_names_are_read_as_a_spreadsheet_shows_them(tmp_path: Path) -> None:
    days = [datetime.datetime(2021, 3, 1 + i) for i in range(len(PEOPLE))]
    book = openpyxl.Workbook()
    book.active.append(["gene", *days])
    for gene, row in base.counts().iterrows():
        book.active.append([gene, *map(int, row)])
    book.save(tmp_path / "x.xlsx")
    read = base.read(tmp_path / "x.xlsx")
    assert list(read.values.index) == [f"2021-03-{1 + i:02d}" for i in range(len(PEOPLE))]


@pytest.mark.parametrize("unique", [True, False])
def test_columns_of_two_levels_are_named_by_samples(unique: bool, tmp_path: Path) -> None:
    names = PEOPLE if unique else [f"P{i // 2}" for i in range(len(PEOPLE))]
    groups = ["a", "b"] * (len(PEOPLE) // 2)
    table = base.counts().set_axis(pd.MultiIndex.from_arrays([groups, names]), axis=1)
    table.to_parquet(tmp_path / "x.parquet")
    read = base.read(tmp_path / "x.parquet")
    expected = [
        name if unique else f"{group}_{name}" for group, name in zip(groups, names, strict=True)
    ]
    assert list(read.values.index) == expected
    assert_array_equal(read.values.T, base.counts())


def test_a_table_of_lengths_is_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    near = base.lengths().to_numpy()[:, None] * rng.uniform(0.999, 1.001, base.counts().shape)
    table = pd.DataFrame(near, base.counts().index, PEOPLE)
    path = base.write(table, tmp_path / "lengths.csv")
    with pytest.raises(ExpressionError, match=r"no column is a sample: 'PT01'.* like gene lengths"):
        base.read(path)
    read = base.read(path, ReadingOptions(take_back=tuple(PEOPLE)))
    assert list(read.values.index) == PEOPLE


@pytest.mark.parametrize("n", [1, 3, 24])
def test_samples_unlike_any_tissue_are_doubted(n: int, tmp_path: Path) -> None:
    table = (random_shares() * 1000).round().astype(int).iloc[:, :n]
    read = base.read(base.write(table, tmp_path / "x.csv"))
    assert list(read.values.index) == PEOPLE[:n]
    assert read.report.doubted == tuple(PEOPLE[:n])
    assert "are not correlated with any tissue of the reference" in str(read.report.notes)


@pytest.mark.parametrize(("cells", "what"), [("", "it is empty"), ("ND", "such as 'ND'")])
def test_a_sample_without_values_is_an_error_not_a_loss(
    cells: str, what: str, tmp_path: Path
) -> None:
    path = base.write(base.counts().assign(PT03=cells), tmp_path / "x.csv")
    with pytest.raises(ExpressionError, match=rf"'PT03' .*{what}.*--leave-out 'PT03'"):
        base.read(path)
    left = base.read(path, ReadingOptions(leave_out=("PT03",)))
    assert list(left.values.index) == [name for name in PEOPLE if name != "PT03"]


def test_scaled_values_are_refused_with_what_else_the_file_holds(tmp_path: Path) -> None:
    logs = np.log1p(base.counts().T.astype(float))
    adata = ad.AnnData(logs)
    adata.raw = adata
    adata.X = ((logs - logs.mean()) / (logs.std() + 1e-9)).to_numpy()
    adata.write_h5ad(tmp_path / "x.h5ad")
    with pytest.raises(ExpressionError, match=r"z-scores.* also holds 'raw.X'.*--quantity 'raw.X'"):
        base.z_of(tmp_path / "x.h5ad")
    found = base.z_of(tmp_path / "x.h5ad", ReadingOptions(quantity="raw.X"), "ln")
    base.same_z(found, base.clean_z())


@pytest.mark.parametrize("added", [0.5, 0.25])
def test_an_ambiguous_floor_is_asked_about(added: float, tmp_path: Path) -> None:
    """-2 is log2 of a quarter and log10 of a hundredth."""
    path = base.write(np.log2(base.tpm() + added), tmp_path / "x.csv")
    assert "logcpm" in base.read(path).report.possible_units
    base.same_z(base.z_of(path, unit="logcpm"), base.clean_z_of_tpm())


ROWS: dict[str, Callable[[pd.DataFrame], pd.Series]] = {
    "Mean": lambda table: table.mean(),
    "SD": lambda table: table.std(),
    "Max": lambda table: table.max(),
    "length": lambda table: base.lengths()[table.columns],
    "entrez": lambda table: pd.Series(range(9000, 9000 + len(table.columns)), table.columns) * 7,
}


@pytest.mark.parametrize("symbols", [False, True])
def test_rows_below_the_samples_are_no_people(symbols: bool, tmp_path: Path) -> None:
    samples = base.counts().T.astype(float)
    table = pd.concat([samples, *(f(samples).to_frame(name).T for name, f in ROWS.items())])
    if symbols:
        table = table.rename(columns=base.genes()["symbol"])
    path = base.write(table, tmp_path / "x.csv")
    read = base.read(path)
    assert sorted(read.report.set_aside) == sorted(ROWS)
    base.same_z(base.z_of_table(read), base.clean_z())
    back = base.read(path, ReadingOptions(take_back=("Mean",)))
    assert list(back.values.index) == [*PEOPLE, "Mean"]


@pytest.mark.parametrize("n", [1, 2, 3, 24])
def test_samples_in_rows_are_all_read_whatever_they_are_called(n: int, tmp_path: Path) -> None:
    names = [f"{word} {i}" for i, word in enumerate(["Anna", "length", "start", "Ben", "x"] * 5)]
    table = base.counts().T.iloc[:n].set_axis(names[:n])
    read = base.read(base.write(table, tmp_path / "x.csv"))
    assert list(read.values.index) == names[:n]
