"""Files of one sample each, as a folder, a zip and one by one: the z of the clean table."""

from __future__ import annotations

import gzip
import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from mtm_core.data.files.reading_options import AS_IT_LIES, ReadingOptions
from mtm_core.data.tables.expression import ExpressionTable, read_expression
from mtm_core.errors import InputFileError, MTMError
from tests.cases import base, many_files


def read(
    paths: list[Path], tx2gene: Path | None = None, options: ReadingOptions = AS_IT_LIES
) -> ExpressionTable:
    genes = base.predictor().genes
    return read_expression(paths, known_genes=genes, tx2gene=tx2gene, options=options)


def zipped(folder: Path) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder.parent))
        archive.writestr("__MACOSX/study/._PT01", b"\0\5\x16\7")
        archive.writestr("study/.DS_Store", b"\0\0\0\1Bud1")
    return file.getvalue()


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    folder.mkdir()
    return folder


def tab(name: str = "ReadsPerGene.out.tab") -> Callable[[Path], list[Path]]:
    return lambda folder: sorted(folder.rglob(f"*{name}"))


@pytest.mark.parametrize("name", many_files.CASES)
def test_folder_and_zip_give_the_z_of_the_clean_table(name: str, study: Path) -> None:
    many_files.CASES[name](study)
    table = many_files.tx2gene(study.parent / "t.csv") if name in many_files.TRANSCRIPTS else None
    read_from_folder = read([study], table)
    expected = base.clean_z_of_tpm() if name in many_files.TPM else base.clean_z()
    base.same_z(base.z_of_table(read_from_folder), expected)
    assert [file.sample for file in read_from_folder.report.files[: base.N_PEOPLE]] == [
        *base.counts().columns
    ]
    if table is not None:
        many_files.tx2gene(study / "transcripts.tsv", sep="\t", header=False)
    from_zip = read_expression(
        io.BytesIO(zipped(study)),
        "s.zip",
        known_genes=base.predictor().genes,
        isolated=name in ("star", "salmon"),  # a process of its own takes a second
    )
    pd.testing.assert_frame_equal(from_zip.values, read_from_folder.values)
    assert [file.sample for file in from_zip.report.files if file.sample] == [*base.counts()]


def test_report_names_files_hashes_strand_and_what_was_left_out(study: Path) -> None:
    many_files.star(study)
    report = read([study]).report
    path = study / "PT07.ReadsPerGene.out.tab"
    assert report.files[6].path == "study/PT07.ReadsPerGene.out.tab"
    assert report.files[6].sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    notes = [str(note) for note in report.notes]
    assert notes[0].startswith("48 other files are beside those of the samples: 'study/PT01.Log")
    assert notes[1] == (
        "24 files of one sample each, as STAR writes them. They were joined by gene; samples are "
        "named after their files."
    )
    assert "49% are on the forward one. The library is assumed to be unstranded" in notes[2]
    assert [(c.option, c.taken) for c in report.choices] == [("strand", "unstranded")]


@pytest.mark.parametrize(
    ("share", "strand"), [(0.03, "reverse"), (0.95, "forward"), (0.6, "unstranded")]
)
def test_strand_is_chosen_by_the_sums_and_the_user_can_choose(
    study: Path, share: float, strand: str
) -> None:
    for name in ("PT01", "PT02"):
        text = many_files.star_text(base.counts()[name], share)
        (study / f"{name}.tab").write_text(text)
    column = ["unstranded", "forward", "reverse"]
    files = {
        name: pd.read_csv(study / f"{name}.tab", sep="\t", index_col=0, names=column).iloc[4:]
        for name in ("PT01", "PT02")
    }
    for options, taken in (
        (AS_IT_LIES, strand),
        (ReadingOptions(strand="reverse"), "reverse"),
        (ReadingOptions(quantity="forward"), "forward"),
    ):
        values = read(tab(".tab")(study), options=options).values
        for name, file in files.items():
            assert_allclose(values.loc[name], file[taken])


