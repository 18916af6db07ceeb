"""Figures of a model card: the training data, and the coverage of the intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from mtm_core.figures.shared.style import ACCENT, CONTRAST, NEUTRAL, finish

_ROW = 18
_LOOKS = ((ACCENT, "circle"), (CONTRAST, "diamond"), ("#009E73", "square"), (NEUTRAL, "cross"))


def training_samples(tissues: pd.DataFrame) -> go.Figure:
    """Draw the number of samples of each tissue, the most first.

    Parameters
    ----------
    tissues
        Indexed by tissue: ``n_samples`` and the GTEx ``colour``.
    """
    ordered = tissues.sort_values("n_samples", kind="stable")
    figure = go.Figure()
    figure.add_bar(
        x=ordered["n_samples"],
        y=[str(name) for name in ordered.index],
        orientation="h",
        marker={"color": ordered["colour"], "line": {"color": NEUTRAL, "width": 1}},
        text=[f"{n:,}" for n in ordered["n_samples"]],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}<br>%{x:,} samples<extra></extra>",
        showlegend=False,
    )
    figure.update_yaxes(range=[-0.8, len(ordered) - 0.2], showgrid=False)
    figure.update_xaxes(title="samples, one a donor")
    figure.update_layout(bargap=0.25)
    return finish(figure, height=100 + _ROW * len(ordered))


def interval_coverage(coverage: pd.DataFrame) -> go.Figure:
    """Draw the share of held-out values inside each nominal interval, a row a tissue.

    Parameters
    ----------
    coverage
        Result of :func:`mtm_core.evaluation.predictability.coverage_of_method`: ``n`` and a column
        a nominal level; all in percent.
    """
    rows = np.arange(len(coverage), dtype=float)[::-1]
    figure = go.Figure()
    levels = [level for level in coverage.columns if level != "n"]
    for i, level in enumerate(levels):
        colour, symbol = _LOOKS[i % len(_LOOKS)]
        figure.add_vline(x=level, line={"color": colour, "width": 1.5, "dash": "dash"})
        figure.add_scatter(
            x=coverage[level],
            y=rows,
            mode="markers",
            marker={"size": 8, "color": colour, "symbol": symbol},
            name=f"{level} %",
            customdata=np.column_stack([coverage.index, coverage["n"]]),
            hovertemplate=f"%{{customdata[0]}}<br>{level} % interval holds %{{x:.1f}} %<br>"
            "%{customdata[1]:.0f} donors<extra></extra>",
        )
    figure.update_yaxes(
        tickmode="array",
        tickvals=rows,
        ticktext=[f"{name} ({n:,})" for name, n in coverage["n"].items()],
        range=[-0.8, len(rows) - 0.2],
        showgrid=False,
    )
    figure.update_xaxes(title="held-out values inside the interval, %", tickvals=levels)
    return finish(figure, height=120 + _ROW * len(coverage))
