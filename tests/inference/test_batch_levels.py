"""Batches of a user's samples removed on their own scale: for composition and for quality."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mtm_core.inference.batch_levels import without_batches
from mtm_core.inference.blood_cells import CELLS, estimate_composition
from mtm_core.inference.predictor import Predictor
from mtm_core.model_places import DEFAULT_MODEL
from mtm_core.places import SAMPLES
from mtm_core.studies.sample_review import review_samples
from tests.inference.test_blood_cells import mixtures


def test_every_batch_gets_the_mean_of_all_and_differences_within_stay(
    rng: np.random.Generator,
) -> None:
    table = pd.DataFrame(rng.normal(5, 1, (12, 4)))
    batches = ["a"] * 5 + ["b"] * 5 + ["few"] * 2
    found = without_batches(table, batches)
    for rows in (slice(0, 5), slice(5, 10)):
        np.testing.assert_allclose(found.iloc[rows].mean(), table.mean())
        within = table.iloc[rows] - table.iloc[rows].mean()
        np.testing.assert_allclose(found.iloc[rows] - found.iloc[rows].mean(), within)
    pd.testing.assert_frame_equal(found.iloc[10:], table.iloc[10:])


def test_composition_is_better_left_as_it_is(rng: np.random.Generator) -> None:
    """Two protocols change little in a mixture of 331 genes; people differ between batches of five.

    Why the shares of cells are estimated without removing batches.
    """
    table, shares = mixtures(rng, 10)
    batches = ["a", "b"] * 5
    table.iloc[1::2] *= rng.lognormal(0, 1, table.shape[1])
    levels = without_batches(np.log2(1 + table), batches)
    error = {
        name: (estimate_composition(linear).shares - shares)[list(CELLS)].abs().to_numpy().mean()
        for name, linear in {
            "as it is": table,
            "without batches": np.maximum(np.exp2(levels) - 1, 0),
        }.items()
    }
    assert error["as it is"] < 0.03
    assert error["without batches"] > 1.5 * error["as it is"]


def test_a_plate_is_not_flagged_for_being_another_plate() -> None:
    predictor = Predictor.load(DEFAULT_MODEL)
    values = pd.read_csv(SAMPLES / "blood_tpm.tsv", sep="\t", index_col="sample")
    batches = ["main"] * 35 + ["late"] * 5
    rng = np.random.default_rng(0)
    values.iloc[35:] *= rng.lognormal(0, 1.5, values.shape[1])
    as_they_are = review_samples(values, predictor, unit="tpm")
    within = review_samples(values, predictor, unit="tpm", batches=batches)
    late = values.index[35:]
    flagged = as_they_are.samples.loc[late, "reasons"].str.contains("correlates|robust")
    assert flagged.all()
    assert not within.samples.loc[late, "reasons"].str.contains("correlates|robust").any()
    assert within.samples["batch"].tolist() == batches
    assert within.components is not None
    assert as_they_are.components is not None
    pd.testing.assert_frame_equal(within.components.scores, as_they_are.components.scores)