def test_unclear_or_mixed_strands_are_asked_for(study: Path) -> None:
    for name, share in (("PT01", 0.27), ("PT02", 0.74)):
        (study / f"{name}.tab").write_text(many_files.star_text(base.counts()[name], share))
    with pytest.raises(InputFileError, match=r"27% to 74% .*neither .*--strand unstranded, forw"):
        read([study])
    (study / "PT02.tab").write_text(many_files.star_text(base.counts()["PT02"], 0.02))
    (table,) = (read([study]),)
    assert "less clear for 'study/PT01.tab'" in str(table.report.notes[1])
    (study / "PT01.tab").write_text(many_files.star_text(base.counts()["PT01"], 0.9))
    message = r"not show one strand: forward 1 \('study/PT01.tab'\); reverse 1 \('study/PT02.tab'\)"
    with pytest.raises(InputFileError, match=message):
        read([study])


def test_quantity_is_the_counts_and_the_user_can_choose(study: Path) -> None:
    many_files.rsem(study)
    (choice,) = read([study]).report.choices
    assert choice.taken == "expected_count"
    assert choice.offered == ("expected_count", "TPM", "FPKM")
    expected = pd.DataFrame(
        {name: many_files.rsem_table(values)["TPM"] for name, values in base.counts().items()}
    )
    tpm = read([study], options=ReadingOptions(quantity="tpm"))
    assert_allclose(tpm.values.T, expected)
    fpkm = read([study], options=ReadingOptions(quantity="FPKM")).values
    assert_allclose(fpkm.sum(axis=1), 1e6)
    with pytest.raises(InputFileError, match=r"no column 'reads'\. Choose one of 'expected_count'"):
        read([study], options=ReadingOptions(quantity="reads"))


def test_transcripts_that_the_table_lacks_are_counted_and_half_is_too_few(study: Path) -> None:
    for name in ("PT01", "PT02"):
        path = study / f"{name}.sf"
        many_files.quant_sf(base.counts()[name]).to_csv(path, sep="\t")
    table = many_files.tx2gene(study.parent / "t.csv", n_left_out=60)
    found = read([study], table)
    lost = many_files.transcripts().iloc[:60]
    shares = many_files.transcripts().iloc[60:].groupby("gene")["share"].sum()
    expected = base.counts()["PT02"].loc[found.values.columns] * shares[found.values.columns]
    assert_allclose(found.values.loc["PT02"], expected)
    note = next(str(note) for note in found.report.notes if "of the 600 transcripts" in note.found)
    assert "has 540 of the 600 transcripts. It lacks " in note
    assert f"{lost.index[0]!r}" in note
    many_files.tx2gene(study.parent / "t.csv", n_left_out=310)
    with pytest.raises(InputFileError, match="has 290 of the 600 transcripts of the files; it"):
        read([study], table)
    with pytest.raises(InputFileError, match=r"are transcripts .*--tx2gene"):
        read([study])


def test_gtf_tells_the_genes_of_transcripts(study: Path) -> None:
    path = study / "PT01.sf"
    many_files.quant_sf(base.counts()["PT01"]).to_csv(path, sep="\t")
    lines = [
        f'chr1\tHAVANA\ttranscript\t1\t9\t.\t+\t.\tgene_id "{row.gene}.3"; transcript_id "{name}";'
        for name, row in many_files.transcripts().iterrows()
    ]
    (study.parent / "a.gtf").write_text("##description: x\n" + "\n".join(lines) + "\n")
    values = read([path], study.parent / "a.gtf").values
    values.columns = values.columns.str.split(".").str[0]
    assert list(values.index) == ["PT01"]
    assert_allclose(values.loc["PT01", base.counts().index], base.counts()["PT01"])


def write_two(folder: Path, second: pd.Series, name: str = "PT02.txt") -> list[Path]:
    base.counts()["PT01"].to_csv(folder / "PT01.txt", sep="\t", header=False)
    second.to_csv(folder / name, sep="\t", header=False)
    return [folder / "PT01.txt", folder / name]


