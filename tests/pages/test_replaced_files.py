"""After a file of the same name is given again, no screen shows what was found in the first."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import pearsonr
from streamlit.testing.v1 import AppTest

from mtm_core.dashboard.state.resources import EXAMPLE, EXAMPLE_METADATA
from tests.pages.conftest import go_to, rows, upload
from tests.pages.test_metadata_page import give
from tests.pages.test_traits_page import TRAITS


def rho_of(app: AppTest) -> pd.Series:
    table = rows(go_to(app, TRAITS))
    return table[table["tissue"] == "Whole Blood"].set_index("gene")["rho"]


def expected(tpm: pd.DataFrame, people: pd.DataFrame) -> pd.Series:
    age = people.set_index("sample")["age"].reindex(tpm.index)
    return pd.Series({gene: pearsonr(np.log2(1 + tpm[gene]), age)[0] for gene in tpm})


def test_replaced_tables_and_metadata_leave_nothing_behind(app: AppTest) -> None:
    tpm = pd.read_csv(EXAMPLE, sep="\t", index_col="sample")
    people = pd.read_csv(EXAMPLE_METADATA, sep="\t")
    rng = np.random.default_rng(0)
    other = people.assign(age=rng.permutation(people["age"].to_numpy()))
    upload(app, "blood.tsv", tpm.to_csv(sep="\t").encode())
    give(app, people)
    pd.testing.assert_series_equal(
        rho_of(app).sort_index(), expected(tpm, people).sort_index(), check_names=False
    )
    give(app, other)
    pd.testing.assert_series_equal(
        rho_of(app).sort_index(), expected(tpm, other).sort_index(), check_names=False
    )
    mixed = pd.DataFrame(rng.permutation(tpm.to_numpy()), tpm.index, tpm.columns)
    upload(app, "blood.tsv", mixed.to_csv(sep="\t").encode())
    give(app, other)  # metadata are those of a table
    pd.testing.assert_series_equal(
        rho_of(app).sort_index(), expected(mixed, other).sort_index(), check_names=False
    )
