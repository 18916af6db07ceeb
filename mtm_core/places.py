"""Places of the files that come with the program beside its code.

In a checkout they are at its top: ``app.py``, ``pages/``, ``trained_models/``, ``data_samples/``
and ``.streamlit/``. An installed wheel has them in a folder of the package, where
``pyproject.toml`` puts them under the same names.
"""

from __future__ import annotations

from pathlib import Path

_INSTALLED = Path(__file__).parent / "top"
_CHECKOUT = Path(__file__).parents[1]


def place_of(name: str) -> Path:
    """Return where ``name`` of the top level is, whether or not it is there."""
    return (_INSTALLED if _INSTALLED.is_dir() else _CHECKOUT) / name


SAMPLES = place_of("data_samples")
"""Blood profiles of simulated people, to try the program with."""
