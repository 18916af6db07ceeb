"""The example of any model: from its reference, the same each time, with a planted effect."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pandas as pd

from mtm_core.artefact import Artefact
from mtm_core.inference.example import (
    LOG2_FOLD_CHANGE,
    N_CHANGED,
    Example,
    default_source,
    simulate_example,
)
from mtm_core.model_reference import QUANTILE_LEVELS


def tables(example: Example) -> tuple[pd.DataFrame, pd.DataFrame]:
    table, metadata = (
        pd.read_csv(io.BytesIO(part), sep="\t", index_col=0)
        for part in (example.table, example.metadata)
    )
    return table, metadata


def test_the_example_has_the_models_genes_within_its_quantiles(
    small_artefact: Artefact,
) -> None:
    source = small_artefact.method.tissues[1]
    table, metadata = tables(simulate_example(small_artefact, source))
    assert list(table.index) == list(small_artefact.genes.index)
    assert list(table.columns) == list(metadata.index)
    quantiles = small_artefact.reference.expression[:, 1]
    if small_artefact.method.scaler.scale == "linear":
        quantiles = np.log2(1 + quantiles)
    low, high = (quantiles[QUANTILE_LEVELS.index(level)] for level in (0.05, 0.95))
    controls = np.log2(1 + table.loc[:, metadata["group"] == "control"].to_numpy())
    assert (controls >= low[:, None] - 1e-3).all()
    assert (controls <= high[:, None] + 1e-3).all()


def test_cases_of_the_example_differ_in_the_stated_genes(small_artefact: Artefact) -> None:
    source = default_source(small_artefact)
    table, metadata = tables(simulate_example(small_artefact))
    assert (metadata["group"].value_counts() == 12).all()
    log2 = np.log2(1 + table)
    by_group = log2.T.groupby(metadata["group"]).mean()
    change = (by_group.loc["case"] - by_group.loc["control"]).abs()
    changed = change.nlargest(N_CHANGED)
    assert source == "Whole Blood"
    assert 0.5 < changed.median() < LOG2_FOLD_CHANGE + 0.3


def test_the_same_seed_gives_the_same_bytes(small_artefact: Artefact) -> None:
    assert simulate_example(small_artefact) == simulate_example(small_artefact)
    assert simulate_example(small_artefact, seed=1) != simulate_example(small_artefact)


def test_sex_shows_in_the_genes_that_differ_by_sex(small_artefact: Artefact) -> None:
    y_genes, xist = ["ENSG00000129824", "ENSG00000067048"], "ENSG00000229807"
    genes = small_artefact.genes.copy()
    genes.index = pd.Index([*y_genes, xist, *genes.index[3:]], name=genes.index.name)
    table, metadata = tables(simulate_example(replace(small_artefact, genes=genes)))
    is_male = (metadata["sex"] == "male").to_numpy()
    for gene in y_genes:
        assert table.loc[gene, is_male].min() > table.loc[gene, ~is_male].max()
    assert table.loc[xist, is_male].max() < table.loc[xist, ~is_male].min()


def test_genes_of_the_example_are_correlated_as_in_the_model(small_artefact: Artefact) -> None:
    """Most of what samples share lies where blood's own factors lie; other tissues tell of it."""
    source = default_source(small_artefact)
    table, _ = tables(simulate_example(small_artefact))
    log2 = np.log2(1 + table.to_numpy())
    together = np.corrcoef(log2)[np.triu_indices(len(log2), 1)]
    by_itself = np.corrcoef(np.random.default_rng(0).normal(size=log2.shape))
    assert source in small_artefact.method.tissues
    apart = by_itself[np.triu_indices(len(log2), 1)]
    assert np.square(together).mean() > 1.2 * np.square(apart).mean()
