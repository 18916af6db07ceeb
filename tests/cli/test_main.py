"""The list of commands, help, and how errors end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer

from mtm_core import __version__
from mtm_core.cli.main import _COMMANDS, _load, run
from tests.cli.conftest import Mtm, error_of

LEAVES = [
    "build", "train", "evaluate", "predict", "app",
    "data download", "data prepare", "data store", "data describe", "model list",
    "model describe",
    "study reference", "study traits", "study disease", "study pgenes", "study latent",
    "study external",
]  # fmt: skip


def test_commands_are_listed_without_what_they_need() -> None:
    """So that help comes at once: torch, pandas and scikit-learn take seconds to import."""
    script = (
        "import sys, typer.testing; from mtm_core.cli.main import app;"
        "done = typer.testing.CliRunner().invoke(app, ['--help']);"
        "print(done.exit_code, {'torch', 'pandas', 'numpy', 'anndata'} & set(sys.modules));"
        "print(done.stdout)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("0 set()\n")
    assert all(name in done.stdout for name in _COMMANDS)


@pytest.mark.parametrize("name", _COMMANDS)
def test_listed_summary_is_the_command_s_own(name: str) -> None:
    command = _load(name)
    assert command.name == name or isinstance(command, typer.core.TyperGroup)
    assert command.help.splitlines()[0] == _COMMANDS[name][1]


@pytest.mark.parametrize("command", ["", *LEAVES, "data", "model", "study"])
def test_help_has_an_example(mtm: Mtm, command: str) -> None:
    done = mtm(*command.split(), "--help")
    assert done.code == 0
    text = " ".join(done.out.split())
    assert f"Usage: mtm {command}".strip() in text
    assert f"Example: mtm {command}".strip() in text
    assert done.err == ""


def test_no_command_shows_help_as_wrong_usage(mtm: Mtm) -> None:
    done = mtm()
    assert done.code == 2
    assert "Usage: mtm" in done.out + done.err


def test_version(mtm: Mtm) -> None:
    assert mtm("--version").out == f"mtm {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predct", "x.csv"], "No such command 'predct'. Did you mean 'predict'?"),
        (["predict"], "Missing argument 'INPUT"),
        (["predict", "x.csv"], "Missing option '--output'"),
        (["predict", "x.csv", "--output", "y.csv", "--unit", "rpm"], "'rpm' is not one of"),
        (["train", "x.h5ad", "--output", "m", "--preset", "large"], "'large' is not one of"),
        (["data", "download", "--release", "v9"], "'v9' is not one of"),
        (["app", "--port", "0"], "Invalid value for '--port'"),
        (["model", "describe", "x", "y"], "unexpected extra argument"),
    ],
)
def test_wrong_usage_ends_with_2(mtm: Mtm, arguments: list[str], message: str) -> None:
    done = mtm(*arguments)
    assert done.code == 2
    assert message in " ".join(done.err.replace("│", " ").split())
    assert "Traceback" not in done.err


def test_error_of_the_input_is_one_line(mtm: Mtm, tmp_path: Path) -> None:
    done = mtm("predict", tmp_path / "no.csv", "--output", tmp_path / "p.csv")
    assert f"INPUT: cannot open {tmp_path}/no.csv: there is no such file" in error_of(done)
    assert done.out == ""


def test_folder_that_cannot_be_written_is_one_line(mtm: Mtm, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    samples = Path(__file__).parents[2] / "data_samples" / "blood_tpm.tsv"
    done = mtm("predict", samples, "--targets=Lung", "--output", tmp_path / "file" / "p.csv")
    assert done.code == 1
    assert done.err.splitlines()[-1] == (
        f"mtm: error: cannot write {tmp_path / 'file' / 'p.csv'}: {tmp_path / 'file'} is not a"
        " folder."
    )


def test_fault_of_the_program_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**options: object) -> None:
        raise OSError("no file, no number: not the user's")

    monkeypatch.setattr("mtm_core.cli.main.app", fail)
    with pytest.raises(OSError, match="not the user's"):
        run()
