"""Accuracy beside each gene, and the labels of changes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mtm_core.studies.change_labels import kind_of_change
from mtm_core.studies.gene_accuracy import with_accuracy


def test_accuracy_and_change_stand_beside_each_gene() -> None:
    table = pd.DataFrame(
        {
            "tissue": ["Whole Blood", "Lung", "Lung", "Lung", "Lung", "Liver"],
            "origin": ["measured"] + ["predicted"] * 5,
            "gene_id": ["a", "a", "b", "c", "d", "a"],
            "gene": list("AABCDA"),
            "log2_fold_change": [1.0, 1.0, 2.0, -1.0, 0.1, 1.0],
            "fdr": [0.01, 0.01, 0.001, 0.05, 0.01, np.nan],
        }
    )
    held_out = pd.DataFrame(
        {
            "tissue": "Lung",
            "gene_id": list("abcd"),
            "rho_by_fold": [0.5, 0.2, 0.4, 0.6],
            "rho_pooled": [0.4, 0.3, np.nan, 0.5],
        }
    ).set_index(["tissue", "gene_id"])
    full = with_accuracy(table, held_out)
    assert full["predictable"].tolist() == ["measured", "yes", "no", "no", "yes", "not evaluated"]
    assert full["rho_by_fold"].fillna(-1).tolist() == [-1, 0.5, 0.2, 0.4, 0.6, -1]
    kinds = kind_of_change(full, fold_change=0.5, fdr=0.05)
    assert kinds.tolist() == [
        *("higher in cases", "higher in cases", "not predictable", "not predictable"),
        *("not changed", "not tested"),
    ]
    full["predictable"] = "yes"
    assert kind_of_change(full, fold_change=0.5, fdr=0.05)[3] == "lower in cases"
    empty = held_out.iloc[:0]
    assert set(with_accuracy(table, empty)["predictable"]) == {"measured", "not evaluated"}
