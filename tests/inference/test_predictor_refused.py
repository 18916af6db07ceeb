"""Tables, tissues and units that a prediction cannot be made of: refused in words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from mtm_core.errors import ExpressionError, SelectionError
from mtm_core.inference.predictor import Predictor

BLOOD = "Whole Blood"
SAMPLES = Path(__file__).parents[2] / "data_samples"


def test_tissues_that_cannot_be_chosen_are_named(
    small: Predictor, six_bloods: pd.DataFrame
) -> None:
    with pytest.raises(SelectionError, match=r"'Lungs' \(did you mean 'Lung'\?\)"):
        small.predict(six_bloods, targets=["Liver", "Lungs"])
    with pytest.raises(SelectionError, match=r"'blood' \(did you mean 'Whole Blood'\?\)"):
        small.predict(six_bloods, source="blood")
    with pytest.raises(SelectionError, match="'Whole Blood' is the source"):
        small.predict(six_bloods, targets=["Lung", BLOOD])
    with pytest.raises(SelectionError, match="no target tissue is chosen"):
        small.predict(six_bloods, targets=[])


def test_half_of_the_genes_is_the_least(small: Predictor, six_bloods: pd.DataFrame) -> None:
    assert small.predict(six_bloods.iloc[:, :20])["found"].sum() == 20
    with pytest.raises(ExpressionError, match="19 of the model's 40 genes are in the table"):
        small.predict(six_bloods.iloc[:, :19])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.iloc[:0], "the table is empty: 0 samples, 40 genes"),
        (lambda t: t.iloc[:, :0], "the table is empty: 6 samples, 0 genes"),
        (lambda t: t.assign(SIM1=np.nan), "missing or infinite values"),
        (lambda t: t.assign(SIM1=np.inf), "missing or infinite values"),
        (lambda t: t.assign(SIM1="high"), "expected numbers, samples in rows"),
        (lambda t: t.set_axis(["a", "b", "c", "b", "d", "e"]), "sample 'b' is duplicated"),
        (lambda t: t * 0, "all zeros|no expression"),
        (lambda t: -t, "negative"),
        (lambda t: t.set_axis([f"x{i}" for i in range(40)], axis=1), "0 of the model's 40 genes"),
    ],
)
def test_frames_that_cannot_be_used_are_refused(
    bundled: Predictor,
    small: Predictor,
    six_bloods: pd.DataFrame,
    change: object,
    message: str,
) -> None:
    with pytest.raises(ExpressionError, match=message):
        small.predict(change(six_bloods), unit="counts", alignment="none")  # type: ignore[operator]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (lambda table: str(SAMPLES / "blood_counts.csv"), "expected a DataFrame.* type str came"),
        (lambda table: SAMPLES / "blood_counts.csv", "Read files with read_expression"),
        (lambda table: table.to_numpy(), "type ndarray came"),
        (lambda table: sparse.csr_matrix(table.to_numpy()), "type csr_matrix came"),
        (lambda table: table.iloc[0], "type Series came"),
        (lambda table: {"LDLR": 1}, "type dict came"),
        (lambda table: table > 1, "True and False"),
        (
            lambda table: table.set_axis(pd.MultiIndex.from_product([["a"], table]), axis=1),
            "genes have 2 levels",
        ),
        (
            lambda table: ad.AnnData(table),
            r"type AnnData came. Of an AnnData, give adata.to_df\(\)",
        ),
        (
            lambda table: table.set_axis(pd.MultiIndex.from_product([["a"], table.index])),
            "samples have 2 levels",
        ),
        (lambda table: table.set_axis([None, *table.index[1:]]), "1 of .* samples have no name"),
        (
            lambda table: pd.concat([table, table.iloc[:, 2:4]], axis=1),
            "is duplicated, with the same values, as after joining tables twice",
        ),
        (
            lambda table: pd.concat([table.iloc[:, 2] + 1, table, table.iloc[:, 2]], axis=1),
            "is duplicated, with the same values",
        ),
    ],
)
def test_what_is_no_table_of_samples_is_refused_in_words(
    small: Predictor, six_bloods: pd.DataFrame, given: Callable[[pd.DataFrame], object], says: str
) -> None:
    with pytest.raises(ExpressionError, match=says):
        small.predict(given(six_bloods), unit="tpm")  # type: ignore[arg-type]


def test_names_of_a_wrong_kind_are_unknown(small: Predictor, six_bloods: pd.DataFrame) -> None:
    with pytest.raises(SelectionError, match="unknown unit: 'TPM'"):
        small.predict(six_bloods, unit="TPM")  # type: ignore[arg-type]
    for wrong in ({"source": 3}, {"targets": [3]}):
        with pytest.raises(SelectionError, match="unknown tissue: '3'"):
            small.predict(six_bloods, unit="tpm", **wrong)  # type: ignore[arg-type]
