"""The Methods paragraph says what it was given, and that something is not known where it is not."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mtm_core.artefact import Artefact
from mtm_core.data.tables.expression import ExpressionTable, read_expression
from mtm_core.data.units import Unit
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.inference.predictor import Predictor
from mtm_core.reporting.methods_text import accuracy_of_targets, adjusted_for, methods_text

TISSUES = pd.DataFrame(
    {
        "tissue": ["Lung", "Liver", "Brain - Cortex"],
        "n": [46, 42, 34],
        "gene_rho_by_fold": [0.1, 0.4, 0.9],
        "gene_adjusted_rho_by_fold": [0.05, 0.25, 0.8],
        "n_predictable": [1.0, 12.0, 30.0],
        "method": "mtm",
    }
)
GENES = pd.DataFrame({"gene_id": [f"G{i}" for i in range(37)], "method": "mtm"})
SETTINGS = {"folds": 4, "source": "Whole Blood", "adjusted_for": ["age", "sex"]}


def read(artefact: Artefact, n_genes: int = 40) -> ExpressionTable:
    """Three samples, of what counts of the model's first genes."""
    rng = np.random.default_rng(0)
    values = rng.poisson(rng.lognormal(5, 1.5, n_genes), (3, n_genes))
    table = pd.DataFrame(values, index=["A", "B", "C"], columns=artefact.genes.index[:n_genes])
    text = table.rename_axis("sample").to_csv()
    return read_expression(
        io.BytesIO(text.encode()), "mine.csv", known_genes=Predictor(artefact).genes
    )


def text_of(
    artefact: Artefact,
    evaluation: EvaluationTables | None,
    *,
    source: str = "Whole Blood",
    targets: tuple[str, ...] = ("Lung", "Liver"),
    n_genes: int = 40,
    unit: Unit = "counts",
    simulated: bool = False,
) -> str:
    predictor, table = Predictor(artefact), read(artefact, n_genes)
    prepared = predictor.prepare(table, source=source, unit=unit)
    return methods_text(
        predictor.predict_prepared(prepared, targets),
        ingest=table.report,
        prepared=prepared,
        artefact=artefact,
        evaluation=evaluation,
        simulated=simulated,
    )


@pytest.fixture
def evaluation() -> EvaluationTables:
    return EvaluationTables(GENES, TISSUES, SETTINGS)


def test_accuracy_is_of_the_predicted_tissues_alone(
    small_artefact: Artefact, evaluation: EvaluationTables
) -> None:
    text = text_of(small_artefact, evaluation)
    assert "mean of 0.250 over genes and the 2 predicted tissues" in text
    assert "(by tissue 0.100 to 0.400), and of 0.150 (0.050 to 0.250) adjusted for age and sex" in (
        text
    )
    assert "4-fold cross-validation by donor" in text
    assert "Of 37 genes, 6.5 a tissue on average had a pooled correlation above 0.3." in text


def test_another_tissue_changes_every_figure(
    small_artefact: Artefact, evaluation: EvaluationTables
) -> None:
    text = text_of(small_artefact, evaluation, targets=("Lung", "Liver", "Brain - Cortex"))
    assert "mean of 0.467" in text
    assert "in Lung, Liver and Brain - Cortex was predicted" in text
    assert "14.3 a tissue" in text


def test_tissues_that_were_not_evaluated_are_counted(
    small_artefact: Artefact, evaluation: EvaluationTables
) -> None:
    text = text_of(small_artefact, evaluation, targets=("Lung", "Muscle - Skeletal"))
    assert "mean of 0.100 over genes and the 1 predicted tissues" in text
    assert "1 of the predicted tissues were not evaluated." in text


def test_without_adjusted_figures_it_says_so(small_artefact: Artefact) -> None:
    raw = EvaluationTables(GENES, TISSUES.drop(columns="gene_adjusted_rho_by_fold"), SETTINGS)
    assert "Hardy scale were not computed" in text_of(small_artefact, raw)


@pytest.mark.parametrize("known", [False, True])
def test_accuracy_from_another_source_is_not_borrowed(
    small_artefact: Artefact, evaluation: EvaluationTables, known: bool
) -> None:
    text = text_of(
        small_artefact,
        evaluation if known else None,
        source="Liver" if known else "Whole Blood",
        targets=("Lung",),
    )
    assert "was not evaluated" in text
    assert "cross-validation" not in text


def test_model_and_samples_are_those_given(small_artefact: Artefact) -> None:
    named = replace(small_artefact, sha256="ab" * 32, name="mine")
    text = text_of(named, None, n_genes=31)
    donors = small_artefact.provenance["n_donors"]
    samples = small_artefact.provenance["n_samples"]
    assert f"{samples:,} samples of {donors:,} donors of GTEx [2] in 5 tissues" in text
    assert f"model mine, method mtm, SHA-256 {'ab' * 32}" in text
    assert "3 samples and 31 genes" in text
    assert "read as counts" in text
    assert "31 of the model's 40 genes; the 9 others were set to the mean" in text
    assert "not aligned to the reference" in text
    assert "uses expression alone" in text
    assert "SIMULATED" not in text
    assert re.search("For research use, not for diagnosis", text)


def test_unknown_training_data_are_called_unknown(small_artefact: Artefact) -> None:
    text = text_of(replace(small_artefact, provenance={}), None)
    assert "an unknown number of samples of an unknown number of donors" in text


def test_simulated_samples_are_named_first(small_artefact: Artefact) -> None:
    assert text_of(small_artefact, None, simulated=True).startswith("THE SAMPLES ARE SIMULATED")


def test_tissues_stand_the_best_first(evaluation: EvaluationTables) -> None:
    ranked = accuracy_of_targets(evaluation, "mtm", "Whole Blood", ["Lung", "Brain - Cortex"])
    assert ranked.index.tolist() == ["Brain - Cortex", "Lung"]
    assert accuracy_of_targets(evaluation, "ridge", "Whole Blood", ["Lung"]).empty


def test_confounders_in_words() -> None:
    assert adjusted_for({}) == "age, sex and Hardy scale"
    assert adjusted_for({"adjusted_for": ["rin"]}) == "rin"
