"""What a server imports before anybody opens a page."""

from __future__ import annotations

from pathlib import Path

import mtm_core
from mtm_core.dashboard.serving.start import modules_of_pages


def test_every_file_that_pages_compute_and_draw_with_is_imported() -> None:
    root = Path(mtm_core.__file__).parent
    files = [
        path.relative_to(root.parent).with_suffix("")
        for name in ("inference", "studies", "figures", "reporting")
        for path in (root / name).rglob("*.py")
        if path.name != "__init__.py"
    ]
    assert {".".join(path.parts) for path in files} <= set(modules_of_pages())
    assert "mtm_core.figures.accuracy.gene_rho" in modules_of_pages()
