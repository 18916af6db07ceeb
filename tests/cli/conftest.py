from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import anndata as ad
import pytest

from mtm_core.cli.main import run
from mtm_core.data.cohort.cohort import write_cohort

ONE_EPOCH = ["--accelerator=cpu", "--set", "training.epochs=1"]


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


Mtm = Callable[..., Done]


@pytest.fixture
def mtm(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Mtm]:
    """Run ``mtm`` in this process, as its entry point does, away from a terminal."""

    def call(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["mtm", *(str(argument) for argument in arguments)])
        capsys.readouterr()
        code = 0
        try:
            run()
        except SystemExit as stop:
            code = int(stop.code or 0)
        return Done(code, *capsys.readouterr())

    logger = logging.getLogger("mtm_core")
    before = logger.level
    yield call
    logger.setLevel(before)


@pytest.fixture(scope="session")
def cohort_file(small_cohort: ad.AnnData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cohort") / "cohort.h5ad"
    write_cohort(small_cohort.copy(), path)
    return path


def error_of(done: Done) -> str:
    """The one line of an error of the input: exit code 1, nothing else on standard error."""
    assert done.code == 1
    assert done.err.startswith("mtm: error: ")
    assert done.err.count("\n") == 1, done.err
    return done.err
