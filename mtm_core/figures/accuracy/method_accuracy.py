"""Methods against each other over the tissues: accuracy, wins and losses."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from mtm_core.escaping import in_figure
from mtm_core.figures.shared.style import ACCENT, CONTRAST, NEUTRAL, finish

_BOX_ROW, _BAR_ROW = 52, 30


def accuracy_by_method(
    tissues: pd.DataFrame,
    figure_of_merit: str,
    *,
    title: str,
    first: str,
    interval: pd.DataFrame | None = None,
) -> go.Figure:
    """Draw a box of the tissues for each method, all tissues as points, and the mean.

    Parameters
    ----------
    tissues
        One row a method and tissue; methods are drawn in the order in which they come.
    figure_of_merit
        Column to draw; a method without any value is left out.
    title
        Title of the axis, in words.
    first
        Method that is drawn in another colour: the model's own.
    interval
        Ends of the interval of the mean, two columns, by method; ``None`` draws none.
    """
    tissues = tissues.dropna(subset=figure_of_merit)
    methods = [str(method) for method in tissues["method"].unique()]
    figure = go.Figure()
    for method in methods:
        rows = tissues[tissues["method"] == method]
        figure.add_box(
            x=rows[figure_of_merit],
            name=method,
            orientation="h",
            boxpoints="all",
            jitter=0.5,
            pointpos=0,
            fillcolor="rgba(0, 0, 0, 0)",
            line={"color": NEUTRAL, "width": 1.5},
            marker={"color": ACCENT if method == first else NEUTRAL, "size": 5, "opacity": 0.75},
            customdata=rows[["tissue", "n"]],
            hovertemplate="%{customdata[0]}<br>%{x:.3f}<br>%{customdata[1]:.0f} donors"
            f"<extra>{in_figure(method)}</extra>",
            showlegend=False,
        )
    means = tissues.groupby("method")[figure_of_merit].mean().reindex(methods)
    ends = None
    if interval is not None:
        low, high = (interval.iloc[:, i].reindex(methods) for i in (0, 1))
        ends = {
            "array": high - means,
            "arrayminus": means - low,
            "color": CONTRAST,
            "thickness": 3,
            "width": 7,
        }
    figure.add_scatter(
        x=means,
        y=methods,
        mode="markers",
        marker={"symbol": "diamond", "size": 11, "color": CONTRAST},
        error_x=ends,
        name="mean over tissues" + (", with 95 % interval" if ends else ""),
        hovertemplate="mean %{x:.3f}<extra>%{y}</extra>",
    )
    figure.add_vline(x=0, line={"color": NEUTRAL, "width": 1})
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    figure.update_xaxes(title=title)
    return finish(figure, height=120 + _BOX_ROW * len(methods))


def wins_and_losses(standings: pd.DataFrame, kind: str, *, first: str) -> go.Figure:
    """Draw in how many tissues ``first`` is above each other method, and in how many below.

    Parameters
    ----------
    standings
        Result of :func:`mtm_core.evaluation.standings.standings`: by the other method,
        ``{kind}_wins``, ``{kind}_losses``, and of these ``..._fdr`` with an FDR of at most 5 %.
    kind
        "gene" or "sample".
    """
    wins, losses = (standings[f"{kind}_{name}"] for name in ("wins", "losses"))
    sure_wins, sure_losses = (standings[f"{kind}_{name}_fdr"] for name in ("wins", "losses"))
    figure = go.Figure()
    for values, name, colour, opacity, sign in (
        (sure_wins, "higher, FDR ≤ 5 %", ACCENT, 1.0, 1),
        (wins - sure_wins, "higher", ACCENT, 0.35, 1),
        (sure_losses, "lower, FDR ≤ 5 %", CONTRAST, 1.0, -1),
        (losses - sure_losses, "lower", CONTRAST, 0.35, -1),
    ):
        figure.add_bar(
            x=sign * values,
            y=standings.index,
            orientation="h",
            marker={
                "color": colour,
                "opacity": opacity,
                "pattern": {"shape": "" if opacity == 1 else "/"},
            },
            name=name,
            customdata=values,
            hovertemplate=f"%{{y}}<br>{name}: %{{customdata}} tissues<extra></extra>",
        )
    end = max(1, int(wins.max()), int(losses.max()))
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100) if end / step <= 6)
    ticks = [step * i for i in range(-(end // step), end // step + 1)]
    figure.update_layout(barmode="relative", bargap=0.3)
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    figure.update_xaxes(
        title=f"tissues: {first} lower (left), higher (right)",
        tickvals=ticks,
        ticktext=[str(abs(tick)) for tick in ticks],
    )
    figure.add_vline(x=0, line={"color": NEUTRAL, "width": 1})
    return finish(figure, height=150 + _BAR_ROW * len(standings))
