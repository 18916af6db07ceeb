from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mtm_core.data.gtex.annotations import (
    WHOLE_BLOOD,
    donor_of,
    read_gene_table,
    read_sample_attributes,
    read_subject_phenotypes,
    tissue_table,
)
from mtm_core.errors import InputFileError

PUBLIC = (
    "SUBJID\tSEX\tAGE\tDTHHRDY\n"
    "GTEX-1117F\t2\t60-69\t4\n"
    "GTEX-111CU\t1\t50-59\t0\n"
    "GTEX-111FC\t1\t20-29\t\n"
)
DBGAP = (
    "# Study accession: phs000424.v8.p2\n"
    "# Table accession: pht002742.v8.p2.c1\n"
    + "#\n" * 6
    + "\n"
    + "##\tphv00169061.v8.p2.c1\tphv00169062.v8.p2.c1\n" * 2
    + "dbGaP_Subject_ID\tSUBJID\tCOHORT\tSEX\tAGE\tBMI\tDTHHRDY\tMHT2D\tMHCOPD\tMHGENCMT\tMHSRC\n"
    + "1\tGTEX-A\tPostmortem\t1\t66\t31.25\t0\t1\t0\tfell, twice, ward #3\tchart\n"
    + '2\tGTEX-B\tPostmortem\t2\t23\t98\t2\t99\t1\t"none", he said\tfamily\n'
    + "3\tGTEX-C\tOrgan Donor\t2\t51\t\t\t0\t\t1\tchart\n"
)


def write(folder: Path, text: str) -> Path:
    path = folder / "table.txt"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("sample", "donor"),
    [("GTEX-1117F-0226-SM-5GZZ7", "GTEX-1117F"), ("K-562-SM-2AXVE", "K-562"), ("X", "X")],
)
def test_donor_is_the_first_two_parts(sample: str, donor: str) -> None:
    assert donor_of(sample) == donor


def test_sample_attributes_give_donor_and_tissue(tmp_path: Path) -> None:
    text = (
        "SAMPID\tSMTS\tSMTSD\tSMAFRZE\n"
        "GTEX-A-1-SM-1\tBlood\tWhole Blood\tRNASEQ\n"
        "GTEX-A-2-SM-2\tBrain\tBrain - Caudate (basal ganglia)\tRNASEQ\n"
        "GTEX-B-1-SM-3\t\t\tEXCLUDE\n"
    )
    samples = read_sample_attributes(write(tmp_path, text))
    assert samples.to_dict("index") == {
        "GTEX-A-1-SM-1": {
            "donor": "GTEX-A",
            "tissue": "Whole Blood",
            "analysis_freeze": "RNASEQ",
        },
        "GTEX-A-2-SM-2": {
            "donor": "GTEX-A",
            "tissue": "Brain - Caudate (basal ganglia)",
            "analysis_freeze": "RNASEQ",
        },
    }


def test_rows_may_lack_trailing_columns_but_not_the_needed_ones(tmp_path: Path) -> None:
    text = "SAMPID\tSMTSD\tSMRIN\nGTEX-A-1\tLung\nGTEX-B-1\tLiver\t7.1\t\n"
    assert list(read_sample_attributes(write(tmp_path, text))["tissue"]) == ["Lung", "Liver"]
    with pytest.raises(InputFileError, match=r"row 2 \('GTEX-B'\) has 1 fields, the header has 3"):
        read_sample_attributes(write(tmp_path, "SAMPID\tSMTSD\tSMRIN\nGTEX-A-1\tLung\t1\nGTEX-B"))
    with pytest.raises(InputFileError, match=r"row 1 \('GTEX-A-1'\) has 3 fields, the header has"):
        read_sample_attributes(write(tmp_path, "SAMPID\tSMTSD\nGTEX-A-1\tLung\tmore\n"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SAMPID\tSMTS\nGTEX-A-1\tLung\n", "SMTSD missing. Columns found: SAMPID, SMTS"),
        ("SAMPID\tSMTSD\nGTEX-A-1\tLung\nGTEX-A-1\tLung\n", "sample 'GTEX-A-1' is duplicated"),
        ("SAMPID\tSMTSD\n", "the table has no rows"),
        ("", "the file is empty; expected a table with SAMPID, SMTSD"),
    ],
)
def test_wrong_sample_attributes_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputFileError, match=rf"table.txt: .*{message}"):
        read_sample_attributes(write(tmp_path, text))


def test_cut_compressed_table_is_named(tmp_path: Path, rng: np.random.Generator) -> None:
    rows = "".join(f"GTEX-{i}-{n}\tLung\n" for i, n in enumerate(rng.integers(1e9, size=3000)))
    whole = gzip.compress(("SAMPID\tSMTSD\n" + rows).encode())
    path = tmp_path / "attributes.txt.gz"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputFileError, match=r"attributes.txt.gz: the compressed file ends early"):
        read_sample_attributes(path)


