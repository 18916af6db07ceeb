"""Write a planted cohort as the files that GTEx publishes, under the names and paths of a release.

Expression (GCT.gz of TPM, four digits), sample attributes (63 columns, samples of DNA too), subject
phenotypes (four columns, age in bands), GENCODE's GTF of collapsed genes; and, as dbGaP gives them
to those who may have them, the phenotypes with exact age and medical history. Blocks of genes are
drawn and compressed in several processes, each into a gzip member of its own, so that memory does
not grow with the file.
"""

from __future__ import annotations

import multiprocessing
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.planted_cohort import (
    BLOCK,
    DISEASE,
    NO_DISEASE,
    Y_GENES,
    Planted,
    PlantedCohort,
)
from mtm_core.data.gtex.annotations import donor_of, read_gene_table, tissue_table
from mtm_core.data.gtex.download import _PATHS as PATHS
from mtm_core.data.gtex.download import Release
from mtm_core.model_description import read_description
from mtm_core.model_places import DEFAULT_MODEL, find_model

N_DONORS, N_SAMPLES, N_GENES, N_MODELLED = 980, 17_382, 56_200, 19_291
N_OTHER_ROWS = 5_569
"""Rows of the sample attributes that are of DNA, or of RNA that is not in the release."""
DBGAP_NAME = "phs000424.v8.pht002742.v8.p2.c1.GTEx_Subject_Phenotypes.GRU.txt"
_FEMALE = ("Ovary", "Uterus", "Vagina", "Cervix - Ectocervix", "Cervix - Endocervix")
_OF_ONE_SEX = {
    **dict.fromkeys(("Prostate", "Testis"), 1),
    **dict.fromkeys((*_FEMALE, "Fallopian Tube"), 2),
}
_MALES = 0.67
_LEVELS, _HIGHEST = 2**16, 20.0
"""Steps of y = log2(1 + TPM) in the file, up to a million TPM: four digits."""
_ATTRIBUTES = (
    "SAMPID SMATSSCR SMCENTER SMPTHNTS SMRIN SMTS SMTSD SMUBRID SMTSISCH SMTSPAX SMNABTCH SMNABTCHT"
    " SMNABTCHD SMGEBTCH SMGEBTCHD SMGEBTCHT SMAFRZE SMGTC SME2MPRT SMCHMPRS SMNTRART SMNUMGPS"
    " SMMAPRT SMEXNCRT SM550NRM SMGNSDTC SMUNMPRT SM350NRM SMRDLGTH SMMNCPB SME1MMRT SMSFLGTH"
    " SMESTLBS SMMPPD SMNTERRT SMRRNANM SMRDTTL SMVQCFL SMMNCV SMTRSCPT SMMPPDPR SMCGLGTH SMGAPPCT"
    " SMUNPDRD SMNTRNRT SMMPUNRT SMEXPEFF SMMPPDUN SME2MMRT SME2ANTI SMALTALG SME2SNSE SMMFLGTH"
    " SME1ANTI SMSPLTRD SMBSMMRT SME1SNSE SME1PCTS SMRRNART SME1MPRT SMNUM5CD SMDPMPRT SME2PCTS"
)


@dataclass(frozen=True)
class OfficialFiles:
    """Paths of the files below the served root, and of those beside it."""

    root: Path
    release: Release = "v8"

    @property
    def expression(self) -> Path:
        """The GCT.gz."""
        return self.root / PATHS[self.release]["expression"][0]

    @property
    def sample_attributes(self) -> Path:
        """The table of samples."""
        return self.root / PATHS[self.release]["sample-attributes"][0]

    @property
    def subject_phenotypes(self) -> Path:
        """The public table of donors."""
        return self.root / PATHS[self.release]["subject-phenotypes"][0]

    @property
    def gtf(self) -> Path:
        """The genes."""
        return self.root / PATHS[self.release]["genes"][0]

    @property
    def dbgap(self) -> Path:
        """The donors as dbGaP has them; not served."""
        return self.root.parent / DBGAP_NAME

    @property
    def truth(self) -> Path:
        """What was planted; not served."""
        return self.root.parent / "truth.npz"


