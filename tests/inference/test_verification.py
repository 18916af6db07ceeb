"""Stored predictions: compared with the model here, and with what other weights would give."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from mtm_core.artefact import Artefact
from mtm_core.errors import ArtefactError
from mtm_core.inference.predictor import Predictor
from mtm_core.inference.verification import TOLERANCE, verify, write_verification
from mtm_core.model_folder import VERIFICATION, seal_folder
from mtm_core.model_places import BUNDLED, bundled_models
from tests.pages.other_models import OTHERS


@pytest.mark.parametrize("name", bundled_models())
def test_a_bundled_model_predicts_what_is_stored(name: str) -> None:
    found = verify(BUNDLED / name)
    assert found.agrees
    assert found.largest < 1e-4  # of z-scores in float32
    assert "Predicts" in found.in_words()


@pytest.mark.parametrize("name", OTHERS)
def test_stored_values_are_what_the_model_predicts(name: str, tmp_path: Path) -> None:
    folder = OTHERS[name](tmp_path / "model")
    stored = load_file(write_verification(folder))
    predictor = Predictor.load(folder)
    ids = predictor.artefact.genes.index
    table = pd.DataFrame(stored["profile"], index=["a_1", "a_2", "a_3"], columns=ids)
    with safe_open(folder / VERIFICATION, framework="np") as file:
        source = file.metadata()["source"]
    people = pd.DataFrame(
        {"age": [32, 55, 68], "sex": ["female", "male", "female"]}, index=table.index
    )
    prediction = predictor.predict(
        table,
        source=source,
        unit="tpm",
        alignment="none",
        phenotypes=people if predictor.covariates else None,
    )["z"].to_numpy()
    np.testing.assert_allclose(stored["z"], prediction[..., stored["genes"]], atol=1e-5)
    np.testing.assert_allclose(stored["mean"], prediction.mean(axis=2), atol=1e-5)
    np.testing.assert_allclose(stored["sd"], prediction.std(axis=2), atol=1e-5)
    assert verify(folder).agrees


@pytest.fixture
def folder(small_artefact: Artefact, tmp_path: Path) -> Path:
    small_artefact.save(tmp_path / "model")
    write_verification(tmp_path / "model")
    return tmp_path / "model"


def store(folder: Path, **changes: np.ndarray) -> None:
    """Change stored arrays, and seal what comes of it."""
    path = folder / VERIFICATION
    with safe_open(path, framework="np") as file:
        about = file.metadata()
    save_file(load_file(path) | changes, path, about)
    seal_folder(folder)


@pytest.mark.parametrize(("by", "agrees"), [(TOLERANCE / 2, True), (TOLERANCE * 2, False)])
def test_a_difference_beyond_rounding_is_reported(folder: Path, by: float, agrees: bool) -> None:
    z = load_file(folder / VERIFICATION)["z"]
    z[1, 2, 3] += by
    store(folder, z=z)
    found = verify(folder)
    assert found.agrees == agrees
    assert found.largest == pytest.approx(by, rel=0.01)
    tissues = [t for t in Artefact.load(folder).tissues.index if t != "Whole Blood"]
    assert found.tissue == tissues[2]
    assert tissues[2] in found.in_words()
    assert ("Do not use" in found.in_words()) != agrees


def test_a_gene_that_is_not_among_the_stored_shows_in_the_mean(folder: Path) -> None:
    mean = load_file(folder / VERIFICATION)["mean"]
    mean[0, 0] += 0.01
    store(folder, mean=mean)
    assert not verify(folder).agrees


@pytest.mark.parametrize("array", ["profile", "z", "genes"])
def test_stored_arrays_of_another_size_are_refused(folder: Path, array: str) -> None:
    store(folder, **{array: load_file(folder / VERIFICATION)[array][:1].copy()})
    with pytest.raises(ArtefactError, match="is damaged"):
        verify(folder)


def test_samples_of_another_model_are_refused(folder: Path) -> None:
    shutil.copy(BUNDLED / "gtex_v8_acmg59" / VERIFICATION, folder / VERIFICATION)
    seal_folder(folder)
    with pytest.raises(ArtefactError, match="to another model than the one beside it"):
        verify(folder)


def test_a_model_without_stored_samples_says_how_to_have_them(
    small_artefact: Artefact, tmp_path: Path
) -> None:
    small_artefact.save(tmp_path)
    with pytest.raises(ArtefactError, match=f"mtm model verify {tmp_path} --write"):
        verify(tmp_path)
