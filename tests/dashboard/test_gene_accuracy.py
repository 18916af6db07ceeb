from __future__ import annotations

from dataclasses import replace

import numpy as np

from mtm_core.dashboard.state.gene_names import gene_labels
from mtm_core.dashboard.state.resources import ServedModel
from mtm_core.dashboard.widgets.gene_accuracy import GeneAccuracy


def test_accuracy_in_words(evaluated_model: ServedModel) -> None:
    held_out = GeneAccuracy.of(evaluated_model, "Whole Blood")
    genes = gene_labels(evaluated_model.predictor.artefact.genes)
    assert held_out.exists
    assert held_out.in_words("Lung", genes["BRCA1"]) == "rho 0.50, n = 100"
    assert held_out.in_words("Lung", genes["BRCA2"]) == "rho undefined, n = 100"
    assert held_out.in_words("Whole Blood", genes["BRCA1"]) == "not evaluated"
    assert held_out.by_tissue_in_words(["Whole Blood", "Lung"], genes["BRCA1"]) == {
        "Whole Blood": "not evaluated",
        "Lung": "rho 0.50, n = 100",
    }


def test_only_the_models_own_method_counts(evaluated_model: ServedModel) -> None:
    held_out = GeneAccuracy.of(evaluated_model, "Whole Blood")
    assert evaluated_model.evaluation is not None
    assert len(held_out.genes) == len(evaluated_model.evaluation.genes) / 2
    assert held_out.genes.index.is_unique


def test_a_model_without_evaluation_has_none(evaluated_model: ServedModel) -> None:
    held_out = GeneAccuracy.of(replace(evaluated_model, evaluation=None), "Whole Blood")
    gene = evaluated_model.predictor.artefact.genes.index[0]
    assert not held_out.exists
    assert held_out.in_words("Lung", gene) == "not evaluated"
    assert held_out.of_pairs(["Lung"], [gene])["predictable"].tolist() == ["not evaluated"]


def test_accuracy_from_blood_says_nothing_of_another_source(evaluated_model: ServedModel) -> None:
    assert not GeneAccuracy.of(evaluated_model, "Spleen").exists


def test_figures_of_tissues_and_genes_are_those_of_their_pairs(
    evaluated_model: ServedModel,
) -> None:
    genes = evaluated_model.predictor.artefact.genes.index[[4, 0, 7, 30]].tolist()
    tissues = ["Lung", "Whole Blood", "Liver"]
    for evaluation in (evaluated_model.evaluation, None):
        held_out = GeneAccuracy.of(replace(evaluated_model, evaluation=evaluation), "Whole Blood")
        found = held_out.of_tissues_and_genes(tissues, genes)
        pairs = held_out.of_pairs([t for t in tissues for _ in genes], genes * len(tissues))
        for name, values in found.items():
            assert values.shape == (3, 4)
            np.testing.assert_array_equal(values.ravel(), pairs[name].to_numpy())
