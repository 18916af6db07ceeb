from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mtm_core.dashboard.screens.differential import (
    by_number,
    stacked,
    summary_in_words,
)
from mtm_core.dashboard.screens.metadata_tables import columns_table
from mtm_core.dashboard.screens.reference import alike_strata, strata_table
from mtm_core.dashboard.screens.traits import TraitOverview, summary_line
from mtm_core.dashboard.state.gene_names import GeneNames
from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.widgets.association_words import agreement_in_words
from mtm_core.dashboard.widgets.cohort_genes import greyed
from mtm_core.dashboard.widgets.group_choice import GroupChoice
from mtm_core.dashboard.widgets.views import MOST_COLUMNS
from mtm_core.figures.associations.volcano import accuracy_words
from tests.dashboard.test_session_metadata import METADATA


def associations(n_genes: int, rng: np.random.Generator) -> pd.DataFrame:
    parts = [
        pd.DataFrame(
            {
                "tissue": tissue,
                "origin": "predicted",
                "gene_id": [f"E{i}" for i in range(n_genes)],
                "gene": [f"G{i}" for i in range(n_genes)],
                "rho": rng.uniform(-0.9, 0.9, n_genes),
                "fdr": rng.uniform(0, 1, n_genes),
                "n": 40,
                "predictable": rng.choice(["yes", "no"], n_genes),
            }
        )
        for tissue in ("Lung", "Liver")
    ]
    return pd.concat(parts, ignore_index=True)


def overview_of(table: pd.DataFrame, names: GeneNames) -> TraitOverview:
    parts = [part for _, part in table.groupby("tissue", sort=False)]
    return TraitOverview.of(parts, pd.Index(list(names.values())), names, 0.05)


def test_matrix_has_every_rho_at_its_tissue_and_gene(rng: np.random.Generator) -> None:
    table = associations(20, rng)
    labels = GeneNames({f"label {i}": f"E{i}" for i in range(20)})
    overview = overview_of(table.sample(frac=1, random_state=0), labels)
    rho, pale = overview.rho, overview.pale
    assert rho.shape == (2, 20)
    for _, row in table.iterrows():
        label = row["gene_id"].replace("E", "label ")
        assert rho.loc[row["tissue"], label] == row["rho"]
        assert pale.loc[row["tissue"], label] == (row["predictable"] == "no")
    assert rho.mean().is_monotonic_decreasing


def test_genes_with_the_largest_rho_are_selected(rng: np.random.Generator) -> None:
    table = associations(300, rng)
    rho = overview_of(table, GeneNames({f"G{i}": f"E{i}" for i in range(300)})).rho
    assert rho.shape[1] == MOST_COLUMNS
    largest = table.assign(size=table["rho"].abs()).groupby("gene")["size"].max()
    assert set(rho.columns) == set(largest.nlargest(MOST_COLUMNS).index)


def test_trait_summary_counts_predictable_genes_only() -> None:
    table = pd.DataFrame(
        {
            "tissue": ["Lung"] * 3 + ["Liver"],
            "origin": "predicted",
            "gene": list("ABCA"),
            "rho": [0.3, -0.5, 0.9, np.nan],
            "fdr": [0.5, 0.01, 0.001, np.nan],
            "n": 40,
            "predictable": ["yes", "yes", "no", "yes"],
        }
    )
    lung, liver = (summary_line(part, 0.05) for _, part in table.groupby("tissue", sort=False))
    assert "1 of 2 genes at FDR 0.05; the largest correlation is -0.50, of B" in lung
    assert "no gene was tested" in liver


def test_tables_of_tissues_put_below_each_other_hold_what_each_holds(
    rng: np.random.Generator,
) -> None:
    parts = [part for _, part in associations(5, rng).groupby("tissue", sort=False)]
    parts[1] = parts[1].assign(origin="measured").iloc[:3]
    table = stacked(parts)
    assert list(table) == list(parts[0])
    pd.testing.assert_frame_equal(
        table.astype({"tissue": object, "origin": object}), pd.concat(parts, ignore_index=True)
    )


def test_rows_are_in_the_order_of_a_number_with_ties_as_they_were(rng: np.random.Generator) -> None:
    table = associations(50, rng).assign(
        fdr=lambda t: t["fdr"].round(1).mask(t["n"].index % 7 == 0)
    )
    expected = table.sort_values("fdr", kind="stable").reset_index(drop=True)[["fdr", "gene"]]
    pd.testing.assert_frame_equal(by_number(table, "fdr", ["fdr", "gene"]), expected)


