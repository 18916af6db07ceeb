from __future__ import annotations

import pandas as pd
import pytest

from mtm_core.figures.associations.tissue_pairs import code_likeness, likeness_scatter


@pytest.fixture
def pairs() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "donors": ["seen", "seen", "new"],
            "tissue": ["A", "A", "B"],
            "other_tissue": ["B", "C", "C"],
            "n": [10, 20, 30],
            "same_donor": [0.8, 0.7, 0.6],
            "other_donor": [0.1, 0.2, 0.3],
            "profiles": [0.9, 0.5, 0.1],
            "likeness": [0.4, 0.3, 0.2],
        }
    )


def test_codes_of_one_donor_stand_beside_those_of_two(pairs: pd.DataFrame) -> None:
    same, other = code_likeness(
        pairs, {"same_donor": "of one donor", "other_donor": "of two donors"}
    ).data
    assert (same.name, other.name) == ("of one donor", "of two donors")
    assert list(same.x) == ["seen", "seen", "new"]
    assert (list(same.y), list(other.y)) == ([0.8, 0.7, 0.6], [0.1, 0.2, 0.3])
    assert list(same.customdata[0]) == ["A", "B", 10]


def test_pairs_of_the_chosen_tissue_are_set_off(pairs: pd.DataFrame) -> None:
    others, chosen = likeness_scatter(pairs, x="x", y="y", chosen="C").data
    assert chosen.name == "with C"
    assert (list(chosen.x), list(chosen.y)) == ([0.5, 0.1], [0.3, 0.2])
    assert (list(others.x), list(others.y)) == ([0.9], [0.4])
    (everything,) = likeness_scatter(pairs, x="x", y="y", chosen=None).data
    assert len(everything.x) == 3
