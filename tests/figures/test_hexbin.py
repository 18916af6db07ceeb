from __future__ import annotations

import numpy as np
import pandas as pd

from mtm_core.figures.associations.hexbin import hexagons, hexbin


def test_every_point_is_counted_in_the_nearest_hexagon(rng: np.random.Generator) -> None:
    values = np.column_stack([rng.normal(0, 3, 2_000), rng.normal(0, 0.1, 2_000)])
    centres, counts, size = hexagons(values)
    assert counts.sum() == 2_000
    assert len(np.unique(centres.round(9), axis=0)) == len(centres)
    unit = size * np.sqrt(3)  # of the lattice: hexagons are regular in these units
    scaled, at = values / unit, centres / unit
    nearest = np.argmin(((scaled[:, None] - at[None]) ** 2).sum(axis=2), axis=1)
    distance = np.sqrt(((scaled - at[nearest]) ** 2).sum(axis=1))
    assert distance.max() <= 1 / np.sqrt(3) + 1e-9
    np.testing.assert_array_equal(np.bincount(nearest, minlength=len(at)), counts)
    # Centres of a hexagonal lattice are a unit apart at least.
    apart = np.sqrt(((at[:, None] - at[None]) ** 2).sum(axis=2))
    np.fill_diagonal(apart, np.inf)
    assert apart.min() > 1 - 1e-9


def test_points_without_spread_are_one_hexagon() -> None:
    centres, counts, size = hexagons(np.ones((5, 2)))
    assert centres.tolist() == [[1.0, 1.0]]
    assert counts.tolist() == [5]
    assert (size > 0).all()


def test_each_hexagon_is_drawn_once_under_its_count(rng: np.random.Generator) -> None:
    points = pd.DataFrame(rng.normal(size=(3_000, 2)), columns=["reference", "own"])
    figure = hexbin(points, x="GTEx", y="yours", equal=True)
    _, counts, _ = hexagons(points.to_numpy())
    drawn = {t.name: np.isnan(np.asarray(t.x)).sum() for t in figure.data if t.fill == "toself"}
    assert sum(drawn.values()) == len(counts)
    assert drawn["1 gene"] == (counts == 1).sum()
    assert drawn["2 to 3 genes"] == ((counts >= 2) & (counts <= 3)).sum()
    assert next(reversed(drawn)).endswith(f"to {counts.max()} genes")
