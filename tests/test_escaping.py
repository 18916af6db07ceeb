"""Names stay names, whatever reads them."""

from __future__ import annotations

import csv
import html
import io
import logging
import re

import pandas as pd
import pytest
from markdown_it import MarkdownIt

from mtm_core.cli.output import out, say
from mtm_core.escaping import (
    MOST_SHOWN,
    in_cell,
    in_cells,
    in_figure,
    keep_records_plain,
    on_terminal,
    others_markdown,
    out_of_cell,
    own_markup,
    plain,
    plain_message,
)

HOSTILE = [
    *("![x](http://h/x.png)", "[a](javascript:x)", "[a][b]", "<http://h/>", "<img src=x>", "`c`"),
    *("**b**", "__b__", "_i_", "~~s~~", "# h", "- l", "+ l", "1. l", "1) l", "> q", "| a |", "***"),
    *("&lt;b&gt;", "\\*x\\*", "a*b*c", "=====", "-----", "    code", "<b>b</b>", "[^1]", "\t# h"),
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_in_markdown_reads_as_it_was_written(name: str) -> None:
    """By another parser of Markdown than Streamlit's."""
    for around in ("{}", "see {} there", "- {}"):
        text = MarkdownIt("gfm-like", {"linkify": False}).render(around.format(plain(name)))
        kinds = set(re.findall(r"<(\w+)", text))
        assert kinds <= {"p", "ul", "li"}
        shown = html.unescape(re.sub(r"<[^>]+>", "", text)).replace("\u2060", "").strip()
        asked = around.removeprefix("- ").format(" ".join(name.split()))
        assert shown == asked


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        (":material/home:", r":material/"),
        (":smile:", r":\+?[\w+-]+:"),
        (":streamlit:", r":streamlit:"),
        (":red[x]", r":\w+\["),
        ("a -> b", r"(^|\s)->(\s|$)"),
        ("a <- b", r"(^|\s)<-(\s|$)"),
        ("a -- b", r"(^|\s)--(\s|$)"),
        ("www.h.org", r"www\.\w"),
        ("http://h", r"https?://"),
        ("a@h.org", r"@\w"),
    ],
)
def test_a_mark_splits_what_streamlit_would_replace(name: str, pattern: str) -> None:
    assert re.search(pattern, name)
    assert not re.search(pattern, plain(name).replace("\\", ""))
    assert plain(name).replace("\u2060", "").replace("\\", "") == name


@pytest.mark.parametrize(
    "name",
    ["blood_tpm.tsv", "Brain - Cortex", "PT-01 (visit 2)", "HLA-DRB1", "Größe µg/l", "n = 3"],
)
def test_common_names_are_left_alone(name: str) -> None:
    assert plain(name) == name
    assert in_figure(name) == name
    assert in_cell(name) == name
    assert on_terminal(name) == name


@pytest.mark.parametrize("name", ["=1+1", "'=1+1", "''@a", "PT-01", "'quoted'", "-5", "-a", "'"])
def test_names_come_back_out_of_cells(name: str) -> None:
    assert out_of_cell(in_cell(name)) == name


def test_invisible_characters_are_made_visible() -> None:
    for sign in ("\x1b", "\x00", "\x9b", "\u202e", "\u2066", "\u200f", "\ufeff", "\ud800"):
        assert plain(f"a{sign}b") == "a\ufffdb"
        assert in_figure(f"a{sign}b") == "a\ufffdb"
        assert on_terminal(f"a{sign}b").isprintable()
    assert on_terminal("a\x1b[31mb") == "a\\x1b[31mb"
    assert on_terminal("two\nlines\tand") == "two\nlines\tand"
    assert plain("two\r\nlines") == "two lines"


def test_long_names_are_cut_in_the_middle() -> None:
    shown = plain("begin" + "x" * 5_000 + "end")
    assert len(shown) == MOST_SHOWN
    assert (shown[:5], shown[-3:]) == ("begin", "end")
    assert in_figure("x" * 200 + "a" + "x" * 200) != in_figure("x" * 200 + "b" + "x" * 200)


def test_messages_keep_their_lines_and_their_length() -> None:
    assert plain_message("one\n- *two* " + "x" * 500) == "one  \n\\- \\*two\\* " + "x" * 500


def test_a_figure_draws_letters() -> None:
    assert html.unescape(in_figure("<a href='x'>&amp;</a>")) == "<a href='x'>&amp;</a>"
    assert "%{" not in in_figure("%{x}")
    ours = "<b>%{text}</b><br>a<extra>b</extra>"
    assert own_markup(ours) == ours
    assert own_markup("<b>a</b><img src=x><BR><a>") == "<b>a</b>&lt;img src=x>&lt;BR>&lt;a>"


@pytest.mark.parametrize(
    "name", ["=1+1", "+1+1", "-1+2", "@x", "\t=1", "\r=1", " =1", "\uff1d1", "'=1"]
)
def test_a_spreadsheet_takes_a_name_for_text(name: str) -> None:
    written = io.StringIO()
    csv.writer(written).writerow([in_cell(name)])
    (cell,) = next(csv.reader(io.StringIO(written.getvalue())))
    assert cell == f"'{name}"


def test_numbers_are_no_formulas() -> None:
    for number in ("-1", "+2.5", "-1e-5", "-.5"):
        assert in_cell(number) == number
    table = pd.DataFrame({"=group": ["@a", "b"], "change": [-1.5, 2.0]}, ["-x", "y"])
    written = in_cells(table)
    assert list(written.columns) == ["'=group", "change"]
    assert list(written.index) == ["'-x", "y"]
    assert list(written["'=group"]) == ["'@a", "b"]
    assert list(written["change"]) == [-1.5, 2.0]
    assert list(table.columns) == ["=group", "change"]  # as it was


def test_logged_and_printed_text_has_no_control_characters(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "_logRecordFactory", logging.getLogRecordFactory())
    keep_records_plain()
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    monkeypatch.setattr(handler, "emit", records.append)
    log = logging.getLogger("mtm_core.of_this_test")
    log.addHandler(handler)
    log.error("cannot read %s", "\x1b]0;owned\x07.csv")
    log.removeHandler(handler)
    assert records[0].getMessage() == "cannot read \\x1b]0;owned\\x07.csv"
    say("\x1b[2J\u202e.csv")
    assert capsys.readouterr().out == "\\x1b[2J\\u202e.csv\n"
    monkeypatch.setattr(out, "file", io.StringIO())
    out.print("\x9b31m")
    assert out.file.getvalue() == "\\x9b31m\n"


def test_different_names_stay_different() -> None:
    names = ["=1", "'=1", "''=1", "a", "'a"]
    assert len({in_cell(name) for name in names}) == len(names)
    assert in_cell("'a") == "'a"


def test_anothers_card_formats_but_leads_nowhere() -> None:
    card = (
        "# Card\n\n**bold** ![x](http://h/x.png) [a](http://h) [b][r] [r] <http://h> https://h\n\n"
        "![r]\n\n[r]: http://h/r.png\n\n> [q]: http://h\n\n[q]\n\n<img src=http://h/y.png>\n"
    )
    before = MarkdownIt("gfm-like", {"linkify": False}).render(card)
    text = MarkdownIt("gfm-like", {"linkify": False}).render(others_markdown(card))
    assert ("<img" in before, "<a " in before) == (True, True)
    assert ("<img" in text, "<a " in text) == (False, False)
    assert "<h1>Card</h1>" in text
    assert "<strong>bold</strong>" in text
    assert "mermaid" not in others_markdown("```mermaid\ngraph")