def plan(
    config: Planted,
    *,
    gene_symbols: Path | None = None,
    gene_types: Path | None = None,
    pattern: tuple[Path, Path] | None = None,
    share: float = 1.0,
    n_genes: int = 0,
) -> PlantedCohort:
    """Deal samples to donors and name genes; nothing is drawn of expression yet.

    Parameters
    ----------
    gene_symbols, gene_types
        GENCODE v26's ids and symbols, and which are protein-coding; ``None`` makes genes up.
    pattern
        GTEx's own sample attributes and subject phenotypes: which donor has which tissue, sex, age
        and death then are real, under other names and in another order. ``None`` simulates them
        with as many samples of each tissue.
    share
        Of the donors.
    n_genes
        Rows of the file, spread over the table; genes of Y and XIST are always there. 0: all.
    """
    rng = np.random.default_rng((config.seed, 5))
    donors, pairs = (
        _real_pattern(*pattern, share, rng) if pattern else _simulated_pattern(share, rng)
    )
    names = [f"GTEX-SIM{number:04d}" for number in range(1, len(donors) + 1)]
    donors.index = pd.Index(names, name="donor")
    donors["age"] = donors["age"] + rng.integers(0, 10, len(donors))
    for name, chance in ((DISEASE, config.case_fraction), (NO_DISEASE, 0.3)):
        donors[name] = rng.random(len(donors)) < chance
    tissues = tuple(tissue_table().index)
    pairs["tissue"] = pairs["tissue"].map({name: i for i, name in enumerate(tissues)})
    pairs = pairs.sort_values(["donor", "tissue"], ignore_index=True)
    number = pairs.groupby("donor").cumcount()
    pairs.insert(
        0,
        "sample",
        [f"{names[d]}-{n + 1:04d}-SM-SIM00" for d, n in zip(pairs["donor"], number, strict=True)],
    )
    genes = _genes(gene_symbols, gene_types, n_genes, rng)
    return PlantedCohort(config, genes, donors, pairs, tissues)


def write_files(
    cohort: PlantedCohort, folder: Path, *, processes: int = 1, release: Release = "v8"
) -> OfficialFiles:
    """Write all files and the truth into ``folder``."""
    files = OfficialFiles(folder / "served", release)
    for path in (files.expression, files.sample_attributes, files.gtf):
        path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng((cohort.config.seed, 6))
    _write_attributes(cohort, files.sample_attributes, rng)
    _write_donors(cohort, files, rng)
    _write_gtf(cohort.genes, files.gtf)
    cohort.save(files.truth)
    part = files.expression.with_suffix(".part")
    with part.open("wb") as file:
        names = "\t".join(["Name", "Description", *cohort.samples["sample"]])
        header = f"#1.2\n{len(cohort.genes)}\t{len(cohort.samples)}\n{names}\n"
        file.write(_gzipped(header.encode()))
        for member in _members(files.truth, cohort.n_blocks, processes):
            file.write(member)
    part.rename(files.expression)  # last: where it is, all files are whole
    return files


