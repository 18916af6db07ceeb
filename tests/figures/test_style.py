from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from mtm_core.escaping import in_figure
from mtm_core.figures.shared.style import OWN_MARK, export_config, finish, with_plain_names


def test_camera_saves_under_the_given_name_and_format() -> None:
    options = export_config("z_Lung", "svg")["toImageButtonOptions"]
    assert (options["filename"], options["format"]) == ("z_Lung", "svg")


def test_finish_keeps_traces_and_sets_the_height() -> None:
    figure = finish(go.Figure(go.Scatter(x=[1], y=[2])), height=321)
    assert figure.layout.height == 321
    assert len(figure.data) == 1


def test_names_are_drawn_as_letters_and_numbers_are_left_alone() -> None:
    evil = "<a href='x'>A & B</a>"
    numbers = np.linspace(0, 1, 500)
    figure = go.Figure(
        go.Scatter(
            x=numbers,
            y=[evil] * 500,
            text=np.array([evil, "b"] * 250, dtype=object),
            customdata=np.array([[evil, 1.5]] * 500, dtype=object),
            name=evil,
            hovertemplate=f"<b>%{{text}}</b><br>{in_figure(evil)}<extra></extra>",
        )
    )
    figure.update_xaxes(title=evil, ticktext=[f"{OWN_MARK}<b>{in_figure(evil)}</b>", evil])
    figure.add_annotation(text=f"<b>a</b>{evil}")
    drawn = with_plain_names(figure)
    trace, layout = drawn.data[0], drawn.layout
    packed, before = (f.to_plotly_json()["data"][0]["x"]["bdata"] for f in (drawn, figure))
    assert packed == before
    for text in (trace.y[0], trace.text[0], trace.customdata[0][0], trace.name):
        assert text == in_figure(evil)
    assert trace.customdata[0][1] == 1.5
    assert trace.text[1] == "b"
    assert trace.hovertemplate == figure.data[0].hovertemplate
    assert layout.xaxis.title.text == in_figure(evil)
    assert layout.xaxis.ticktext == (f"<b>{in_figure(evil)}</b>", in_figure(evil))
    assert layout.annotations[0].text == "<b>a</b>&lt;a href='x'>A & B&lt;/a>"
    assert figure.data[0].name == evil  # as it was
