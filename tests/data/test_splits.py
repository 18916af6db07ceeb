from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from mtm_core.data.cohort.splits import DonorFolds, donor_folds, hold_out, rows_of
from mtm_core.errors import CohortError, InputFileError


@pytest.fixture
def samples(rng: np.random.Generator) -> pd.DataFrame:
    """103 donors; three quarters have blood; 2 to 12 tissues each."""
    rows = []
    for number in range(103):
        tissues = [f"T{t:02d}" for t in rng.choice(30, size=rng.integers(1, 12), replace=False)]
        tissues.append("Whole Blood" if rng.random() < 0.75 else "Spleen")
        rows += [{"donor": f"D{number:03d}", "tissue": tissue} for tissue in tissues]
    return pd.DataFrame(rows)


def test_every_donor_is_in_one_fold(samples: pd.DataFrame) -> None:
    folds = donor_folds(samples)
    dealt = [donor for fold in folds.folds for donor in fold]
    assert len(folds.folds) == 5
    assert sorted(dealt) == sorted(samples["donor"].unique())
    for k in range(5):
        assert set(folds.held_out(k)).isdisjoint(folds.training(k))
        assert len(folds.held_out(k)) + len(folds.training(k)) == 103


@pytest.mark.parametrize("seed", range(5))
def test_folds_are_alike(samples: pd.DataFrame, seed: int) -> None:
    folds = donor_folds(samples, seed=seed)
    with_blood = set(samples.loc[samples["tissue"] == "Whole Blood", "donor"])
    n_samples = samples["donor"].value_counts()
    n_donors = [len(fold) for fold in folds.folds]
    n_blood = [len(with_blood.intersection(fold)) for fold in folds.folds]
    n_rows = [n_samples[list(fold)].sum() for fold in folds.folds]
    assert max(n_donors) - min(n_donors) <= 1
    assert max(n_blood) - min(n_blood) <= 2
    assert max(n_rows) - min(n_rows) <= 0.25 * np.mean(n_rows)


def test_seed_deals_and_the_same_seed_deals_the_same(samples: pd.DataFrame) -> None:
    assert donor_folds(samples, seed=1) == donor_folds(samples, seed=1)
    assert donor_folds(samples, seed=1).folds != donor_folds(samples, seed=2).folds


def test_row_order_and_column_type_do_not_matter(samples: pd.DataFrame) -> None:
    shuffled = samples.sample(frac=1, random_state=3)
    assert donor_folds(shuffled) == donor_folds(samples)
    assert donor_folds(shuffled.astype("category")) == donor_folds(samples)
    backwards = sorted(samples["donor"].unique(), reverse=True)
    shuffled["donor"] = pd.Categorical(shuffled["donor"], categories=backwards)
    assert donor_folds(shuffled) == donor_folds(samples)


def test_folds_survive_the_disk(samples: pd.DataFrame, tmp_path: Path) -> None:
    folds = donor_folds(samples, n_folds=3, seed=7)
    folds.save(tmp_path / "folds.json")
    assert DonorFolds.load(tmp_path / "folds.json") == folds


@pytest.mark.parametrize("text", ["", "[]", '{"seed": 0}', '{"folds": 3, "seed": 0}'])
def test_a_file_without_folds_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "folds.json").write_text(text)
    with pytest.raises(InputFileError, match=r"folds.json: expected folds as JSON"):
        DonorFolds.load(tmp_path / "folds.json")


def test_donor_in_two_folds_is_refused() -> None:
    with pytest.raises(CohortError, match="a donor is in two folds"):
        DonorFolds((("a", "b"), ("b", "c")), seed=0)


@pytest.mark.parametrize("n_folds", [1, 104])
def test_impossible_number_of_folds_is_named(samples: pd.DataFrame, n_folds: int) -> None:
    with pytest.raises(CohortError, match=f"expected 2 to 103 folds for 103 donors, got {n_folds}"):
        donor_folds(samples, n_folds=n_folds)


@pytest.mark.parametrize(("fraction", "n_held_out"), [(0.2, 21), (0.1, 11), (0.5, 52)])
def test_hold_out_takes_its_share(samples: pd.DataFrame, fraction: float, n_held_out: int) -> None:
    training, held_out = hold_out(samples, fraction=fraction)
    assert set(training).isdisjoint(held_out)
    assert len(training) + len(held_out) == 103
    assert abs(len(held_out) - n_held_out) <= 1


@pytest.mark.parametrize("fraction", [0, -0.1, 0.8])
def test_hold_out_of_none_or_most_is_refused(samples: pd.DataFrame, fraction: float) -> None:
    with pytest.raises(CohortError, match=f"above 0 and at most 0.5, got {fraction}"):
        hold_out(samples, fraction=fraction)


def test_rows_of_donors_are_all_their_samples(small_cohort: ad.AnnData) -> None:
    donor = small_cohort.obs["donor"]
    chosen = [donor.iloc[-1], donor.iloc[0], "nobody"]
    expected = [i for i, name in enumerate(donor) if name in chosen]
    assert rows_of(donor, chosen).tolist() == expected
    assert rows_of(list(donor), chosen).tolist() == expected


@pytest.mark.reference
def test_folds_of_the_real_cohort_are_alike(reference_cohort: ad.AnnData) -> None:
    obs = reference_cohort.obs
    folds = donor_folds(obs)
    assert sorted(len(fold) for fold in folds.folds) == [188, 189, 189, 189, 189]
    blood = [
        (obs["tissue"].iloc[rows_of(obs["donor"], f)] == "Whole Blood").sum() for f in folds.folds
    ]
    assert sorted(blood) == [150, 150, 151, 151, 151]
