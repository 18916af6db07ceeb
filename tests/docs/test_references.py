"""The tests that docs/references.md names exist, and all statistics are in one of them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
ROWS = [
    line
    for line in (REPOSITORY / "docs" / "references.md").read_text(encoding="utf-8").splitlines()
    if "`tests/" in line and line.startswith("|")
]
WITHOUT_FIGURES = {
    *("formula", "contrasts", "design_part", "sample_labels", "coincidence", "batch_groups"),
    *("beside_model", "shipped", "count_progress", "change_labels", "donor_traits"),
    *("result_table", "reference_tissue", "cohort_comparison", "gene_accuracy"),
    "tissue_profile",
}
"""Modules of studies that choose, read or name, and calculate no figure of their own, or are tested
by what others show of them: profiles of tissues by the review of samples."""
NO_FIGURE = {"can_correlate", "gene_blocks", "moderated_df", "first_outcome", "outcome_column"}
"""Functions of statistics of which the same holds."""


def functions_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_row_names_a_test_that_exists() -> None:
    assert len(ROWS) > 60
    for row in ROWS:
        cells = [cell.strip() for cell in row.strip("|").split(" | ")]
        assert len(cells) == 6, row
        assert all(cells[1:]), row
        named = NAMED.findall(cells[5])
        assert named, row
        for path, name in named:
            assert name in functions_of(REPOSITORY / path), f"{path} has no {name}"


def test_every_statistic_and_study_is_in_a_test_that_is_named() -> None:
    files = {path for row in ROWS for path, _ in NAMED.findall(row)}
    tests = "\n".join((REPOSITORY / path).read_text(encoding="utf-8") for path in sorted(files))
    used = set(re.findall(r"\w+", tests))
    package = REPOSITORY / "mtm_core"
    lacking = [
        f"{path.stem}.{name}"
        for path in sorted((package / "statistics").glob("*.py"))
        for name in sorted(functions_of(path))
        if not name.startswith("_") and name not in used | NO_FIGURE
    ]
    lacking += [
        path.stem
        for path in sorted((package / "studies").glob("[a-z]*.py"))
        if path.stem not in WITHOUT_FIGURES and f"mtm_core.studies.{path.stem} " not in tests
    ]
    assert not lacking, f"add to docs/references.md, with a test: {lacking}"
