"""Blood composition: planted mixtures of the profiles that come with the program, real cells."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mtm_core.errors import ExpressionError
from mtm_core.inference.blood_cells import (
    CELLS,
    blood_signature,
    estimate_composition,
    is_enough,
    markers_found,
)
from mtm_core.places import SAMPLES


def mixtures(rng: np.random.Generator, n: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give linear expression of ``n`` mixtures, in libraries of any size, and their shares."""
    profiles = blood_signature().profiles
    shares = pd.DataFrame(rng.dirichlet([6, 1, 0.5, 1, 1, 0.5], n), columns=profiles.columns)
    linear = shares.to_numpy() @ profiles.to_numpy().T * rng.lognormal(0, 1, (n, 1))
    table = pd.DataFrame(linear, [f"P{i}" for i in range(n)], profiles.index)
    together = shares.assign(**{"T cells": shares["CD4 T cells"] + shares["CD8 T cells"]})
    return table, together[list(CELLS)].set_axis(table.index)


@pytest.mark.parametrize("names", ["gene_id", "symbol", "entrez"])
def test_mixtures_are_found_by_any_kind_of_id(names: str, rng: np.random.Generator) -> None:
    table, shares = mixtures(rng, 6)
    if names != "gene_id":
        table.columns = pd.Index(blood_signature().genes[names])
    found = estimate_composition(table)
    pd.testing.assert_frame_equal(found.shares, shares, atol=1e-6, check_names=False)
    assert (found.n_found, found.poor) == (found.n_genes, [])


def test_half_of_the_genes_and_noise_preserve_the_order_of_samples(
    rng: np.random.Generator,
) -> None:
    table, shares = mixtures(rng, 40)
    noisy = table * rng.lognormal(0, 0.3, table.shape) * rng.lognormal(0, 0.5, table.shape[1])
    found = estimate_composition(noisy.iloc[:, ::2])
    assert all(found.shares[cells].corr(shares[cells]) > 0.9 for cells in CELLS)


def test_samples_of_anything_else_are_named(rng: np.random.Generator) -> None:
    table, _ = mixtures(rng, 3)
    table.iloc[1] = rng.permutation(table.iloc[1].to_numpy())
    assert estimate_composition(table).poor == ["P1"]


def test_a_table_of_59_genes_is_refused_with_what_it_lacks() -> None:
    genes = list(pd.read_csv(SAMPLES / "acmg59_genes.tsv", sep="\t").iloc[:, 0])
    assert not is_enough(markers_found(genes))
    table = pd.DataFrame(1.0, ["P0"], genes)
    with pytest.raises(
        ExpressionError, match=r"0 of the 331 marker genes .* 10 of each are needed"
    ):
        estimate_composition(table)


@pytest.mark.reference
def test_sorted_cells_are_found_to_be_what_they_are(reference_data: Path) -> None:
    """The same people made the profiles; the script that makes them leaves each out in turn."""
    folder = reference_data / "gse60424_cells"
    if not folder.is_dir():
        pytest.skip("no sorted cells")
    (path,) = folder.glob("*counts.txt.gz")
    text = gzip.decompress(path.read_bytes()).decode().replace("\r", "\n")
    wanted = set(blood_signature().genes.index)
    rows = [line for i, line in enumerate(text.split("\n")) if not i or line[:15] in wanted]
    cells = pd.read_csv(io.StringIO("\n".join(rows)), sep="\t", index_col=0)
    kinds = pd.read_csv(folder / "samples.csv", index_col="lib")["celltype"][cells.columns]
    shares = estimate_composition(cells.T).shares
    names = {"Neutrophils": "neutrophils", "Monocytes": "monocytes", "B-cells": "B cells",
             "CD4": "T cells", "CD8": "T cells", "NK": "NK cells"}  # fmt: skip
    for kind, name in names.items():
        assert shares.loc[kinds == kind, name].median() > 0.95
    blood = shares[kinds == "Whole Blood"]
    assert 0.2 < blood["neutrophils"].median() < 0.6
    assert blood.min(axis=None) >= 0
