"""The table that every case is made of: 24 simulated people on the panel's genes and on others.

A case changes how the table is written, never what it says: whatever the reader makes of it, the
z-scores of the panel's genes must be those of the clean table.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from mtm_core.data.files.reading_options import AS_IT_LIES, ReadingOptions
from mtm_core.data.genes.names import TABLE
from mtm_core.data.tables.expression import ExpressionTable, read_expression
from mtm_core.data.units import UnitChoice
from mtm_core.inference.predictor import Predictor
from mtm_core.model_places import DEFAULT_MODEL, find_model

N_PEOPLE, N_OTHER_GENES = 24, 141
CASES = Path(os.environ.get("MTM_CASES", Path(__file__).parents[3] / "shared" / "cases"))


def case_file(name: str) -> Path:
    """Return a file of the cases that people brought; skip the test where it is absent."""
    if not (CASES / name).exists():
        pytest.skip(f"no {name} in {CASES}; set MTM_CASES to its folder")
    return CASES / name


@cache
def predictor() -> Predictor:
    """Return the bundled model."""
    return Predictor.load(find_model(DEFAULT_MODEL))


@cache
def genes() -> pd.DataFrame:
    """Return the genes in the order of the table, panel and others mixed: symbol by Ensembl id."""
    panel = predictor().artefact.genes["symbol"].rename(lambda gene: gene.split(".")[0])
    hgnc = pd.read_csv(TABLE, sep="\t", comment="#", dtype=str, keep_default_na=False).to_numpy()
    others = {row[1]: row[0] for row in hgnc[::97] if row[1] and row[1] not in panel}
    both = pd.concat([panel, pd.Series(others).iloc[:N_OTHER_GENES]])
    return pd.DataFrame({"symbol": both}).sample(frac=1.0, random_state=1).rename_axis("gene_id")


@cache
def lengths() -> pd.Series:
    """Return a length in base pairs to each gene."""
    drawn = np.random.default_rng(2).integers(400, 12_000, len(genes()))
    return pd.Series(drawn, genes().index)


@cache
def counts() -> pd.DataFrame:
    """Return read counts (genes, people), as blood has them in the reference; do not change it."""
    rng = np.random.default_rng(3)
    model = predictor()
    blood = model.artefact.reference.mean[model.tissues.index("Whole Blood")]
    panel = [gene.split(".")[0] for gene in model.artefact.genes.index]
    mean = pd.Series(rng.lognormal(3, 2, len(genes())), genes().index)
    mean[panel] = blood / blood.sum() * 4e5
    each = rng.lognormal(0, 0.35, (len(mean), N_PEOPLE)) * rng.uniform(0.6, 1.6, N_PEOPLE)
    return pd.DataFrame(
        rng.poisson(mean.to_numpy()[:, None] * each),
        index=mean.index,
        columns=[f"PT{i:02d}" for i in range(1, N_PEOPLE + 1)],
    )


@cache
def tpm() -> pd.DataFrame:
    """Return :func:`counts` as TPM, of ten million reads of which these genes have a part."""
    rate = counts().div(lengths(), axis=0)
    return rate * (6e5 / rate.sum())


def write(table: pd.DataFrame, path: Path, sep: str = ",", **options: object) -> Path:
    """Write a table (genes, people) as text."""
    table.to_csv(path, sep=sep, **options)
    return path


def read(path: Path, options: ReadingOptions = AS_IT_LIES) -> ExpressionTable:
    """Read a file as the command line does."""
    return read_expression(
        path,
        known_genes=predictor().genes,
        typical=predictor().typical("Whole Blood"),
        options=options,
    )


def z_of(
    path: Path, options: ReadingOptions = AS_IT_LIES, unit: UnitChoice = "auto"
) -> pd.DataFrame:
    """Return z-scores (people, panel genes) of a file."""
    return z_of_table(read(path, options), unit)


def z_of_table(table: ExpressionTable | pd.DataFrame, unit: UnitChoice = "auto") -> pd.DataFrame:
    """Return z-scores (people, panel genes) of a table that was read."""
    prepared = predictor().prepare(table, unit=unit)
    return pd.DataFrame(
        prepared.aligned.z, list(prepared.samples), predictor().artefact.genes["symbol"]
    )


@cache
def clean_z() -> pd.DataFrame:
    """Return the z-scores of :func:`counts`; do not change it."""
    return z_of_table(counts().T.astype(float), "counts")


@cache
def clean_z_of_tpm() -> pd.DataFrame:
    """Return the z-scores of :func:`tpm`; do not change it."""
    return z_of_table(tpm().T, "tpm")


def same_z(found: pd.DataFrame, expected: pd.DataFrame, tolerance: float = 1e-4) -> None:
    """Compare z-scores: the same people in the same order, no person more or less."""
    assert list(found.index) == list(expected.index)
    assert_allclose(found.to_numpy(), expected.to_numpy(), atol=tolerance)