def test_public_phenotypes_give_the_middle_of_the_age_band(tmp_path: Path) -> None:
    donors = read_subject_phenotypes(write(tmp_path, PUBLIC))
    assert list(donors.index) == ["GTEX-1117F", "GTEX-111CU", "GTEX-111FC"]
    assert list(donors["sex"]) == ["female", "male", "male"]
    assert list(donors["age"]) == [64.5, 54.5, 24.5]
    assert list(donors["age_band"]) == ["60-69", "50-59", "20-29"]
    np.testing.assert_array_equal(donors["hardy"], [4, 0, np.nan])
    assert set(donors) == {"sex", "age", "age_band", "hardy"}


def test_dbgap_phenotypes_give_exact_ages_and_history(tmp_path: Path) -> None:
    donors = read_subject_phenotypes(write(tmp_path, DBGAP))
    assert list(donors["age"]) == [66, 23, 51]
    assert list(donors["age_band"]) == ["60-69", "20-29", "50-59"]
    np.testing.assert_array_equal(donors["hardy"], [0, 2, np.nan])
    np.testing.assert_array_equal(donors["bmi"], [31.25, 98, np.nan])
    assert donors["MHT2D"].dtype == "boolean"
    assert list(donors["MHT2D"].fillna(value=False)) == [True, False, False]
    assert list(donors["MHT2D"].isna()) == [False, True, False]  # 99 is unknown, not "no"
    assert list(donors["MHCOPD"].isna()) == [False, False, True]
    # Free text is no history item, even where a remark is the word "1" or holds commas and "#".
    assert {"MHGENCMT", "MHSRC"}.isdisjoint(donors.columns)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\t2\t60-69", "\tF\t60-69", r"expected SEX 1 \(male\) or 2 \(female\), got 'F'"),
        ("60-69", "sixty", "column AGE: 'sixty' is not a number"),
        ("\t4\n", "\tslow\n", "column DTHHRDY: 'slow' is not a number"),
        ("GTEX-111CU", "GTEX-1117F", "donor 'GTEX-1117F' is duplicated"),
        ("SUBJID", "DONOR", "expected the columns SUBJID, SEX, AGE; SUBJID missing"),
    ],
)
def test_wrong_phenotypes_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in PUBLIC
    with pytest.raises(InputFileError, match=rf"table.txt: {message}"):
        read_subject_phenotypes(write(tmp_path, PUBLIC.replace(old, new, 1)))


def test_genes_come_from_a_gtf_or_a_table_alike(tmp_path: Path) -> None:
    gtf = tmp_path / "genes.gtf.gz"
    line = (
        'chr17\tHAVANA\t{0}\t1\t9\t.\t-\t.\tgene_id "ENSG00000141510.16"; transcript_id "T";'
        ' gene_type "protein_coding"; gene_name "TP53"; level 2;\n'
    )
    text = "##provider: GENCODE\n" + line.format("gene") + line.format("exon")
    gtf.write_bytes(gzip.compress(text.encode()))
    table = tmp_path / "genes.tsv"
    table.write_text(
        "ENSEMBL\tSYMBOL\tGENETYPE\tCHROMOSOME\n"
        "ENSG00000141510\tTP53\tprotein-coding\tchr17\n"
        "ENSG00000141510\tOTHER\tncRNA\tchr1\n"
    )
    from_gtf, from_table = read_gene_table(gtf), read_gene_table(table)
    pd.testing.assert_frame_equal(from_gtf, from_table)
    assert from_gtf.loc["ENSG00000141510"].to_dict() == {
        "chromosome": "chr17",
        "symbol": "TP53",
        "entrez": "",
        "gene_type": "protein_coding",
    }


def test_gtf_without_genes_is_named(tmp_path: Path) -> None:
    path = tmp_path / "empty.gtf"
    path.write_text("##provider: GENCODE\n")
    with pytest.raises(InputFileError, match=r"empty.gtf: expected a GTF with 'gene' lines"):
        read_gene_table(path)


def test_tissue_table_is_the_portals() -> None:
    tissues = tissue_table()
    assert len(tissues) == 54
    assert tissues.index.is_unique
    assert tissues["abbreviation"].is_unique
    assert not tissues.isna().any(axis=None)
    assert tissues["colour"].str.fullmatch(r"#[0-9A-F]{6}").all()
    assert tissues.loc[WHOLE_BLOOD, "abbreviation"] == "WHLBLD"


@pytest.mark.reference
def test_tissue_table_agrees_with_the_official_one(reference_data: Path) -> None:
    folder = reference_data / "gtex_v8_acmg59"
    official = pd.read_csv(
        folder / "tissue_table.tsv", sep="\t", dtype=str, index_col="tissueSiteDetail"
    ).rename(columns={"tissueSiteDetailAbbr": "abbreviation", "tissueSite": "site"})
    official["colour"] = "#" + official["colorHex"]
    columns = ["site", "abbreviation", "colour"]
    ours = tissue_table()
    pd.testing.assert_frame_equal(
        ours[columns], official.loc[ours.index, columns], check_names=False
    )
    samples = read_sample_attributes(folder / "SampleAttributes_minimal.txt")
    assert set(samples["tissue"]) == set(ours.index)
