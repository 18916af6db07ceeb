from __future__ import annotations

import json
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from mtm_core.data.splits import donor_folds
from mtm_core.errors import InputFileError
from mtm_core.evaluation.accuracy import Accuracy, accuracy
from mtm_core.evaluation.cross_validation import cross_validate
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.methods.controls import ControlMethod

SETTINGS = {"folds": 2, "seed": 0, "source": "Whole Blood"}


@pytest.fixture(scope="module")
def accuracies(small_cohort: ad.AnnData) -> dict[str, Accuracy]:
    folds = donor_folds(small_cohort.obs, n_folds=2)
    return {
        method.name: accuracy(cross_validate(method, small_cohort, folds))
        for method in (ControlMethod("source-as-proxy"), ControlMethod("training-mean"))
    }


@pytest.fixture
def tables(accuracies: dict[str, Accuracy]) -> EvaluationTables:
    return EvaluationTables.of(accuracies, SETTINGS)


def test_summary_is_each_method_s_own_in_the_order_they_were_run(
    tables: EvaluationTables, accuracies: dict[str, Accuracy]
) -> None:
    summary = tables.summary()
    assert summary.index.tolist() == ["source-as-proxy", "training-mean"]
    for name, own in accuracies.items():
        assert summary.loc[name].to_dict() == pytest.approx(own.summary())
    assert summary.loc["source-as-proxy", "gene_rho_by_fold_mean"] > 0.1
    assert summary.loc["training-mean", "gene_rho_by_fold_mean"] == 0


def test_one_method_s_figures_are_json(
    tables: EvaluationTables, accuracies: dict[str, Accuracy]
) -> None:
    kept = json.loads(json.dumps(tables.of_method("source-as-proxy")))
    assert kept["settings"] == SETTINGS
    assert kept["summary"] == pytest.approx(accuracies["source-as-proxy"].summary())
    tissues = pd.DataFrame(kept["tissues"]).set_index("tissue")
    pd.testing.assert_frame_equal(tissues, accuracies["source-as-proxy"].tissues)


def test_tables_come_back_from_their_folder(tables: EvaluationTables, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    tables.save(folder)
    loaded = EvaluationTables.load(folder)
    assert loaded.settings == SETTINGS
    pd.testing.assert_frame_equal(loaded.genes, tables.genes.reset_index(drop=True))
    pd.testing.assert_frame_equal(loaded.tissues, tables.tissues.reset_index(drop=True), rtol=1e-5)
    written = pd.read_csv(folder / "summary.csv", index_col="method")
    np.testing.assert_allclose(written, tables.summary(), rtol=1e-5)


@pytest.mark.parametrize("damage", ["nothing", "cut"])
def test_a_folder_without_an_evaluation_is_named(
    tables: EvaluationTables, tmp_path: Path, damage: str
) -> None:
    if damage == "cut":
        tables.save(tmp_path)
        (tmp_path / "settings.json").write_text('{"folds": ')
    with pytest.raises(
        InputFileError, match=r"holds no evaluation .* Make one with 'mtm evaluate'"
    ):
        EvaluationTables.load(tmp_path)
