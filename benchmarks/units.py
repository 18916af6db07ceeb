"""What the judgement of units rests on, on real blood: python benchmarks/units.py [FOLDER].

FOLDER holds the reference data (by default ``../shared/data``): GSE152641, GSE127530 and GSE60424.
Their counts are cut to the model's genes and written in each unit; what is printed is described in
docs/units.md.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from mtm_core.data.units import UNIT_TABLE, Unit
from mtm_core.inference.alignment import distance_before
from mtm_core.inference.predictor import Predictor
from mtm_core.inference.unit_reading import UnitReading
from mtm_core.model_places import DEFAULT_MODEL, find_model

BLOOD = "Whole Blood"
READ_AS: tuple[tuple[Unit, Unit], ...] = (
    *(("counts", "counts"), ("log2", "log2"), ("ln", "log2"), ("log2", "ln")),
    *(("log2", "log10"), ("log2", "tpm")),
)


def main(folder: Path) -> None:
    """Print shape and distance of every group of samples."""
    predictor = Predictor.load(find_model(DEFAULT_MODEL))
    rng = np.random.default_rng(0)
    print(f"{'samples':26s} {'scale':6s}  " + "  ".join(f"{a}>{b}" for a, b in READ_AS), end="")
    print("   peak log/linear, slope log/linear, spread log2/ln/log10")
    for name, counts in _tables(folder):
        genes = predictor.scale.match([str(gene) for gene in counts])
        own = genes.match.gene_of >= 0
        lengths = rng.lognormal(7.8, 0.7, counts.shape[1])
        cpm = counts.mul(1e6 / counts.sum(axis=1), axis=0)
        for scale, linear in {"CPM": cpm, "FPKM": cpm * (1000 / lengths)}.items():
            reference = np.log2(1 + predictor.typical(BLOOD)[np.unique(genes.match.gene_of[own])])
            shown = []
            for written, read in READ_AS:
                values = pd.DataFrame(
                    UNIT_TABLE[written].transform(linear.to_numpy()), counts.index, counts.columns
                )
                z = predictor.scale.normalised(
                    values, UnitReading(read, False, None, ()), BLOOD, genes
                )
                code, scaler = predictor.tissues.index(BLOOD), predictor.artefact.method.scaler
                shown.append(float(np.median(distance_before(z, genes.match.found, code, scaler))))
            panel = linear.loc[:, own].to_numpy()
            log = np.log2(1 + panel)
            spreads = [
                UNIT_TABLE[unit].transform(panel).mean(axis=0).std() / reference.std()
                for unit in ("log2", "ln", "log10")
            ]
            print(
                f"{name:26s} {scale:6s}  " + "  ".join(f"{d:8.2f}" for d in shown),
                f"  {_peak(log):.1f}/{_peak(panel):.1f}, {_slope(log):.2f}/{_slope(panel):.2f},",
                "/".join(f"{spread:.2f}" for spread in spreads),
            )


def _peak(values: np.ndarray) -> float:
    mean = values.mean(axis=0)
    return float(mean.max() / np.median(mean[mean > 0]))


def _slope(values: np.ndarray) -> float:
    mean, sd = values.mean(axis=0), values.std(axis=0)
    varies = (mean > 0) & (sd > 0)
    return float(np.polyfit(np.log(mean[varies]), np.log(sd[varies]), 1)[0])


def _tables(folder: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    table = pd.read_csv(
        folder / "gse152641_blood" / "GSE152641_counts_entrez.tsv.gz", sep="\t", index_col=0
    )
    yield "GSE152641 blood", table.T.astype(float)
    (path,) = (folder / "gse127530_blood").glob("*ombinedCounts*")
    yield "GSE127530 blood", pd.read_csv(path, sep="\t", index_col=0).T.astype(float)
    cells = folder / "gse60424_cells"
    (path,) = cells.glob("*normalized_counts*")
    table = pd.read_csv(path, sep="\t", index_col=0, lineterminator="\r").T.astype(float)
    table = table.loc[:, table.columns.notna()]
    samples = pd.read_csv(cells / "samples.csv")
    for kind, group in samples.groupby("celltype"):
        yield f"GSE60424 {kind}", table.loc[group["lib"]]


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data"))
