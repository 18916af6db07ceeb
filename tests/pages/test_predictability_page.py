"""Predictability on the bundled model, on an evaluation of before, and without one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from mtm_core.dashboard.widgets.evaluated import PREDICTABILITY_PAGE
from mtm_core.evaluation.combinations import INTERVAL_COLUMNS
from mtm_core.evaluation.results import EvaluationTables
from tests.pages.changed_evaluation import serve_with
from tests.pages.conftest import words


def opened(app: AppTest, **chosen: str) -> AppTest:
    for name, value in chosen.items():
        app.query_params[name] = value
    app.switch_page(PREDICTABILITY_PAGE).run()
    assert not app.exception
    assert not app.error
    return app


@pytest.mark.usefixtures("not_evaluated")
def test_a_model_without_evaluation_says_what_to_do(app: AppTest) -> None:
    opened(app)
    assert "not evaluated" in app.info[0].value
    assert "`mtm evaluate`" in app.info[0].value
    assert not app.dataframe


@pytest.mark.parametrize("view", ["Tissues", "Genes", "Distributions"])
@pytest.mark.parametrize("model", ["bundled", "evaluated"])
def test_every_view_opens(
    view: str, model: str, open_app: Callable[[], AppTest], request: pytest.FixtureRequest
) -> None:
    if model == "evaluated":  # without intervals, p, FDR and adjusted figures
        request.getfixturevalue(model)
    app = opened(open_app())
    app.segmented_control(key="accuracy_of").set_value(view).run()
    assert not app.exception
    assert not app.info
    first = {"Tissues": "tissue_ranking", "Genes": "gene_rows", "Distributions": "rho_boxes"}
    assert app.download_button(key=f"download_{first[view]}_parquet")
    assert ("Adjusted" in words(app)) == (model == "bundled" and view != "Distributions")


def test_metrics_are_those_of_the_chosen_method(app: AppTest, tables: EvaluationTables) -> None:
    opened(app)
    for method in tables.summary().index[:2]:
        app.selectbox(key="method").set_value(method).run()
        row = tables.summary().loc[method]
        values = {metric.label: metric.value for metric in app.metric}
        low, high = row["gene_rho_by_fold_low"], row["gene_rho_by_fold_high"]
        assert values == {
            "Gene-wise rho, by fold": f"{row['gene_rho_by_fold_mean']:.3f}"
            f" ({low:.3f} to {high:.3f})",
            "Adjusted rho, by fold": f"{row['gene_adjusted_rho_by_fold_mean']:.3f}",
            "Adjusted for blood composition": (
                f"{row['gene_rho_adjusted_for_composition_mean']:.3f}"
                f" (unadjusted {row['gene_rho_composition_known_mean']:.3f})"
            ),
            "Predictable genes": f"{row['n_predictable_mean']:.1f} of 59",
        }


def test_the_table_is_that_of_tissue_filter_and_search(
    app: AppTest, tables: EvaluationTables, own: str
) -> None:
    opened(app)
    app.segmented_control(key="accuracy_of").set_value("Genes").run()
    app.selectbox(key="tissue").set_value("Pituitary").run()
    of_pituitary = tables.genes[
        (tables.genes["method"] == own) & (tables.genes["tissue"] == "Pituitary")
    ].set_index("gene_id")
    for choice, expected in (
        ("all", of_pituitary),
        ("predictable", of_pituitary[of_pituitary["is_predictable"]]),
        ("survives FDR", of_pituitary[of_pituitary["survives_fdr"]]),
    ):
        app.segmented_control(key="gene_choice").set_value(choice).run()
        shown = app.dataframe[0].value
        assert set(shown["gene_id"]) == set(expected.index)
        assert shown["rho_by_fold"].is_monotonic_decreasing
        for column in (
            "rho_pooled",
            "rho_low",
            "rho_high",
            "adjusted_rho_by_fold",
            "p",
            "fdr",
            "r2",
        ):
            assert shown.set_index("gene_id")[column].to_dict() == expected[column].to_dict()
        assert set(shown.loc[shown["predictable"] == "yes", "gene_id"]) == set(
            expected.index[expected["is_predictable"]]
        )
        assert f"{len(expected)} of 59 genes shown" in words(app)
    app.segmented_control(key="gene_choice").set_value("all")
    app.text_input(key="gene_search").set_value("brca").run()
    assert sorted(app.dataframe[0].value["gene"]) == ["BRCA1", "BRCA2"]
    app.text_input(key="gene_search").set_value("no such gene").run()
    assert app.dataframe[0].value.empty
    assert "No gene matches" in app.info[0].value


def test_a_link_reproduces_the_view(app: AppTest) -> None:
    opened(app, accuracy_of="Genes", method="mtm", tissue="Lung", gene="TP53")
    assert [header.value for header in app.header] == ["Genes of Lung", "TP53 in every tissue"]
    assert "TP53, mtm: rho in each tissue" in words(app)


def test_the_choice_carries_over_to_the_other_views_and_methods(app: AppTest) -> None:
    opened(app)
    app.selectbox(key="tissue").set_value("Lung").run()
    app.segmented_control(key="accuracy_of").set_value("Genes").run()
    assert "Genes of Lung" in words(app)
    app.selectbox(key="method").set_value("mtm").run()
    assert "(mtm, Lung)" in words(app)
    app.segmented_control(key="accuracy_of").set_value("Distributions").run()
    app.multiselect(key="tissues_drawn").set_value(["Lung", "Liver"]).run()
    assert not app.exception
    assert app.selectbox(key="tissue").value == "Lung"


def test_a_model_whose_method_was_not_evaluated_shows_the_others(
    app: AppTest,
    tables: EvaluationTables,
    own: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    others = [name for name in tables.summary().index if name != own]
    genes = tables.genes[tables.genes["method"] != own]
    tissues = tables.tissues[tables.tissues["method"] != own]
    serve_with(EvaluationTables(genes, tissues, tables.settings), tmp_path, monkeypatch)
    opened(app)
    assert f"**{own}**, is not in its evaluation" in app.warning[0].value
    assert app.selectbox(key="method").options == others


def test_an_evaluation_of_a_tissue_that_the_model_lacks_is_refused_in_words(
    app: AppTest, tables: EvaluationTables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renamed = (
        part.replace({"tissue": {"Lung": "Gill"}}) for part in (tables.genes, tables.tissues)
    )
    serve_with(EvaluationTables(*renamed, tables.settings), tmp_path, monkeypatch)
    app.switch_page(PREDICTABILITY_PAGE).run()
    assert not app.exception
    assert "Gill" in app.error[0].value


def test_accuracy_adjusted_for_composition_is_shown_where_it_was_scored(
    open_app: Callable[[], AppTest],
    tables: EvaluationTables,
    own: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    genes, tissues = tables.genes.copy(), tables.tissues.copy()
    genes["rho_composition_known"] = genes["rho_pooled"]
    genes["rho_adjusted_for_composition"] = genes["rho_pooled"] / 2
    tissues["gene_rho_adjusted_for_composition"] = tissues["gene_rho_pooled"] / 2
    scored = replace(tables, gene_rows=genes, tissues=tissues)
    serve_with(scored, tmp_path, monkeypatch)
    app = opened(open_app())
    half = tissues.loc[tissues["method"] == own, "gene_rho_pooled"].mean() / 2
    shown = {metric.label: metric.value for metric in app.metric}
    assert shown["Adjusted for blood composition"].startswith(f"{half:.3f}")
    app.segmented_control(key="accuracy_of").set_value("Genes").run()
    assert not app.exception
    assert "the shares of blood cells are regressed out" in words(app)
    (rows,) = (table.value for table in app.dataframe if "rho_pooled" in table.value)
    np.testing.assert_allclose(rows["rho_adjusted_for_composition"] * 2, rows["rho_pooled"])


def test_accuracy_from_several_tissues_is_shown_where_it_was_scored(
    open_app: Callable[[], AppTest],
    tables: EvaluationTables,
    own: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sources = "Whole Blood; Lung"
    chosen = tables.tissues["method"].eq(own) & tables.tissues["tissue"].ne("Lung")
    tissues = tables.tissues[chosen].assign(sources=sources, gene_rho_by_fold_alone=0.125)
    tissues["gene_rho_by_fold"] += 0.25
    rows = tables.genes_of(own, columns=["n", "rho_by_fold", "rho_pooled"])
    rows = rows[rows["tissue"] != "Lung"].assign(sources=sources)
    intervals = dict.fromkeys(INTERVAL_COLUMNS, 0.1) | {
        "gene_rho_by_fold_high": 0.3,
        "difference": 0.2,
        "difference_high": 0.25,
    }
    together = replace(
        tables,
        combination_rows=rows,
        combinations=tissues,
        combination_intervals=pd.DataFrame([{"sources": sources, "method": own, **intervals}]),
    )
    serve_with(together, tmp_path, monkeypatch)
    app = opened(open_app(), tissue="Lung")
    assert len(app.selectbox(key="method").options) > 1
    app.selectbox(key="predicted_from").set_value("Whole Blood and Lung").run()
    assert not app.exception
    shown = {metric.label: metric.value for metric in app.metric}
    mean = tissues["gene_rho_by_fold"].mean()
    assert shown["Gene-wise rho, by fold"] == f"{mean:.3f} (0.100 to 0.300)"
    assert shown["Gain from the further tissues"] == "+0.200 (0.100 to 0.250)"
    assert shown["From Whole Blood alone, the same donors"] == "0.125"
    assert "donors who give all of these" in words(app)
    assert app.selectbox(key="method").options == [own]
    assert "Lung" not in app.selectbox(key="tissue").options
    for view in ("Genes", "Distributions"):
        app.segmented_control(key="accuracy_of").set_value(view).run()
        assert not app.exception
    app.selectbox(key="predicted_from").set_value("Whole Blood").run()
    assert not app.exception
    assert len(app.selectbox(key="method").options) > 1
