"""Gene sets between groups of samples, in the measured and the predicted tissues."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mtm_core.data.gene_sets.gmt import find_sets
from mtm_core.errors import SelectionError
from mtm_core.inference.options import PredictionOptions
from mtm_core.inference.predictor import Predictor
from mtm_core.model_places import DEFAULT_MODEL
from mtm_core.places import SAMPLES
from mtm_core.studies.enrichment import EnrichmentOptions
from mtm_core.studies.own_cohort import OwnCohort
from mtm_core.studies.sample_sets import compare_sets
from mtm_core.workflows.compare import CompareOptions, compare_samples

ALL = EnrichmentOptions("tested", minimum_size=3)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.load(DEFAULT_MODEL)


@pytest.fixture
def gmt(predictor: Predictor, tmp_path: Path) -> Path:
    symbols = predictor.artefact.genes["symbol"].tolist()
    rows = [("first", symbols[:8]), ("raised", symbols[8:20]), ("rest", symbols[20:])]
    path = tmp_path / "own.gmt"
    lines = ["\t".join([name, "", *own]) for name, own in rows]
    path.write_text("\n".join(lines))
    return path


def test_a_planted_set_is_found_where_it_was_measured(predictor: Predictor, gmt: Path) -> None:
    values = pd.read_csv(SAMPLES / "blood_tpm.tsv", sep="\t", index_col="sample")
    groups = pd.Series(["case", "control"] * 20, values.index)
    raised = predictor.artefact.genes["symbol"].tolist()[8:20]
    own = [name for name in values.columns if name in raised]
    values.loc[groups == "case", own] *= 4
    prepared = predictor.prepare(values, unit="tpm")
    prediction = predictor.predict_prepared(prepared, ["Lung"])
    cohort = OwnCohort.of(prediction, prepared, predictor.artefact, values)
    sets = [find_sets(str(gmt))]
    found = compare_sets(cohort, groups, sets, case="case", control="control", options=ALL)
    assert found.groupby("tissue").size().to_dict() == {"Lung": 3, "Whole Blood": 3}
    blood = found[found["tissue"] == "Whole Blood"].set_index("set")
    assert blood.loc["raised", "fdr"] < 0.01
    assert blood.loc["raised", "direction"] == "higher"
    assert blood["n_background"].eq(59).all()
    # Out-of-fold rho says which genes of a predicted tissue are the background.
    ids = predictor.artefact.genes.index
    rho = pd.Series(np.where(np.arange(59) % 4, 0.5, 0.1), ids)
    cut = compare_sets(
        cohort, groups, sets, case="case", control="control",
        held_out=lambda tissue: rho, options=EnrichmentOptions(minimum_size=3),
    )  # fmt: skip
    lung = cut[cut["tissue"] == "Lung"]
    assert lung["n_background"].eq((rho > 0.3).sum()).all()
    with pytest.raises(SelectionError, match="predictable genes of Lung are unknown"):
        compare_sets(cohort, groups, sets, case="case", control="control")
    few = groups.where(groups.index.isin(groups.index[:4]))
    with pytest.raises(SelectionError, match="6 samples or more"):
        compare_sets(cohort, few, sets, case="case", control="control", options=ALL)


def test_compare_writes_the_sets_beside_the_genes(gmt: Path, tmp_path: Path) -> None:
    said: list[str] = []
    options = CompareOptions(
        SAMPLES / "blood_tpm.tsv",
        SAMPLES / "metadata.tsv",
        output=tmp_path / "compared",
        groups="group=case,control",
        prediction=PredictionOptions(targets=("Lung",)),
        gene_sets=(str(gmt),),
        enrichment=ALL,
    )
    done = compare_samples(options, lambda text, level="info": said.append(text))
    assert "gene_sets" in done.tables
    table = pd.read_csv(tmp_path / "compared" / "gene_sets.csv")
    assert set(table["set"]) == {"first", "raised", "rest"}
    assert any("allowing for the correlation" in text for text in said)
    with pytest.raises(SelectionError, match="give --groups"):
        compare_samples(
            CompareOptions(
                SAMPLES / "blood_tpm.tsv", SAMPLES / "metadata.tsv", output=tmp_path / "no",
                traits=("age",), gene_sets=(str(gmt),),
            )
        )  # fmt: skip


def test_compare_says_where_no_sets_are_tested_and_refuses_two_of_one_name(
    gmt: Path, tmp_path: Path
) -> None:
    people = pd.read_csv(SAMPLES / "metadata.tsv", sep="\t")
    people["sex"] = np.where(people.index < 3, "male", "female")
    people.to_csv(tmp_path / "people.csv", index=False)
    said: list[str] = []
    options = CompareOptions(
        SAMPLES / "blood_tpm.tsv",
        tmp_path / "people.csv",
        output=tmp_path / "compared",
        groups="group=case,control",
        prediction=PredictionOptions(targets=("Lung", "Prostate")),
        gene_sets=(str(gmt),),
        enrichment=ALL,
    )
    compare_samples(options, lambda text, level="info": said.append(text))
    assert any("No gene sets are tested in 'Prostate'" in text for text in said)
    table = pd.read_csv(tmp_path / "compared" / "gene_sets.csv")
    assert set(table["tissue"]) == {"Whole Blood", "Lung"}
    settings = json.loads((tmp_path / "compared" / "settings.json").read_text())
    assert settings["background"] == "tested"
    again = replace(options, gene_sets=(str(gmt), str(gmt)), output=tmp_path / "again")
    with pytest.raises(SelectionError, match=r"are named 'own\.gmt'"):
        compare_samples(again)
