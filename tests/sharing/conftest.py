"""A small model, a server that offers it, and an empty folder to install it in."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mtm_core.artefact import Artefact
from mtm_core.inference.verification import write_verification
from mtm_core.model_folder import MANIFEST, seal_folder
from mtm_core.sharing.sources import Hosts
from tests.gtex_server import Server, serving


@dataclass(frozen=True)
class Shared:
    """A model's folder as its publisher has it."""

    folder: Path

    @property
    def pin(self) -> str:
        """SHA-256 of its manifest."""
        return hashlib.sha256((self.folder / MANIFEST).read_bytes()).hexdigest()


@pytest.fixture(scope="session")
def published(small_artefact: Artefact, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model as it was made. Copy it before changing it."""
    folder = tmp_path_factory.mktemp("published") / "small"
    small_artefact.save(folder)
    (folder / "README.md").write_text("# small\n")
    seal_folder(folder)
    write_verification(folder)
    return folder


@pytest.fixture
def shared(published: Path, tmp_path: Path) -> Shared:
    return Shared(Path(shutil.copytree(published, tmp_path / "published")))


@pytest.fixture
def server() -> Iterator[Server]:
    with serving({}) as server:
        yield server


@pytest.fixture
def hosts(server: Server) -> Hosts:
    return Hosts(f"{server.url}/hf", server.url, server.url)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MTM_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"