def _real_pattern(
    attributes: Path, phenotypes: Path, share: float, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    samples = pd.read_csv(attributes, sep="\t", dtype=str)
    if "SMAFRZE" in samples:
        samples = samples[samples["SMAFRZE"] == "RNASEQ"]
    subjects = pd.read_csv(phenotypes, sep="\t", dtype=str).set_index("SUBJID")
    donor = samples["SAMPID"].map(donor_of)
    known = rng.permutation(sorted(set(donor) & set(subjects.index)))
    known = known[: max(round(share * len(known)), 2)]
    subjects = subjects.loc[known]
    donors = pd.DataFrame(
        {
            "male": (subjects["SEX"] == "1").to_numpy(),
            "age": subjects["AGE"].str[:2].astype(int).to_numpy(),
            "hardy": subjects["DTHHRDY"].fillna(-1).astype(float).astype(int).to_numpy(),
        }
    )
    number = {name: i for i, name in enumerate(known)}
    pairs = pd.DataFrame({"donor": donor.map(number), "tissue": samples["SMTSD"]}).dropna()
    return donors, pairs.astype({"donor": int})


def _simulated_pattern(share: float, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    n = max(round(N_DONORS * share), 2)
    donors = pd.DataFrame(
        {
            "male": rng.random(n) < _MALES,
            "age": rng.choice(range(20, 80, 10), n, p=[0.09, 0.08, 0.16, 0.32, 0.31, 0.04]),
            "hardy": rng.choice([-1, 0, 1, 2, 3, 4], n, p=[0.02, 0.52, 0.04, 0.25, 0.06, 0.11]),
        }
    )
    cohort = read_description(find_model(DEFAULT_MODEL))["tissues"]
    sizes = dict.fromkeys(tissue_table().index, 0) | {t["tissue"]: t["n_samples"] for t in cohort}
    rare = [tissue for tissue, size in sizes.items() if size == 0]
    for i in range(N_SAMPLES - sum(sizes.values())):
        sizes[rare[i % len(rare)]] += 1
    pairs = []
    for tissue, size in sizes.items():
        sex = _OF_ONE_SEX.get(tissue)
        may = np.flatnonzero(donors["male"] == (sex == 1)) if sex else np.arange(n)
        who = rng.choice(may, min(max(round(size * share), 1), len(may)), replace=False)
        pairs.append(pd.DataFrame({"donor": who, "tissue": tissue}))
    return donors, pd.concat(pairs, ignore_index=True)


def _genes(
    symbols: Path | None, types: Path | None, n_genes: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Name genes and mark those that are modelled: of GENCODE v26, or made up."""
    if symbols is None or types is None:
        n = n_genes or N_GENES
        names = [*sorted(Y_GENES)[: max(n // 50, 2)], "XIST"]
        names += [f"SIM{i}" for i in range(n - len(names))]
        genes = pd.DataFrame(
            {"gene_id": [f"ENSG9{i:010d}.1" for i in range(1, n + 1)], "symbol": names}
        )
        genes["modelled"] = rng.random(n) < N_MODELLED / N_GENES
        genes["modelled"] |= genes["symbol"].isin(Y_GENES)
        return genes.assign(modelled=genes["modelled"] & (genes["symbol"] != "XIST"))
    table = pd.read_csv(symbols, sep="\t", dtype=str, keep_default_na=False)
    genes = pd.DataFrame({"gene_id": table["ensembl_gene_id"], "symbol": table["symbol"]})
    kinds = read_gene_table(types)["gene_type"]
    stem = genes["gene_id"].str.split(".").str[0]
    coding = (stem.map(kinds) == "protein_coding").to_numpy()
    coding &= ~genes["gene_id"].str.endswith("_PAR_Y").to_numpy()
    # The type table is of another release: some genes more make the paper's number.
    spare = np.flatnonzero(~coding & ~genes["symbol"].str.contains(r"[.-]|XIST").to_numpy())
    coding[spare[: max(N_MODELLED - int(coding.sum()), 0)]] = True
    genes["modelled"] = coding
    if n_genes and n_genes < len(genes):
        always = genes["symbol"].isin({*Y_GENES, "XIST"}).to_numpy()
        rest = rng.permutation(np.flatnonzero(~always))[: n_genes - int(always.sum())]
        selected = np.sort(np.concatenate([np.flatnonzero(always), rest]))
        genes = genes.iloc[selected].reset_index(drop=True)
    return genes


def _write_attributes(cohort: PlantedCohort, path: Path, rng: np.random.Generator) -> None:
    samples, tissues = cohort.samples, tissue_table().loc[list(cohort.tissues)]
    n = len(samples)
    n_other = round(N_OTHER_ROWS * n / N_SAMPLES)
    of = rng.integers(n, size=n_other)
    tissue = np.concatenate([samples["tissue"], samples["tissue"].to_numpy()[of]])
    table = pd.DataFrame("", index=range(n + n_other), columns=_ATTRIBUTES.split())
    table["SAMPID"] = [
        *samples["sample"],
        *(f"{sample[:-2]}{number:05d}" for number, sample in enumerate(samples["sample"].iloc[of])),
    ]
    table["SMTS"] = tissues["site"].to_numpy()[tissue]
    table["SMTSD"] = np.array(cohort.tissues)[tissue]
    table["SMUBRID"] = tissues["ontology"].str.removeprefix("UBERON:").to_numpy()[tissue]
    table["SMATSSCR"] = rng.integers(0, 3, len(table)).astype(float)
    table["SMCENTER"] = rng.choice(["B1", "C1", "D1"], len(table))
    table["SMRIN"] = rng.normal(7, 0.8, len(table)).round(1)
    table["SMTSISCH"] = rng.integers(20, 1400, len(table))
    table["SMMPPD"] = rng.integers(40_000_000, 120_000_000, len(table))
    table["SMAFRZE"] = ["RNASEQ"] * n + list(rng.choice(["WGS", "OMNI", "EXCLUDE"], n_other))
    table.iloc[rng.permutation(len(table))].to_csv(path, sep="\t", index=False)


def _write_donors(cohort: PlantedCohort, files: OfficialFiles, rng: np.random.Generator) -> None:
    donors = cohort.donors
    band = donors["age"] // 10 * 10
    hardy = donors["hardy"].astype(str).replace("-1", "")
    sex = np.where(donors["male"], 1, 2)
    public = pd.DataFrame({"SUBJID": donors.index, "SEX": sex})
    public["AGE"] = [f"{first}-{first + 9}" for first in band]
    public["DTHHRDY"] = hardy.to_numpy()
    public.to_csv(files.subject_phenotypes, sep="\t", index=False)
    n = len(donors)
    dbgap = pd.DataFrame(
        {
            "dbGaP_Subject_ID": np.arange(1, n + 1),
            "SUBJID": donors.index,
            "COHORT": "simulated",
            "SEX": sex,
            "AGE": donors["age"].to_numpy(),
            "RACE": 99,
            "BMI": rng.normal(27, 4, n).round(2),
            "DTHHRDY": hardy.to_numpy(),
            **{name: donors[name].to_numpy(int) for name in (DISEASE, NO_DISEASE)},
        }
    )
    with files.dbgap.open("w", encoding="utf-8") as file:
        file.write("# Simulated, not real people, in the form of dbGaP's file.\n" + "#\n" * 9)
        dbgap.to_csv(file, sep="\t", index=False)


def _write_gtf(genes: pd.DataFrame, path: Path) -> None:
    """Write each gene with a transcript and an exon, as GTEx's collapsed annotation has them."""
    with path.open("w", encoding="utf-8") as file:
        file.write("##description: simulated places of the genes of GENCODE v26\n##format: gtf\n")
        for number, (gene, symbol, modelled) in enumerate(genes.itertuples(index=False)):
            copy = gene.endswith("_PAR_Y")
            where = "Y" if copy or symbol in Y_GENES else "X" if symbol == "XIST" else None
            where = where or (*map(str, range(1, 23)), "X")[number % 23]
            kind = "protein_coding" if modelled else "lincRNA" if symbol == "XIST" else "pseudogene"
            start = 10_000 + 1_000 * number
            notes = f'gene_id "{gene}"; transcript_id "{gene}"; gene_type "{kind}";'
            notes += f' gene_name "{symbol}"; level 2;'
            for feature in ("gene", "transcript", "exon"):
                place = f"{start}\t{start + 900}\t.\t+\t."
                file.write(f"chr{where}\tHAVANA\t{feature}\t{place}\t{notes}\n")


def _members(truth: Path, n_blocks: int, processes: int) -> Iterator[bytes]:
    """Yield the gzip member of each block, in order."""
    if processes == 1:
        _begin(truth)
        yield from map(_member, range(n_blocks))
        return
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(processes, initializer=_begin, initargs=(truth,)) as pool:
        yield from pool.imap(_member, range(n_blocks))


_COHORT: PlantedCohort
_WORDS: NDArray[np.bytes_]


def _begin(truth: Path) -> None:
    """Read the truth once a process."""
    global _COHORT, _WORDS
    _COHORT, _WORDS = PlantedCohort.load(truth), _words()


def _member(number: int) -> bytes:
    return _gzipped(block_text(_COHORT, number, _WORDS))


def block_text(cohort: PlantedCohort, number: int, words: NDArray[np.bytes_]) -> bytes:
    """Write the lines of a block's genes."""
    y = cohort.values(number).T
    level = np.clip(y * ((_LEVELS - 1) / _HIGHEST) + 0.5, 0, _LEVELS - 1).astype(np.uint16)
    genes = cohort.genes.iloc[number * BLOCK : (number + 1) * BLOCK]
    return b"".join(
        f"{gene}\t{symbol}".encode() + words[row].tobytes().translate(None, b"\0") + b"\n"
        for gene, symbol, row in zip(genes["gene_id"], genes["symbol"], level, strict=True)
    )


def _words() -> NDArray[np.bytes_]:
    """Return every level as it is written in the file, a tab before it."""
    values = np.exp2(np.linspace(0, _HIGHEST, _LEVELS)) - 1
    return np.array([b"\t%.4g" % value if value < 1e4 else b"\t%.0f" % value for value in values])


def _gzipped(text: bytes) -> bytes:
    try:
        from isal import isal_zlib

        packer = isal_zlib.compressobj(1, isal_zlib.DEFLATED, 31)
    except ImportError:
        packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return bytes(packer.compress(text) + packer.flush())


def timed_files(
    cohort: PlantedCohort, folder: Path, processes: int, release: Release = "v8"
) -> OfficialFiles:
    """Write the files unless they are there, and say how large they are."""
    files = OfficialFiles(folder / "served", release)
    if files.expression.exists():
        found = PlantedCohort.load(files.truth)
        if found.config != cohort.config or not found.genes.equals(cohort.genes):
            raise SystemExit(f"{folder}: holds files of other settings; choose another folder.")
        print(f"{folder}: the files are there already.", flush=True)
        return files
    began = time.perf_counter()
    write_files(cohort, folder, processes=processes, release=release)
    size = files.expression.stat().st_size / 1e9
    print(
        f"{files.expression.name}: {len(cohort.genes):,} genes x {len(cohort.samples):,} samples,"
        f" {size:.2f} GB, in {time.perf_counter() - began:.0f} s",
        flush=True,
    )
    return files
