"""Time ``mtm data prepare`` on files of the size of GTEx v8, and say how much memory it takes.

Held against the least that reading such a file costs in one thread: decompressing it, and parsing
the lines of the protein-coding genes.

python benchmarks/prepare.py --gene-symbols gene_symbols.tsv.gz --gene-types gene_types.tsv.gz
    [--shares 0.0625,0.25,1] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import gzip
import io
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
from generate_gtex import GtexSizedFiles, generate
from measuring import Row, cost_of, print_rows

from mtm_core.data.cohort.cohort import MINIMUM_SAMPLES
from mtm_core.data.genes.ids import strip_version
from mtm_core.data.gtex.annotations import read_gene_table


def measure(
    gene_symbols: Path,
    gene_types: Path,
    *,
    shares: Sequence[float] = (0.0625, 0.25),
    n_genes: int = 0,
    folder: Path | None = None,
) -> list[Row]:
    """Time each share of GTEx's samples; files are made in ``folder`` unless they are there."""
    rows: list[Row] = []
    with TemporaryDirectory() as scratch:
        for share in shares:
            place = (folder or Path(scratch)) / f"gtex_{share:g}"
            files = _files(place, gene_symbols, share, n_genes)
            rows += _measure_one(files, gene_types, share, place)
    return rows


def _files(place: Path, gene_symbols: Path, share: float, n_genes: int) -> GtexSizedFiles:
    made = place / "made.txt"
    if not made.exists():
        files = generate(place, gene_symbols, share=share, n_genes=n_genes)
        made.write_text(f"{files.n_genes} {files.n_samples}")
    n_made, n_samples = map(int, made.read_text().split())
    names = ("gene_tpm.gct.gz", "SampleAttributesDS.txt", "SubjectPhenotypesDS.txt")
    return GtexSizedFiles(*(place / name for name in names), n_made, n_samples, 0.0)


def _measure_one(files: GtexSizedFiles, gene_types: Path, share: float, place: Path) -> list[Row]:
    cohort = place / "cohort.h5ad"
    cost = cost_of(
        [
            *(str(Path(sys.executable).with_name("mtm")), "data", "prepare"),
            *("--expression", str(files.expression)),
            *("--sample-attributes", str(files.sample_attributes)),
            *("--subject-phenotypes", str(files.subject_phenotypes)),
            *("--gene-table", str(gene_types), "--gene-type", "protein_coding"),
            *("--minimum-samples", str(max(2, round(MINIMUM_SAMPLES * share)))),
            *("--output", str(cohort)),
        ]
    )
    wall, processor = _floor(files.expression, gene_types)
    matrix = cohort_bytes(cohort)
    name = f"mtm data prepare, {files.n_genes:,} genes x {files.n_samples:,} samples"
    least = "decompressing and parsing alone, one thread"

    def row(what: str, value: float, unit: str, floor: float, against: str) -> Row:
        return {
            "what": f"{name}: {what}",
            "value": value,
            "unit": unit,
            "floor": floor,
            "against": against,
            "ratio": value / floor,
            "command": "python benchmarks/prepare.py --gene-symbols gene_symbols.tsv.gz"
            f" --gene-types {gene_types.name} --shares {share:g}",
        }

    return [
        row("wall clock", cost.seconds, "s", wall, least),
        row("processors", cost.processor_seconds, "s", processor, least),
        row("most memory", cost.peak_bytes / 1e9, "GB", matrix / 1e9, "the cohort's matrix"),
    ]


def cohort_bytes(cohort: Path) -> int:
    """Return the size of a cohort's matrix in memory, without reading it."""
    with h5py.File(cohort, "r") as file:
        return int(file["X"].size * file["X"].dtype.itemsize)


def _floor(expression: Path, gene_types: Path) -> tuple[float, float]:
    """Read and parse without storing anything: wall clock, and processor."""
    table = read_gene_table(gene_types)
    wanted = set(table.index[table["gene_type"] == "protein_coding"])
    began, spent = time.perf_counter(), time.process_time()
    with io.BufferedReader(gzip.open(expression), 1 << 20) as file:
        for line in file:
            gene, _, rest = line.partition(b"\t")
            if strip_version(gene.decode()) in wanted:
                np.fromstring(rest.partition(b"\t")[2], dtype=np.float64, sep="\t")
    return time.perf_counter() - began, time.process_time() - spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gene-symbols", type=Path, required=True)
    parser.add_argument("--gene-types", type=Path, required=True)
    parser.add_argument("--shares", default="0.0625,0.25", help="of GTEx's samples")
    parser.add_argument("--n-genes", type=int, default=0, help="0: all of the table")
    parser.add_argument("--folder", type=Path, help="keep the files here, and use them again")
    given = parser.parse_args()
    shares = [float(share) for share in given.shares.split(",")]
    print_rows(
        measure(
            given.gene_symbols,
            given.gene_types,
            shares=shares,
            n_genes=given.n_genes,
            folder=given.folder,
        )
    )


if __name__ == "__main__":
    main()
