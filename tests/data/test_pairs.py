from __future__ import annotations

import anndata as ad
import numpy as np
import pytest

from mtm_core.data.cohort.pairs import ordered_pairs


def pairs_by_double_loop(donor: list[str]) -> set[tuple[int, int]]:
    return {
        (i, j)
        for i, first in enumerate(donor)
        for j, second in enumerate(donor)
        if first == second and i != j
    }


def test_pairs_equal_a_double_loop(rng: np.random.Generator) -> None:
    donor = [f"D{i}" for i in rng.integers(0, 12, size=60)]
    pairs = ordered_pairs(donor)
    assert pairs.dtype == np.int32
    assert len(pairs) == len({tuple(pair) for pair in pairs.tolist()})
    assert {tuple(pair) for pair in pairs.tolist()} == pairs_by_double_loop(donor)


def test_order_is_by_donor_then_source_then_target() -> None:
    assert ordered_pairs(["b", "a", "b", "a", "b"]).tolist() == [
        [1, 3], [3, 1],
        [0, 2], [0, 4], [2, 0], [2, 4], [4, 0], [4, 2],
    ]  # fmt: skip


@pytest.mark.parametrize("donor", [[], ["a"], ["a", "b", "c"]])
def test_donors_with_one_sample_give_no_pairs(donor: list[str]) -> None:
    pairs = ordered_pairs(donor)
    assert pairs.shape == (0, 2)
    assert pairs.dtype == np.int32


def test_ids_and_codes_give_the_same_pairs(small_cohort: ad.AnnData) -> None:
    donor = small_cohort.obs["donor"]
    codes = donor.astype("category").cat.codes
    np.testing.assert_array_equal(ordered_pairs(donor), ordered_pairs(codes))
    np.testing.assert_array_equal(ordered_pairs(donor), ordered_pairs(donor.astype("category")))


@pytest.mark.reference
def test_real_cohort_has_340588_pairs(reference_cohort: ad.AnnData) -> None:
    donor = reference_cohort.obs["donor"]
    pairs = ordered_pairs(donor)
    assert len(pairs) == 340_588
    per_donor = donor.value_counts().to_numpy()
    assert len(pairs) == (per_donor * (per_donor - 1)).sum()
    blood = (reference_cohort.obs["tissue"] == "Whole Blood").to_numpy()
    assert blood[pairs[:, 0]].sum() == 13_498
