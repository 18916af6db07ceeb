from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mtm_core.dashboard.state.resources import ServedModel
from mtm_core.dashboard.widgets.evaluated import Evaluated, best_first, in_order, rank_in_words
from mtm_core.evaluation.comparison import RankCorrelation
from mtm_core.evaluation.results import EvaluationTables


@pytest.fixture
def tables(evaluated_model: ServedModel) -> EvaluationTables:
    assert evaluated_model.evaluation is not None
    return evaluated_model.evaluation


def test_the_model_s_own_method_comes_first(
    evaluated_model: ServedModel, tables: EvaluationTables
) -> None:
    rows = in_order(tables.tissues, ["ridge", "mtm"])
    early = rows[rows["method"] == "ridge"].assign(method="a ridge")
    turned = replace(tables, tissues=pd.concat([rows, early]))
    evaluated = Evaluated.of(evaluated_model, turned)
    assert evaluated.methods == ["mtm", "ridge", "a ridge"]
    assert "Whole Blood" not in evaluated.tissues
    assert evaluated.genes.label_of(evaluated.genes["BRCA1"]) == "BRCA1"
    assert evaluated.colours["Lung"] == "#99FF00"
    assert evaluated.abbreviations["Lung"] == "LUNG"
    assert "5-fold" in evaluated.setting
    assert "Whole Blood to 48 tissues · 59 genes" in evaluated.setting


def test_adjustments_are_named(evaluated_model: ServedModel, tables: EvaluationTables) -> None:
    def words(*names: str) -> str:
        changed = replace(tables, settings={**tables.settings, "adjusted_for": list(names)})
        return Evaluated.of(evaluated_model, changed).adjusted_for

    assert words("sex") == "sex"
    assert words("age", "sex", "hardy") == "age, sex and Hardy scale"
    assert words() == words("age", "sex", "hardy")


def test_two_methods_are_compared_as_far_as_is_known(
    evaluated_model: ServedModel, tables: EvaluationTables
) -> None:
    means = tables.summary()["gene_rho_by_fold_mean"]
    (sentence,) = Evaluated.of(evaluated_model, tables).compared("ridge", "mtm")
    assert f"ridge {means['ridge']:.3f}, mtm {means['mtm']:.3f}" in sentence
    assert sentence.endswith("There is no interval for it.")
    pair = {"method": "mtm", "other": "ridge", "difference": 0.05}
    pair |= {"difference_low": 0.02, "difference_high": 0.07, "p_bootstrap": 0.004}
    compared = replace(
        tables,
        comparisons=pd.DataFrame([pair]),
        settings={**tables.settings, "resamples": 499},
    )
    (sentence,) = Evaluated.of(evaluated_model, compared).compared("ridge", "mtm")
    assert "95 % interval -0.070 to -0.020, p = 0.004" in sentence
    assert "499 resamples: p cannot be below 0.004)" in sentence
    assert "do not tell" not in sentence


def test_the_best_method_comes_first() -> None:
    tissues = pd.DataFrame(
        {"method": ["a", "b", "b", "c"], "rho": [0.2, 0.5, 0.1, np.nan], "n": [1, 2, 3, 4]}
    )
    assert best_first(tissues, "rho") == ["b", "a"]
    assert in_order(tissues, ["b", "a"])["n"].tolist() == [2, 3, 1]


def test_a_rank_correlation_in_words() -> None:
    known = rank_in_words(RankCorrelation(-0.584, 0.00002, 47))
    assert known == "Spearman's rho -0.58, p = 2e-05, 47 tissues"
    unknown = rank_in_words(RankCorrelation(np.nan, np.nan, 3))
    assert unknown == "the rank correlation cannot be computed (3 tissues)"
