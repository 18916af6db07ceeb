from __future__ import annotations

from tests.cli.conftest import mtm

__all__ = ["mtm"]
