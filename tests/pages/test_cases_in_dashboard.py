"""What people bring, through the dashboard: the same z-scores, and no page fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from numpy.testing import assert_allclose
from streamlit.testing.v1 import AppTest

from mtm_core.dashboard.state.session import SESSION_KEY, Session
from tests.cases import base, formats
from tests.cases.brought import COUNTS, SAME
from tests.pages.every_page import PAGES, check, visit

OTHERS = (
    *("04_gdc_star/augmented_star_gene_counts.tsv", "10_htseq_star/PT01.ReadsPerGene.out.tab"),
    *("33_small_linear/fpkm_panel_small.csv", "36_thousand_deep/deep_spaces.csv"),
    "50_numbers/counts.csv",
)


def take(app: AppTest, name: str, data: bytes) -> tuple[AppTest, Session]:
    """Upload a table; give the page and the session behind it."""
    app.switch_page(f"pages/{PAGES['Upload']}.py").run()
    app.file_uploader[0].upload(name, data)
    check(app.run())
    return app, app.session_state[SESSION_KEY]


def z_in(session: Session) -> pd.DataFrame:
    prepared = session.prepare(base.predictor())
    symbols = base.predictor().artefact.genes["symbol"]
    return pd.DataFrame(prepared.aligned.z, list(prepared.samples), symbols)


@pytest.mark.parametrize("name", SAME)
def test_a_case_gives_the_z_of_its_clean_table(name: str, open_app: Callable[[], AppTest]) -> None:
    clean, unit, least = SAME[name]
    expected = base.z_of(base.case_file(clean))
    path = base.case_file(name)
    app, session = take(open_app(), path.name, path.read_bytes())
    assert not app.error, app.error[0].value
    if unit and session.unit != unit:
        (choice,) = [box for box in app.selectbox if box.key and box.key.startswith("unit_")]
        check(choice.set_value(unit).run())
    found = z_in(session)
    assert len(found) == len(expected)
    assert found.reset_index(drop=True).corrwith(expected.reset_index(drop=True)).min() > least
    app.switch_page(f"pages/{PAGES['Predicted expression']}.py").run()
    check(app.button(key="predict").click().run())
    assert not app.error, app.error[0].value
    assert session.prediction is not None
    assert session.prediction.sizes["sample"] == len(expected)


@pytest.mark.parametrize("name", ["20_duplicate_rows/y_rna_at_end.csv", *OTHERS])
def test_no_page_fails_on_a_case(name: str, open_app: Callable[[], AppTest]) -> None:
    """Whether the table was read, refused, or waits for an answer."""
    path = base.case_file(name)
    app, session = take(open_app(), path.name, path.read_bytes())
    shown = (*app.error, *app.warning)
    assert session.table is not None or shown
    for _ in visit(app):
        pass


@pytest.mark.parametrize(
    "case", ["40_meta_none/meta.csv", "41_meta_leading0/meta.csv", "45_meta_spelling/meta.csv"]
)
def test_no_page_fails_on_metadata_of_a_case(case: str, open_app: Callable[[], AppTest]) -> None:
    table = base.case_file("21_sample_names/leading0.csv" if "41" in case else COUNTS)
    app, session = take(open_app(), table.name, table.read_bytes())
    app.switch_page(f"pages/{PAGES['Metadata']}.py").run()
    app.file_uploader[0].upload("meta.csv", base.case_file(case).read_bytes())
    check(app.run())
    assert session.metadata is not None
    assert len(session.metadata.match.matched) == 24
    for title in ("Traits", "Differential expression", "External cohort", "Compare with GTEx"):
        app.switch_page(f"pages/{PAGES[title]}.py").run()
        check(app)


@pytest.mark.parametrize("name", ["xlsx_text_first", "gct_1_3", "old_h5ad_sparse_with_raw"])
def test_a_built_case_gives_the_z_of_the_clean_table(
    name: str, open_app: Callable[[], AppTest], tmp_path: Path
) -> None:
    path = formats.CASES[name](tmp_path)
    app, session = take(open_app(), path.name, path.read_bytes())
    assert not app.error, app.error[0].value
    assert_allclose(z_in(session).to_numpy(), base.clean_z().to_numpy(), atol=1e-4)


def test_no_page_fails_on_a_duplicated_gene(open_app: Callable[[], AppTest]) -> None:
    counts = base.counts()
    twice = pd.concat([counts, counts.iloc[[3]]])
    app, session = take(open_app(), "twice.csv", twice.to_csv().encode())
    assert not app.error, app.error[0].value
    assert session.table is not None
    for _, page in visit(app):
        assert not page.error
