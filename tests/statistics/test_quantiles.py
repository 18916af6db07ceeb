from __future__ import annotations

import numpy as np
import pytest

from mtm_core.statistics.quantiles import row_quantiles


@pytest.mark.parametrize("n", [1, 2, 10, 333])
def test_quantiles_are_numpys(n: int) -> None:
    rng = np.random.default_rng(n)
    values = rng.normal(5, 2, (700, n)).astype(np.float32)
    values[rng.random(values.shape) < 0.2] = 0
    levels = [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1]
    found = row_quantiles(values, levels)
    np.testing.assert_array_equal(found, np.quantile(values, levels, axis=1).astype(np.float32))
