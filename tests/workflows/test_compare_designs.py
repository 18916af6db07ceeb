from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mtm_core.workflows.compare_designs import DesignCounts


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ([0.01, 0.2, 0.3], "2 differ in predicted expression, 1 allowing for prediction error."),
        ([0.01, np.nan, np.nan], "1 of the 1 whose prediction error is known, allowing for it."),
        ([np.nan] * 3, "2 differ in predicted expression, the prediction error of this model is"),
    ],
)
def test_no_count_is_given_where_no_error_is_known(known: list[float], said: str) -> None:
    """Nothing found and nothing known are not the same."""
    counts = DesignCounts()
    counts.add(
        pd.DataFrame(
            {
                "contrast": "group",
                "origin": "predicted",
                "fdr": [0.01, 0.02, 0.4],
                "fdr_tissue": known,
            }
        )
    )
    (line,) = counts.in_words()
    assert said in line
