"""What ``import mtm_core`` gives."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mtm_core
from mtm_core import (
    ActivityOptions,
    Artefact,
    ArtefactError,
    EnrichOptions,
    EvaluateOptions,
    InputFileError,
    PredictionOptions,
    PredictOptions,
    Predictor,
    PrepareOptions,
    read_expression,
    read_metadata,
)
from mtm_core.model_places import BUNDLED, DEFAULT_MODEL, find_model
from mtm_core.places import SAMPLES

TABLE = SAMPLES / "blood_tpm.tsv"


def test_public_names_are_unchanged() -> None:
    assert mtm_core.__all__ == [
        "ActivityOptions",
        "ActivityScoring",
        "Artefact",
        "ArtefactError",
        "AssociationOptions",
        "BuildOptions",
        "CompareOptions",
        "CompositionOptions",
        "DesignOptions",
        "DiseaseOptions",
        "EnrichOptions",
        "EnrichmentOptions",
        "EvaluateOptions",
        "ExpressionError",
        "ExpressionTable",
        "ExternalOptions",
        "InputFileError",
        "JudgeOptions",
        "LatentOptions",
        "MTMError",
        "OneTable",
        "OwnCohort",
        "PredictOptions",
        "PredictableGenesOptions",
        "PredictionOptions",
        "Predictor",
        "PrepareOptions",
        "Prepared",
        "QualityOptions",
        "ReadingOptions",
        "SAMPLES",
        "SampleMetadata",
        "SavedAlignment",
        "SelectionError",
        "StudyDesign",
        "TrainOptions",
        "TraitsOptions",
        "associate",
        "build_model",
        "bundled_models",
        "check_quality",
        "compare_by_design",
        "compare_samples",
        "compare_tables",
        "enrich_results",
        "estimate_blood_composition",
        "estimate_composition",
        "evaluate_methods",
        "find_model",
        "judge_predictions",
        "make_design",
        "model_genes",
        "out_of_fold_accuracy",
        "predict_samples",
        "prepare_cohort",
        "read_alignment",
        "read_expression",
        "read_metadata",
        "review_samples",
        "score_activity",
        "study_external_samples",
        "study_latent_codes",
        "study_predictable",
        "study_preserved_differences",
        "study_preserved_traits",
        "train_model",
        "write_alignment",
        "write_prediction",
    ]
    for name in mtm_core.__all__:
        found = getattr(mtm_core, name)
        assert getattr(found, "__name__", name) == name
        assert name in dir(mtm_core)
    with pytest.raises(AttributeError, match="has no attribute 'predict'"):
        mtm_core.predict  # type: ignore[attr-defined]  # noqa: B018


def test_type_checkers_see_the_same_public_names() -> None:
    stub = ast.parse(Path(mtm_core.__file__).with_suffix(".pyi").read_text())
    imported = {
        alias.asname: node.module
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert imported == mtm_core._HOMES  # type: ignore[attr-defined]


def test_importing_it_imports_nothing_slow() -> None:
    slow = "{'torch', 'pandas', 'numpy', 'streamlit', 'anndata', 'mtm_core.errors'}"
    code = f"import mtm_core, sys; assert not {slow} & set(sys.modules); mtm_core.MTMError"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_a_table_is_read_by_any_kind_of_path() -> None:
    expected = read_expression(TABLE)
    assert expected.report.file == TABLE.name
    for source in (str(TABLE), Named(TABLE)):
        read = read_expression(source)
        assert read.report.file == TABLE.name
        assert read.values.equals(expected.values)
    samples = [str(name) for name in expected.values.index]
    metadata = str(SAMPLES / "metadata.tsv")
    assert len(read_metadata(metadata, samples=samples).values) == len(samples)
    with pytest.raises(InputFileError, match=r"nowhere\.csv"):
        read_expression("nowhere.csv")


class Named(os.PathLike[str]):
    """A path of another kind than pathlib's."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)


