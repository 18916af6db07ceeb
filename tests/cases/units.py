"""The clean table in every unit: each case gives a table (genes, people) and what it must come to.

``RECOGNISED`` units are read from the values, ``ASKED`` only if the user names them, ``CHOSEN`` are
both, read as the user says.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mtm_core.data.units import UNIT_TABLE, Unit
from tests.cases import base

DIGITS = 6


@dataclass(frozen=True)
class UnitCase:
    """A table in ``unit``, of what ``linear`` holds."""

    values: pd.DataFrame
    unit: Unit
    linear: pd.DataFrame

    @property
    def expected(self) -> pd.DataFrame:
        """Z-scores of the linear table."""
        return base.z_of_table(self.linear.T.astype(float), "tpm")


def panel(table: pd.DataFrame) -> pd.DataFrame:
    """Cut to the model's genes."""
    ids = {gene.split(".")[0] for gene in base.predictor().artefact.genes.index}
    return table[table.index.isin(ids)]


def cpm() -> pd.DataFrame:
    """Return CPM of a library of which the table's genes are a twentieth."""
    return base.counts() * (1e6 / (20 * base.counts().sum()))


def log_of(linear: pd.DataFrame, unit: Unit) -> UnitCase:
    """Write ``linear`` in a unit of one formula."""
    base_of_log, added = {
        "log2": (2, 1), "ln": (np.e, 1), "log10": (10, 1),
        "log2-0.001": (2, 0.001), "log2-0.01": (2, 0.01), "log2-0": (2, 0),
    }[unit]  # fmt: skip
    values = np.log(linear + added) / np.log(base_of_log)
    return UnitCase(values.round(DIGITS), unit, linear)


def voom() -> UnitCase:
    """limma: log2((count + 0.5) / (library + 1) * 1e6)."""
    counts, library = base.counts(), 20 * base.counts().sum()
    return UnitCase(np.log2((counts + 0.5) / (library + 1) * 1e6).round(DIGITS), "logcpm", counts)


def edger() -> UnitCase:
    """edgeR's cpm(log=TRUE): a prior count of 2, in proportion to the library."""
    counts, library = base.counts(), 20 * base.counts().sum()
    prior = 2 * library / library.mean()
    values = np.log2((counts + prior) / (library + 2 * prior) * 1e6)
    return UnitCase(values.round(DIGITS), "logcpm", counts)


def vst(dispersion: float = 0.02, extra: float = 1.7) -> UnitCase:
    """DESeq2's vst with a parametric trend, of counts over size factors."""
    size = base.counts().sum() / base.counts().sum().median()
    q = base.counts() / size
    s, a = 1 + extra, dispersion
    values = np.log2((s + 2 * a * q + 2 * np.sqrt(a * q * (s + a * q))) / (4 * a))
    return UnitCase(values.round(DIGITS), "vst", base.counts())


def fpkm(scale: float = 0.4) -> UnitCase:
    """FPKM: TPM times a number of each sample's own."""
    factors = scale * np.linspace(0.7, 1.3, base.N_PEOPLE)
    return UnitCase((base.tpm() * factors).round(DIGITS), "fpkm", base.tpm())


def small_fpkm() -> UnitCase:
    """FPKM of the panel that end at 24.5."""
    table = panel(base.tpm())
    table = table * (24.5 / table.to_numpy().max())
    return UnitCase(table.round(DIGITS), "fpkm", table)


def without_zeros(table: pd.DataFrame) -> pd.DataFrame:
    """Leave out genes that are 0 in somebody."""
    return table[(table > 0).all(axis=1)]


RECOGNISED: dict[str, UnitCase] = {
    **{f"{unit} of tpm": log_of(base.tpm(), unit) for unit in ("log2", "ln", "log10")},
    **{f"{unit} of tpm": log_of(base.tpm(), unit) for unit in ("log2-0.001", "log2-0.01")},
    **{f"{unit} of counts": log_of(base.counts(), unit) for unit in ("log2", "ln", "log10")},
    **{f"{unit} of cpm": log_of(cpm(), unit) for unit in ("log2", "ln", "log10", "log2-0.001")},
    "log2 of tpm, panel": log_of(panel(base.tpm()), "log2"),
    "log2 of counts, panel": log_of(panel(base.counts()), "log2"),
    "ln of counts, panel": log_of(panel(base.counts()), "ln"),
    "voom": voom(),
    "edgeR": edger(),
    "vst": vst(),
    "fpkm": fpkm(),
}
ASKED: dict[str, UnitCase] = {
    "small fpkm": small_fpkm(),
    "log2 of small fpkm": log_of(small_fpkm().values, "log2"),
    "log10 of tpm, panel": log_of(panel(base.tpm()) / 30, "log10"),
    "ln of tpm, panel": log_of(panel(base.tpm()) / 30, "ln"),
    "log2 of x alone": log_of(without_zeros(cpm()), "log2-0"),
}
CHOSEN = RECOGNISED | ASKED


def centred() -> dict[str, pd.DataFrame]:
    """Return what has no level left: z-scores, ratios, centred values."""
    log = np.log2(1 + base.tpm())
    return {
        "z-scores of genes": log.sub(log.mean(axis=1), axis=0).div(log.std(axis=1) + 1e-9, axis=0),
        "centred genes": log.sub(log.mean(axis=1), axis=0),
        "centred genes of ln": np.log(2) * log.sub(log.median(axis=1), axis=0),
        "ratios to controls": log.sub(log.iloc[:, :5].mean(axis=1), axis=0),
        "z-scores of samples": (log - log.mean()) / log.std(),
        "both": (lambda z: z.sub(z.mean(axis=1), axis=0))((log - log.mean()) / log.std()),
    }


def clinic_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Put rows below ``table`` that are of no gene."""
    rng = np.random.default_rng(7)
    rows = {
        "weight_kg": rng.uniform(48, 130, base.N_PEOPLE).round(1),
        "RNA_ng_ul": rng.uniform(40, 296, base.N_PEOPLE).round(1),
        "total_reads": rng.integers(4_000_000, 6_000_000, base.N_PEOPLE),
        "temperature_change": rng.normal(0, 1, base.N_PEOPLE).round(2),
        "INR": rng.uniform(0.9, 1.4, base.N_PEOPLE).round(2),
    }
    return pd.concat([table, pd.DataFrame(rows, index=table.columns).T])


def label_of(unit: Unit) -> str:
    """Return a unit as pages name it."""
    return UNIT_TABLE[unit].label
