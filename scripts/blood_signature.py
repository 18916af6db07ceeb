"""Derive the profiles of blood cells that composition is estimated by, and evaluate them.

From whole blood and sorted cells of the same 20 people (GSE60424, a public GEO record). What is
written, ``mtm_core/inference/blood_signature.tsv``, holds the mean of each kind of cell over the
people and nothing of a single one. The evaluation leaves a person out of the profiles that they
are judged by.

    python scripts/blood_signature.py FOLDER GENE_TYPES [--write]
"""

from __future__ import annotations

import argparse
import gzip
import io
from pathlib import Path

import numpy as np
import pandas as pd

from mtm_core.statistics.mixtures import mixture_shares

SORTED = {
    "Neutrophils": "neutrophils",
    "Monocytes": "monocytes",
    "B-cells": "B cells",
    "CD4": "CD4 T cells",
    "CD8": "CD8 T cells",
    "NK": "NK cells",
}
TOGETHER = (
    ("CD4 T cells", "CD8 T cells"),
    ("CD8 T cells", "NK cells"),
    ("CD4 T cells", "CD8 T cells", "NK cells"),
)
"""Cells that are near enough to have markers in common."""
N_MARKERS, LEAST_EXPRESSION, LEAST_GAP = 60, 20.0, 0.5
N_MIXTURES = 10
FINAL = ("neutrophils", "monocytes", "B cells", "T cells", "NK cells")
HEADER = """\
# Mean expression (per million) of sorted blood cells of 20 people, GSE60424 (public GEO record).
# Genes that tell the cells apart; made and evaluated by scripts/blood_signature.py.
"""


