"""The report is one file, and what a user has named is text in it."""

from __future__ import annotations

import json
import re

import pandas as pd
import plotly.graph_objects as go
import pytest
from plotly.offline import get_plotlyjs

from mtm_core.data.notes import Note
from mtm_core.reporting.report import Report, ReportFigure, Section, render_report

EVIL = '</script><script>alert(1)</script><img src=x onerror="alert(2)">'


def page_of(*sections: Section, title: str = "A report") -> str:
    return render_report(Report(title, ("For research use, not for diagnosis.",), sections))


def figure_of(name: str, caption: str = "Bars.") -> ReportFigure:
    return ReportFigure("Heights", go.Figure(go.Bar(x=[name], y=[1])), caption)


@pytest.fixture(scope="module")
def evil() -> str:
    """A page in which everything that can be named has been named with markup."""
    return page_of(
        Section(
            EVIL,
            (EVIL,),
            {EVIL: EVIL},
            (Note("warning", EVIL, EVIL),),
            pd.DataFrame({EVIL: [EVIL]}),
            EVIL,
            (ReportFigure(EVIL, figure_of(EVIL).figure, EVIL),),
            EVIL,
        ),
        title=EVIL,
    )


def test_no_name_becomes_markup(evil: str) -> None:
    own = evil.replace(get_plotlyjs(), "")
    assert "<img" not in own
    assert "alert(1)</script>" not in own
    assert own.count("<script") == 3  # the figures' numbers, plotly.js and what draws
    assert own.count("&lt;img") >= 10


def test_scripts_that_may_run_are_those_of_the_page(evil: str) -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', evil)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; ")
    script_part = policy[1].split("script-src ")[1]
    assert re.fullmatch(r"('sha256-[A-Za-z0-9+/]{43}=' ?){2}", script_part)


def test_plotly_is_in_the_page_once_and_only_for_figures() -> None:
    section = Section("Two", figures=(figure_of("a"), figure_of("b")))
    with_figures = page_of(section, section)
    assert with_figures.count(get_plotlyjs()) == 1
    assert re.findall(r'id="(figure-\d)"', with_figures) == [
        *("figure-0", "figure-1", "figure-2", "figure-3")
    ]
    without = page_of(Section("Words", ("Some.",)))
    assert "<script" not in without
    assert len(without) < 10_000


def test_the_report_fetches_nothing() -> None:
    page = page_of(Section("One", figures=(figure_of("a"),))).replace(get_plotlyjs(), "")
    assert not re.findall(r"\b(?:src|href|url)\b\s*[=(]", page)
    assert "http" not in page.replace("http-equiv", "")


def test_empty_parts_of_the_report_are_left_out() -> None:
    page = page_of(Section("Words", ("Some.",)))
    for tag in ("<dl>", "<ul>", "<table>", "<pre>", "<figure>"):
        assert tag not in page
    full = page_of(
        Section(
            "All",
            facts={"File": "a.csv"},
            notes=(Note("warning", "Found.", "Done."), Note("info", "More.", "")),
            table=pd.DataFrame({"gene": ["TP53"], "rho": ["0.50"]}),
            table_caption="Of each gene.",
            verbatim="mtm predict a.csv",
        )
    )
    assert "<dt>File</dt><dd>a.csv</dd>" in full
    assert '<li class="warning">Found. Done.</li>' in full
    assert '<li class="info">More.</li>' in full
    assert '<th scope="col">gene</th><th scope="col">rho</th>' in full
    assert "<td>TP53</td><td>0.50</td>" in full
    assert "<pre>mtm predict a.csv</pre>" in full


def test_figure_is_described_and_left_as_it_was() -> None:
    figure = figure_of("a", caption='Bars of "a"')
    before = figure.figure.to_json()
    page = page_of(Section("One", figures=(figure,)))
    assert 'role="img" aria-label="Bars of &#34;a&#34;"' in page
    assert "<figcaption>Bars of &#34;a&#34;</figcaption>" in page
    assert figure.figure.to_json() == before


def test_labels_keep_their_letters() -> None:
    page = page_of(Section("One", figures=(figure_of("<b>A & B</b>"),)))
    (drawn,) = re.findall(r'id="figures">(.*?)</script>', page)
    (name,) = json.loads(drawn)[0]["data"][0]["x"]
    assert name == "&lt;b&gt;A &amp; B&lt;/b&gt;"  # which plotly writes as it was given
