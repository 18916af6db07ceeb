from __future__ import annotations

import ast
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from mtm_core.dashboard.widgets.paged_table import MOST_WHOLE, PAGE_ROWS, rows_with

GENES = pd.DataFrame(
    {
        "tissue": "Lung",
        "gene": ["TP53", "TP53BP1", "BRCA1", "HLA-A", "CASP3"],
        "gene_id": [f"ENSG0000000000{i}.{i}" for i in range(5)],
    }
)


@pytest.mark.parametrize("codes", [False, True])
@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("", [0, 1, 2, 3, 4]),
        (" , ", [0, 1, 2, 3, 4]),
        ("tp53", [0, 1]),
        ("brca1 hla-a", [2, 3]),
        ("ENSG00000000004.99, BRCA1", [2, 4]),  # versions do not count
        ("ensg0000000000", [0, 1, 2, 3, 4]),
        ("Lung", []),
        ("TP5.", []),  # letters, not a pattern
    ],
)
def test_genes_are_found_by_parts_of_their_names(text: str, rows: list[int], codes: bool) -> None:
    table = GENES.astype({"gene": "category", "gene_id": "category"}) if codes else GENES
    assert rows_with(table, text).index.tolist() == rows


def test_sets_are_found_by_words_that_follow_each_other() -> None:
    table = pd.DataFrame({"set": ["mitotic cell cycle", "cell adhesion", "cycle", None]})
    assert rows_with(table, "Cell Cycle").index.tolist() == [0]
    assert rows_with(table, "cell cycle, adhesion").index.tolist() == [0, 1]


def test_tables_of_samples_are_searched_for_samples_and_tissues() -> None:
    table = pd.DataFrame(
        {"sample": ["P1", "P2", "P1"], "tissue": ["Lung", "Brain - Cortex", "Liver"]}
    )
    assert rows_with(table, "p1").index.tolist() == [0, 2]
    assert rows_with(table, "brain - cortex, lung").index.tolist() == [0, 1]


def _page() -> None:
    import pandas as pd
    import streamlit as st

    from mtm_core.dashboard.widgets.paged_table import show_rows

    n = 3_000
    table = pd.DataFrame({"gene": [f"G{i:04d}" for i in range(n)], "p": range(n)})
    marked = st.session_state.setdefault("marked", [])
    shown = show_rows(table, key="t", height=300, columns={}, on_row=marked.append)
    st.write(f"given {len(shown)}: {list(shown['gene'][:2])}")


def test_a_long_table_is_searched_over_all_its_rows_and_sorted_and_paged_within_what_is_found() -> (
    None
):
    app = AppTest.from_function(_page).run()
    assert len(app.dataframe[0].value) == PAGE_ROWS < MOST_WHOLE
    app.pagination(key="t_page").set_value(15).run()
    app.text_input(key="t_search").set_value("G29").run()
    assert app.dataframe[0].value["gene"].tolist() == [f"G{i}" for i in range(2900, 3000)]
    assert "Rows 1 to 100 of 100 found among 3,000." in [text.value for text in app.caption]
    app.selectbox(key="t_order").set_value("p").run()
    app.toggle(key="t_falling").set_value(True).run()
    assert app.dataframe[0].value["gene"].tolist()[:2] == ["G2999", "G2998"]
    assert app.markdown[0].value == "given 100: ['G2999', 'G2998']"
    app.text_input(key="t_search").set_value("none").run()
    assert app.dataframe[0].value.empty
    assert app.caption[-1].value.startswith("None of 3,000 rows has such a name.")


def test_what_a_long_table_shows_is_what_is_downloaded() -> None:
    """Of a table that is searched, the rows found are used: no screen drops what is returned."""
    root = Path(__file__).parents[2]
    files = [*root.glob("mtm_core/dashboard/**/*.py"), *root.glob("pages/**/*.py")]
    dropped = [
        f"{file.name}:{node.lineno}"
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and getattr(node.value.func, "id", "") in ("show_rows", "show_gene_rows")
    ]
    assert not dropped
