"""Screens of a model of more genes than a browser is sent: searched, paged, counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from mtm_core.artefact import Artefact
from mtm_core.dashboard.state.resources import MODEL_VARIABLE
from mtm_core.dashboard.widgets.paged_table import MOST_WHOLE, PAGE_ROWS
from mtm_core.data.cohort.simulate import SimulationConfig, simulate_cohort
from mtm_core.data.cohort.splits import donor_folds
from mtm_core.data.genes.names import TABLE
from mtm_core.evaluation.accuracy import accuracy
from mtm_core.evaluation.cross_validation import cross_validate
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.methods.controls import ControlMethod
from mtm_core.studies.reference import ReferenceAssociations
from tests.pages.every_page import PAGES, check, messages, visit

N_GENES = 3_000
LARGEST = 2_000_000
"""Bytes that a browser is sent of any page."""


@pytest.fixture(scope="module")
def wide_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Blood for every tissue, with real names of genes, an evaluation and associations."""
    folder = tmp_path_factory.mktemp("wide") / "wide"
    table = pd.read_csv(TABLE, sep="\t", comment="#", dtype=str, keep_default_na=False)
    table = table[table["ensembl"] != ""].drop_duplicates("ensembl")
    table = table[table["symbol"].isin(["TP53", "KMT2D"]) | (np.arange(len(table)) < N_GENES - 2)]
    genes = pd.DataFrame(
        {"symbol": table["symbol"].to_numpy(), "entrez": ""}, index=table["ensembl"] + ".1"
    )
    cohort = simulate_cohort(
        SimulationConfig(n_donors=40, n_tissues=4, trait_effect=0.6), genes=genes
    )
    method = ControlMethod("source-as-proxy")
    folds = donor_folds(cohort.obs, n_folds=2, balance_tissue="Whole Blood")
    scored = accuracy(cross_validate(method, cohort, folds))
    settings = {"folds": 2, "source": "Whole Blood"}
    EvaluationTables.of({method.name: scored}, settings).save(folder / "evaluation")
    ReferenceAssociations.of(cohort).save(folder / "associations")
    fitted = method.fit(cohort, sorted(set(cohort.obs["donor"])))
    Artefact.of(fitted, cohort, name="wide", provenance={}).save(folder)
    return folder


@pytest.fixture
def wide(
    wide_folder: Path, open_app: Callable[[], AppTest], monkeypatch: pytest.MonkeyPatch
) -> AppTest:
    """A session with the example of that model."""
    monkeypatch.setenv(MODEL_VARIABLE, str(wide_folder))
    app = open_app()
    app.button(key="example").click().run()
    return check(app)


def open_page(app: AppTest, title: str, **query: str) -> AppTest:
    for name, value in query.items():
        app.query_params[name] = value
    return check(app.switch_page(f"pages/{PAGES[title]}.py").run())


def ask(app: AppTest, text: str) -> None:
    """Type into the choice of a gene; the harness knows no choice but of what is offered."""
    box = app.selectbox(key="gene")
    box.options.append(text)
    box.set_value(text).run()


def test_no_page_sends_a_browser_more_than_it_can_take(wide: AppTest) -> None:
    n_genes = [len(box.options) for box in wide.selectbox if box.key == "gene"]
    for title, page in visit(wide):
        sizes = [getattr(part, "ByteSize", lambda: 0)() for part in messages(page)]
        assert sum(sizes) < LARGEST, (title, sorted(sizes)[-3:])
        n_genes += [len(box.options) for box in page.selectbox if box.key == "gene"]
    assert max(n_genes) <= 50


def test_a_gene_is_searched_on_the_server_and_stays_chosen_from_page_to_page(wide: AppTest) -> None:
    app = open_page(wide, "Differential expression")
    for typed, found in (("kmt2d", "KMT2D"), ("MLL2", "KMT2D"), ("ENSG00000141510", "TP53")):
        ask(app, typed)
        assert check(app).selectbox(key="gene").value == found
        assert any(f"{found} in every sample" in header.value for header in app.header)
    ask(app, "ABCA")
    first = app.selectbox(key="gene").value
    assert first.startswith("ABCA")
    offered = app.selectbox(key="gene").options
    assert {"ABCA1", "ABCA2", "TP53"} <= set(offered)
    assert any("genes match ABCA" in caption.value for caption in app.caption)
    ask(app, "no such gene")
    assert app.selectbox(key="gene").value == first
    assert any("no gene called" in caption.value for caption in app.caption)
    app.selectbox(key="gene").set_value("ABCA2").run()
    app = open_page(app, "Compare with GTEx")
    assert app.selectbox(key="gene").value == "ABCA2"
    app = open_page(app, "Disease concordance")  # shows no gene
    app = open_page(app, "Predictability")
    app.segmented_control(key="accuracy_of").set_value("Genes").run()
    assert app.selectbox(key="gene").value == "ABCA2"


def test_a_link_to_a_gene_leads_to_it(
    wide_folder: Path, open_app: Callable[[], AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MODEL_VARIABLE, str(wide_folder))
    app = open_page(open_app(), "Predictability", gene="tp53", accuracy_of="Genes")
    assert app.selectbox(key="gene").value == "TP53"
    assert any("TP53 in every tissue" in header.value for header in app.header)


def test_a_long_table_is_sorted_whole_and_shown_by_pages(wide: AppTest, wide_folder: Path) -> None:
    app = open_page(wide, "Predictability")
    app.segmented_control(key="accuracy_of").set_value("Genes").run()
    tissue = app.selectbox(key="tissue").value
    genes = EvaluationTables.load(wide_folder / "evaluation").genes_of("source-as-proxy", tissue)
    assert len(genes) == N_GENES > MOST_WHOLE
    by_rho = genes.sort_values("rho_by_fold", ascending=False)["rho_by_fold"].to_numpy()
    np.testing.assert_allclose(app.dataframe[0].value["rho_by_fold"], by_rho[:PAGE_ROWS])
    app.selectbox(key="gene_rows_order").set_value("p").run()
    by_p = np.sort(genes["p"].to_numpy())
    np.testing.assert_allclose(check(app).dataframe[0].value["p"], by_p[:PAGE_ROWS])
    app.toggle(key="gene_rows_falling").set_value(True).run()
    np.testing.assert_allclose(app.dataframe[0].value["p"], by_p[::-1][:PAGE_ROWS])
    assert any(f"Rows 1 to {PAGE_ROWS} of {N_GENES:,}" in c.value for c in app.caption)
    app.text_input(key="gene_search").set_value("tp53").run()
    assert list(check(app).dataframe[0].value["gene"]) == ["TP53"]
