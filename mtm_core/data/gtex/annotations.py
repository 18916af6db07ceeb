"""The GTEx annotation files: samples, donors, tissues and genes.

Formats: GTEx Portal, ``GTEx_Analysis_v8_Annotations_{SampleAttributes,SubjectPhenotypes}DS.txt``
(public) and dbGaP phs000424 ``*.GTEx_Subject_Phenotypes.GRU.txt`` (controlled access).
"""

from __future__ import annotations

import itertools
from importlib import resources
from pathlib import Path

import pandas as pd

from mtm_core.data.files.open_file import open_text
from mtm_core.data.genes.ids import strip_version
from mtm_core.errors import InputFileError

WHOLE_BLOOD = "Whole Blood"
HARDY_CLASSES = {
    0: "ventilator case",
    1: "violent and fast death",
    2: "fast death of natural causes",
    3: "intermediate death",
    4: "slow death",
}
_SEXES = {"1": "male", "2": "female"}


def donor_of(sample_id: str) -> str:
    """Return the donor of a GTEx sample: ``GTEX-1117F-0226-SM-5GZZ7`` -> ``GTEX-1117F``."""
    return "-".join(sample_id.split("-")[:2])


def read_sample_attributes(path: Path | str) -> pd.DataFrame:
    """Read the tissue of each sample.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``sample``; ``donor``, ``tissue`` (SMTSD), and ``analysis_freeze`` (SMAFRZE)
        where the file has it.

    Raises
    ------
    InputFileError
        If the file lacks SAMPID or SMTSD, or names a sample twice.
    """
    path = Path(path)
    raw = _read_table(path, required=("SAMPID", "SMTSD"))
    _check_unique(raw["SAMPID"], "sample", path)
    samples = pd.DataFrame(
        {"donor": raw["SAMPID"].map(donor_of).to_numpy(), "tissue": raw["SMTSD"].to_numpy()},
        index=pd.Index(raw["SAMPID"], name="sample"),
    )
    if "SMAFRZE" in raw:
        samples["analysis_freeze"] = raw["SMAFRZE"].to_numpy()
    return samples[samples["tissue"] != ""]


def read_technical_attributes(path: Path | str) -> pd.DataFrame:
    """Read how each sample was made: RNA quality, sequencing centre, library size.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``sample``: ``rin`` (SMRIN), ``centre`` (SMCENTER) and ``mapped_reads``
        (SMMPPD); NaN where not known.

    Raises
    ------
    InputFileError
        If the file lacks one of these columns or SAMPID, or names a sample twice.
    """
    path = Path(path)
    raw = _read_table(path, required=("SAMPID", "SMRIN", "SMCENTER", "SMMPPD"))
    _check_unique(raw["SAMPID"], "sample", path)
    return pd.DataFrame(
        {
            "rin": pd.to_numeric(raw["SMRIN"], errors="coerce").to_numpy(),
            "centre": raw["SMCENTER"].replace("", None).to_numpy(),
            "mapped_reads": pd.to_numeric(raw["SMMPPD"], errors="coerce").to_numpy(),
        },
        index=pd.Index(raw["SAMPID"], name="sample"),
    )


def read_subject_phenotypes(path: Path | str) -> pd.DataFrame:
    """Read the donors' phenotypes, from the public file or the dbGaP one.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``donor``; ``sex`` ("male", "female" or missing), ``age`` in years (of a public
        age band, its middle), ``age_band`` ("60-69"), ``hardy`` (0-4 or missing), and from a dbGaP
        file also ``bmi`` and one nullable boolean column for each medical history item
        (``MHT2D``...; 99, unknown, is missing).

    Raises
    ------
    InputFileError
        If the file lacks SUBJID, SEX or AGE, or a value is outside its coding.
    """
    path = Path(path)
    raw = _read_table(path, required=("SUBJID", "SEX", "AGE"))
    _check_unique(raw["SUBJID"], "donor", path)
    bad_sex = raw.loc[~raw["SEX"].isin({"", *_SEXES}), "SEX"]
    if len(bad_sex):
        raise InputFileError(
            f"{path.name}: expected SEX 1 (male) or 2 (female), got {bad_sex.iloc[0]!r}."
        )
    age, age_band = _ages(raw["AGE"], path)
    columns = {
        "sex": raw["SEX"].map(_SEXES),
        "age": age,
        "age_band": age_band,
        "hardy": _numbers(raw["DTHHRDY"], path) if "DTHHRDY" in raw else float("nan"),
    }
    if "BMI" in raw:
        columns["bmi"] = _numbers(raw["BMI"], path)
    for name in raw.columns[raw.columns.str.fullmatch(r"MH[A-Z0-9]+")]:
        # Other history columns are free text: a "1" among remarks is no answer.
        if raw[name].isin({"0", "1", "96", "97", "98", "99", ""}).all():
            columns[name] = raw[name].map({"0": False, "1": True}).astype("boolean")
    donors = pd.DataFrame(columns)
    donors.index = pd.Index(raw["SUBJID"], name="donor")
    return donors


