"""Two-dimensional maps: of tissues, and of a user's own samples."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from mtm_core.escaping import in_figure
from mtm_core.figures.shared.style import ACCENT, CONTRAST, NEUTRAL, RING, finish
from mtm_core.figures.shared.tissue_marks import tissue_marks

_GROUPS = (
    *((ACCENT, "circle"), (CONTRAST, "diamond"), ("#009E73", "square"), ("#CC79A7", "cross")),
    *(("#E8C547", "triangle-up"), ("#7A68B3", "star"), ("#B35C44", "triangle-down")),
)
"""After Okabe and Ito (2008); shape and colour differ both."""
MOST_GROUPS = len(_GROUPS)


def tissue_map(
    positions: pd.DataFrame,
    shares: tuple[float, float],
    colours: Mapping[str, str],
    abbreviations: Mapping[str, str],
    *,
    chosen: str | None = None,
) -> go.Figure:
    """Draw tissues by their first two principal components.

    Parameters
    ----------
    positions
        ``first`` and ``second``, by tissue.
    shares
        Share of the variance that each component explains.
    colours, abbreviations
        GTEx's colour and abbreviation of each tissue.
    chosen
        Tissue to ring and name in full.
    """
    figure = go.Figure()
    figure.add_scatter(
        customdata=[str(name) for name in positions.index],
        hovertemplate="%{customdata}<extra></extra>",
        **tissue_marks(positions["first"], positions["second"], colours, abbreviations),
    )
    if chosen in positions.index:
        _ring(figure, positions.loc[[chosen]])
    _name_axes(figure, shares)
    return finish(figure, height=520)


def sample_map(
    positions: pd.DataFrame,
    shares: tuple[float, float],
    *,
    numbers: pd.Series | None = None,
    groups: pd.Series | None = None,
    title: str = "",
) -> go.Figure:
    """Draw samples by their first two principal components, coloured by what is known of them.

    Parameters
    ----------
    positions
        ``first`` and ``second``, by sample.
    shares
        Share of the variance that each component explains.
    numbers, groups
        Number or group of each sample, NaN if unknown; at most one of the two, ``groups`` of at
        most ``MOST_GROUPS`` names.
    title
        Title of the numbers or groups.
    """
    figure = go.Figure()
    if numbers is not None:
        _add_samples(
            figure,
            positions[numbers.isna()],
            "not known",
            {"color": NEUTRAL, "symbol": "circle-open"},
        )
        known = numbers.dropna()
        _add_samples(
            figure,
            positions.loc[known.index],
            title,
            {
                "color": known,
                "colorscale": "Viridis",
                "showscale": True,
                "colorbar": {
                    "title": {"text": title, "side": "right"},
                    "thickness": 12,
                    "outlinewidth": 0,
                },
                "line": {"width": 1, "color": NEUTRAL},
            },
            values=known,
        )
    elif groups is not None:
        _add_samples(
            figure,
            positions[groups.isna()],
            "not known",
            {"color": NEUTRAL, "symbol": "circle-open"},
        )
        for name, (colour, symbol) in zip(sorted(groups.dropna().unique()), _GROUPS, strict=False):
            own = positions[groups == name]
            _add_samples(figure, own, f"{name} (n = {len(own)})", _mark(colour, symbol))
    else:
        _add_samples(figure, positions, "samples", _mark(ACCENT, "circle"))
    _name_axes(figure, shares)
    finish(figure, height=500)
    figure.update_layout(showlegend=groups is not None)
    return figure


def _mark(colour: str, symbol: str) -> dict[str, object]:
    return {"color": colour, "symbol": symbol, "opacity": 0.85}


def _add_samples(
    figure: go.Figure,
    positions: pd.DataFrame,
    name: str,
    look: Mapping[str, object],
    values: pd.Series | None = None,
) -> None:
    if positions.empty:
        return
    about = pd.DataFrame({"sample": positions.index.astype(str)}, index=positions.index)
    shown = in_figure(name) if values is None else f"{in_figure(name)} %{{customdata[1]:.4g}}"
    figure.add_scatter(
        x=positions["first"],
        y=positions["second"],
        mode="markers",
        marker={"size": 9, **look},
        name=name,
        customdata=about if values is None else about.assign(value=values),
        hovertemplate=f"%{{customdata[0]}}<br>{shown}<extra></extra>",
    )


def _ring(figure: go.Figure, position: pd.DataFrame) -> None:
    figure.add_scatter(
        x=position["first"],
        y=position["second"],
        mode="markers+text",
        marker={"size": 18, **RING},
        text=[str(name) for name in position.index],
        textposition="bottom center",
        cliponaxis=False,
        hoverinfo="skip",
        showlegend=False,
    )


def _name_axes(figure: go.Figure, shares: tuple[float, float]) -> None:
    figure.update_xaxes(title=f"first component ({shares[0]:.0%} of the variance)")
    figure.update_yaxes(title=f"second component ({shares[1]:.0%})")
