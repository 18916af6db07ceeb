"""How tests run the dashboard: with time to wait, and a folder of their own for kept work."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have pages wait for their jobs: no browser is there to ask again."""
    monkeypatch.setattr("mtm_core.dashboard.background.PATIENCE_SECONDS", 60.0)


@pytest.fixture(autouse=True)
def own_workspaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep what is kept in a folder of the test's own."""
    monkeypatch.setenv("MTM_WORKSPACE", str(tmp_path / "workspaces"))
    monkeypatch.delenv("MTM_WORKSPACE_HOURS", raising=False)
    return tmp_path / "workspaces"
