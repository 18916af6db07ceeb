"""Gene sets and networks that a user uploads: read in an isolated process, as tables are."""

from __future__ import annotations

import hashlib
from typing import Protocol, TypeVar, cast

import streamlit as st

from mtm_core.dashboard.state.background import need
from mtm_core.dashboard.state.held import size_of
from mtm_core.dashboard.state.jobs import Progress
from mtm_core.dashboard.state.page_end import end_page
from mtm_core.dashboard.state.results import OF_TABLE
from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.widgets.uploads import UploadedFile
from mtm_core.data.isolation.reading_turns import Turn
from mtm_core.memory_budget import shared_budget

MOST_UPLOAD_BYTES = 16 * 2**20
T_co = TypeVar("T_co", covariant=True)


class ReadsIsolated(Protocol[T_co]):
    """Reads bytes in a process of its own."""

    def __call__(self, data: bytes, name: str, max_bytes: int, *, turn: Turn) -> T_co:
        """Read them when their turn has come."""
        ...


def read_uploaded(
    session: Session, given: UploadedFile, read: ReadsIsolated[T_co], *, command: str
) -> T_co:
    """Read an uploaded file, once; end the page while it is read, and where it cannot be.

    Parameters
    ----------
    read
        Reads it.
    command
        Command that takes larger files.
    """
    if given.size > MOST_UPLOAD_BYTES:
        st.error(
            f"The file has {given.size / 2**20:.0f} MB; this screen accepts up to"
            f" {MOST_UPLOAD_BYTES // 2**20}. Use the command line: {command}.",
            icon=":material/error:",
        )
        end_page()
    data, turn = given.getvalue(), Turn(id(session.jobs))
    key = (OF_TABLE, command, given.name, hashlib.sha256(data).hexdigest())

    def make(progress: Progress) -> T_co:
        turn.check = lambda: progress(0, 0)  # raises once it is cancelled
        sets = read(data, given.name, MOST_UPLOAD_BYTES, turn=turn)
        hold = shared_budget().hold(size_of(sets), "This file", check=turn.check)
        hold.keep_for(sets, size_of(sets))
        return sets

    task = session.remembering(
        key,
        make,
        slot=f"file of {command}",
        words=f"Reading {given.name}",
        memory=0,  # the process that reads takes its own, and the result is held above
        turn=turn,
    )
    need(session, task)
    return cast("T_co", session.recall(key))
