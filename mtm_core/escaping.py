"""Names that users gave, made harmless where they are shown: one function a kind of reader.

A name is a file's, a sample's, a column's, a group's; a gene's or tissue's of a model from
elsewhere. What reads it must take it for a name: Markdown, plotly, a spreadsheet, a terminal. What
is computed with or matched is the name itself, never what these functions give.
"""

from __future__ import annotations

import hashlib
import html
import logging
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

MOST_SHOWN = 160
"""Characters of a name that are shown; of a longer one, its beginning and its end."""
_JOINER = "\u2060"
"""A character without width: separates what together would be Markdown."""
# What starts or ends a format in GitHub's Markdown, mathematics, directives. An underscore inside
# of a word does neither.
_FORMATS = re.compile(r"[\\`*\[\]<|~$]|&(?=#?\w+;)|(?<![^\W_])_|_(?![^\W_])")
# What is replaced in the finished text, where a backslash is gone: icons and emojis (":name:"),
# addresses, arrows.
_REPLACED = re.compile(
    r":(?=[\w+/-])|(?<=\bwww)\.|@|(?<=[-<>=~])(?=[-=>\\])|(?<=-)(?=>)", re.IGNORECASE
)
_STARTS_BLOCK = re.compile(r"^([-+#>=]|\d+(?=[.)]))")
# Control characters, those that turn the direction of text, and halves of surrogate pairs.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff]"
)
_BLANK = re.compile(r"\s+")
_OWN_TAG = re.compile(r"</?(?:b|extra)>|<br>|</span>|<span style=\"color:#[0-9A-Fa-f]{6}\">")
_UNSEEN_BUT_JOINER = re.compile(_UNSEEN.pattern.replace("\u2060-\u206f", "\u2061-\u206f"))
_LEADS_AWAY = (
    (re.compile(r"\](?=[(\[:])"), f"]{_JOINER}"),  # links, images, what defines their addresses
    (re.compile(r"<(?=[!/?A-Za-z])"), f"<{_JOINER}"),  # addresses in angle brackets, HTML
    (re.compile(r":(?=//|[\w+-]+[\[:/])"), f":{_JOINER}"),
    (re.compile(r"(\bwww)\.", re.IGNORECASE), rf"\1.{_JOINER}"),
    (re.compile(r"@"), f"@{_JOINER}"),
    (re.compile(r"\$"), r"\\$"),
    (
        re.compile(r"^([ >\t]*(?:`{3,}|~{3,})[ \t]*)mermaid", re.MULTILINE | re.IGNORECASE),
        r"\1text",
    ),
)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_FORMULA = re.compile(r"[\s]*[=+\-@\t\r\uff0b\uff0d\uff1d\uff20]")


def seen(text: str) -> str:
    """Return ``text`` with what cannot be seen replaced by a mark that can."""
    return _UNSEEN.sub("\ufffd", text)


def short(name: object) -> str:
    """Return a name on one line, without what cannot be seen and not too long to be read."""
    text = _BLANK.sub(" ", seen(str(name))).strip()
    if len(text) > MOST_SHOWN:  # no two long names become one, as rows of a figure
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        text = f"{text[: MOST_SHOWN - 50]}…{digest}…{text[-40:]}"
    return text


def plain(name: object) -> str:
    """Return a name for Markdown, where it says what it says and formats or fetches nothing."""
    return _in_markdown(short(name))


def plain_message(text: object) -> str:
    """Return a message with names in it for Markdown; its lines stay."""
    return "  \n".join(_in_markdown(line.rstrip()) for line in seen(str(text)).splitlines())


def in_figure(name: object) -> str:
    """Return a name for plotly, which reads some HTML in all that it writes, and ``%{...}``."""
    return html.escape(short(name), quote=False).replace("%{", f"%{_JOINER}{{")


def own_markup(text: str) -> str:
    """Return text of a figure in which a few tags of the program's own are read and no others."""
    parts, end = [], 0
    for tag in _OWN_TAG.finditer(text):
        parts += [text[end : tag.start()].replace("<", "&lt;"), tag.group()]
        end = tag.end()
    return "".join((*parts, text[end:].replace("<", "&lt;")))


def others_markdown(text: str) -> str:
    """Return Markdown of elsewhere, such as a model's card, that formats and fetches nothing.

    Images and links stay as the text that they were written as; so do mathematics and icons.
    """
    for pattern, replacement in _LEADS_AWAY:
        text = pattern.sub(replacement, text)
    return _UNSEEN_BUT_JOINER.sub("\ufffd", text)


def in_cells(table: pd.DataFrame) -> pd.DataFrame:
    """Return ``table`` for such a file: all texts and names in it as :func:`in_cell`."""
    from pandas.api.types import is_numeric_dtype

    escaped = table.copy(deep=False)
    for place, kind in enumerate(table.dtypes):
        if not is_numeric_dtype(kind):
            escaped.isetitem(place, _cells(table.iloc[:, place]))
    escaped.index = table.index.map(_cell).rename(table.index.names)
    escaped.columns = table.columns.map(_cell)
    return escaped


def in_cell(name: str) -> str:
    """Get a name for a file that a spreadsheet may open: it runs a cell that begins as a formula.

    A quotation mark before it makes it text; a name that begins with the mark and would be a
    formula after it gets another, so that names stay different.
    """
    is_formula = _FORMULA.match(name.lstrip("'")) and not _NUMBER.fullmatch(name)
    return f"'{name}" if is_formula else name


def out_of_cell(name: str) -> str:
    """Return the name that :func:`in_cell` made ``name`` of, or ``name`` where it made nothing."""
    bare = name.removeprefix("'")
    return bare if in_cell(bare) == name else name


def on_terminal(text: str) -> str:
    """Return text for a terminal, which would obey control characters: they are shown by number."""
    return _UNSEEN.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def keep_records_plain() -> None:
    """Have what the package logs hold no control characters, wherever it is written."""
    make = logging.getLogRecordFactory()

    def make_plain(*args: Any, **kwargs: Any) -> logging.LogRecord:  # noqa: ANN401 - as logging's own
        record = make(*args, **kwargs)
        if record.name.startswith("mtm_core"):
            record.msg, record.args = on_terminal(record.getMessage()), None
        return record

    logging.setLogRecordFactory(make_plain)


def _cells(column: pd.Series) -> pd.Series:
    """Return a column as :func:`in_cell`: of texts that come often, each is looked at once."""
    from pandas.api.types import is_object_dtype, is_string_dtype

    if not (is_object_dtype(column.dtype) or is_string_dtype(column.dtype)):
        return column.map(_cell)
    try:
        seen = {value: _cell(value) for value in column.unique()}
    except TypeError:  # lists and the like, which have no hash
        return column.map(_cell)
    if all(value is cell for value, cell in seen.items()):
        return column
    return column.map(_cell)


def _cell(value: object) -> object:
    if isinstance(value, tuple):
        return tuple(map(_cell, value))
    return in_cell(value) if isinstance(value, str) else value


def _in_markdown(line: str) -> str:
    escaped = _FORMATS.sub(r"\\\g<0>", line)
    escaped = _REPLACED.sub(lambda found: found.group() + _JOINER, escaped)
    return _STARTS_BLOCK.sub(
        lambda found: f"\\{found[1]}" if found[1] in "-+#>=" else f"{found[1]}{_JOINER}", escaped
    )
