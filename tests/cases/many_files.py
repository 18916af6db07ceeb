"""The clean table as files of one sample each, as programs leave them: each case fills a folder.

The counts of a gene are those of the clean table, so that the z-scores are too.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from tests.cases import base

Case = Callable[[Path], None]
CASES: dict[str, Case] = {}
TPM = {"stringtie"}
"""Cases that hold TPM alone."""
TRANSCRIPTS = {"salmon", "kallisto_in_folders"}
"""Cases that need the table of transcripts."""
STAR_TALLIES = ("N_unmapped", "N_multimapping", "N_noFeature", "N_ambiguous")


def case(function: Case) -> Case:
    """Enter a case under its name."""
    CASES[function.__name__] = function
    return function


def _people() -> list[tuple[str, pd.Series]]:
    return [(str(name), values) for name, values in base.counts().items()]


def star_text(values: pd.Series, share: float) -> str:
    """Write counts as STAR does, with ``share`` of them on the forward strand."""
    forward = np.random.default_rng(7).binomial(values.to_numpy(), share)
    rows = [f"{tally}\t1000\t2000\t3000" for tally in STAR_TALLIES]
    both = zip(values.index, values, forward, values - forward, strict=True)
    return "\n".join([*rows, *("\t".join(map(str, row)) for row in both)]) + "\n"


@case
def star(folder: Path) -> None:
    for name, values in _people():
        (folder / f"{name}.ReadsPerGene.out.tab").write_text(star_text(values, 0.49))
        (folder / f"{name}.SJ.out.tab").write_text("chr1\t1\t2\t1\t1\t0\t1\t0\t3\n")
        (folder / f"{name}.Log.final.out").write_text("Started job on | now\n")


@case
def star_default_names(folder: Path) -> None:
    for name, values in _people():
        (folder / name).mkdir()
        (folder / name / "ReadsPerGene.out.tab").write_text(star_text(values, 0.5))


@case
def htseq(folder: Path) -> None:
    for name, values in _people():
        text = values.to_csv(sep="\t", header=False) + "__no_feature\t70\n__ambiguous\t3\n"
        (folder / f"{name}_htseq_counts.txt.gz").write_bytes(gzip.compress(text.encode()))


@case
def htseq_with_symbols(folder: Path) -> None:
    for name, values in _people():
        table = pd.DataFrame({"symbol": base.genes()["symbol"], "n": values})
        text = table.to_csv(sep="\t", header=False) + "__no_feature\t\t70\n"
        (folder / f"{name}.counts").write_text(text)


@case
def feature_counts(folder: Path) -> None:
    for name, values in _people():
        table = pd.DataFrame(
            {"Chr": "1;1", "Start": "5;9", "End": "8;12", "Strand": "+;+", "Length": 8},
            index=values.index.rename("Geneid"),
        ).assign(**{f"bam/{name}.Aligned.sortedByCoord.out.bam": values})
        text = '# Program:featureCounts v2.0.3; Command:"featureCounts" "-a" "x.gtf"\n'
        (folder / f"{name}.featureCounts.txt").write_text(text + table.to_csv(sep="\t"))
        (folder / f"{name}.featureCounts.txt.summary").write_text("Status\tx.bam\nAssigned\t9\n")


def rsem_table(values: pd.Series) -> pd.DataFrame:
    """Return what RSEM writes of a sample."""
    tpm = values / base.lengths()
    return pd.DataFrame(
        {
            "transcript_id(s)": "ENST00000000001,ENST00000000002",
            "length": base.lengths(),
            "effective_length": base.lengths() - 180.5,
            "expected_count": values,
            "TPM": (tpm * 1e6 / tpm.sum()).round(2),
            "FPKM": (tpm * 2e6 / tpm.sum()).round(2),
        },
        index=values.index.rename("gene_id"),
    )


@case
def rsem(folder: Path) -> None:
    for name, values in _people():
        rsem_table(values).to_csv(folder / f"{name}.genes.results", sep="\t")


@case
def rsem_genes_beside_isoforms(folder: Path) -> None:
    for name, values in _people():
        table = rsem_table(values)
        table.to_csv(folder / f"{name}.genes.results", sep="\t")
        isoforms = table.drop(columns="transcript_id(s)").reset_index()
        isoforms.insert(0, "transcript_id", [f"ENST{i:011d}.1" for i in range(len(table))])
        isoforms.to_csv(folder / f"{name}.isoforms.results", sep="\t", index=False)


@cache
def transcripts() -> pd.DataFrame:
    """Return three transcripts of each gene: ``gene``, ``share`` of its reads; by transcript id."""
    rng = np.random.default_rng(5)
    n = len(base.genes())
    share = rng.dirichlet([1, 1, 1], n).ravel()
    ids = [f"ENST{i:011d}.{i % 9 + 1}" for i in range(1, 3 * n + 1)]
    table = pd.DataFrame({"gene": base.genes().index.repeat(3), "share": share}, index=ids)
    return table.sample(frac=1, random_state=6)


def of_transcripts(values: pd.Series) -> pd.Series:
    """Deal the reads of genes to their transcripts."""
    table = transcripts()
    return values.loc[table["gene"]].set_axis(table.index) * table["share"]


def quant_sf(values: pd.Series) -> pd.DataFrame:
    """Return what Salmon writes of a sample."""
    reads = of_transcripts(values)
    return pd.DataFrame(
        {"Length": 1500, "EffectiveLength": 1320.5, "TPM": reads / 7, "NumReads": reads},
        index=reads.index.rename("Name"),
    )


def tx2gene(path: Path, sep: str = ",", header: bool = True, n_left_out: int = 0) -> Path:
    """Write the table of transcripts, without their versions."""
    table = transcripts()["gene"].iloc[n_left_out:]
    table.index = table.index.str.split(".").str[0]
    table.to_csv(path, sep=sep, header=["GENEID"] if header else False, index_label="TXNAME")
    return path


@case
def salmon(folder: Path) -> None:
    for name, values in _people():
        sample = folder / f"{name}_quant"
        (sample / "aux_info").mkdir(parents=True)
        (sample / "libParams").mkdir()
        quant_sf(values).to_csv(sample / "quant.sf", sep="\t")
        (sample / "cmd_info.json").write_text(json.dumps({"salmon_version": "1.10.1"}))
        (sample / "aux_info" / "fld.gz").write_bytes(gzip.compress(bytes(400)))
        (sample / "libParams" / "flenDist.txt").write_text("0.1\t0.2\n")


@case
def salmon_names_of_gencode(folder: Path) -> None:
    for name, values in _people():
        table = quant_sf(values)
        genes = transcripts()["gene"]
        table.index = [f"{i}|{genes[i]}.7|OTTHUMG0001.1|-|X-201|X|1500|" for i in table.index]
        table.to_csv(folder / f"{name}.quant.sf", sep="\t", index_label="Name")


@case
def salmon_by_gene(folder: Path) -> None:
    for name, values in _people():
        quant = pd.DataFrame(
            {"Length": 2.5, "EffectiveLength": 1.5, "TPM": values / 9, "NumReads": values},
            index=values.index.rename("Name"),
        )
        (folder / name).mkdir()
        quant.to_csv(folder / name / "quant.genes.sf", sep="\t")
        quant_sf(values).to_csv(folder / name / "quant.sf", sep="\t")


@case
def kallisto_in_folders(folder: Path) -> None:
    for name, values in _people():
        reads = of_transcripts(values)
        sample = folder / name / "kallisto"
        sample.mkdir(parents=True)
        pd.DataFrame(
            {"length": 1500, "eff_length": 1320.5, "est_counts": reads, "tpm": reads / 7},
            index=reads.index.rename("target_id"),
        ).to_csv(sample / "abundance.tsv", sep="\t")
        (sample / "run_info.json").write_text("{}")
        (sample / "abundance.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(40))


@case
def stringtie(folder: Path) -> None:
    for name in base.tpm():
        table = pd.DataFrame(
            {
                "Gene Name": base.genes()["symbol"],
                **{"Reference": "chr1", "Strand": "+", "Start": 11, "End": 99, "Coverage": 0.5},
                "FPKM": base.tpm()[name] / 3,
                "TPM": base.tpm()[name],
            }
        )
        # In an order of its own, and one gene at two places.
        table = table.sample(frac=1, random_state=len(name) + int(name[2:])).reset_index()
        half = table.iloc[:1].assign(TPM=table["TPM"] / 2)
        table = pd.concat([half, half, table.iloc[1:]])
        table = table.rename(columns={"gene_id": "Gene ID"})
        table.to_csv(folder / f"{name}_gene_abund.tab", sep="\t", index=False)


@case
def two_columns(folder: Path) -> None:
    for name, values in _people():
        values.to_csv(folder / f"{name}.csv", header=["count"])


@case
def gdc(folder: Path) -> None:
    for i, (_, values) in enumerate(_people()):
        table = pd.DataFrame(
            {
                "gene_name": base.genes()["symbol"],
                "gene_type": "protein_coding",
                "unstranded": values,
                "stranded_first": values // 2,
                "stranded_second": values - values // 2,
                **{f"{unit}_unstranded": values / 3 for unit in ("tpm", "fpkm", "fpkm_uq")},
            },
        )
        table.index += ".7"
        tallies = "".join(f"{tally}\t\t\t9\t9\t9\t\t\t\n" for tally in STAR_TALLIES)
        header, rows = table.to_csv(sep="\t", index_label="gene_id").split("\n", 1)
        path = folder / f"PT{i + 1:02d}.rna_seq.augmented_star_gene_counts.tsv"
        path.write_text(f"# gene-model: GENCODE v36\n{header}\n{tallies}{rows}")
