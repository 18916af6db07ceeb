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
    figure = activity_heatmap(scores, groups)
    drawn = sources_to_draw(scores)
    expected = scores.drop(columns="none").std(ddof=0).sort_values(ascending=False).index
    assert drawn == list(expected[:MOST_SOURCES])
    order = [*scores.index[2::3], *scores.index[1::3], *scores.index[::3]]  # unknown, a, b
    group_of = groups.fillna("")
    assert list(figure.layout.xaxis.ticktext) == [f"{name} {group_of[name]}" for name in order]
    assert [(row.name, *row.y) for row in figure.data] == list(zip(drawn, range(40), strict=True))
    cells = np.concatenate([row.z for row in figure.data])
    np.testing.assert_allclose(cells, scores.loc[order, drawn].to_numpy().T, rtol=1e-6)
    colours = figure.layout.coloraxis
    assert colours.cmax == -colours.cmin > np.nanpercentile(np.abs(scores), 90)


def test_one_sample_and_no_groups_are_drawn() -> None:
    figure = activity_heatmap(pd.DataFrame({"A": [1.5], "B": [-2.0]}, ["P-1"]))
    assert {row.name: row.z.tolist() for row in figure.data} == {"B": [[-2.0]], "A": [[1.5]]}


def test_a_name_is_over_every_cell_of_its_row_and_no_name_is_markup() -> None:
    scores = pd.DataFrame({"A <b>": [1.5, 0.5], "B": [-2.0, 1.0]}, ["P-1", "P-2"])
    templates = {row.name: row.hovertemplate for row in activity_heatmap(scores).data}
    assert templates["B"].startswith("B<br>%{x}")
    assert templates["A <b>"].startswith("A &lt;b&gt;<br>%{x}")
