from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from mtm_core.figures.accuracy.tissue_ranking import rho_against_size, tissue_ranking
from mtm_core.figures.shared.style import NEUTRAL, OWN_MARK

COLOURS = {"Lung": "#99FF00", "Liver": "#AABB66"}


@pytest.fixture
def ranking() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "n": [300, 1090, 80],
            "gene_rho_by_fold": [0.4, 0.1, np.nan],
            "gene_adjusted_rho_by_fold": [0.25, 0.15, np.nan],
            "n_predictable": [20, 3, 0],
        },
        index=pd.Index(["Liver", "Lung", "Spleen"], name="tissue"),
    )


def named(figure: go.Figure, start: str) -> go.Scatter:
    (trace,) = [trace for trace in figure.data if (trace.name or "").startswith(start)]
    return trace


def test_raw_and_adjusted_are_in_the_row_of_their_tissue(ranking: pd.DataFrame) -> None:
    figure = tissue_ranking(ranking, COLOURS, n_genes=59, chosen="Lung")
    names = dict(zip(figure.layout.yaxis.tickvals, figure.layout.yaxis.ticktext, strict=True))
    assert list(names.values()) == ["Liver", f"{OWN_MARK}<b>Lung</b>", "Spleen"]
    assert list(names) == sorted(names, reverse=True)  # the first is at the top
    raw, adjusted = named(figure, "by fold"), named(figure, "adjusted")
    np.testing.assert_array_equal(raw.x, ranking["gene_rho_by_fold"])
    np.testing.assert_array_equal(adjusted.x, ranking["gene_adjusted_rho_by_fold"])
    assert list(raw.y) == list(adjusted.y) == list(names)
    assert list(raw.marker.color) == [COLOURS["Liver"], COLOURS["Lung"], NEUTRAL]
    (line,) = [trace for trace in figure.data if trace.mode == "lines"]
    np.testing.assert_array_equal(line.x[:6], [0.25, 0.4, np.nan, 0.15, 0.1, np.nan])


def test_genes_and_donors_are_written_beside_each_tissue(ranking: pd.DataFrame) -> None:
    notes = tissue_ranking(ranking, COLOURS, n_genes=59).layout.annotations
    assert [note.text for note in notes] == ["20 · 300", "3 · 1,090", "0 · 80", "genes · donors"]
    assert len({note.y for note in notes}) == 4


def test_without_adjusted_figures_the_raw_ones_stand_alone(ranking: pd.DataFrame) -> None:
    figure = tissue_ranking(ranking.drop(columns="gene_adjusted_rho_by_fold"), COLOURS, n_genes=59)
    assert len(figure.data) == 1


def test_tissues_without_a_rho_have_no_place_over_sample_size(ranking: pd.DataFrame) -> None:
    (points,) = rho_against_size(ranking, COLOURS, {"Lung": "LUNG"}).data
    assert list(points.x) == [300, 1090]
    assert list(points.y) == [0.4, 0.1]
    assert list(points.customdata) == ["Liver", "Lung"]
    assert list(points.text) == ["", "LUNG"]
