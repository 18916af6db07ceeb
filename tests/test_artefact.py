"""A model's folder: what is saved comes back, and what was changed since is noticed."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file

from mtm_core.artefact import Artefact
from mtm_core.data.cohort.cohort import tissue_codes, tissue_names
from mtm_core.errors import ArtefactError
from mtm_core.model_description import read_description
from mtm_core.model_folder import seal_folder
from mtm_core.model_places import BUNDLED, DEFAULT_MODEL, find_model
from mtm_core.model_reference import QUANTILE_LEVELS

BLOOD = "Whole Blood"


@pytest.fixture(scope="module")
def saved(small_artefact: Artefact, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model's folder. Copy it before changing it."""
    folder = tmp_path_factory.mktemp("model") / "small"
    small_artefact.save(folder)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy to do damage to."""
    return Path(shutil.copytree(saved, tmp_path / "small"))


def change_description(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "model.json"
    description = json.loads(path.read_text())
    change(description)
    write_description(folder, json.dumps(description).encode())


def write_description(folder: Path, content: bytes) -> None:
    """Write ``model.json`` as another would, who seals what they changed."""
    (folder / "model.json").write_bytes(content)
    seal_folder(folder)


def change_arrays(folder: Path, change: Callable[[dict[str, np.ndarray]], object]) -> None:
    """Change arrays and the hash with them: what is left to find is that they do not fit."""
    path = folder / "model.safetensors"
    arrays = dict(load_file(path))
    change(arrays)
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    change_description(folder, lambda d: d.update(sha256=digest))


def test_loaded_model_predicts_the_same_to_the_bit(
    small_artefact: Artefact, saved: Path, rng: np.random.Generator
) -> None:
    loaded = Artefact.load(saved)
    z = rng.normal(size=(7, 40)).astype(np.float32)
    for source, target in ((BLOOD, "Lung"), ("Lung", BLOOD), ("Liver", "Muscle - Skeletal")):
        expected = small_artefact.method.predict({source: z}, target).mean
        np.testing.assert_array_equal(loaded.method.predict({source: z}, target).mean, expected)
        assert expected.std() > 0


def test_everything_beside_the_weights_comes_back(small_artefact: Artefact, saved: Path) -> None:
    loaded = Artefact.load(saved)
    pd.testing.assert_frame_equal(loaded.genes, small_artefact.genes)
    pd.testing.assert_frame_equal(loaded.tissues, small_artefact.tissues)
    for name, array in vars(small_artefact.reference).items():
        np.testing.assert_array_equal(getattr(loaded.reference, name), array)
    np.testing.assert_array_equal(loaded.method.scaler.mean, small_artefact.method.scaler.mean)
    np.testing.assert_array_equal(loaded.method.scaler.sd, small_artefact.method.scaler.sd)
    assert loaded.method.settings() == small_artefact.method.settings()
    assert loaded.method.tissues == small_artefact.method.tissues
    for name in ("name", "unit", "normalisation", "accuracy", "provenance"):
        assert getattr(loaded, name) == getattr(small_artefact, name)
    description = (saved / "model.json").read_bytes()
    assert loaded.sha256 == hashlib.sha256(description).hexdigest()
    weights = hashlib.sha256((saved / "model.safetensors").read_bytes()).hexdigest()
    assert json.loads(description)["sha256"] == weights


def test_reference_is_the_cohort_s_own(small_artefact: Artefact, small_cohort: ad.AnnData) -> None:
    t = tissue_names(small_cohort).index("Lung")
    lung = np.asarray(small_cohort.X)[tissue_codes(small_cohort) == t].astype(float)
    y = np.log2(1 + lung)
    z = (y - y.mean(axis=0)) / y.std(axis=0)
    reference = small_artefact.reference
    np.testing.assert_allclose(reference.mean[t], lung.mean(axis=0), rtol=1e-5)
    middle = QUANTILE_LEVELS.index(0.5)
    np.testing.assert_allclose(reference.expression[middle, t], np.median(y, axis=0), rtol=1e-4)
    far = QUANTILE_LEVELS.index(0.95)
    rms = np.sqrt((z**2).mean(axis=1))
    np.testing.assert_allclose(reference.distance[far, t], np.quantile(rms, 0.95), rtol=1e-4)
    assert small_artefact.provenance["n_samples"] == small_cohort.n_obs
    assert small_artefact.provenance["n_donors"] == small_cohort.obs["donor"].nunique()


def test_bf16_rounds_the_matrices_of_networks_and_nothing_else(
    small_artefact: Artefact, saved: Path, tmp_path: Path, rng: np.random.Generator
) -> None:
    small_artefact.save(tmp_path, weights="bf16")
    whole, packed = Artefact.load(saved), Artefact.load(tmp_path)
    ours, theirs = packed.method.arrays(), whole.method.arrays()
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        assert array.dtype == np.float32
        if name.endswith(".weight"):
            np.testing.assert_allclose(array, theirs[name], rtol=2**-8)
        else:
            np.testing.assert_array_equal(array, theirs[name])
    assert any((ours[name] != theirs[name]).any() for name in ours)
    np.testing.assert_array_equal(packed.method.scaler.mean, whole.method.scaler.mean)
    z = rng.normal(size=(7, 40)).astype(np.float32)
    one, other = (a.method.predict({BLOOD: z}, "Lung").mean for a in (packed, whole))
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.999
    sizes = [(f / "model.safetensors").stat().st_size for f in (tmp_path, saved)]
    assert sizes[0] < sizes[1]
    assert read_description(tmp_path)["weights"] == "bf16"


def test_saving_over_a_model_does_not_change_a_loaded_one(folder: Path) -> None:
    loaded = Artefact.load(folder)  # its arrays are mapped from the file
    before = {name: array.copy() for name, array in loaded.method.arrays().items()}
    loaded.save(folder, weights="bf16")
    for name, array in loaded.method.arrays().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.skipif(os.name != "posix", reason="no such modes elsewhere")
def test_others_may_read_the_files(saved: Path) -> None:
    names = {p.name for p in saved.iterdir()}
    assert names == {"manifest.json", "model.json", "model.safetensors", ".mtm-output.json"}
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in saved.iterdir())


def test_one_changed_bit_of_the_weights_is_noticed(folder: Path) -> None:
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtefactError, match=r"its SHA-256 differs.*Copy the folder again"):
        Artefact.load(folder)


def test_cut_weights_are_noticed(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ArtefactError, match=r"it has 1,000 bytes, .*Copy the folder again"):
        Artefact.load(folder)


@pytest.mark.parametrize("content", [b"", b"not safetensors", b"\x80\x04N."])
def test_weights_that_are_no_safetensors_are_refused_unread(folder: Path, content: bytes) -> None:
    (folder / "model.safetensors").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    change_description(folder, lambda d: d.update(sha256=digest))
    with pytest.raises(ArtefactError, match=r"is damaged \(SafetensorError"):
        Artefact.load(folder)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("model.json", r"no model in .*small: cannot read model.json"),
        ("model.safetensors", r"model.safetensors is not the file that .*\(.*No such file"),
        ("manifest.json", r"has no manifest.json: .* earlier version .*: mtm model seal .*small"),
    ],
)
def test_missing_file_is_named(folder: Path, name: str, message: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ArtefactError, match=message):
        Artefact.load(folder)


def test_folder_without_a_model_is_named(tmp_path: Path) -> None:
    for foreign in (tmp_path, tmp_path / "nowhere", find_model(DEFAULT_MODEL) / "README.md"):
        with pytest.raises(ArtefactError, match="Expected a folder written by 'mtm train'"):
            Artefact.load(foreign)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "model.json is damaged"),
        ('{"format": "mtm-model", ', "model.json is damaged"),
        ("[]", "model.json is damaged: it is not an object"),
        ('{"architectures": ["Bert"]}', "does not describe an MTM model"),
    ],
)
def test_description_that_is_cut_or_foreign_is_refused(
    folder: Path, text: str, message: str
) -> None:
    write_description(folder, text.encode())
    with pytest.raises(ArtefactError, match=message):
        Artefact.load(folder)


def test_description_in_another_encoding_is_refused(folder: Path) -> None:
    write_description(folder, "{'µ'}".encode("latin-1"))
    with pytest.raises(ArtefactError, match=r"model\.json is damaged"):
        Artefact.load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 3}, "has format version 3; this program .* reads version 2"),
        ({"format_version": None}, "has format version None"),
        ({"normalisation": "tmm"}, "unknown normalisation 'tmm'; expected one of none, panel-cpm"),
        ({"method": "oracle"}, "is damaged .*parts of 'oracle' are of no method"),
        ({"settings": {}}, "is damaged .*'config'"),
        ({"genes": []}, "is damaged .*expected 1 to 200,000 gene_ids"),
        ({"tissues": None}, "is damaged .*expected 1 to 1,000 tissues"),
        ({"scale": "linear"}, "means are not of the scale 'linear'"),
        ({"scale": "ln"}, "unknown scale 'ln'; expected log2 or linear"),
        (
            {"unit": "panel CPM"},
            "the unit is 'panel CPM'; expected 'TPM' after normalisation 'none'",
        ),
        (
            {"unit": "panel CPM", "normalisation": "panel-cpm"},
            "does not sum to a million: it is not in panel CPM",
        ),
        ({"spare": 1}, r"unexpected: \['spare'\]"),
        ({"name": "../mine"}, "is not one of a folder"),
        ({"name": "a\x1b[31m"}, "name is not a line of text"),
    ],
)
def test_changed_description_is_named(folder: Path, change: dict[str, Any], message: str) -> None:
    change_description(folder, lambda d: d.update(change))
    with pytest.raises(ArtefactError, match=message):
        Artefact.load(folder)


@pytest.mark.parametrize("key", ["sha256", "scale", "unit", "settings", "genes", "provenance"])
def test_missing_entry_is_named(folder: Path, key: str) -> None:
    change_description(folder, lambda d: d.pop(key))
    with pytest.raises(ArtefactError, match=rf"is damaged .*entries missing: \['{key}'\]"):
        Artefact.load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["genes"].pop(), r"scaler.mean has shape \(5, 40\), expected \(5, 39\)"),
        (lambda d: d["tissues"].pop(), r"scaler.mean has shape \(5, 40\), expected \(4, 40\)"),
        (
            lambda d: d["genes"][1].update(gene_id=d["genes"][0]["gene_id"]),
            r"gene_id 'ENSG90000000001\.1' is duplicated",
        ),
        (lambda d: [g.pop("entrez") for g in d["genes"]], "the gene_ids have no entrez"),
        (lambda d: [t.pop("colour") for t in d["tissues"]], "the tissues have no colour"),
        (
            lambda d: d["settings"]["config"]["model"].update(n_latent=7),
            "weights of another size than the config's",
        ),
        (
            lambda d: d["settings"]["config"]["model"].update(n_latents=7),
            "not the settings of a run: .*n_latents",
        ),
    ],
)
def test_description_that_does_not_fit_the_arrays_is_named(
    folder: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    change_description(folder, change)
    with pytest.raises(ArtefactError, match=message):
        Artefact.load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("scaler.sd"), r"KeyError: 'scaler.sd'"),
        (lambda a: a.pop("reference.mean"), "missing 1 required positional argument: 'mean'"),
        (
            lambda a: a.update({"scaler.sd": a["scaler.sd"][:, :3]}),
            r"scaler.sd has shape \(5, 3\), expected \(5, 40\)",
        ),
        (
            lambda a: a.update({"reference.distance": a["reference.distance"][:3]}),
            r"reference.distance has shape \(3, 5\), expected \(7, 5\)",
        ),
        (lambda a: a.pop(next(n for n in a if ".encoder." in n)), "weights missing: .*encoder"),
        (lambda a: a.update({"method.spare": np.ones(1)}), r"unexpected: \['spare'\]"),
    ],
)
def test_arrays_that_do_not_fit_the_description_are_named(
    folder: Path, change: Callable[[dict[str, np.ndarray]], object], message: str
) -> None:
    change_arrays(folder, change)
    with pytest.raises(ArtefactError, match=message):
        Artefact.load(folder)


def test_bundled_model_is_whole() -> None:
    bundled = Artefact.load(find_model(DEFAULT_MODEL))
    assert len(bundled.tissues) == 49
    assert bundled.tissues.index.is_unique
    assert bundled.tissues["colour"].str.fullmatch(r"#[0-9A-F]{6}").all()
    assert bundled.tissues["abbreviation"].is_unique
    assert bundled.tissues["ontology"].str.fullmatch(r"(UBERON|EFO):\d{7}").all()
    assert bundled.tissues["n_samples"].sum() == 17_325
    assert len(bundled.genes) == 59
    assert bundled.genes.index.str.fullmatch(r"ENSG\d{11}\.\d+").all()
    assert bundled.genes["symbol"].is_unique
    assert bundled.genes["entrez"].str.fullmatch(r"\d+").all()
    assert bundled.genes["entrez"].is_unique
    assert bundled.provenance["n_donors"] == 944


def test_bundled_model_says_how_accurate_it_is_in_every_other_tissue() -> None:
    bundled = Artefact.load(find_model(DEFAULT_MODEL))
    tissues = pd.DataFrame(bundled.accuracy["tissues"]).set_index("tissue")
    assert set(tissues.index) == set(bundled.tissues.index) - {BLOOD}
    assert tissues["gene_rho_by_fold"].between(-1, 1).all()
    mean = bundled.accuracy["summary"]["gene_rho_by_fold_mean"]
    assert tissues["gene_rho_by_fold"].mean() == pytest.approx(mean, abs=1e-6)


def test_no_donor_is_in_a_bundled_model() -> None:
    files = [path for path in BUNDLED.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".json", ".safetensors", ".md", ".csv", ".parquet"}
    assert len(files) >= 3
    for path in files:
        assert b"GTEX-" not in path.read_bytes(), path
        if path.suffix == ".parquet":  # compressed: its text does not show in its bytes
            table = pd.read_parquet(path)
            assert len(table) > 48 * 59 - 1
            assert not table.astype(str).apply(lambda c: c.str.contains("GTEX-")).any(axis=None)


def test_no_pickle_is_read_or_written() -> None:
    for path in (BUNDLED.parent / "mtm_core").rglob("*.py"):
        assert not re.search(
            r"import pickle|allow_pickle=True|torch\.(load|save)\(|joblib\.(load|dump)",
            path.read_text(),
        ), path


def test_description_is_read_without_the_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    assert read_description(folder)["name"] == "small"
