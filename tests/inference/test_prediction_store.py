"""The ledger of a store."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from mtm_core.errors import OutputError
from mtm_core.inference.alignment import GeneMoments
from mtm_core.inference.prediction_store import PredictionStore


def test_ledger_gives_back_what_it_was_given(tmp_path: Path, rng: np.random.Generator) -> None:
    store = PredictionStore(tmp_path / "p.zarr", 10)
    assert store.begun() is None
    values = rng.gamma(2, 5, size=(9, 4)).astype(np.float32)
    moments = {"plate 1": GeneMoments.of(values[:5], "log2"), "": GeneMoments.of(values, "log2")}
    store.begin({"asked": {"unit": "tpm"}, "found": {}}, [moments, {}])
    assert store.begun() == {"asked": {"unit": "tpm"}, "found": {}}
    again, none = store.moments()
    assert none == {}
    assert list(again) == ["plate 1", ""]
    assert (again["plate 1"].n, again[""].n) == (5, 9)
    for batch, name in product(moments, ("mean", "squares", "low", "high")):
        np.testing.assert_array_equal(getattr(again[batch], name), getattr(moments[batch], name))
    assert store.done() == set()
    for name in ("0000003", "0000012", "0000013.part"):
        (store.progress / "done" / name).write_text(f"beside {name}")
    assert store.beside(12) == "beside 0000012"
    assert store.done() == {3, 12}  # what is half entered is not
    assert not store.is_complete({"asked": {"unit": "tpm"}, "found": {}})


def test_without_alignment_there_are_no_moments(tmp_path: Path) -> None:
    store = PredictionStore(tmp_path / "p.zarr", 10)
    store.begin({"asked": {}, "found": {}}, [{}])
    assert store.moments() == []


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "p.zarr").write_text("mine")
    with pytest.raises(OutputError, match="exists already, and is not a prediction"):
        PredictionStore(tmp_path / "p.zarr", 10).begun()