def test_changes_are_counted_in_words() -> None:
    table = pd.DataFrame(
        {
            "tissue": "Lung",
            "origin": "predicted",
            "kind": [
                *("higher in cases", "lower in cases", "not changed", "not predictable"),
                "not tested",
            ],
            "outcome": ["tested"] * 4 + ["constant"],
        }
    )
    (line,) = summary_in_words(table)
    assert line == (
        "**Lung** (predicted): 2 of 5 genes pass the thresholds, 1 higher and 1 lower in cases;"
        " 1 are not predictable and are not counted; 1 were not tested (constant)."
    )


def test_the_accuracy_of_each_row_is_in_words() -> None:
    table = pd.DataFrame(
        {
            "rho_by_fold": [0.456, np.nan, np.nan, np.nan],
            "predictable": ["yes", "no", "measured", "not evaluated"],
        }
    )
    assert accuracy_words(table).tolist() == [
        *("held-out rho 0.46", "held-out rho undefined", "measured", "not evaluated"),
    ]


def test_agreement_says_what_chance_gives() -> None:
    row = pd.Series(
        {
            **{"pearson": 0.5, "low": 0.1, "high": 0.7, "chance_low": -0.6, "chance_high": 0.61},
            **{"p": 0.2, "n": 59, "same_sign": 0.75, "n_reference": 663, "outcome": "tested"},
        }
    )
    said = agreement_in_words(row)
    assert "rho 0.50 over n = 59 genes, 0.10 to 0.70" in said
    assert "between -0.60 and 0.61 (p = 0.200)" in said
    assert "75% of the genes have the same sign" in said
    row["pearson"], row["outcome"] = np.nan, "constant"
    assert agreement_in_words(row) == "The correlation cannot be computed: constant (n = 59 genes)."


def test_strata_are_in_the_order_of_reading() -> None:
    index = pd.MultiIndex.from_tuples(
        [
            *(("male", "20-29"), ("all", "30-39"), ("all", "all"), ("female", "all")),
            *(("male", "all"), ("all", "20-29"), ("female", "30-39")),
        ],
        names=["sex", "age_band"],
    )
    table = strata_table(pd.DataFrame({"n": range(7), 0.5: 1.0}, index=index))
    assert table["stratum"].tolist() == [
        *("all donors", "female", "male", "20-29", "30-39", "female, 30-39", "male, 20-29"),
    ]
    assert table["n"].tolist() == [2, 3, 4, 5, 1, 6, 0]


def test_stratum_of_a_sample_is_named_where_it_is_known() -> None:
    own = pd.DataFrame({"sample": ["a", "b"], "donors_alike": ["female, 60-69", ""]})
    assert alike_strata(own, "a") == ["female, 60-69"]
    assert alike_strata(own, "b") == []
    assert alike_strata(own, None) == []
    assert alike_strata(own[["sample"]], "a") == []


def test_rows_that_cannot_be_predicted_are_greyed() -> None:
    table = pd.DataFrame({"gene": list("AB"), "predictable": ["yes", "no"]})
    styled = greyed(table)
    assert not isinstance(styled, pd.DataFrame)
    html = styled.to_html()
    assert html.count("#8794A1") == 1
    plain = table.assign(predictable="yes")
    assert greyed(plain) is plain


def test_shuffling_changes_the_key_and_nothing_else_of_a_choice() -> None:
    groups = pd.Series(["a", "a", "b", "b", np.nan], index=list("vwxyz"))
    choice = GroupChoice("g", "a", "b", groups)
    assert choice.shuffled(None) is choice
    dealt = choice.shuffled(3)
    assert dealt.seed == 3
    assert (dealt.n_case, dealt.n_control) == (2, 2)
    assert dealt.key != choice.key
    assert dealt.key == choice.shuffled(3).key


@pytest.mark.usefixtures("session")
def test_columns_are_described_in_words(session: Session) -> None:
    session.open_metadata(METADATA, "metadata.tsv")
    assert session.metadata is not None
    table = columns_table(session.metadata).set_index("column")
    assert table["used as"].to_dict() == {"group": "", "sex": "sex", "age": "age"}
    assert table.loc["sex", "groups"] == "female (21), male (19)"
