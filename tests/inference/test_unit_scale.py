"""A model in TPM is given TPM, whatever scale a table was on."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from mtm_core.artefact import Artefact
from mtm_core.inference.predictor import Predictor

SCALES = {
    "counts": ("counts", lambda tpm, depth: (tpm * depth).round()),
    "log2 of counts": ("log2", lambda tpm, depth: np.log2(1 + (tpm * depth).round())),
    "fpkm": ("fpkm", lambda tpm, depth: 0.3 * tpm * depth / depth.max()),
    "log2 of tpm": ("log2", lambda tpm, depth: np.log2(1 + tpm)),
    "ln of ten thousand": ("ln", lambda tpm, depth: np.log1p(tpm / 100)),
    "cpm": ("cpm", lambda tpm, depth: tpm),
}


@pytest.fixture(scope="module")
def whole(small_cohort: ad.AnnData) -> pd.DataFrame:
    """The simulated blood of ten people, among genes enough for a transcriptome."""
    model_genes = pd.DataFrame(small_cohort.X[:10], columns=small_cohort.var_names)
    rng = np.random.default_rng(4)
    others = rng.lognormal(1, 2, (10, 15_100))
    rest = 1e6 - model_genes.sum(axis=1).to_numpy()
    others *= (rest / others.sum(axis=1))[:, None]
    names = [f"ENSG{900_000 + i:011d}" for i in range(15_100)]
    table = pd.concat([model_genes, pd.DataFrame(others, columns=names)], axis=1)
    return table.set_axis([f"P{i}" for i in range(10)], axis=0)


@pytest.mark.parametrize("name", SCALES)
def test_every_scale_comes_to_tpm(small_artefact: Artefact, whole: pd.DataFrame, name: str) -> None:
    predictor = Predictor(small_artefact)
    source = predictor.tissues[0]
    expected = predictor.prepare(whole, source=source, unit="tpm", alignment="none").aligned.z
    unit, written = SCALES[name]
    depth = pd.DataFrame(np.linspace(20, 45, 10)[:, None].repeat(whole.shape[1], 1)).set_axis(
        whole.index, axis=0
    )
    table = written(whole, depth.set_axis(whole.columns, axis=1))
    # Rows that are of no gene, and reads of none, are no part of a sum.
    table = table.assign(total=table.sum(axis=1), N_unmapped=3e6 if name == "counts" else 0.0)
    found = predictor.prepare(table, source=source, unit=unit, alignment="none").aligned.z
    np.testing.assert_allclose(found, expected, atol=0.05 if "counts" in name else 1e-3)
