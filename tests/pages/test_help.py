"""Help beside each control: read off the code, as a control may stand where no test presses it."""

from __future__ import annotations

import ast
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
CONTROLS = {
    *("selectbox", "multiselect", "radio", "slider", "select_slider", "segmented_control", "pills"),
    *("toggle", "checkbox", "number_input", "text_input", "text_area", "file_uploader"),
}


def controls(path: Path) -> list[tuple[str, set[str]]]:
    """Each control of a file: its place, and the names of its arguments."""
    return [
        (
            f"{path.relative_to(REPOSITORY)}:{node.lineno}",
            {word.arg or "" for word in node.keywords},
        )
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in CONTROLS
        and any(word.arg == "key" for word in node.keywords)
    ]


def test_each_control_has_help_or_captions_beside_its_choices() -> None:
    files = [*(REPOSITORY / "pages").rglob("*.py"), *REPOSITORY.glob("mtm_core/dashboard/**/*.py")]
    found = [control for path in files for control in controls(path)]
    assert len(found) > 40
    assert [place for place, words in found if not words & {"help", "captions"}] == []
