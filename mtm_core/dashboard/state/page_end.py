"""The end of a page before its last line, where it has no more to say."""

from __future__ import annotations

from typing import NoReturn


class PageEnd(BaseException):
    """Raised where a page ends; no fault, so that no ``except Exception`` takes it for one."""


def end_page() -> NoReturn:
    """End the page here. What all pages have is still shown; after ``st.stop()`` nothing can be.

    Not for fragments and callbacks, which run without their page.
    """
    raise PageEnd
