from __future__ import annotations

import plotly.graph_objects as go

from mtm_core.figures.style import export_config, finish


def test_camera_saves_under_the_given_name_and_format() -> None:
    options = export_config("z_Lung", "svg")["toImageButtonOptions"]
    assert (options["filename"], options["format"]) == ("z_Lung", "svg")


def test_finish_keeps_traces_and_sets_the_height() -> None:
    figure = finish(go.Figure(go.Scatter(x=[1], y=[2])), height=321)
    assert figure.layout.height == 321
    assert len(figure.data) == 1
