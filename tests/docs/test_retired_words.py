"""Words that the glossary has replaced stay out of code, tests, screens and documents."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
ALLOWED = {"CHANGELOG.md", "tests/docs/test_retired_words.py"}
RETIRED = re.compile(
    r"(?<![a-z])(?:kept|keeping|told|untold|stands|parted|bent|curved|(?:un)?informed"
    r"|of no person|the batch before)(?![a-z])",
    re.IGNORECASE,
)


def found_in(text: str, path: str) -> list[str]:
    """Return ``path:line: word`` for each retired word, the name of the file as line 0."""
    lines = [path, *text.splitlines()]
    return [
        f"{path}:{number}: {match[0]}"
        for number, line in enumerate(lines)
        for match in RETIRED.finditer(line)
    ]


@pytest.mark.skipif(not (REPOSITORY / ".git").exists(), reason="no list of files without git")
def test_no_retired_word_is_used() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    found = []
    for path in sorted({*listed.stdout.split("\0")} - ALLOWED - {""}):
        try:
            text = (REPOSITORY / path).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):  # not text, or deleted
            continue
        found += found_in(text, path)
    assert not found, "use the word of docs/glossary.md, or a plain one:\n" + "\n".join(found)


def test_words_are_found_in_names_and_not_within_others() -> None:
    text = "understands bentonite\nn_kept = Untold\n"
    assert found_in(text, "a/b.md") == ["a/b.md:2: kept", "a/b.md:2: Untold"]
    assert found_in("", "docs/told.md") == ["docs/told.md:0: told"]
