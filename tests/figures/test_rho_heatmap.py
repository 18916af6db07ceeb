from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mtm_core.figures.accuracy.rho_heatmap import rho_heatmap


@pytest.fixture
def rho() -> pd.DataFrame:
    values = [[0.5, -0.2, 0.1], [np.nan, 0.3, -0.45]]
    return pd.DataFrame(values, index=["Lung", "Liver"], columns=list("ABC"))


def test_every_cell_is_drawn_once_and_unpredictable_ones_fade(rho: pd.DataFrame) -> None:
    pale = pd.DataFrame([[False, True, False], [False, False, True]], rho.index, rho.columns)
    figure = rho_heatmap(rho, pale, trait="age")
    strong, faded = figure.data
    assert strong.opacity > faded.opacity
    np.testing.assert_array_equal(strong.z, rho.mask(pale))
    np.testing.assert_array_equal(faded.z, rho.where(pale))
    assert list(strong.x) == list("ABC")
    assert list(strong.y) == ["Lung", "Liver"]
    assert figure.layout.coloraxis.cmax == 0.6
    assert figure.layout.coloraxis.cmin == -0.6
    assert figure.layout.coloraxis.colorbar.title.text == "rho with age"


def test_one_layer_is_enough_if_nothing_fades(rho: pd.DataFrame) -> None:
    figure = rho_heatmap(rho, rho.isna() & False, trait="age")
    assert len(figure.data) == 1
    full = rho_heatmap(rho.fillna(1.0), rho.isna() & False, trait="age")
    assert full.layout.coloraxis.cmax == 1
