"""Sex and tissue of samples, as their expression tells them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from mtm_core.figures.shared.style import (
    ACCENT,
    CONTRAST,
    NEUTRAL,
    OVER_LEGEND,
    add_rings,
    finish,
    jitter,
    look,
    scatter_of,
)

_LOOKS = {
    "female": {"color": CONTRAST, "symbol": "circle"},
    "male": {"color": ACCENT, "symbol": "diamond"},
    "both": {"color": "#CC79A7", "symbol": "x"},
    "unclear": {"color": NEUTRAL, "symbol": "circle-open"},
}
_MOST_TISSUES = 8


def sex_scatter(samples: pd.DataFrame, disagreeing: pd.Series) -> go.Figure:
    """Draw XIST against the median Y gene; one of them alone against nothing.

    Parameters
    ----------
    samples
        ``xist``, ``y`` and ``sex_by_genes`` by sample.
    disagreeing
        Samples to ring: the metadata say another sex.
    """
    figure = go.Figure()
    places = {name: samples[name].to_numpy(float) for name in ("xist", "y")}
    titles = {"xist": "XIST, log2(1 + x)", "y": "median Y gene, log2(1 + x)"}
    for name, values in places.items():
        if np.isnan(values).all():
            places[name], titles[name] = jitter(len(samples), 1), "not in the table"
    for sex, marker in _LOOKS.items():
        own = (samples["sex_by_genes"] == sex).to_numpy()
        if own.any():
            figure.add_trace(
                scatter_of(int(own.sum()))(
                    x=places["xist"][own],
                    y=places["y"][own],
                    mode="markers",
                    marker={"size": 9, "opacity": 0.8, **marker},
                    name=f"{sex}, by genes",
                    customdata=[str(sample) for sample in samples.index[own]],
                    hovertemplate="%{customdata}<br>XIST %{x:.1f}, Y %{y:.1f}<extra></extra>",
                )
            )
    ringed = disagreeing.to_numpy(bool)
    if ringed.any():
        x, y = places["xist"][ringed], places["y"][ringed]
        add_rings(figure, x, y, name="another sex in the metadata")
    figure.update_xaxes(title=titles["xist"])
    figure.update_yaxes(title=titles["y"])
    return finish(figure, height=430, top=OVER_LEGEND)


def swap_scatter(people: pd.DataFrame) -> go.Figure:
    """Draw how alike each person's two samples are against the nearest other person's.

    Parameters
    ----------
    people
        ``own_rho``, ``other_rho``, ``nearest``, ``verdict`` and ``is_suspicious`` by person.
    """
    figure = go.Figure()
    least = float(np.nanmin(people[["own_rho", "other_rho"]].to_numpy()))
    figure.add_scatter(
        x=[least, 1],
        y=[least, 1],
        mode="lines",
        line={"dash": "dash", "color": NEUTRAL},
        hoverinfo="skip",
        showlegend=False,
    )
    for number, (verdict, own) in enumerate(people.groupby("verdict", sort=True)):
        figure.add_trace(
            scatter_of(len(people))(
                x=own["own_rho"],
                y=own["other_rho"],
                mode="markers",
                marker={"size": 9, "opacity": 0.8, **look(number)},
                name=str(verdict),
                customdata=np.stack([own.index.astype(str), own["nearest"].astype(str)], axis=1),
                hovertemplate="%{customdata[0]}, most like %{customdata[1]}<br>own %{x:.2f},"
                " other %{y:.2f}<extra></extra>",
            )
        )
    ringed = people[people["is_suspicious"]]
    if len(ringed):
        add_rings(figure, ringed["own_rho"], ringed["other_rho"], name="suspicious")
    figure.update_xaxes(title="rho of the person's two samples")
    figure.update_yaxes(title="rho with the nearest other person")
    return finish(figure, height=430, top=OVER_LEGEND)


def tissue_strips(likeness: pd.DataFrame, source: str) -> go.Figure:
    """Draw rho of every sample with the tissues that samples are most like, the source first."""
    order = likeness.median().sort_values(ascending=False).index
    tissues = [source, *(str(name) for name in order if name != source)][:_MOST_TISSUES]
    figure = go.Figure()
    for row, tissue in enumerate(tissues):
        own = likeness[tissue]
        figure.add_trace(
            scatter_of(len(own) * len(tissues))(
                x=own,
                y=row + jitter(len(own), 0.5),
                mode="markers",
                marker={"size": 7, "opacity": 0.7, "color": ACCENT if not row else NEUTRAL},
                customdata=[str(sample) for sample in own.index],
                hovertemplate="%{customdata}: %{x:.2f}<extra></extra>",
                showlegend=False,
            )
        )
    figure.update_yaxes(
        tickmode="array",
        tickvals=list(range(len(tissues))),
        ticktext=tissues,
        range=[len(tissues) - 0.45, -0.55],
        showgrid=False,
    )
    figure.update_xaxes(title="rho with the tissue's mean profile, without what all tissues share")
    return finish(figure, height=90 + 42 * len(tissues))