def test_genes_of_one_annotation_are_needed_and_none_is_filled_in(study: Path) -> None:
    second = base.counts()["PT02"]
    table = read(write_two(study, second.iloc[:-7].iloc[::-1]))
    assert table.values.shape == (2, 193)
    assert_allclose(table.values.loc["PT02"], second[table.values.columns])
    assert "7 of 200 genes are not in every file" in str(table.report.notes[1])
    with pytest.raises(InputFileError, match=r"150 of 200 genes in common: .*PT02.txt' has 150"):
        read(write_two(study, second.iloc[:150]))
    twice = pd.concat([second, second.iloc[:1]])
    with pytest.raises(InputFileError, match=r"PT02.txt: gene 'ENSG\d+' is duplicated"):
        read(write_two(study, twice))


def test_one_sample_given_twice_is_refused(study: Path) -> None:
    first, second = write_two(study, base.counts()["PT01"])
    with pytest.raises(InputFileError, match=r"PT01.txt' and '.*PT02.txt' hold the same values"):
        read([first, second])
    with pytest.raises(InputFileError, match=r"PT01.txt' is given more than once"):
        read([first, first])


def test_programs_are_not_mixed(study: Path) -> None:
    many_files.rsem(study)
    (study / "PT09.genes.results").unlink()
    (study / "PT09.tab").write_text(many_files.star_text(base.counts()["PT09"], 0.5))
    with pytest.raises(InputFileError, match=r"several programs: 23 of RSEM \(.*; 1 of STAR \('st"):
        read([study])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "PT03.txt: the file is empty"),
        (b"<html>not found</html>", "PT03.txt: the file is a web page"),
        (b"ENSG00000141510\tmany\nENSG00000012048\t3\n", "PT03.txt: it is not a known kind of"),
        (b"ENSG00000141510\t5\nENSG00000012048\tNA\n", "PT03.txt: .*not a known"),
    ],
)
def test_a_bad_file_is_an_error_not_a_lost_sample(
    study: Path, content: bytes, message: str
) -> None:
    write_two(study, base.counts()["PT02"])
    (study / "PT03.txt").write_bytes(content)
    with pytest.raises(InputFileError, match=message):
        read([study])


def test_bad_value_is_named_with_file_and_gene(study: Path) -> None:
    paths = write_two(study, base.counts()["PT02"])
    text = paths[1].read_text().splitlines()
    paths[1].write_text("\n".join(text[:-1]) + "\n" + text[-1].split("\t")[0] + "\t\n")
    with pytest.raises(InputFileError, match=r"PT02.txt: gene 'ENSG\d+' has no value in column"):
        read(paths)


@pytest.mark.parametrize(
    ("names", "samples"),
    [
        (["a/PT01.tab", "a/PT02.tab"], ["PT01", "PT02"]),
        (["PT01_run7.counts.txt", "PT02_run7.counts.txt"], ["PT01", "PT02"]),
        (["P-01_pre.txt", "P-01_post.txt"], ["P-01_pre", "P-01_post"]),
        (["x/001/quant.sf", "x/002/quant.sf"], ["001", "002"]),
        (["101.1.htseq.tsv.gz", "101.2.htseq.tsv.gz"], ["101.1", "101.2"]),
        (["b1/PT01.txt", "b2/PT01.txt"], ["b1", "b2"]),
        (["b1/P1.txt", "b2/P1.txt", "b2/P2.txt"], ["b1_P1", "b2_P1", "b2_P2"]),
        (["PT01ReadsPerGene.out.tab", "PT02ReadsPerGene.out.tab"], ["PT01", "PT02"]),
        (["counts.txt"], ["counts"]),
    ],
)
def test_samples_are_named_by_files(study: Path, names: list[str], samples: list[str]) -> None:
    paths = [study / name for name in names]
    for i, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        text = base.counts().iloc[:, i].to_csv(sep="\t", header=False).encode()
        if path.suffix == ".gz":
            text = gzip.compress(text)
        path.write_bytes(text)
    if len(paths) == 1:
        table = read_expression(io.BytesIO(paths[0].read_bytes()), names[0])
    else:
        table = read(paths)
    assert list(table.values.index) == samples


