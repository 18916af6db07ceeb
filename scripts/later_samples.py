"""Two real cohorts as two batches, and later samples of a real cohort (docs/studies.md).

    python scripts/later_samples.py ../shared/data

The cohorts are GSE152641 (86 whole bloods) and GSE127530 (45, nine of each of five people).
Nothing of a single person is printed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from mtm_core import Predictor, read_expression

MODEL = "gtex_v8_acmg59_stack"
DRAWS = 20


def rms(values: np.ndarray) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.mean(np.square(values))))


def cohorts(folder: Path, predictor: Predictor) -> list[pd.DataFrame]:
    """Read both cohorts, counts on the model's genes."""
    files = (
        folder / "gse152641_blood" / "GSE152641_counts_entrez.tsv.gz",
        folder / "gse127530_blood" / "gse127530_htseq_fixed_combinedCounts.txt.gz",
    )
    tables = []
    for file in files:
        read = read_expression(file, known_genes=predictor.genes)
        match = predictor.scale.match([str(name) for name in read.values.columns]).match
        known = match.gene_of >= 0
        table = read.values.loc[:, known]
        table.columns = match.gene_ids.to_numpy()[match.gene_of[known]]
        tables.append(table)
    return tables


def two_batches(predictor: Predictor, tables: list[pd.DataFrame]) -> None:
    """Print the distances and what still tells the two cohorts apart."""
    both = pd.concat(tables, join="inner")
    batch = pd.Series(np.repeat(["GSE152641", "GSE127530"], list(map(len, tables))), both.index)
    second = (batch == "GSE127530").to_numpy()
    print(f"Both cohorts: {len(both)} samples, {both.shape[1]} genes")
    for how in ("cohort", "robust", "quantiles"):
        for name, batches in (("one batch", None), ("two batches", batch)):
            prepared = predictor.prepare(both, unit="counts", alignment=how, batch=batches)
            z, distance = prepared.aligned.z, prepared.aligned.distance
            gap = z[second].mean(axis=0) - z[~second].mean(axis=0)
            median = distance.groupby(batch).median()
            shown = "; ".join(
                f"{cohort} {row.distance_before:.2f} -> {row.distance_after:.2f}"
                for cohort, row in median.iterrows()
            )
            print(f"  {how}, {name}: {shown}; gap between the cohorts' means {rms(gap):.2f} SD")


def groups(predictor: Predictor, table: pd.DataFrame, folder: Path) -> None:
    """Print how much of the measured difference of the cases is left by batches of two designs."""
    known = pd.read_csv(folder / "gse152641_blood" / "GSE152641_groups.tsv", sep="\t", index_col=0)[
        "group"
    ].reindex(table.index)
    case = (known != "healthy").to_numpy()
    rng = np.random.default_rng(0)
    balanced = np.zeros(len(table), dtype=int)
    for rows in (np.flatnonzero(case), np.flatnonzero(~case)):
        balanced[rng.permutation(rows)[: len(rows) // 2]] = 1

    def effect(batch: np.ndarray | None) -> np.ndarray:
        series = None if batch is None else pd.Series(batch.astype(str), table.index)
        z = predictor.prepare(table, unit="counts", alignment="cohort", batch=series).aligned.z
        return np.asarray(z[case].mean(axis=0) - z[~case].mean(axis=0))

    whole = effect(None)
    print(f"GSE152641, {case.sum()} cases and {(~case).sum()} controls, effect {rms(whole):.2f} SD")
    for name, batch in (("batches of equal shares", balanced), ("cases and controls apart", case)):
        left = effect(batch)
        print(f"  {name}: slope of the effects {left @ whole / (whole @ whole):.2f}")


def later(predictor: Predictor, table: pd.DataFrame, name: str) -> None:
    """Print how later samples come out by the first twenty's alignment, and without."""
    errors: dict[str, list[float]] = {}
    for how in ("cohort", "robust", "quantiles"):
        whole = predictor.prepare(table, unit="counts", alignment=how).aligned.z
        for draw in range(DRAWS):
            order = np.random.default_rng(draw).permutation(len(table))
            first, rest = table.iloc[order[:20]], table.iloc[order[20:]]
            saved = predictor.prepare(first, unit="counts", alignment=how).alignment
            z = predictor.prepare(rest, unit="counts", alignment_from=saved).aligned.z
            errors.setdefault(how, []).append(rms(z - whole[order[20:]]))
            if how == "cohort":
                alone = predictor.prepare(rest, unit="counts", alignment="none").aligned.z
                errors.setdefault("none", []).append(rms(alone - whole[order[20:]]))
    shown = ", ".join(f"{how} {np.median(values):.2f}" for how, values in errors.items())
    print(f"{name}: later samples by the first twenty's alignment, from all together: {shown} SD")


def main(folder: Path) -> None:
    """Print what docs/studies.md says."""
    predictor = Predictor.load(MODEL)
    tables = cohorts(folder, predictor)
    two_batches(predictor, tables)
    groups(predictor, tables[0], folder)
    for table, name in zip(tables, ("GSE152641", "GSE127530"), strict=True):
        later(predictor, table, name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
