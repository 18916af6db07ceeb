"""Widgets for tables that can be read in more than one way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import pandas as pd
import streamlit as st

from mtm_core.data.files.reading_options import NumberStyle, ReadingOptions, Strand
from mtm_core.data.tables.ingest_report import IngestReport

NUMBER_NAMES: dict[NumberStyle, str] = {
    "auto": "Automatic",
    "point": "Point: 1.5, and 1,234 means 1234",
    "comma": "Comma: 1,5, and 1.234 means 1234",
}
MOST_SHOWN = 2000
"""Samples that are offered to leave out."""


def show_set_aside(report: IngestReport) -> None:
    """List the columns that were set aside, and the samples that may be none, with the reasons."""
    if not report.set_aside:
        return
    reasons = report.reasons or ("",) * len(report.set_aside)
    table = pd.DataFrame({"column": report.set_aside, "reason": reasons})
    st.dataframe(
        table, hide_index=True, height="content" if len(table) < 8 else 300, key="set_aside"
    )


def ask_reading(
    report: IngestReport | None,
    samples: Sequence[str],
    options: ReadingOptions,
    *,
    key: str,
    expanded: bool,
) -> ReadingOptions | None:
    """Offer how else the table can be read; return what the user says once the button is pressed.

    Parameters
    ----------
    report
        Report on the table, ``None`` if it could not be read.
    samples
        Its samples.
    options
        As it was read.
    """
    choices = {} if report is None else {choice.option: choice for choice in report.choices}
    with (
        st.expander("Columns, numbers and quantity", expanded=expanded),
        st.form(f"reading_{key}", border=False),
    ):
        if report is not None:
            show_set_aside(report)
        back = _columns(
            "Columns to put back as samples",
            () if report is None else report.set_aside,
            options.take_back,
            help="Columns that were set aside, with the reason, although they are samples.",
            key=f"take_back_{key}",
        )
        out = _columns(
            "Samples to leave out",
            (*(() if report is None else report.doubted), *samples[:MOST_SHOWN]),
            options.leave_out,
            help="Columns that were read as samples but are not samples.",
            key=f"leave_out_{key}",
        )
        numbers: NumberStyle = st.selectbox(
            "Decimal separator",
            get_args(NumberStyle),
            index=get_args(NumberStyle).index(options.numbers),
            format_func=NUMBER_NAMES.__getitem__,
            help="1.234 and 1,234 can each mean about 1.2, or 1234.",
            key=f"numbers_{key}",
        )
        said = {
            name: _choice(
                title,
                choices[name].offered if name in choices else (),
                value,
                help=words,
                key=f"{name}_{key}",
            )
            for name, title, value, words in (
                (
                    "quantity",
                    "Quantity",
                    options.quantity,
                    "The quantity to read if each sample has several, for example counts and TPM.",
                ),
                ("sheet", "Sheet", options.sheet, "The sheet of the workbook to read."),
            )
        }
        strand: Strand = options.strand
        if "strand" in choices or strand != "auto":
            strand = st.selectbox(
                "Strand",
                get_args(Strand),
                index=get_args(Strand).index(strand),
                help="Which of STAR's counts to read. Automatic: decided by the sums of the "
                "columns.",
                key=f"strand_{key}",
            )
        pressed = st.form_submit_button("Read again", icon=":material/refresh:", key=f"read_{key}")
    if not pressed:
        return None
    return ReadingOptions(
        take_back=tuple(back),
        leave_out=tuple(out),
        numbers=numbers,
        sheet=said["sheet"],
        quantity=said["quantity"],
        strand=strand,
    )


def _columns(
    title: str, offered: Sequence[str], chosen: Sequence[str], *, help: str, key: str
) -> list[str]:
    """Offer names to choose from, those that are chosen already among them."""
    names = list(dict.fromkeys((*chosen, *offered)))
    if not names:
        return []
    picked: list[str] = st.multiselect(title, names, default=list(chosen), help=help, key=key)
    return picked


def _choice(title: str, offered: Sequence[str], chosen: str, *, help: str, key: str) -> str:
    """Offer one of several; where it is not known which there are, let it be written."""
    if not offered:
        return str(
            st.text_input(title, chosen, key=key, placeholder="Automatic", help=help)
        ).strip()
    names = list(dict.fromkeys(("", *offered, chosen)))
    picked: str = st.selectbox(
        title,
        names,
        index=names.index(chosen),
        format_func=lambda name: name or "Automatic",
        help=help,
        key=key,
    )
    return picked