def read(folder: Path, gene_types: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return expression per million (genes, libraries), the samples, and the genes' names."""
    (path,) = folder.glob("*normalized_counts.txt.gz")
    text = gzip.decompress(path.read_bytes()).decode().replace("\r", "\n")
    cells = pd.read_csv(io.StringIO(text), sep="\t", index_col=0)
    samples = pd.read_csv(folder / "samples.csv", index_col="lib").loc[cells.columns]
    genes = pd.read_csv(gene_types, sep="\t", dtype=str)
    genes = genes[genes["GENETYPE"] == "protein-coding"].drop_duplicates("ENSEMBL")
    genes = genes.set_index("ENSEMBL")[["SYMBOL", "ENTREZID"]].fillna("")
    cells = cells / cells.sum() * 1e6
    return cells[cells.index.isin(genes.index)], samples, genes


def derive(cells: pd.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    """Return the mean profiles (markers, cells), with ``marker_of``, of the people given."""
    own = {name: cells.loc[:, samples.index[samples["celltype"] == kind]]
           for kind, name in SORTED.items()}  # fmt: skip
    log2 = {name: np.log2(1 + part) for name, part in own.items()}
    typical = pd.DataFrame({name: part.mean(axis=1) for name, part in log2.items()})
    low = pd.DataFrame({name: part.quantile(0.1, axis=1) for name, part in log2.items()})
    high = pd.DataFrame({name: part.quantile(0.9, axis=1) for name, part in log2.items()})
    marker_of: dict[str, str] = {}
    for group in (*((name,) for name in SORTED.values()), *TOGETHER):
        names, others = list(group), [n for n in SORTED.values() if n not in group]
        gap = low[names].min(axis=1) - high[others].max(axis=1)
        gap = gap[(typical[names].min(axis=1) > np.log2(LEAST_EXPRESSION)) & (gap > LEAST_GAP)]
        n = N_MARKERS // (1 if len(names) == 1 else 2)
        for gene in gap.sort_values(ascending=False, kind="stable").index[:n]:
            marker_of.setdefault(str(gene), " and ".join(names))
    means = pd.DataFrame({name: part.mean(axis=1) for name, part in own.items()})
    return means.loc[sorted(marker_of)].assign(marker_of=pd.Series(marker_of))


def final(shares: pd.DataFrame) -> pd.DataFrame:
    """Join the T cells, which are hardly distinguished."""
    joined = shares.assign(**{"T cells": shares["CD4 T cells"] + shares["CD8 T cells"]})
    return joined[list(FINAL)]


def estimate(profiles: pd.DataFrame, mixtures: pd.DataFrame) -> pd.DataFrame:
    """Return the shares (samples, cells) in ``mixtures`` (genes, samples)."""
    on = mixtures.loc[profiles.index]
    shares = mixture_shares(on.to_numpy().T, profiles.to_numpy()).shares
    return pd.DataFrame(shares, on.columns, profiles.columns)


def main() -> None:
    """Evaluate the profiles, a person left out at a time, and write those of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("gene_types", type=Path)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    cells, samples, genes = read(given.folder, given.gene_types)
    rng = np.random.default_rng(0)
    pure, truth, mixed, by_own, by_others = [], [], [], [], []
    for person in samples["donor"].unique():
        is_own = samples["donor"] == person
        profiles = derive(cells.loc[:, ~is_own], samples[~is_own]).drop(columns="marker_of")
        kinds = samples.loc[is_own, "celltype"].map(SORTED)
        mine = cells.loc[:, kinds.dropna().index].set_axis(kinds.dropna(), axis=1)
        own = final(estimate(profiles, mine)).T
        own.loc["CD4 T cells"] = own.loc["CD8 T cells"] = own.loc["T cells"]
        pure += [(name, own.loc[name, name]) for name in mine.columns]
        usual = dict(zip(SORTED.values(), (6, 1, 0.5, 1, 1, 0.5), strict=True))
        shares = rng.dirichlet([usual[name] for name in mine.columns], N_MIXTURES)
        made = pd.DataFrame(mine.to_numpy() @ shares.T, cells.index)
        known = pd.DataFrame(shares, columns=mine.columns)
        truth.append(final(known.reindex(columns=list(SORTED.values()), fill_value=0)))
        mixed.append(final(estimate(profiles, made)))
        blood = cells.loc[:, samples.index[is_own & (samples["celltype"] == "Whole Blood")]]
        by_others.append(final(estimate(profiles, blood)))
        alone = estimate(mine.loc[profiles.index], blood)
        by_own.append(final(alone.reindex(columns=list(SORTED.values()), fill_value=0)))
    pure_table = pd.DataFrame(pure, columns=["cells", "share"]).groupby("cells")["share"]
    print("Sorted cells of the person left out: share that is found to be these cells")
    print(pure_table.agg(["min", "median", "count"]).round(2))
    known, found = pd.concat(truth), pd.concat(mixed)
    print(f"\n{len(known)} mixtures of the sorted cells of the person left out, shares known")
    print(_agreement(known, found))
    print("\nTheir whole blood, by the others' profiles and by the person's own sorted cells")
    print(_agreement(pd.concat(by_own), pd.concat(by_others)))
    profiles = derive(cells, samples)
    print(f"\n{len(profiles)} genes:", profiles["marker_of"].value_counts().to_dict())
    if given.write:
        names = genes.reindex(profiles.index).set_axis(["symbol", "entrez"], axis=1)
        table = names.join(profiles[["marker_of", *SORTED.values()]]).rename_axis("gene_id")
        path = Path(__file__).parents[1] / "mtm_core" / "inference" / "blood_signature.tsv"
        path.write_text(HEADER + table.to_csv(sep="\t", float_format="%.5g"), encoding="utf-8")
        print(f"Wrote {path}")


def _agreement(known: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "rho": {name: np.corrcoef(known[name], found[name])[0, 1] for name in FINAL},
            "mean, known": known.mean(),
            "mean, found": found.mean(),
            "mean error": (known.to_numpy() - found).abs().mean(),
        }
    ).round(3)


if __name__ == "__main__":
    main()
