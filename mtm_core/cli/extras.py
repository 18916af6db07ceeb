"""Libraries that only a part of the program needs, and how to install them."""

from __future__ import annotations

from importlib.util import find_spec

from mtm_core.errors import MissingLibraryError

EXTRAS = {
    "app": ("streamlit", "plotly", "jinja2"),
    "serve": ("fastapi", "python_multipart", "uvicorn"),
    "train": ("lightning_fabric",),
    "counts": ("pydeseq2",),
    "cluster": ("dask", "distributed"),
}
"""Modules by the extra of ``pyproject.toml`` that brings them."""


def needs(extra: str, what: str) -> None:
    """Check that the libraries of ``extra`` are installed before ``what`` begins.

    Raises
    ------
    MissingLibraryError
        If one is missing.
    """
    for module in EXTRAS[extra]:
        if find_spec(module) is None:
            raise MissingLibraryError(_message(module, extra, what))


def explained(error: ModuleNotFoundError) -> MissingLibraryError | None:
    """Name the extra that brings a missing module; ``None`` if none of them does."""
    module = (error.name or "").partition(".")[0]
    for extra, modules in EXTRAS.items():
        if module in modules:
            return MissingLibraryError(_message(module, extra, "this command"))
    return None


def _message(module: str, extra: str, what: str) -> str:
    return (
        f"{what} needs the Python library {module}, which is not installed. Install it with:"
        f" pip install 'mtm-core[{extra}]'"
    )
