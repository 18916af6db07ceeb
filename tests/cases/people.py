"""Tables of metadata that people bring, of the 24 people of the base, each in every format."""

from __future__ import annotations

import gzip
from collections.abc import Callable

import pandas as pd

from tests.cases.base import N_PEOPLE
from tests.table_files import as_parquet, as_xlsx

NAMES = [f"PT{i:02d}" for i in range(1, N_PEOPLE + 1)]
ZEROS = [f"{i:03d}" for i in range(1, N_PEOPLE + 1)]
GROUPS = ["covid", "healthy"] * (N_PEOPLE // 2)


def base() -> pd.DataFrame:
    """Return the clean metadata, every cell as text."""
    ages = [str(25 + 2 * i) for i in range(N_PEOPLE)]
    sexes = ["F", "F", "M"] * (N_PEOPLE // 3)
    return pd.DataFrame({"sample": NAMES, "group": GROUPS, "age": ages, "sex": sexes})


def with_none() -> pd.DataFrame:
    """Return case 40: groups named None and NA."""
    none = ["None" if group == "covid" else "Drug" for group in GROUPS]
    na = ["covid" if group == "covid" else "NA" for group in GROUPS]
    return base().assign(treatment=none, status=na)


def with_zeros() -> pd.DataFrame:
    """Return case 41: ids with leading zeros, in the second column."""
    table = base().assign(sample=ZEROS)
    table.insert(0, "hospital", "North")
    return table


def with_spellings() -> pd.DataFrame:
    """Return case 45: truth values as R writes them, a comma, an equals sign, near spellings."""
    is_case = [group == "covid" for group in GROUPS]
    return base().assign(
        group=[["COVID", "healthy", "covid", "HEALTHY"][i % 4] for i in range(N_PEOPLE)],
        smoker=["TRUE" if case else "FALSE" for case in is_case],
        stage=["COVID, severe" if case else "healthy" for case in is_case],
        code=["1" if case else "0" for case in is_case],
        eq=["a=b" if case else "c" for case in is_case],
    )


FORMATS: dict[str, Callable[[pd.DataFrame], bytes]] = {
    "csv": lambda table: table.to_csv(index=False).encode(),
    "tsv": lambda table: table.to_csv(index=False, sep="\t").encode(),
    "quoted.csv": lambda table: table.to_csv(index=False, quoting=1).encode(),
    "utf16.csv": lambda table: table.to_csv(index=False, sep=";").encode("utf-16"),
    "csv.gz": lambda table: gzip.compress(table.to_csv(index=False).encode()),
    "xlsx": as_xlsx,
    "parquet": as_parquet,
}
"""Ways to write a table, by the end of the file's name."""
