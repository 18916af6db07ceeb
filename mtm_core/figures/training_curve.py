"""How training went."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from mtm_core.escaping import in_figure
from mtm_core.figures.shared.style import ACCENT, CONTRAST, NEUTRAL, finish

_COLOURS = (ACCENT, CONTRAST, NEUTRAL)
_DASHES = ("solid", "dash", "dot", "dashdot")
_NOT_DRAWN = frozenset({"epoch", "seconds"})


def training_curve(history: pd.DataFrame) -> go.Figure:
    """Draw every recorded quantity of ``history`` over its ``epoch``."""
    figure = go.Figure()
    drawn = [name for name in history.columns if name not in _NOT_DRAWN]
    for i, name in enumerate(drawn):
        figure.add_scatter(
            x=history["epoch"],
            y=history[name],
            mode="lines+markers",
            line={"color": _COLOURS[i % len(_COLOURS)], "dash": _DASHES[i % len(_DASHES)]},
            name=name.replace("_", " "),
            hovertemplate=f"epoch %{{x:.0f}}<br>{in_figure(name)} %{{y:.4f}}<extra></extra>",
        )
    figure.update_xaxes(title="epoch", dtick=1 if len(history) <= 12 else None)
    figure.update_yaxes(title="mean over the epoch")
    return finish(figure, height=320)
