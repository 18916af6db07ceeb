from __future__ import annotations

import numpy as np
import pandas as pd

from mtm_core.figures.samples.activity_heatmap import (
    MOST_SOURCES,
    activity_heatmap,
    sources_to_draw,
)


def test_the_sources_that_vary_most_are_drawn_with_samples_by_group() -> None:
    rng = np.random.default_rng(0)
    spread = rng.permutation(np.linspace(0.1, 5, 60))
    scores = pd.DataFrame(
        rng.normal(size=(30, 60)) * spread,
        [f"P-{i}" for i in range(30)],
        [f"source {i}" for i in range(60)],
    )
    scores["none"] = np.nan
    groups = pd.Series(["b", "a", None] * 10, scores.index)
    (heat,) = activity_heatmap(scores, groups).data
    drawn = sources_to_draw(scores)
    expected = scores.drop(columns="none").std(ddof=0).sort_values(ascending=False).index
    assert drawn == list(expected[:MOST_SOURCES])
    order = [*scores.index[2::3], *scores.index[1::3], *scores.index[::3]]  # unknown, a, b
    assert list(heat.x) == order
    np.testing.assert_allclose(heat.z, scores.loc[order, drawn].to_numpy().T, rtol=1e-6)
    assert heat.zmax == -heat.zmin > np.nanpercentile(np.abs(scores), 90)


def test_one_sample_and_no_groups_are_drawn() -> None:
    (heat,) = activity_heatmap(pd.DataFrame({"A": [1.5], "B": [-2.0]}, ["P-1"])).data
    assert np.asarray(heat.z).tolist() == [[1.5], [-2.0]]
