"""Common parts of all pages: heading, sidebar, notes, figures with their data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from mtm_core.dashboard.state import background, saved_session
from mtm_core.dashboard.state.resources import ServedModel, served_model
from mtm_core.dashboard.state.session import Session, current_session
from mtm_core.dashboard.widgets.downloads import (
    RESEARCH_USE,
    csv_bytes,
    file_name,
    parquet_bytes,
    table_file_bytes,
)
from mtm_core.data.notes import Note
from mtm_core.escaping import plain, plain_message
from mtm_core.figures.shared.style import export_config, with_plain_names
from mtm_core.memory_budget import in_words
from mtm_core.reporting.command_line import in_shell
from mtm_core.workflows.server_limits import max_download

UPLOAD_PAGE = "pages/samples/upload.py"
METADATA_PAGE = "pages/samples/metadata.py"
PREDICTED_PAGE = "pages/samples/predicted.py"
DIFFERENTIAL_PAGE = "pages/associations/differential.py"
TRAITS_PAGE = "pages/associations/traits.py"
_LEAST_WIDTH = 640
"""Pixels that a figure needs for its legend and its names; a narrower screen scrolls it."""
# What is chosen is written in the primary colour: in the dark that is too faint.
_STYLE = f"""<style>
button[data-variant="segmented_control"][data-selected="true"],
[data-testid="stSliderThumbValue"] * {{
    color: light-dark(#1B718D, #7CC4DB) !important;
}}
@media (max-width: {_LEAST_WIDTH}px) {{
    [data-testid="stElementContainer"]:has(> * > [data-testid="stPlotlyChart"]) {{
        overflow-x: auto;
    }}
    [data-testid="stFullScreenFrame"]:has(> [data-testid="stPlotlyChart"]) {{
        min-width: {_LEAST_WIDTH}px;
    }}
}}
</style>"""


def begin(
    title: str, lead: str | Callable[[Session, ServedModel], str]
) -> tuple[Session, ServedModel]:
    """Open a page: heading, and in the sidebar what is loaded and what is being made.

    Parameters
    ----------
    title
        Title of the page.
    lead
        What it shows, in two lines; or a function that says so of the session and its model.

    Returns
    -------
    tuple
        The user's session, and the model that it uses.
    """
    session, model = current_session(), served_model()
    background.begin_page(session, title)
    session.fit_to(model.predictor)
    st.html(_STYLE)
    st.title(title)
    st.markdown(lead if isinstance(lead, str) else lead(session, model))
    saved_session.bring_back(session, model.predictor)
    saved_session.save(session)
    with st.sidebar:
        artefact = model.predictor.artefact
        st.caption(
            f"**Model** {plain(artefact.name)}  \n{len(artefact.genes):,} genes,"
            f" {len(artefact.tissues)} tissues"
        )
        if session.table is not None:
            report = session.table.report
            kind = ", **simulated**" if session.simulated else ""
            st.caption(
                f"**Samples** {plain(report.file)}  \n{report.n_samples:,} of"
                f" {plain(session.source)}{kind}"
            )
        saved_session.offer_to_save(session)
        st.segmented_control(
            "Save figures as",
            ["png", "svg"],
            default="png",
            required=True,
            format_func=str.upper,
            key="image_format",
            persist_state="session",
            help="File type of the camera button at the top right of each figure.",
        )
        st.caption(f"{RESEARCH_USE}  \nYour data stay on this server.")
    return session, model


def mark_simulated(session: Session) -> None:
    """Say so where the samples are simulated, not of real people."""
    if session.simulated:
        st.badge("Simulated samples, not real people", icon=":material/science:", color="orange")


def example_button(session: Session, model: ServedModel) -> None:
    """Offer to open the example, predict from it and show what comes out."""
    if st.button("Try it with the example", icon=":material/science:", key="example"):
        session.open_example(model.predictor)
        session.predict(model.predictor)
        # A link to one gene still leads to that gene.
        st.switch_page(PREDICTED_PAGE, query_params=st.query_params.to_dict())


def show_notes(notes: Sequence[Note]) -> None:
    """Show findings: warnings each in a box, the rest as a list."""
    for note in notes:
        if note.level == "warning":
            st.warning(plain_message(note), icon=":material/warning:")
    infos = [f"- {plain_message(note)}" for note in notes if note.level == "info"]
    if infos:
        st.markdown("\n".join(infos))


def show_shell(words: Sequence[str]) -> None:
    """Show a command, quoted for a shell, whatever the user's names hold."""
    st.code(in_shell(words), language=None, wrap_lines=True)
    st.caption("For sh, bash and zsh. Run it in the folder of your files.")


def show_figure(
    figure: go.Figure,
    *,
    key: str,
    caption: str,
    data: pd.DataFrame,
    name: str = "",
    index: bool = True,
    on_select: Callable[[], None] | None = None,
) -> None:
    """Show ``figure`` with a caption that reads it, and its numbers to download.

    Parameters
    ----------
    figure, key
        The figure, and what the page calls it.
    caption
        Caption: what is drawn and how to read it. It is also the text for screen readers.
    data
        Every number that is drawn; ``index`` tells whether its index is one of them.
    name
        Stem of the files that are saved, if not ``key``.
    on_select
        Called when points are selected; the selection is in the session state under
        ``figure_{key}``.
    """
    name = name or key
    if on_select is None and "Mobi" in st.context.headers.get("User-Agent", ""):
        figure.update_layout(dragmode=False)  # a finger on it scrolls the page, and does not zoom
    st.plotly_chart(
        with_plain_names(figure),
        key=f"figure_{key}",
        config=export_config(file_name(name, ""), st.session_state["image_format"]),
        alt=caption,
        on_select=on_select or "ignore",
    )
    st.caption(plain_message(caption))
    download_table(data, key=key, name=name, label="Data of the figure", index=index)


def download_table(
    table: pd.DataFrame, *, key: str, label: str, name: str = "", index: bool = False
) -> None:
    """Offer ``table``, exactly as shown, as CSV and parquet; as :func:`show_figure`.

    A file that is larger than a server makes is refused before it is begun.
    """
    if (size := table_file_bytes(table)) > max_download():
        st.caption(
            f"{label}: about {in_words(size)} as CSV; this server makes files of up to "
            f"{in_words(max_download())}. Choose fewer rows, or make the file on your own "
            f"machine with the command line."
        )
        return
    with st.container(horizontal=True):
        for ending, write, mime in (
            (".csv", csv_bytes, "text/csv"),
            (".parquet", parquet_bytes, "application/vnd.apache.parquet"),
        ):
            st.download_button(
                f"{label} ({ending[1:].replace('csv', 'CSV')})",
                partial(write, table, index=index),
                file_name=file_name(name or key, ending),
                mime=mime,
                key=f"download_{key}_{ending[1:]}",
                on_click="ignore",
                icon=":material/download:",
                type="tertiary",
            )
