from __future__ import annotations

import numpy as np
import pandas as pd

from mtm_core.figures.samples.group_strips import group_strips


def test_groups_stand_apart_with_their_means(rng: np.random.Generator) -> None:
    samples = [f"s{i}" for i in range(9)]
    values = pd.DataFrame(rng.normal(8, 1, (9, 2)), index=samples, columns=["Lung", "Liver"])
    groups = pd.Series(["a"] * 4 + ["b"] * 3 + ["c", np.nan], index=samples).iloc[::-1]
    figure = group_strips(values, groups, case="b", control="a", scale="log2(1 + TPM)")
    case, case_mean, control, control_mean = figure.data
    assert (case.name, control.name) == ("b (n = 3)", "a (n = 4)")
    assert {tuple(data) for data in case.customdata} == {
        (s, t) for s in samples[4:7] for t in values.columns
    }
    for x, y, (sample, tissue) in zip(control.x, control.y, control.customdata, strict=True):
        assert y == values.loc[sample, tissue]
        assert 0 < x - list(values.columns).index(tissue) < 0.5
    for x, (_, tissue) in zip(case.x, case.customdata, strict=True):
        assert -0.5 < x - list(values.columns).index(tissue) < 0
    np.testing.assert_allclose(case_mean.y, values.iloc[4:7].mean())
    np.testing.assert_allclose(control_mean.y, values.iloc[:4].mean())
    assert case.marker.symbol != control.marker.symbol
    assert figure.layout.yaxis.title.text == "log2(1 + TPM)"
