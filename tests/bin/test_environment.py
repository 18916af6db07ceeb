"""``bin/environment`` with a Python that only notes what it is asked to install."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
# Plays Python, venv and pip at once; "broken" beside it makes pip fail with what it holds, and
# "killed" has it end as if killed.
PYTHON = """#!/usr/bin/env bash
here=$(dirname "$0")
case "$*" in
*version_info*) [ ! -e "$here/old" ] ;;
*"import ensurepip"*) [ ! -e "$here/no-venv" ] ;;
"-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && touch "$3/bin/has-pip" ;;
"-m pip --version") [ -e "$here/has-pip" ] ;;
"-m pip install "*)
    echo "$*" >>"$NOTES"
    [ ! -e "$NOTES.killed" ] || kill -9 $PPID
    [ ! -e "$NOTES.broken" ] || { cat "$NOTES.broken" >&2; exit 1; } ;;
*) exit 3 ;;
esac
"""


class Checkout:
    """A checkout without the program, and the scripts of ``bin/`` up to where they start it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "check out"
        self.notes = folder / "notes"
        shutil.copytree(REPOSITORY / "bin", self.folder / "bin")
        for name in ("requirements.txt", "requirements-dev.txt", "constraints.txt"):
            (self.folder / name).write_text(f"{name}\n")
        (self.folder / "pyproject.toml").write_text("")
        self.python = folder / "python"
        self.python.write_text(PYTHON)
        self.python.chmod(0o755)

    @property
    def venv(self) -> Path:
        return self.folder / ".venv"

    def run(self, requirements: str) -> tuple[list[str], subprocess.CompletedProcess[str]]:
        """Return what pip was asked to install, and how the script ended."""
        self.notes.write_text("")
        done = subprocess.run(
            ["bash", "-c", f'source "{self.folder}/bin/environment" {requirements}', "bin/app"],
            env={"PATH": "/usr/bin:/bin", "PYTHON": str(self.python), "NOTES": str(self.notes)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
        )
        asked = [line.split("--retries 2 ")[1] for line in self.notes.read_text().splitlines()]
        return asked, done


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


APP, CHECK = "requirements.txt", "requirements-dev.txt"
BASE = f"--requirement {APP} --constraint constraints.txt"
TOOLS = f"--requirement {CHECK} --constraint constraints.txt"
PACKAGE = "--no-deps --editable ."


def test_after_the_check_the_app_installs_nothing(checkout: Checkout) -> None:
    assert checkout.run(CHECK)[0] == [TOOLS, PACKAGE]
    assert checkout.run(APP)[0] == []
    assert checkout.run(CHECK)[0] == []


def test_after_the_app_the_check_adds_its_tools_alone(checkout: Checkout) -> None:
    assert checkout.run(APP)[0] == [BASE, PACKAGE]
    assert checkout.run(APP)[0] == []
    assert checkout.run(CHECK)[0] == [TOOLS]
    assert checkout.run(APP)[0] == []
    assert checkout.run(CHECK)[0] == []


def test_only_changed_requirements_are_installed_again(checkout: Checkout) -> None:
    checkout.run(CHECK)
    (checkout.folder / "pyproject.toml").write_text("[project]\n")
    assert checkout.run(APP)[0] == [PACKAGE]
    assert checkout.run(CHECK)[0] == []
    (checkout.folder / CHECK).write_text("ruff\n")
    assert checkout.run(APP)[0] == []  # it needs no tools
    assert checkout.run(CHECK)[0] == [TOOLS]
    (checkout.folder / "constraints.txt").write_text("numpy\n")
    assert checkout.run(APP)[0] == [BASE]


def test_a_killed_installation_is_repeated(checkout: Checkout) -> None:
    killed = checkout.notes.with_name("notes.killed")
    killed.touch()
    assert checkout.run(APP)[1].returncode != 0
    killed.unlink()
    asked, done = checkout.run(APP)
    assert "an installation in it was interrupted" in done.stdout
    assert asked == [BASE, PACKAGE]
    assert checkout.run(APP)[0] == []


def _lose_pip(venv: Path) -> None:
    (venv / "bin" / "has-pip").unlink()


def _lose_python(venv: Path) -> None:
    (venv / "bin" / "python").unlink()


def _age(venv: Path) -> None:
    (venv / "bin" / "old").touch()


@pytest.mark.parametrize("damage", [_lose_python, _age])
def test_an_unusable_environment_of_our_own_is_rebuilt(
    checkout: Checkout, damage: Callable[[Path], None]
) -> None:
    checkout.run(APP)
    damage(checkout.venv)
    asked, done = checkout.run(APP)
    assert "anew: it is not whole, or of another Python" in done.stdout
    assert asked == [BASE, PACKAGE]


def test_an_environment_without_pip_serves_until_something_is_to_be_installed(
    checkout: Checkout,
) -> None:
    checkout.run(APP)
    _lose_pip(checkout.venv)
    assert checkout.run(APP)[0] == []
    assert checkout.run(CHECK)[0] == [TOOLS, PACKAGE]


def test_a_moved_checkout_is_set_up_again(checkout: Checkout) -> None:
    checkout.run(APP)
    checkout.folder = checkout.folder.rename(checkout.folder.with_name("elsewhere"))
    asked, done = checkout.run(APP)
    assert "somewhere else when it was made" in done.stdout
    assert asked == [BASE, PACKAGE]


def test_somebody_else_s_environment_is_used_or_left_alone(checkout: Checkout) -> None:
    theirs = checkout.venv / "theirs"
    theirs.parent.mkdir()
    theirs.write_text("precious")
    asked, done = checkout.run(APP)
    assert (asked, done.returncode) == ([], 1)
    assert "cannot use: it is not whole, or of another Python. Delete it or move it" in done.stderr
    assert theirs.read_text() == "precious"
    (checkout.venv / "bin").mkdir()
    shutil.copy(checkout.python, checkout.venv / "bin" / "python")
    (checkout.venv / "bin" / "has-pip").touch()
    assert checkout.run(APP)[0] == [BASE, PACKAGE]
    assert theirs.read_text() == "precious"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("WARNING: Retrying\nERROR: No matching distribution found for x", "Connect to the inter"),
        ("ERROR: [Errno 28] No space left on device", "the disk is full"),
        ("ERROR: something else", "all that pip said is in .venv/install.log"),
    ],
)
def test_a_failure_of_pip_is_reported_and_tried_again(
    checkout: Checkout, said: str, expected: str
) -> None:
    broken = checkout.notes.with_name("notes.broken")
    broken.write_text(said)
    _, done = checkout.run(APP)
    assert done.returncode == 1
    assert said.splitlines()[-1] in done.stderr
    assert expected in done.stderr
    broken.unlink()
    asked, done = checkout.run(APP)
    assert asked == [BASE, PACKAGE]
    assert "anew" not in done.stdout


@pytest.mark.parametrize(
    ("file", "expected"),
    [("old", "does not run or is older than 3.11"), ("no-venv", "has no 'venv'. Install it")],
)
def test_an_unsuitable_python_is_named(checkout: Checkout, file: str, expected: str) -> None:
    checkout.python.with_name(file).touch()
    asked, done = checkout.run(APP)
    assert (asked, done.returncode) == ([], 1)
    assert expected in done.stderr
    assert not checkout.venv.exists()
