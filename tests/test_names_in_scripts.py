"""What scripts and benchmarks import from the package exists: no type checker reads them."""

from __future__ import annotations

import ast
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
FILES = sorted([*REPOSITORY.glob("scripts/*.py"), *REPOSITORY.glob("benchmarks/*.py")])


def is_submodule(package: ModuleType, name: str) -> bool:
    """Tell whether ``package`` has a module ``name``."""
    return hasattr(package, "__path__") and find_spec(f"{package.__name__}.{name}") is not None


@pytest.mark.skipif(not FILES, reason="no scripts beside an installed package")
def test_scripts_and_benchmarks_import_names_that_exist() -> None:
    missing = []
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mtm_core"):
                module = import_module(str(node.module))
                missing += [
                    f"{file.name}: {node.module}.{alias.name}"
                    for alias in node.names
                    if not (hasattr(module, alias.name) or is_submodule(module, alias.name))
                ]
    assert not missing
