"""Two tables of the same people: exchanged samples and sexes that disagree are named."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pandas as pd
import pytest

from mtm_core.data.tables.expression import read_expression
from mtm_core.errors import SelectionError
from mtm_core.inference.predictor import Predictor
from mtm_core.model_places import DEFAULT_MODEL
from mtm_core.places import SAMPLES
from mtm_core.studies.table_swaps import OneTable, TableSwaps, compare_tables

N = 20
SEX = np.where(np.arange(N) % 3 == 0, "female", "male")


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.load(DEFAULT_MODEL)


def bloods(seed: int = 0, *, with_sex: bool = True) -> pd.DataFrame:
    """TPM of the example's people, measured again with noise; XIST and two Y genes by sex."""
    own = pd.read_csv(SAMPLES / "blood_tpm.tsv", sep="\t", index_col=0).iloc[:N]
    rng = np.random.default_rng(seed)
    table = own * np.exp2(rng.normal(0, 0.25, own.shape))
    if with_sex:
        table["XIST"] = np.where(SEX == "female", 60.0, 0.05)
        for gene in ("RPS4Y1", "DDX3Y"):
            table[gene] = np.where(SEX == "male", 40.0, 0.02)
    return table


def compared(predictor: Predictor, second: pd.DataFrame, **options: object) -> TableSwaps:
    tables = []
    for table in (bloods(), second):
        data = BytesIO(table.to_csv(sep="\t").encode())
        read = read_expression(data, "t.tsv", known_genes=predictor.genes)
        tables.append(OneTable(read, predictor.prepare(read, unit="tpm")))
    return compare_tables(predictor, *tables, **options)


def test_exchanged_people_are_named_with_their_sexes(predictor: Predictor) -> None:
    names = list(bloods().index)
    woman, man = names[3], names[4]
    second = bloods(1).rename(index={woman: man, man: woman})
    stated = pd.Series(SEX, names)
    found = compared(predictor, second, stated=stated)
    assert set(found.suspicious.index) == {woman, man}
    row = found.people.loc[woman]
    assert (row["sex_first"], row["sex_second"], row["sex_stated"]) == ("female", "male", "female")
    assert row["reasons"].startswith(f"in the second table most like {man} (rho 0.")
    assert f", and {man} there most like {woman}; " in row["reasons"]
    assert "female by genes in the first table, male in the second table" in row["reasons"]
    assert "female in the metadata, male by genes in the second table" in row["reasons"]
    others = found.people.drop(index=[woman, man])
    assert (others["sex_first"] == stated[others.index]).all()
    assert (others["rank"] == 1).all()
    assert (others["own_rho"] > others["other_rho"]).all()
    assert any(woman in note.found and "different sexes" in note.found for note in found.notes)


def test_a_sex_that_the_metadata_has_wrong_is_no_swap(predictor: Predictor) -> None:
    stated = pd.Series(SEX, bloods().index)
    stated.iloc[0] = "male"
    found = compared(predictor, bloods(1), stated=stated)
    (reasons,) = found.suspicious["reasons"]
    assert (
        reasons == "male in the metadata, female by genes in the first table and the second table"
    )
    assert not any(note.level == "warning" for note in found.notes)


def test_a_table_shifted_by_one_name_is_found_by_sex(predictor: Predictor) -> None:
    second = bloods(1)
    second.index = [*second.index[1:], second.index[0]]
    found = compared(predictor, second)
    shifted = dict(zip(second.index, SEX, strict=True))
    first = dict(zip(bloods().index, SEX, strict=True))
    wrong = {name for name in first if first[name] != shifted[name]}
    assert len(wrong) > 10
    assert wrong <= set(found.suspicious.index)


def test_tables_without_the_genes_say_so(predictor: Predictor) -> None:
    found = compared(predictor, bloods(1, with_sex=False))
    assert "sex_second" not in found.people
    assert any("are in the second table" in note.found for note in found.notes)
    assert found.suspicious.empty


def test_few_people_are_compared_by_sex_alone_or_refused(predictor: Predictor) -> None:
    few = bloods(1).iloc[:4]
    few.index = [few.index[1], few.index[0], *few.index[2:]]
    found = compared(predictor, few)
    assert set(found.suspicious.index) == {few.index[0], few.index[1]}
    assert found.people["own_rho"].isna().all()
    assert "4 people are in both tables" in found.notes[0].found
    with pytest.raises(SelectionError, match="4 people are in both tables; at least 6"):
        compared(predictor, bloods(1, with_sex=False).iloc[:4])
    near = bloods(1).rename(index=lambda name: f"{name}_later")
    with pytest.raises(SelectionError, match="match similar names"):
        compared(predictor, near)
    assert len(compared(predictor, near, near_people=True).people) == N
