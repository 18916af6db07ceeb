"""How a page ends that cannot go on: in a sentence that says what to do, never in a traceback."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar
from uuid import uuid4

import streamlit as st

from mtm_core.errors import MTMError
from mtm_core.escaping import plain_message

_log = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")


def show_fault(error: Exception) -> bool:
    """Say what ended a page: the words of an :class:`MTMError`, else a number of the log's entry.

    Returns
    -------
    bool
        Always: it is said, and nobody else needs to.
    """
    if isinstance(error, MTMError):
        st.error(plain_message(error), icon=":material/error:")
        return True
    number = uuid4().hex[:8]
    _log.error("a page ended by fault %s", number, exc_info=error)
    st.error(
        f"This page cannot be shown because of an error in the program (fault {number}). Your "
        f"samples are still here: open another page, or reload this one to start again. If the "
        f"error comes back, tell the person who runs this server that number; the server's log "
        f"has the details under it.",
        icon=":material/error:",
    )
    return True


@contextmanager
def guarded_page() -> Iterator[None]:
    """End the page in words where what is inside fails."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever it is, no traceback reaches a user
        show_fault(error)


def guarded(function: Callable[P, T]) -> Callable[P, T | None]:
    """Have a part that Streamlit runs by itself, a fragment or a callback, end as a page does."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T | None:
        try:
            return function(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - as above
            show_fault(error)
            return None

    return run
