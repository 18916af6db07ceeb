from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mtm_core.dashboard.screens import traits_tables
from mtm_core.dashboard.screens.traits_tables import table_of_tissues
from mtm_core.dashboard.widgets.gene_accuracy import GeneAccuracy
from mtm_core.inference.measured import Measured
from mtm_core.studies.cohort_comparison import correlate_trait
from mtm_core.studies.gene_accuracy import with_accuracy
from mtm_core.studies.own_cohort import OwnCohort

N, GENES = 12, [f"ENSG{i}" for i in range(30)]


@pytest.fixture
def cohort(rng: np.random.Generator) -> OwnCohort:
    """Two predicted tissues of 30 genes, and blood of 20 of them and one more."""
    samples = [f"S{i}" for i in range(N)]
    predicted = xr.DataArray(
        np.exp2(rng.normal(3, 1, (N, 2, len(GENES)))).astype(np.float32),
        dims=("sample", "tissue", "gene"),
        coords={"sample": samples, "tissue": ["Lung", "Liver"], "gene": GENES},
    ).assign_coords(symbol=("gene", [f"G{i}" for i in range(len(GENES))]))
    ids = pd.Index([*GENES[:20], "OTHER"], name="gene_id")
    log2 = pd.DataFrame(rng.normal(3, 1, (N, len(ids))), samples, ids)
    measured = Measured(log2, pd.Series(ids, ids), "log2(1 + TPM)", "TPM.")
    return OwnCohort("Whole Blood", measured, predicted, "TPM", ("Whole Blood", "Lung", "Liver"))


def test_a_long_table_equals_a_short_one_in_less_memory(
    cohort: OwnCohort, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    trait = pd.Series(rng.normal(size=N), cohort.samples)
    nothing = GeneAccuracy(None, "none", "Whole Blood")
    expected = with_accuracy(correlate_trait(cohort, trait), nothing.genes)
    reported: list[tuple[int, int]] = []

    def make(tell: object = None) -> pd.DataFrame:
        return table_of_tissues(cohort, lambda one: correlate_trait(one, trait), nothing, tell)

    short = make(lambda done, total: reported.append((done, total)))
    pd.testing.assert_frame_equal(short, expected)
    assert reported == [(0, 3), (1, 3), (2, 3)]
    monkeypatch.setattr(traits_tables, "LONGEST_AS_IT_COMES", 0)
    long = make()
    assert list(long) == list(expected)
    for name in expected:
        if not pd.api.types.is_numeric_dtype(expected[name]):
            assert long[name].astype(object).tolist() == expected[name].tolist()
        else:
            np.testing.assert_allclose(long[name], expected[name], rtol=1e-6)
    assert long["p"].dtype == np.float64
    wide = pd.concat([long] * 200), pd.concat([expected] * 200)
    assert 2.4 * wide[0].memory_usage(index=False).sum() < wide[1].memory_usage(index=False).sum()
