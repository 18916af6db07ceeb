"""Write simulated files (not real people) of the size and format of GTEx v8, for timing only.

The genes are real: ids and symbols come from a table of GENCODE v26 (56,200 genes). Tissues, and
how many samples each has, are those of the bundled model's cohort; the few samples that GTEx has of
rare tissues are there too. Values are simulated, about half of them 0, with four digits as the
official file has them.

python benchmarks/generate_gtex.py FOLDER --gene-symbols gene_symbols.tsv.gz
python benchmarks/generate_gtex.py FOLDER --gene-symbols gene_symbols.tsv.gz --share 0.25
"""

from __future__ import annotations

import argparse
import gzip
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.data.gtex.annotations import tissue_table
from mtm_core.model_description import read_description
from mtm_core.model_places import DEFAULT_MODEL, find_model

N_SAMPLES, N_DONORS = 17_382, 980
_LOWEST, _HIGHEST = -6.0, 20.0
"""log2 TPM: below the first a value is 0, as GTEx's are; the second is a million."""
_N_LEVELS = 2**16
"""Steps of 0.0004: four digits."""


@dataclass(frozen=True)
class GtexSizedFiles:
    """Where the files are, and what is in them."""

    expression: Path
    sample_attributes: Path
    subject_phenotypes: Path
    n_genes: int
    n_samples: int
    seconds: float


def generate(
    folder: Path, gene_symbols: Path, *, share: float = 1.0, n_genes: int = 0, seed: int = 0
) -> GtexSizedFiles:
    """Write expression, sample attributes and subject phenotypes into ``folder``.

    Parameters
    ----------
    gene_symbols
        Tab-separated, with columns ``ensembl_gene_id`` and ``symbol``.
    share
        Of the samples and donors of GTEx v8; each tissue keeps its share.
    n_genes
        The first genes of the table; 0 for all.
    """
    began = time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    genes = pd.read_csv(gene_symbols, sep="\t", dtype=str)[: n_genes or None]
    samples = _samples(share, rng)
    files = GtexSizedFiles(
        folder / "gene_tpm.gct.gz",
        folder / "SampleAttributesDS.txt",
        folder / "SubjectPhenotypesDS.txt",
        len(genes),
        len(samples),
        0.0,
    )
    samples.to_csv(
        files.sample_attributes, sep="\t", columns=["SAMPID", "SMTS", "SMTSD"], index=False
    )
    donors = sorted(set(samples["SUBJID"]))
    pd.DataFrame(
        {
            "SUBJID": donors,
            "SEX": rng.choice([1, 1, 2], len(donors)),
            "AGE": [f"{decade}0-{decade}9" for decade in rng.integers(2, 8, len(donors))],
            "DTHHRDY": rng.choice([0, 0, 1, 2, 3, 4], len(donors)),
        }
    ).to_csv(files.subject_phenotypes, sep="\t", index=False)
    _write_expression(files.expression, genes, samples, rng)
    return GtexSizedFiles(**{**vars(files), "seconds": time.perf_counter() - began})


def _samples(share: float, rng: np.random.Generator) -> pd.DataFrame:
    """Deal tissues to donors: SAMPID, SUBJID, SMTS, SMTSD, in the order of the donors."""
    tissues = tissue_table()
    cohort = read_description(find_model(DEFAULT_MODEL))["tissues"]
    n_samples = dict.fromkeys(tissues.index, 0) | {t["tissue"]: t["n_samples"] for t in cohort}
    rare = [tissue for tissue, n in n_samples.items() if n == 0]
    for i in range(N_SAMPLES - sum(n_samples.values())):
        n_samples[rare[i % len(rare)]] += 1
    n_donors = round(N_DONORS * share)
    rows = [
        (f"GTEX-SIM{donor:04d}", tissue)
        for tissue, n in n_samples.items()
        for donor in rng.choice(n_donors, min(max(round(n * share), 1), n_donors), replace=False)
    ]
    table = pd.DataFrame(sorted(rows), columns=["SUBJID", "SMTSD"])
    number = table.groupby("SUBJID").cumcount()
    table["SAMPID"] = table["SUBJID"] + "-" + (number + 1).astype(str).str.zfill(4) + "-SM-SIM00"
    table["SMTS"] = tissues["site"].reindex(table["SMTSD"]).to_numpy()
    return table


def _write_expression(
    path: Path, genes: pd.DataFrame, samples: pd.DataFrame, rng: np.random.Generator
) -> None:
    words = _words()
    tissue = pd.factorize(samples["SMTSD"])[0]
    with gzip.open(path, "wb", compresslevel=1) as file:
        names = "\t".join(["Name", "Description", *samples["SAMPID"]])
        file.write(f"#1.2\n{len(genes)}\t{len(samples)}\n{names}\n".encode())
        for gene, symbol in zip(genes["ensembl_gene_id"], genes["symbol"], strict=True):
            of_tissue = rng.normal(-5, 4.5) + rng.normal(0, 1.5, tissue.max() + 1)
            log2 = of_tissue.astype(np.float32)[tissue]
            log2 += rng.standard_normal(len(tissue), dtype=np.float32)
            level = (log2 - _LOWEST) * ((_N_LEVELS - 1) / (_HIGHEST - _LOWEST))
            values = words[np.clip(level, 0, _N_LEVELS - 1).astype(np.uint16)].tobytes()
            line = f"{gene}\t{symbol}".encode() + values.translate(None, b"\0") + b"\n"
            file.write(line)


def _words() -> NDArray[np.bytes_]:
    """Return every level as it is written in the file, a tab before it."""
    values = np.exp2(np.linspace(_LOWEST, _HIGHEST, _N_LEVELS))
    values[0] = 0
    return np.array([b"\t%.4g" % value if value < 1e4 else b"\t%.0f" % value for value in values])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gene-symbols", type=Path, required=True)
    parser.add_argument("--share", type=float, default=1.0, help="of GTEx's samples")
    parser.add_argument("--n-genes", type=int, default=0, help="0: all of the table")
    given = parser.parse_args()
    files = generate(given.folder, given.gene_symbols, share=given.share, n_genes=given.n_genes)
    print(
        f"{files.expression}: {files.n_genes:,} genes x {files.n_samples:,} samples,"
        f" {files.expression.stat().st_size / 1e9:.2f} GB, in {files.seconds:.0f} s"
    )


if __name__ == "__main__":
    main()