def read_gene_table(path: Path | str) -> pd.DataFrame:
    """Read symbols, Entrez ids and types of genes: a GENCODE GTF, or a table.

    A table is tab-separated with a column ``ENSEMBL`` and any of ``SYMBOL``, ``ENTREZID``,
    ``GENETYPE`` and ``CHROMOSOME``. Of several rows for one Ensembl id the first holds.

    Returns
    -------
    pandas.DataFrame
        Indexed by Ensembl id without version; ``chromosome``, ``symbol``, ``entrez``,
        ``gene_type`` as text, empty if unknown.

    Raises
    ------
    InputFileError
        If the file is neither.
    """
    path = Path(path)
    if path.name.removesuffix(".gz").endswith((".gtf", ".gff")):
        raw = _read_gtf_genes(path)
    else:
        table = _read_table(path, required=("ENSEMBL",))
        raw = pd.DataFrame({"gene_id": table["ENSEMBL"]})
        names = {
            "chromosome": "CHROMOSOME",
            "symbol": "SYMBOL",
            "entrez": "ENTREZID",
            "gene_type": "GENETYPE",
        }
        for column, name in names.items():
            raw[column] = table.get(name, "")
    raw["gene_type"] = raw["gene_type"].str.replace("-", "_")
    raw.index = pd.Index(raw.pop("gene_id").map(strip_version), name="gene_id")
    return raw[~raw.index.duplicated() & (raw.index != "")]


def tissue_table() -> pd.DataFrame:
    """Return the 54 GTEx tissues with ``site``, ``abbreviation``, ``colour`` and ``ontology`` id.

    Names, abbreviations and colours are those of the GTEx Portal; ontology ids are UBERON's
    (EFO's for the two cell lines).
    """
    with resources.files("mtm_core.data.gtex").joinpath("gtex_tissues.tsv").open() as file:
        return pd.read_csv(file, sep="\t", index_col="tissue", dtype=str)


def _read_table(path: Path, required: tuple[str, ...]) -> pd.DataFrame:
    """Read a tab-separated table as text, past the ``#`` lines that dbGaP puts before it."""
    with open_text(path) as file:
        # Only before the header: free text may hold a "#".
        lines = itertools.dropwhile(lambda line: line.startswith("#") or line.isspace(), file)
        rows = [[field.strip() for field in line.split("\t")] for line in lines if line.strip()]
    header, body = (rows[0], rows[1:]) if rows else ([], [])
    if not header:
        raise InputFileError(
            f"{path.name}: the file is empty; expected a table with {', '.join(required)}."
        )
    missing = [name for name in required if name not in header]
    if missing:
        raise InputFileError(
            f"{path.name}: expected the columns {', '.join(required)};"
            f" {', '.join(missing)} missing."
            f" Columns found: {', '.join(header[:6])}."
        )
    if not body:
        raise InputFileError(f"{path.name}: the table has no rows.")
    n_needed = 1 + max(header.index(name) for name in required)
    for number, row in enumerate(body, start=1):
        if len(row) < n_needed or any(row[len(header) :]):
            raise InputFileError(
                f"{path.name}: row {number} ({row[0][:40]!r}) has {len(row)} fields, the header"
                f" has {len(header)}. Is the file whole?"
            )
    padding = [""] * len(header)
    return pd.DataFrame([(row + padding)[: len(header)] for row in body], columns=header)


def _check_unique(ids: pd.Series, what: str, path: Path) -> None:
    if ids.duplicated().any():
        twice = ids[ids.duplicated()].iloc[0]
        raise InputFileError(f"{path.name}: {what} {twice!r} is duplicated.")


def _read_gtf_genes(path: Path) -> pd.DataFrame:
    """Take gene id, name and type from the ``gene`` lines of a GTF."""
    records = []
    with open_text(path) as file:
        for line in file:
            fields = line.rstrip("\n").split("\t")
            if len(fields) != 9 or fields[2] != "gene":
                continue
            pairs = (item.strip().split(" ", 1) for item in fields[8].split(";") if item.strip())
            attributes = {pair[0]: pair[-1].strip('"') for pair in pairs}
            records.append(
                {
                    "gene_id": attributes.get("gene_id", ""),
                    "chromosome": fields[0],
                    "symbol": attributes.get("gene_name", ""),
                    "entrez": "",
                    "gene_type": attributes.get("gene_type", attributes.get("gene_biotype", "")),
                }
            )
    if not records:
        raise InputFileError(f"{path.name}: expected a GTF with 'gene' lines, found none.")
    return pd.DataFrame(records)


def _ages(values: pd.Series, path: Path) -> tuple[pd.Series, pd.Series]:
    """Return ages in years and as decade bands, of either coding."""
    bands = values.str.extract(r"^(\d+)-(\d+)$").astype(float)
    years = bands.mean(axis=1).where(
        bands[0].notna(), _numbers(values.where(bands[0].isna(), ""), path)
    )
    decade = (years // 10 * 10).astype("Int64")
    return years, (decade.astype("string") + "-" + (decade + 9).astype("string")).astype(object)


def _numbers(values: pd.Series, path: Path) -> pd.Series:
    """Parse a column of numbers in which an empty field is missing and 97-99 is dbGaP's unknown."""
    numbers = pd.to_numeric(values.replace({"": None, "NA": None}), errors="coerce")
    bad = values[numbers.isna() & ~values.isin({"", "NA"})]
    if len(bad):
        raise InputFileError(f"{path.name}: column {values.name}: {bad.iloc[0]!r} is not a number.")
    return numbers.mask(numbers.isin({97, 98, 99})) if values.name != "BMI" else numbers