def test_a_model_is_loaded_by_its_name_or_any_kind_of_path() -> None:
    folder = BUNDLED / "gtex_v8_acmg59"
    for model in ("gtex_v8_acmg59", str(folder), folder, Named(folder)):
        assert Predictor.load(model).artefact.name == "gtex_v8_acmg59"
        assert Artefact.load(model).name == "gtex_v8_acmg59"


def test_an_installed_model_is_loaded_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MTM_MODELS", str(tmp_path))
    shutil.copytree(BUNDLED / "gtex_v8_acmg59", tmp_path / "mine")
    sha256 = Artefact.load("gtex_v8_acmg59").sha256
    assert Artefact.load("mine").sha256 == Predictor.load("mine").artefact.sha256 == sha256


def test_a_path_is_that_folder_where_text_is_the_bundled_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that writes a model of a bundled one's name reads what it wrote."""
    other = Artefact.load("gtex_v8_acmg59")
    other.save(Named(tmp_path / DEFAULT_MODEL))
    monkeypatch.chdir(tmp_path)
    assert Artefact.load(Path(DEFAULT_MODEL)).name == "gtex_v8_acmg59"
    assert Artefact.load(f"./{DEFAULT_MODEL}").name == "gtex_v8_acmg59"
    assert Artefact.load(DEFAULT_MODEL).name == DEFAULT_MODEL


def test_a_bundled_name_is_that_model_in_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(BUNDLED / "gtex_v8_acmg59", tmp_path / DEFAULT_MODEL)
    monkeypatch.chdir(tmp_path)
    assert find_model(DEFAULT_MODEL) == BUNDLED / DEFAULT_MODEL
    assert find_model(f"./{DEFAULT_MODEL}") == Path(DEFAULT_MODEL)


@pytest.mark.parametrize("name", ["", "nowhere", "a\0b", "x" * 5000, "../" * 3])
def test_an_unknown_model_is_an_error_in_words(name: str) -> None:
    with pytest.raises(ArtefactError, match=f"no model .*bundled: .*{DEFAULT_MODEL}"):
        Predictor.load(name)
    with pytest.raises(ArtefactError, match=f"no model .*bundled: .*{DEFAULT_MODEL}"):
        Artefact.load(name)


def test_options_take_text_and_lists_in_place_of_paths_and_tuples() -> None:
    """What a notebook writes is what the command line passes."""
    assert PrepareOptions("a.gct", Named(Path("b.txt")), "c.h5ad") == PrepareOptions(  # type: ignore[arg-type]
        Path("a.gct"), Path("b.txt"), Path("c.h5ad")
    )
    several = EvaluateOptions("c.h5ad", "out", methods=["ridge"], only=0)  # type: ignore[arg-type]
    assert several == EvaluateOptions(Path("c.h5ad"), Path("out"), methods=("ridge",), only=(0,))
    one = PredictOptions("a.tsv", "out.csv", model=BUNDLED / DEFAULT_MODEL)  # type: ignore[arg-type]
    assert one.tables == (Path("a.tsv"),)
    assert one.model == str(BUNDLED / DEFAULT_MODEL)
    sets = EnrichOptions("a.csv", "out", gene_sets=[Named(Path("own.gmt")), "hallmark"])  # type: ignore[arg-type]
    assert sets.gene_sets == ("own.gmt", "hallmark")
    assert EnrichOptions("a.csv", "out", gene_sets=Path("own.gmt")).gene_sets == ("own.gmt",)  # type: ignore[arg-type]
    assert ActivityOptions("a.tsv", "out", network=Path("own.tsv")).network == "own.tsv"  # type: ignore[arg-type]
    assert PredictionOptions(alignment_from=Path("a.json")).alignment_from == "a.json"  # type: ignore[arg-type]
    assert PredictOptions(["a.tsv", "b.tsv"], "out.csv").tables == (Path("a.tsv"), Path("b.tsv"))  # type: ignore[arg-type]
