"""Methods compared on the bundled model, on an evaluation of before, and without one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from mtm_core.dashboard.widgets.evaluated import METHODS_PAGE
from mtm_core.evaluation.overlaps import shared_sets
from mtm_core.evaluation.results import EvaluationTables
from tests.pages.changed_evaluation import serve_with
from tests.pages.conftest import words

VIEWS = {
    "Accuracy": "accuracy_by_method",
    "Predictable genes": "fold_change_over_size",
    "Shared genes": "shared_genes",
    "Wins and losses": "wins",
    "Groups of donors": "strata",
}


@pytest.fixture
def others(tables: EvaluationTables, own: str) -> list[str]:
    return [name for name in tables.summary().index if name != own]


def opened(app: AppTest, view: str = "Accuracy") -> AppTest:
    app.switch_page(METHODS_PAGE).run()
    assert not app.exception
    if app.segmented_control:
        app.segmented_control(key="compared_by").set_value(view).run()
        assert not app.exception
    return app


@pytest.mark.usefixtures("not_evaluated")
def test_a_model_without_evaluation_says_what_to_do(app: AppTest) -> None:
    app.switch_page(METHODS_PAGE).run()
    assert not app.exception
    assert "not evaluated" in app.info[0].value


def test_a_single_method_is_compared_with_nothing(
    app: AppTest,
    tables: EvaluationTables,
    own: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parts = (part[part["method"] == own] for part in (tables.genes, tables.tissues))
    serve_with(EvaluationTables(*parts, tables.settings), tmp_path, monkeypatch)
    app.switch_page(METHODS_PAGE).run()
    assert not app.exception
    assert f"Only **{own}** was evaluated" in app.info[0].value


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("model", ["bundled", "evaluated"])
def test_every_view_opens_or_says_what_is_lacking(
    view: str, model: str, open_app: Callable[[], AppTest], request: pytest.FixtureRequest
) -> None:
    if model == "evaluated":  # without comparisons, bootstrap and strata
        request.getfixturevalue(model)
    app = opened(open_app(), view)
    if model == "evaluated" and view in ("Wins and losses", "Groups of donors"):
        assert "Run `mtm evaluate` again" in app.info[0].value
    else:
        assert not app.info
        assert app.download_button(key=f"download_{VIEWS[view]}_csv")


def test_a_pair_is_compared_in_words_whichever_is_first(
    app: AppTest, tables: EvaluationTables
) -> None:
    row = tables.comparisons.to_dict("records")[3]
    a, b = row["method"], row["other"]
    means = tables.summary()["gene_rho_by_fold_mean"]
    opened(app)
    app.selectbox(key="method").set_value(a).run()
    app.selectbox(key="other_method").set_value(b).run()
    low, high = row["difference_low"], row["difference_high"]
    assert f"{a} {means[a]:.3f}, {b} {means[b]:.3f}, a difference of" in words(app)
    assert f"a difference of {row['difference']:+.3f}, 95 % interval" in words(app)
    assert f"95 % interval {low:.3f} to {high:.3f}" in words(app)
    assert ("do not clearly differ" in words(app)) == (low <= 0 <= high)
    assert "Adjusted for age, sex and Hardy scale" in words(app)
    assert f"{b} finds {row['share_found_by_other']:.0%} of the predictable" in words(app)
    app.selectbox(key="method").set_value(b).run()
    app.selectbox(key="other_method").set_value(a).run()
    assert f"a difference of {-row['difference']:+.3f}" in words(app)
    assert f"95 % interval {-high:.3f} to {-low:.3f}" in words(app)
    losses, sure = row["gene_losses"], row["gene_losses_fdr"]
    assert f"{b} is higher in {losses} tissues ({sure} with" in words(app)


def test_methods_that_do_not_differ_are_said_not_to(
    app: AppTest,
    tables: EvaluationTables,
    own: str,
    others: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    even = tables.comparisons.assign(difference_low=-0.01, difference_high=0.02)
    serve_with(replace(tables, comparisons=even), tmp_path, monkeypatch)
    opened(app)
    assert f"{own} against {others[0]}" in words(app)
    assert "The interval contains 0: the methods do not clearly differ" in words(app)


@pytest.mark.usefixtures("evaluated")
def test_an_evaluation_of_before_claims_no_interval(app: AppTest) -> None:
    opened(app)
    assert "There is no interval for it" in words(app)
    assert "95 %" not in words(app)
    assert "Adjusted" not in words(app)
    assert app.selectbox(key="figure_of_merit").options == [
        "gene-wise rho, by fold",
        "gene-wise rho, pooled",
        "sample-wise rho",
    ]


@pytest.mark.parametrize("figure", ["sample_rho", "gene_adjusted_rho_by_fold", "gene_rho_pooled"])
def test_figures_of_merit(app: AppTest, figure: str) -> None:
    opened(app)
    app.selectbox(key="figure_of_merit").set_value(figure).run()
    assert not app.exception
    assert "95 % interval from a donor bootstrap" not in words(app)


def test_shared_genes_of_a_tissue_and_of_too_few_methods(
    app: AppTest, tables: EvaluationTables, own: str, others: list[str]
) -> None:
    opened(app, "Shared genes")
    assert "A gene is counted once for each tissue" in words(app)
    six = [own, *others[:5]]
    app.multiselect(key="set_methods").set_value(six).run()
    assert not app.exception
    n_hidden = len(shared_sets(tables.genes, six)) - 24
    assert (f"{n_hidden} smaller combinations" in words(app)) == (n_hidden > 0)
    app.selectbox(key="tissue").set_value("Lung").run()
    assert "Lung: predictable genes" in words(app)
    assert "A gene is counted once for each tissue" not in words(app)
    app.multiselect(key="set_methods").set_value([own]).run()
    assert "Choose two methods" in app.info[0].value


def test_methods_without_predictable_genes_are_named(
    app: AppTest,
    tables: EvaluationTables,
    others: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without = others[0]
    genes = tables.genes.assign(is_predictable=False)
    numbers = tables.tissues["n_predictable"].where(tables.tissues["method"] != without, 0)
    changed = replace(tables, gene_rows=genes, tissues=tables.tissues.assign(n_predictable=numbers))
    serve_with(changed, tmp_path, monkeypatch)
    opened(app, "Shared genes")
    assert "none of these methods has a predictable gene" in app.info[0].value
    app.segmented_control(key="compared_by").set_value("Predictable genes").run()
    app.selectbox(key="other_method").set_value(without).run()
    assert not app.exception
    assert "the rank correlation cannot be computed (0 tissues)" in words(app)
    assert "Not drawn, because one of the two has no predictable gene: Adipose" in words(app)


def test_fold_change_is_set_against_sample_size(
    app: AppTest, tables: EvaluationTables, own: str, others: list[str]
) -> None:
    opened(app, "Predictable genes")
    app.selectbox(key="other_method").set_value(others[2]).run()
    pair = tables.comparisons.set_index(["method", "other"]).loc[(own, others[2])]
    assert f"Spearman's rho {pair['fold_change_vs_n']:.2f}" in words(app)
    assert f"{pair['n_fold_change']:.0f} tissues" in words(app)


def test_groups_of_donors_stand_beside_all(app: AppTest, tables: EvaluationTables) -> None:
    opened(app, "Groups of donors")
    shown = app.dataframe[0].value
    strata = tables.strata.set_index(["method", "stratum"])["gene_rho_by_fold_mean"]
    assert list(shown.columns) == ["all donors", *tables.strata["stratum"].unique()]
    for (method, stratum), value in strata.items():
        assert shown.loc[method, stratum] == value
    assert shown["all donors"].to_dict() == tables.summary()["gene_rho_by_fold_mean"].to_dict()


def test_wins_by_tissue_are_those_of_the_pair(app: AppTest, tables: EvaluationTables) -> None:
    first, other = tables.comparisons.loc[0, ["method", "other"]]
    opened(app, "Wins and losses")
    app.selectbox(key="method").set_value(other).run()
    app.selectbox(key="other_method").set_value(first).run()
    app.segmented_control(key="kind_of_rho").set_value("sample").run()
    shown = app.dataframe[0].value.set_index("tissue")
    by_tissue = tables.comparisons_by_tissue
    pair = by_tissue[(by_tissue["method"] == first) & (by_tissue["other"] == other)]
    expected = pair.set_index("tissue")["sample_difference"]
    assert shown["sample_difference"].to_dict() == (-expected).to_dict()
