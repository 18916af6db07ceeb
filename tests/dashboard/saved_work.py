"""What tests of saved sessions share: a clock that they set, and a comparison."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd

from mtm_core.dashboard.state.work import Work
from mtm_core.dashboard.state.workspace import WorkspaceStore


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def folder_of(store: WorkspaceStore) -> Path:
    (folder,) = store.folder.iterdir()
    return folder


def same(work: Work, other: Work) -> bool:
    """Compare everything, frames to the last bit."""
    pd.testing.assert_frame_equal(work.table.values, other.table.values, check_exact=True)
    empty = pd.DataFrame()
    if work.metadata is None or other.metadata is None:
        assert work.metadata is other.metadata
    else:
        pd.testing.assert_frame_equal(work.metadata.values, other.metadata.values, check_exact=True)
        work = replace(work, metadata=replace(work.metadata, values=empty))
        other = replace(other, metadata=replace(other.metadata, values=empty))
        assert repr(work.metadata) == repr(other.metadata)
    reports = (work.table.report, other.table.report)
    assert reports[0] == reports[1]
    rest = [replace(x, table=replace(x.table, values=empty), metadata=None) for x in (work, other)]
    return repr(rest[0]) == repr(rest[1])
