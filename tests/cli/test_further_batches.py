"""Tables of several tissues, each aligned by its own batches, and read so again later."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mtm_core.data.people.metadata_file import read_metadata
from mtm_core.errors import SelectionError
from mtm_core.inference.options import FurtherTissue, PredictionOptions
from mtm_core.inference.predictor import Predictor
from mtm_core.inference.saved_alignment import write_alignment
from mtm_core.model_places import DEFAULT_MODEL
from mtm_core.places import SAMPLES
from mtm_core.reporting.command_line import Comparison, compare_arguments
from mtm_core.reporting.command_words import InputFiles
from tests.cli.conftest import Mtm, error_of

BLOOD, MUSCLE = "Whole Blood", "Muscle - Skeletal"
OPTIONS = PredictionOptions(
    targets=("Lung",),
    unit="tpm",
    alignment="cohort",
    batch="plate",
    further=(FurtherTissue(MUSCLE, "tpm", "muscle plate"),),
)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.load(DEFAULT_MODEL)


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    """Blood of 40 people, half of it made twice as high; muscle of them, other halves higher."""
    blood = pd.read_csv(SAMPLES / "blood_tpm.tsv", sep="\t", index_col="sample")
    muscle = blood * 1.5 + 1
    muscle.iloc[::2] *= 3
    blood = blood.copy()
    blood.iloc[:20] *= 2
    return {BLOOD: blood, MUSCLE: muscle}


@pytest.fixture(scope="module")
def people(tables: dict[str, pd.DataFrame], tmp_path_factory: pytest.TempPathFactory) -> Path:
    names = tables[BLOOD].index
    plates = {
        "plate": ["a"] * 20 + ["b"] * 20,
        "muscle plate": ["x", "y"] * 20,
    }
    path = tmp_path_factory.mktemp("people") / "people.csv"
    pd.DataFrame({"sample": names, **plates}).to_csv(path, index=False)
    return path


def test_each_table_is_aligned_by_its_own_batches(
    predictor: Predictor, tables: dict[str, pd.DataFrame], people: Path
) -> None:
    known = read_metadata(people, samples=list(tables[BLOOD].index))
    muscle = tables[MUSCLE].iloc[::-1]  # in another order than the metadata
    prepared = OPTIONS.prepare_further(predictor, 0, muscle, known=known)
    assert prepared.aligned.batches == ("y", "x") * 20
    assert prepared.alignment.batch_column == "muscle plate"
    z = prepared.aligned.z
    for first in (0, 1):  # each half by itself has the reference's mean and SD
        np.testing.assert_allclose(z[first::2].mean(axis=0), 0, atol=1e-4)
    together = predictor.prepare(muscle, source=MUSCLE, unit="tpm", alignment="cohort")
    assert np.abs(together.aligned.z[0::2].mean(axis=0)).max() > 0.1
    first = OPTIONS.prepare(predictor, tables[BLOOD], known)
    assert first.aligned.batches == ("a",) * 20 + ("b",) * 20


def test_without_a_column_of_its_own_a_further_table_is_aligned_together(
    predictor: Predictor, tables: dict[str, pd.DataFrame], people: Path
) -> None:
    known = read_metadata(people, samples=list(tables[BLOOD].index))
    options = PredictionOptions(
        unit="tpm", batch="plate", further=(FurtherTissue(MUSCLE, "tpm"),), alignment="cohort"
    )
    prepared = options.prepare_further(predictor, 0, tables[MUSCLE], known=known)
    expected = predictor.prepare(tables[MUSCLE], source=MUSCLE, unit="tpm", alignment="cohort")
    assert not prepared.aligned.has_batches
    np.testing.assert_array_equal(prepared.aligned.z, expected.aligned.z)


def test_later_samples_of_both_tissues_are_read_by_the_saved_batches(
    predictor: Predictor, tables: dict[str, pd.DataFrame], people: Path, tmp_path: Path
) -> None:
    known = read_metadata(people, samples=list(tables[BLOOD].index))
    first = OPTIONS.prepare(predictor, tables[BLOOD], known)
    muscle = OPTIONS.prepare_further(predictor, 0, tables[MUSCLE], known=known)
    write_alignment([first.alignment, muscle.alignment], tmp_path / "alignment.json")
    later = PredictionOptions(
        unit="tpm",
        batch="plate",
        alignment_from=str(tmp_path / "alignment.json"),
        further=OPTIONS.further,
    )
    one = later.prepare_further(predictor, 0, tables[MUSCLE].iloc[[7]], known=known)
    np.testing.assert_array_equal(one.aligned.z[0], muscle.aligned.z[7])
    as_one = PredictionOptions(
        unit="tpm",
        alignment_from=str(tmp_path / "alignment.json"),
        as_batch="y",
        further=(FurtherTissue(MUSCLE, "tpm"),),
    )
    same = as_one.prepare_further(predictor, 0, tables[MUSCLE].iloc[[7]])
    np.testing.assert_array_equal(same.aligned.z[0], muscle.aligned.z[7])
    with pytest.raises(SelectionError, match="2 batches"):
        PredictionOptions(
            unit="tpm",
            alignment_from=str(tmp_path / "alignment.json"),
            further=(FurtherTissue(MUSCLE, "tpm"),),
        ).prepare_further(predictor, 0, tables[MUSCLE].iloc[[7]])


def test_the_command_aligns_each_table_by_its_batches(
    mtm: Mtm, predictor: Predictor, tables: dict[str, pd.DataFrame], people: Path, tmp_path: Path
) -> None:
    for name, table in zip(("blood", "muscle"), tables.values(), strict=True):
        table.to_csv(tmp_path / f"{name}.tsv", sep="\t")
    words = [
        *("predict", str(tmp_path / "blood.tsv"), "--unit", "tpm", "--metadata", str(people)),
        *("--and", f"{MUSCLE}={tmp_path / 'muscle.tsv'}", "--and-unit", f"{MUSCLE}=tpm"),
        *("--batch", "plate", "--and-batch", f"{MUSCLE}=muscle plate", "--targets", "Lung"),
        *("--alignment", "cohort", "--output", str(tmp_path / "predicted.csv")),
    ]
    done = mtm(*words)
    assert done.code == 0
    assert "Batch y: 20 samples" in done.err.replace("\n", " ")
    assert "Batch a: 20 samples" in done.err.replace("\n", " ")
    metadata = pd.read_csv(people, index_col="sample")
    prepared = predictor.prepare_tables(
        tables,
        unit="tpm",
        alignment="cohort",
        batch={BLOOD: metadata["plate"], MUSCLE: metadata["muscle plate"]},
    )
    expected = predictor.predict_prepared(prepared, ["Lung"])["z"].sel(tissue="Lung").to_pandas()
    shown = pd.read_csv(tmp_path / "predicted.csv")
    shown = shown.pivot(index="sample", columns="gene_id", values="z")
    np.testing.assert_allclose(shown.loc[expected.index, expected.columns], expected, atol=1e-5)
    refused = mtm(*words[:4], *words[6:])
    assert "names a column of the metadata" in error_of(refused)


def test_groups_are_compared_in_what_is_predicted_from_both_tissues(
    mtm: Mtm,
    predictor: Predictor,
    tables: dict[str, pd.DataFrame],
    people: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    both = {BLOOD: tables[BLOOD].iloc[:36], MUSCLE: tables[MUSCLE].iloc[4:]}
    for name, table in zip(("blood", "muscle"), both.values(), strict=True):
        table.to_csv(f"{name}.tsv", sep="\t")
    options = PredictionOptions(
        targets=("Lung",), unit="tpm", alignment="none", further=(FurtherTissue(MUSCLE, "tpm"),)
    )
    words = compare_arguments(
        options,
        InputFiles(("blood.tsv",), str(people), further=("muscle.tsv",)),
        Comparison(groups=("muscle plate", "x", "y")),
        model=DEFAULT_MODEL,
        output="compared",
    )
    done = mtm(*words[1:])
    assert done.code == 0
    shown = pd.read_csv(tmp_path / "compared" / "differential_expression.csv")
    assert set(shown["tissue"]) == {BLOOD, "Lung"}
    lung = shown[shown["tissue"] == "Lung"].set_index("gene_id")
    assert (lung["n_case"] + lung["n_control"] == 36).all()  # those of the first table
    prediction = predictor.predict(tables=both, targets=["Lung"], unit="tpm", alignment="none")
    log2 = np.log2(1 + prediction["expression"].sel(tissue="Lung").to_pandas()).iloc[:36]
    case = log2.index.isin(tables[BLOOD].index[::2])
    ratio = log2[case].mean() - log2[~case].mean()
    np.testing.assert_allclose(lung.loc[ratio.index, "log2_fold_change"], ratio, atol=1e-4)


@pytest.mark.parametrize(("n_cases", "is_said"), [(16, True), (8, False)])
def test_groups_that_have_a_further_table_in_different_shares_are_pointed_out(
    mtm: Mtm,
    tables: dict[str, pd.DataFrame],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    n_cases: int,
    is_said: bool,
) -> None:
    monkeypatch.chdir(tmp_path)
    blood = tables[BLOOD]
    names = [str(name) for name in blood.index]
    cases = names[: len(names) // 2]
    with_muscle = cases[:n_cases] + names[len(cases) : len(cases) + 16 - n_cases]
    blood.to_csv("blood.tsv", sep="\t")
    tables[MUSCLE].loc[with_muscle].to_csv("muscle.tsv", sep="\t")
    group = ["case"] * len(cases) + ["control"] * (len(names) - len(cases))
    pd.DataFrame({"sample": names, "group": group}).to_csv("people.csv", index=False)
    done = mtm(
        *("compare", "blood.tsv", "--and", f"{MUSCLE}=muscle.tsv", "--metadata", "people.csv"),
        *("--groups", "group=case,control", "--targets", "Lung", "--output", "compared"),
    )
    assert done.code == 0
    said = f"{n_cases} of {len(cases)} of 'case', 0 of {len(names) - len(cases)} of 'control'"
    assert (f"have {MUSCLE} in different shares: {said}." in done.err.replace("\n", " ")) is is_said
