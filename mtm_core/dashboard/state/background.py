"""Long work on a page: what is quick is waited for, the rest shows its progress and can be ended.

A job belongs to its session, not to a page: it goes on when the user looks elsewhere, and the
sidebar of every other page says how it goes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar, cast

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from mtm_core.dashboard.state.jobs import Job, JobPool, Progress, Task
from mtm_core.dashboard.state.page_end import PageEnd, end_page
from mtm_core.dashboard.state.session import Session
from mtm_core.errors import MTMError
from mtm_core.escaping import plain, plain_message
from mtm_core.workflows.server_limits import max_jobs

PATIENCE_SECONDS = 1.0
"""Work that ends sooner shows no progress, so that nothing flickers."""
POLL_SECONDS = 0.5
LONG_WORK = "mtm-long"
"""Begins the names of the threads of work that takes long."""
T = TypeVar("T")


_MOST_READINGS = 16
"""Files that are read or wait (:mod:`mtm_core.data.isolation.reading_turns`); more wait for
a thread."""


def _pool(work: Task[Any] | Job) -> JobPool:
    """Return the threads that all sessions share; where they cannot be had, say why and end.

    Files are read in threads of their own: they wait for one another, and no computation for them.
    So does work that takes long, as of every tissue: another user's figure does not wait for it.
    """
    if work.turn is not None:
        return _reading_pool()
    try:
        return _long_pool() if work.is_long else _shared_pool()
    except MTMError as error:
        st.error(plain_message(error), icon=":material/error:")
        end_page()


@cache  # not one of Streamlit's caches, which may be emptied while jobs run
def _shared_pool() -> JobPool:
    return JobPool(max_jobs())


@cache
def _long_pool() -> JobPool:
    return JobPool(max_jobs(), LONG_WORK)


@cache
def _reading_pool() -> JobPool:
    return JobPool(_MOST_READINGS)


def begin_page(session: Session, title: str) -> None:
    """Take what was made since the last run; called by each page before all else."""
    session.page = title
    for job in session.jobs.deliver():
        if job.page != title and job.seconds > PATIENCE_SECONDS:
            st.toast(f"{plain(job.words)}: done.", icon=":material/check:")


@contextmanager
def shown_elsewhere(session: Session) -> Iterator[None]:
    """Run a page; then say in the sidebar how the jobs go that other pages have asked for.

    Not before the page is drawn: it may take a job over, or wait for one that is quick. What is
    shown of a job has the page run again once that is over, and a press of a button meanwhile is
    lost.
    """
    place, is_whole = st.sidebar.container(), False
    try:
        yield
        is_whole = True
    except PageEnd:
        pass
    _show_elsewhere(session, place)
    if not is_whole:
        st.stop()  # choices further down the page are retained


def _show_elsewhere(session: Session, place: DeltaGenerator) -> None:
    with place:
        for job in session.jobs.under_way:
            if job.page != session.page:
                _show_progress(job, "elsewhere_")


def start(session: Session, task: Task[Any] | None) -> None:
    """Start ``task``, also where it has failed or was cancelled before."""
    if task is not None:
        session.jobs.forget(task.slot)
        start_once(session, task)


def start_once(session: Session, task: Task[Any] | None) -> None:
    """Start ``task``, unless it is under way, or has failed or was cancelled."""
    if task is not None:
        session.jobs.start(task, _pool(task), session.page)


def watch(session: Session, slot: str, *, patience: float | None = None) -> bool:
    """Show how the job of ``slot`` goes, or why it failed; tell whether it is under way.

    Parameters
    ----------
    patience
        Seconds that the page waits for it before its progress is shown.
    """
    job = session.jobs.of(slot)
    if job is None:
        return False
    patience = PATIENCE_SECONDS if patience is None else patience
    if not job.wait(max(0.0, patience - job.seconds)):
        job.page = session.page  # this page's from now on
        _show_progress(job)
        return True
    session.jobs.deliver()
    if job.state == "failed":
        st.error(plain_message(job.error), icon=":material/error:")
    elif job.state == "cancelled":
        st.info(f"{plain(job.words)}: cancelled.", icon=":material/cancel:")
    return False


def need(session: Session, task: Task[Any] | None) -> None:
    """Have ``task`` done; end the page here while it is not, or where it cannot be."""
    if not is_done(session, task):
        end_page()


def is_done(session: Session, task: Task[Any] | None, *, patience: float | None = None) -> bool:
    """Have ``task`` done; tell whether it is, and show how it goes where it is not.

    The page may go on meanwhile with what does not need it.

    Parameters
    ----------
    patience
        As for :func:`watch`.
    """
    if task is None:
        return True
    job = session.jobs.start(task, _pool(task), session.page)
    watch(session, task.slot, patience=patience)
    if job.state == "cancelled" or job.is_fault:
        st.button(
            "Start again" if job.state == "cancelled" else "Try again",
            icon=":material/refresh:",
            key=f"again_{task.slot}",
            on_click=session.jobs.forget,
            args=(task.slot,),
        )
    return job.state == "done"


def remember(
    session: Session,
    key: Hashable,
    make: Callable[[Progress], T],
    *,
    slot: str,
    words: str,
    memory: int | None = None,
    is_long: bool = False,
) -> T:
    """Return what ``make`` returns, as :meth:`mtm_core.dashboard.state.session.Session.remember`.

    It is made in the background; the page ends here while it is not done.
    """
    task = session.remembering(key, make, slot=slot, words=words, memory=memory, is_long=is_long)
    need(session, task)
    return cast("T", session.recall(key))


def offer_file(
    session: Session,
    key: str,
    make: Callable[[Progress], bytes],
    *,
    label: str,
    name: str,
    mime: str,
    variant: str = "",
) -> None:
    """Offer to make a file in the background and, once it is made, to take it home.

    Parameters
    ----------
    key
        Key of the widget on the page.
    make
        Makes its bytes of the session's prediction, with no other option than ``variant``.
    label
        Name of the file in a sentence: "the report (HTML)".
    name, mime
        File name and MIME type of the download.
    variant
        What distinguishes it from other files of the same key.
    """
    task = session.remembering(
        ("file", key, variant), make, slot=key, words=f"Making {label}", is_long=True
    )
    if task is not None:
        job = session.jobs.of(key)
        if job is None or job.is_over:
            st.button(
                f"Make {label}",
                icon=":material/description:",
                type="primary",
                key=f"make_{key}",
                on_click=start,
                args=(session, task),
            )
        if job is None or watch(session, key) or job.state != "done":
            return
        st.rerun()
    st.download_button(
        f"Download {label}",
        cast("bytes", session.recall(("file", key, variant))),
        file_name=name,
        mime=mime,
        key=f"download_{key}",
        on_click="ignore",
        icon=":material/download:",
        type="primary",
    )


@st.fragment(run_every=POLL_SECONDS)
def _show_progress(job: Job, prefix: str = "") -> None:
    """Show how a job goes; ``prefix`` tells it from the page's own of the same slot."""
    if job.is_over:
        st.rerun()
    ahead = job.turn.ahead if job.turn is not None else None
    if job.state == "waiting":
        ahead = _pool(job).ahead_of(job)
    how = f"{job.seconds:.0f} s"
    if ahead is not None:
        how = "waiting for a free place" + (f", {ahead} before it" if ahead else "")
    st.progress(job.fraction or 0.0, text=f":material/hourglass_top: {plain(job.words)}… {how}")
    key = f"{prefix}cancel_{job.slot}"
    st.button("Cancel", icon=":material/cancel:", key=key, on_click=job.cancel)
