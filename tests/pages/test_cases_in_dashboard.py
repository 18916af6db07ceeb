"""What people bring, through the dashboard: the same z-scores, and every page stands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from numpy.testing import assert_allclose
from streamlit.testing.v1 import AppTest

from mtm_core.dashboard.session import SESSION_KEY, Session
from tests.cases import base, formats
from tests.pages.every_page import PAGES, check, visit

COUNTS, TPM = "00_base/counts.csv", "00_base/tpm.csv"
# Case: (clean table, unit to choose where it must be chosen, least r of a gene).
SAME = {
    "02_biomart_columns/counts_annotated.csv": (COUNTS, "", 0.9999),
    "39_more_annotation/width_gc.csv": (COUNTS, "", 0.9999),
    "32_filtered_index/filtered.parquet": (COUNTS, "", 0.9999),
    "11_deseq2_plus_counts/edger_logcpm.csv": (COUNTS, "log2", 0.999),
    "14_ln_log10/log10p.csv": (COUNTS, "log10", 0.999),
    "17_tidy_long/long_tpm.csv": (TPM, "", 0.999),
    "18_european/counts_thousand_dots.csv": (COUNTS, "", 0.9999),
    "20_duplicate_rows/y_rna_at_end.csv": (COUNTS, "", 0.9999),
    "21_sample_names/visits.csv": (COUNTS, "", 0.9999),
    "21_sample_names/leading0.csv": (COUNTS, "", 0.9999),
    "22_rows_with_clinic/log2_rows_weight.csv": (COUNTS, "", 0.999),
    "23_gct/tissue_with_id.gct": (COUNTS, "", 0.9999),
    "24_xlsx/readme_first.xlsx": (COUNTS, "", 0.9999),
    "26_h5ad/log1p.h5ad": (COUNTS, "", 0.999),
    "26_h5ad/old.h5ad": (COUNTS, "", 0.9999),
    "34_ids_more/ensg_symbol_noversion.tsv": (COUNTS, "", 0.9999),
    "35_vst_real/vst.csv": (COUNTS, "", 0.98),
}
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
def test_every_page_stands_on_a_case(name: str, open_app: Callable[[], AppTest]) -> None:
    """Whether the table was read, refused, or waits for an answer."""
    path = base.case_file(name)
    app, session = take(open_app(), path.name, path.read_bytes())
    told = (*app.error, *app.warning)
    assert session.table is not None or told
    for _ in visit(app):
        pass


@pytest.mark.parametrize(
    "case", ["40_meta_none/meta.csv", "41_meta_leading0/meta.csv", "45_meta_spelling/meta.csv"]
)
def test_every_page_stands_on_metadata_of_a_case(
    case: str, open_app: Callable[[], AppTest]
) -> None:
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


def test_a_gene_that_is_duplicated_stands_on_every_page(open_app: Callable[[], AppTest]) -> None:
    counts = base.counts()
    twice = pd.concat([counts, counts.iloc[[3]]])
    app, session = take(open_app(), "twice.csv", twice.to_csv().encode())
    assert not app.error, app.error[0].value
    assert session.table is not None
    for _, page in visit(app):
        assert not page.error
