"""A report as one HTML file that asks nothing of the network: text, tables, interactive figures.

Whatever a user has named, a sample or a file, is text here: jinja2 escapes it in the page, plotly's
JSON escapes it in the script, and the page's own policy lets no script run but the two it came
with, and nothing be fetched.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from mtm_core.data.notes import Note
from mtm_core.figures.shared.style import FAINT, NEUTRAL, with_plain_names

_PAGE, _SCRIPT = "report.html.jinja", "report.js"


@dataclass(frozen=True)
class ReportFigure:
    """A figure with what reads it.

    Attributes
    ----------
    title, figure
        The heading, and the figure; names in it are drawn as they are.
    caption
        Caption: what is drawn and how to read it. It is also the text for screen readers.
    """

    title: str
    figure: go.Figure
    caption: str


@dataclass(frozen=True)
class Section:
    """A part of a report; what is empty is left out.

    Attributes
    ----------
    heading
        Its heading.
    text
        Paragraphs.
    facts
        Names and what they are.
    notes
        Findings.
    table, table_caption
        Cells as they are to be shown, without index.
    figures
        One below the other, after all else.
    verbatim
        Preformatted text, for example a command.
    """

    heading: str
    text: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    table: pd.DataFrame = field(default_factory=pd.DataFrame)
    table_caption: str = ""
    figures: tuple[ReportFigure, ...] = ()
    verbatim: str = ""


@dataclass(frozen=True)
class Report:
    """A report.

    Attributes
    ----------
    title
        Title of the page.
    lead
        Emphasised lines below it, for example the intended use.
    sections
        In order.
    """

    title: str
    lead: tuple[str, ...]
    sections: tuple[Section, ...]


def render_report(report: Report) -> str:
    """Return the page, UTF-8; plotly.js is in it once, if there is a figure."""
    folder = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    figures = [figure for section in report.sections for figure in section.figures]
    scripts = [get_plotlyjs(), (folder / _SCRIPT).read_text(encoding="utf-8")] if figures else []
    return environment.get_template(_PAGE).render(
        report=report,
        figures=Markup("[" + ",".join(_json(figure.figure) for figure in figures) + "]"),
        scripts=[Markup(script) for script in scripts],
        hashes=[_hash(script) for script in scripts],
    )


def _json(figure: go.Figure) -> str:
    """Return the figure for a page that chooses its own ground; plotly escapes <, > and /."""
    drawn = with_plain_names(figure)
    clear = "rgba(0,0,0,0)"
    drawn.update_layout(template="none", paper_bgcolor=clear, plot_bgcolor=clear)
    drawn.update_layout(font_family="system-ui, sans-serif")
    for axes in (drawn.select_xaxes(), drawn.select_yaxes()):
        for axis in axes:
            axis.update(gridcolor=axis.gridcolor or FAINT, linecolor=NEUTRAL)
    text: str = drawn.to_json()
    return text


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
