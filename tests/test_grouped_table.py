"""Long tables of genes: what is read by group and column is what the whole table holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mtm_core import grouped_writing
from mtm_core.errors import InputFileError
from mtm_core.grouped_table import TableInMemory, TableOnDisk, open_grouped, whole
from mtm_core.grouped_writing import growing_table, rounded_bits, save_grouped, write_grouped

KEYS = ("method", "tissue")
GENES = [f"ENSG{i:06d}.3" for i in range(5000)]
GROUPS = [(m, t) for m in ("ridge", "mtm") for t in ("Lung", "Kidney - Cortex", "Skin")]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    parts = []
    for method, tissue in GROUPS:
        rho = rng.normal(0.2, 0.2, len(GENES))
        rho[::7] = np.nan
        p = 10.0 ** -rng.uniform(0, 250, len(GENES))
        parts.append(
            pd.DataFrame(
                {
                    "tissue": tissue,
                    "gene_id": GENES,
                    "n": 311,
                    "rho_by_fold": rho,
                    "p": p,
                    "is_predictable": rho > 0.3,
                    "method": method,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


@pytest.fixture
def stored(table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TableOnDisk:
    monkeypatch.setattr(grouped_writing, "LONGEST_EXACT", 1000)
    save_grouped(table, tmp_path / "genes.parquet", KEYS)
    opened = open_grouped(tmp_path / "genes.parquet", KEYS)
    assert isinstance(opened, TableOnDisk)
    return opened


@pytest.mark.parametrize(
    ("where", "genes", "columns"),
    [
        ({"method": "mtm", "tissue": "Lung"}, None, None),
        ({"method": "ridge"}, GENES[4500], ["tissue", "gene_id", "p"]),
        ({"tissue": ["Skin", "Lung"]}, [GENES[4999], GENES[0], "no such gene"], None),
        ({}, None, ["rho_by_fold"]),
        ({"method": "none"}, None, None),
        ({"method": "mtm"}, "no such gene", None),
    ],
)
def test_a_part_is_that_of_the_whole_table(
    table: pd.DataFrame,
    stored: TableOnDisk,
    where: dict[str, list[str]],
    genes: list[str] | None,
    columns: list[str] | None,
) -> None:
    expected = table
    for name, values in {**where, **({} if genes is None else {"gene_id": genes})}.items():
        expected = expected[expected[name].isin([values] if isinstance(values, str) else values)]
    expected = expected[columns or table.columns.tolist()]
    pd.testing.assert_frame_equal(
        TableInMemory(table, KEYS).read(where, genes=genes, columns=columns), expected
    )
    read = stored.read(where, genes=genes, columns=columns)
    for name in expected:
        if expected[name].dtype == float:
            np.testing.assert_allclose(read[name], expected[name], rtol=2.0**-13)
        else:
            assert read[name].tolist() == expected[name].tolist()


def test_groups_and_genes_are_known_without_their_rows(
    table: pd.DataFrame, stored: TableOnDisk
) -> None:
    assert list(stored.groups().itertuples(index=False, name=None)) == GROUPS
    assert stored.genes.tolist() == GENES
    assert len(stored) == len(table)
    assert stored.read().is_predictable.tolist() == table.is_predictable.tolist()
    assert stored.footer.num_row_groups == 2 * len(GROUPS)


def test_a_file_that_was_written_anew_is_not_read(stored: TableOnDisk) -> None:
    with stored.path.open("ab") as file:
        file.write(b"more")
    with pytest.raises(InputFileError, match="was rewritten while it was in use"):
        stored.read({"method": "mtm"})


def test_a_short_table_is_stored_to_the_last_digit(table: pd.DataFrame, tmp_path: Path) -> None:
    save_grouped(table, tmp_path / "genes.parquet", KEYS)
    opened = open_grouped(tmp_path / "genes.parquet", KEYS)
    assert isinstance(opened, pd.DataFrame)
    pd.testing.assert_frame_equal(opened, table)


def test_groups_of_different_genes_are_read_by_name(table: pd.DataFrame, tmp_path: Path) -> None:
    some = table[(table.method == "mtm") | (table.index % 3 == 0)]
    parts = [part for _, part in some.groupby(list(KEYS), sort=False)]
    with write_grouped(tmp_path / "a.parquet", KEYS) as writer:
        writer.add(parts[0])
        with pytest.raises(ValueError, match="the same genes"):
            writer.add(parts[1])
    with write_grouped(tmp_path / "b.parquet", KEYS, genes_vary=True) as writer:
        for part in parts:
            writer.add(part)
    stored = TableOnDisk.open(tmp_path / "b.parquet")
    assert stored is not None
    for gene in (GENES[0], GENES[1]):
        assert stored.read(genes=gene).p.tolist() == pytest.approx(
            some[some.gene_id == gene].p.tolist(), rel=2.0**-13
        )


def test_rows_of_two_groups_are_not_written_as_one(table: pd.DataFrame, tmp_path: Path) -> None:
    with write_grouped(tmp_path / "a.parquet", KEYS) as writer:
        with pytest.raises(ValueError, match="rows of one tissue"):
            writer.add(table[table.method == "mtm"])
        writer.add(table[(table.method == "mtm") & (table.tissue == "Lung")])


@pytest.mark.parametrize("longest", [1000, 12_000, 10**6])
def test_a_table_that_grows_is_the_one_written_at_once_and_is_never_held(
    table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, longest: int
) -> None:
    monkeypatch.setattr(grouped_writing, "LONGEST_EXACT", longest)
    save_grouped(table, tmp_path / "once.parquet", KEYS, genes_vary=True)
    with growing_table(tmp_path / "grown.parquet", KEYS) as grown:
        for place, group in enumerate(GROUPS):
            grown.add(
                table[(table["method"] == group[0]) & (table["tissue"] == group[1])], (place,)
            )
            assert grown.n_rows <= longest
    ours, theirs = (open_grouped(tmp_path / f"{name}.parquet", KEYS) for name in ("grown", "once"))
    assert type(ours) is type(theirs)
    pd.testing.assert_frame_equal(whole(ours), whole(theirs))


def test_a_short_table_has_the_order_that_its_groups_are_given(tmp_path: Path) -> None:
    rows = {name: pd.DataFrame({"gene_id": ["a", "b"], "tissue": name}) for name in ("x", "y")}
    with growing_table(tmp_path / "t.parquet", ["tissue"]) as grown:
        grown.add(rows["y"], (1,))
        grown.add(rows["x"].iloc[:0], (2,))
        grown.add(rows["x"], (0,))
    read = open_grouped(tmp_path / "t.parquet", ["tissue"])
    assert whole(read)["tissue"].tolist() == ["x", "x", "y", "y"]


def test_rounding_is_to_nearest_and_spares_whole_numbers() -> None:
    rng = np.random.default_rng(1)
    for dtype in (np.float32, np.float64):
        values = rng.normal(size=2000).astype(dtype)
        step = 2.0 ** (np.floor(np.log2(np.abs(values))) - 12)
        np.testing.assert_array_equal(rounded_bits(values), np.rint(values / step) * step)
        whole = np.array([0, 8191, 16_385, np.nan, np.inf], dtype)
        np.testing.assert_array_equal(rounded_bits(whole), whole)
        mixed = np.array([np.nan, -np.inf, 0.1, 0], dtype)
        np.testing.assert_allclose(rounded_bits(mixed), mixed, rtol=2.0**-13)
