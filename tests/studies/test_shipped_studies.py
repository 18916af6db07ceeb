"""What ``mtm study`` wrote is read back as it was, and damage is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import pandas as pd
import pytest

from mtm_core.artefact import Artefact
from mtm_core.errors import InputFileError
from mtm_core.model_places import DEFAULT_MODEL, find_model
from mtm_core.studies.disease import DiseaseStudy, study_diseases
from mtm_core.studies.donor_traits import known_traits
from mtm_core.studies.latent import find_mtm, study_latent
from mtm_core.studies.out_of_fold import TissuePredictions
from mtm_core.studies.shipped import StudyTables
from mtm_core.workflows.study_files import save_tables

BUNDLED = find_model(DEFAULT_MODEL) / "studies"


@pytest.fixture
def disease(predictions: dict[str, TissuePredictions], diseased_cohort: ad.AnnData) -> DiseaseStudy:
    contrasts = [t for t in known_traits(diseased_cohort.uns["donors"]) if t.kind == "two groups"]
    return study_diseases(
        predictions,
        diseased_cohort,
        contrasts[:1],
        source="Whole Blood",
        n_repeats=0,
        n_shuffles=19,
    )


def test_a_folder_without_studies_is_empty(tmp_path: Path) -> None:
    assert StudyTables.load(tmp_path / "nowhere") == StudyTables()
    assert StudyTables.load(tmp_path) == StudyTables()


def test_a_study_is_loaded_as_it_was_saved(disease: DiseaseStudy, tmp_path: Path) -> None:
    save_tables(
        tmp_path / "disease",
        {"repeats": 0},
        pairs=disease.pairs,
        genes=disease.genes,
        status=disease.status,
        overwrite=False,
    )
    read = StudyTables.load(tmp_path)
    assert read.disease is not None
    assert read.disease.settings == {"repeats": 0}
    pd.testing.assert_frame_equal(read.disease.study.pairs, disease.pairs, rtol=1e-5)
    assert "" in set(read.disease.study.pairs["adjusted_for"])
    pd.testing.assert_frame_equal(read.disease.study.genes, disease.genes)
    # Without areas there is an empty table, with its columns.
    assert read.disease.study.status.empty
    assert {"trait", "tissue", "profile", "auroc"} <= set(read.disease.study.status)
    pd.testing.assert_frame_equal(read.disease.study.summary(), disease.summary(), rtol=1e-5)
    assert (read.traits, read.latent) == (None, None)


def test_codes_and_layers_come_back(
    small_artefact: Artefact, small_cohort: ad.AnnData, tmp_path: Path
) -> None:
    study = study_latent(find_mtm(small_artefact.method), small_cohort, n_codes=2)
    save_tables(
        tmp_path / "latent",
        {},
        pairs=study.pairs,
        codes=pd.DataFrame([study.codes]),
        layers=study.layers,
        overwrite=False,
    )
    read = StudyTables.load(tmp_path).latent
    assert read is not None
    assert read.study.codes == pytest.approx(study.codes, rel=1e-5)
    pd.testing.assert_frame_equal(read.study.pairs, study.pairs, rtol=1e-5)
    pd.testing.assert_frame_equal(read.study.layers, study.layers, rtol=1e-5)


def test_the_bundled_studies_give_the_summaries_beside_them() -> None:
    studies = StudyTables.load(BUNDLED)
    assert studies.traits is not None
    assert studies.disease is not None
    assert studies.predictable_genes is not None
    degs = studies.disease.settings["minimum_degs"]
    for folder, summary in (
        ("traits", studies.traits.study.summary()),
        ("disease", studies.disease.study.summary(degs)),
        ("pgenes", studies.predictable_genes.study.summary()),
    ):
        written = pd.read_csv(BUNDLED / folder / "summary.csv").fillna({"adjusted_for": ""})
        pd.testing.assert_frame_equal(summary.reset_index(), written, rtol=1e-4, check_dtype=False)
    row = pd.read_csv(BUNDLED / "pgenes" / "similarity.csv").iloc[0]
    assert studies.predictable_genes.study.tissues.spearman == row["spearman"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda folder: (folder / "settings.json").unlink(),
            "holds no study: it has no settings.json",
        ),
        (lambda folder: (folder / "genes.parquet").write_bytes(b"PAR0"), "holds no study"),
        (
            lambda folder: (folder / "tissues.csv").write_text("trait,tissue\nage,Lung\n"),
            "table of traits has no column adjusted_for, n_genes",
        ),
    ],
)
def test_damage_is_named(damage: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    shutil.copytree(BUNDLED / "traits", tmp_path / "traits")
    damage(tmp_path / "traits")
    with pytest.raises(InputFileError, match=message):
        StudyTables.load(tmp_path)


def test_no_row_of_a_single_donor_is_shipped() -> None:
    for path in BUNDLED.rglob("*.csv"):
        assert "donor" not in pd.read_csv(path).columns
        assert "GTEX-" not in path.read_text()
    for path in BUNDLED.rglob("settings.json"):
        assert "GTEX-" not in json.dumps(json.loads(path.read_text()))
