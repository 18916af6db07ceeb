"""How tests run the dashboard: with time to wait, and a folder of their own for saved sessions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.components.v2 import manifest_scanner


@pytest.fixture(scope="session", autouse=True)
def components_scanned_once() -> Iterator[None]:
    """Have Streamlit look through the installed packages once, not for every session anew."""
    found = manifest_scanner.scan_component_manifests()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", lambda: found)
        yield


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have pages wait for their jobs: no browser is there to ask again."""
    monkeypatch.setattr("mtm_core.dashboard.state.background.PATIENCE_SECONDS", 60.0)


@pytest.fixture(autouse=True)
def own_workspaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Save sessions in a folder of the test's own."""
    monkeypatch.setenv("MTM_WORKSPACE", str(tmp_path / "workspaces"))
    monkeypatch.delenv("MTM_WORKSPACE_HOURS", raising=False)
    return tmp_path / "workspaces"