def make_zip(members: dict[str, bytes], encrypted: bool = False) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    data = bytearray(file.getvalue())
    if encrypted:
        data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


TEXT = b"TP53\t1\nBRCA1\t2\n"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (make_zip({"a.txt": TEXT}, encrypted=True), "has a password"),
        (make_zip({"../a.txt": TEXT, "b.txt": TEXT}), r"a place outside itself, '\.\./a.txt'"),
        (make_zip({"/etc/a.txt": TEXT, "b.txt": TEXT}), "a place outside itself"),
        (make_zip({"a.zip": make_zip({"b.txt": TEXT})}), "holds another"),
        (make_zip({"a.txt": TEXT, "b.zip": make_zip({"b": TEXT})}), None),
        (make_zip({"__MACOSX/a": b"x", ".DS_Store": b"y"}), "is empty"),
        (make_zip({"a.txt": bytes(3_000_000)}), "is larger than"),
        (make_zip({f"{i}.txt": b"" for i in range(10_001)}), "holds 10,001 files"),
        (make_zip({"a.txt": TEXT})[:-30], "is damaged"),
    ],
)
def test_zip_is_looked_at_before_it_is_read(data: bytes, message: str | None) -> None:
    def call() -> ExpressionTable:
        return read_expression(io.BytesIO(data), "x.zip", max_bytes=2_000_000)

    if message is None:
        assert np.asarray(call().values).tolist() == [[1, 2]]
    else:
        with pytest.raises(MTMError, match=message):
            call()


@pytest.mark.parametrize(
    "name", ["star_default_names", "htseq", "rsem", "stringtie", "two_columns"]
)
def test_a_single_file_is_one_sample_named_after_it(name: str, study: Path) -> None:
    many_files.CASES[name](study)
    path = next(path for path in sorted(study.rglob("PT03*")) if "SJ" not in path.name)
    path = path / "ReadsPerGene.out.tab" if path.is_dir() else path
    table = base.read(path)
    expected = base.tpm() if name in many_files.TPM else base.counts()
    assert_allclose(table.values.loc["PT03", expected.index], expected["PT03"])
    assert len(table.values) == 1


def test_files_that_people_brought() -> None:
    star = base.case_file("10_htseq_star/PT01.ReadsPerGene.out.tab")
    gdc = base.case_file("04_gdc_star/augmented_star_gene_counts.tsv")
    clean = pd.read_csv(base.case_file("00_base/counts.csv"), index_col=0)["PT01"]
    for path in (star, gdc):
        values = base.read(path).values
        values.columns = values.columns.str.split(".").str[0]
        assert_allclose(values.iloc[0][clean.index], clean)
    assert list(base.read(star).values.index) == ["PT01"]
    assert base.read(gdc).report.choices[0].taken == "unstranded"


def test_a_table_is_found_beside_other_files_of_its_zip() -> None:
    table = base.counts().to_csv().encode()
    beside = {
        "README.txt": b"This is\nwhat the columns mean",
        "people.csv": b"sample,age\nPT01,5\n",
    }
    read_one = read_expression(io.BytesIO(make_zip({"t/counts.csv": table, **beside})), "x.zip")
    assert_allclose(read_one.values.T[list(base.counts())], base.counts())
    assert "'t/counts.csv' was read, and 'README.txt', 'people.csv' passed over" in str(
        read_one.report.notes[0]
    )
    with pytest.raises(InputFileError, match=r"none of the 2 files holds one sample: 'a', 'b'"):
        read_expression(io.BytesIO(make_zip({"a": table, "b": table})), "x.zip")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (ReadingOptions(sheet="Counts"), "--sheet 'Counts' is for workbooks .* this is csv"),
        (ReadingOptions(strand="reverse"), "--strand reverse is for counts of STAR .* this is csv"),
    ],
)
def test_an_option_without_effect_on_the_file_is_refused(
    options: ReadingOptions, message: str, tmp_path: Path
) -> None:
    base.counts().to_csv(tmp_path / "x.csv")
    with pytest.raises(InputFileError, match=message):
        base.read(tmp_path / "x.csv", options)
