"""Position of samples among the reference donors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from mtm_core.figures.shared.style import (
    ACCENT,
    FAINT,
    MOST_OF_SAMPLES,
    NEUTRAL,
    add_rings,
    finish,
    jitter,
    look,
    scatter_of,
)
from mtm_core.figures.shared.thinning import n_drawn, name_of_drawn, spread_evenly

_ROW, _STRATUM, _JITTER = 46, 30, 0.5


def percentile_strips(
    positions: pd.DataFrame, groups: pd.Series | None, *, marked: str | None = None
) -> go.Figure:
    """Draw each sample's percentile among the reference donors, tissue by tissue.

    Of more samples than can be seen some are drawn (:mod:`mtm_core.figures.shared.thinning`);
    medians are of all.

    Parameters
    ----------
    positions
        ``sample``, ``tissue``, ``origin``, ``log2_expression``, ``percentile``.
    groups
        Group by sample, drawn apart with its median; ``None`` draws all samples alike.
    marked
        Sample to ring.
    """
    tissues = positions[["tissue", "origin"]].drop_duplicates()
    rows = pd.Series(np.arange(len(tissues), dtype=float)[::-1], index=tissues["tissue"])
    figure = go.Figure()
    for low, high in ((5, 95), (25, 75)):
        figure.add_vrect(x0=low, x1=high, fillcolor=FAINT, line_width=0, layer="below")
    figure.add_vline(x=50, line={"color": NEUTRAL, "dash": "dot", "width": 1.5})
    order = {sample: i for i, sample in enumerate(positions["sample"].unique())}
    offsets = jitter(len(order), _JITTER)[positions["sample"].map(order)]
    y = positions["tissue"].map(rows) + offsets
    n_samples = len(order)
    for i, (group, part) in enumerate(_by_group(positions, groups)):
        colour = look(i)["color"]
        n_own = part["sample"].nunique()
        n = n_drawn(n_own, len(tissues), n_own / n_samples)
        drawn = part[spread_evenly(part["log2_expression"], part["tissue"].map(rows), n)]
        _add_samples(
            figure,
            i,
            name_of_drawn("your samples" if group is None else group, n, n_own),
            x=drawn["percentile"].astype(np.float32),
            y=y[drawn.index].astype(np.float32),
            customdata=drawn[["sample", "tissue"]].assign(
                log2_expression=drawn["log2_expression"].round(2).astype(object)
            ),
            hovertemplate="%{customdata[0]}<br>%{customdata[1]}<br>percentile %{x:.0f},"
            " log2(1 + x) %{customdata[2]:.2f}<extra></extra>",
        )
        median = part.groupby("tissue", sort=False)["percentile"].median()
        figure.add_scatter(
            x=median,
            y=rows[median.index],
            mode="markers",
            marker={"symbol": "line-ns", "size": 34, "line": {"width": 3, "color": colour}},
            name="median" if group is None else f"median, {group}",
            customdata=median.index,
            hovertemplate="%{customdata}<br>median percentile %{x:.0f}<extra></extra>",
            showlegend=False,
        )
    if marked is not None:
        part = positions[positions["sample"] == marked]
        add_rings(figure, part["percentile"], y[part.index], name=marked)
    figure.update_yaxes(
        tickmode="array",
        tickvals=rows.to_numpy(),
        ticktext=[f"{row.tissue} ({row.origin})" for row in tissues.itertuples()],
        range=[-0.6, len(tissues) - 0.4],
        showgrid=False,
    )
    figure.update_xaxes(title="percentile among GTEx donors of the tissue", range=[-2, 102])
    return finish(figure, height=130 + _ROW * len(tissues))


def strata_bars(
    distributions: pd.DataFrame,
    own: pd.DataFrame,
    groups: pd.Series | None,
    *,
    unit: str,
    strong: Sequence[str] = (),
) -> go.Figure:
    """Draw the samples over the reference's distribution by sex and age band.

    Parameters
    ----------
    distributions
        ``stratum`` (in words), ``n``, and quantiles 0.05, 0.25, 0.5, 0.75, 0.95 of
        log2(1 + expression).
    own
        ``sample``, ``log2_expression``.
    groups
        As in :func:`percentile_strips`.
    unit
        Unit of linear expression.
    strong
        Strata to draw in the accent's colour.
    """
    strata = distributions["stratum"].tolist()
    figure = go.Figure()
    below = distributions[::-1]
    colours = [ACCENT if stratum in strong else NEUTRAL for stratum in below["stratum"]]
    for low, high, width, opacity in ((0.05, 0.95, 8, 0.4), (0.25, 0.75, 18, 0.7)):
        figure.add_bar(
            base=below[low].to_numpy(),
            x=(below[high] - below[low]).to_numpy(),
            y=list(range(len(strata))),
            width=width / _STRATUM,
            orientation="h",
            marker={"color": colours, "line": {"width": 0}},
            opacity=opacity,
            hoverinfo="skip",
            showlegend=False,
        )
    figure.add_scatter(
        x=below[0.5].to_numpy(),
        y=list(range(len(strata))),
        mode="markers",
        marker={"symbol": "line-ns", "size": 18, "line": {"width": 2.5, "color": "white"}},
        customdata=np.column_stack(
            [
                below["stratum"],
                below["n"],
                *(below[level].map("{:.2f}".format) for level in (0.05, 0.25, 0.75, 0.95)),
            ]
        ),
        hovertemplate="%{customdata[0]}, %{customdata[1]} donors<br>median %{x:.2f}<br>half of"
        " them %{customdata[3]} to %{customdata[4]}<br>90 % of them %{customdata[2]} to"
        " %{customdata[5]}<extra></extra>",
        showlegend=False,
    )
    top = pd.Series(len(strata) + jitter(len(own), _JITTER), index=own.index)
    for i, (group, part) in enumerate(_by_group(own, groups)):
        _add_samples(
            figure,
            i,
            "your samples" if group is None else group,
            x=part["log2_expression"],
            y=top[part.index],
            customdata=part["sample"],
            hovertemplate="%{customdata}<br>%{x:.2f}<extra></extra>",
        )
    named = [
        f"{stratum} (n = {n})"
        for stratum, n in zip(distributions["stratum"], distributions["n"], strict=True)
    ]
    figure.update_yaxes(
        tickmode="array",
        tickvals=list(range(len(strata) + 1)),
        ticktext=[*named[::-1], "your samples"],
        range=[-0.6, len(strata) + 0.6],
        showgrid=False,
    )
    figure.update_xaxes(title=f"log2(1 + {unit})")
    figure.update_layout(barmode="overlay")
    return finish(figure, height=150 + _STRATUM * len(strata))


def _by_group(
    samples: pd.DataFrame, groups: pd.Series | None
) -> Iterator[tuple[str | None, pd.DataFrame]]:
    """Yield each group with its rows of ``samples``; without ``groups`` all rows, of no name."""
    if groups is None:
        yield None, samples
        return
    labels = samples["sample"].map(groups)
    for group in sorted(labels.dropna().unique()):
        yield str(group), samples[labels == group]


def _add_samples(figure: go.Figure, i: int, name: str, *, x: pd.Series, **more: object) -> None:
    """Draw the samples of the ``i``-th group as points."""
    figure.add_trace(
        scatter_of(len(x), MOST_OF_SAMPLES)(
            x=x,
            mode="markers",
            marker={"size": 7, "opacity": 0.75, **look(i)},
            name=name,
            **more,
        )
    )
