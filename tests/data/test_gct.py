from __future__ import annotations

import gzip
import logging
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from mtm_core.data.files.open_file import open_text
from mtm_core.data.gtex.gct import _PARSE_BYTES, read_gct, write_gct
from mtm_core.errors import InputFileError

GCT = (
    "#1.2\n"
    "3\t4\n"
    "Name\tDescription\tS1\tS2\tS3\tS4\n"
    "ENSG00000000001.5\tAAA\t1\t2\t3\t4\n"
    "ENSG00000000002.11\tBBB\t0\t0.5\t1e3\t7\n"
    "ENSG00000000002.11_PAR_Y\tBBB\t9\t8\t7\t6\n"
)


def write(folder: Path, text: str = GCT) -> Path:
    path = folder / "x.gct"
    path.write_text(text)
    return path


def test_values_names_and_order_are_those_of_the_file(tmp_path: Path) -> None:
    table = read_gct(write(tmp_path))
    assert list(table.obs_names) == ["S1", "S2", "S3", "S4"]
    assert list(table.var_names) == [
        "ENSG00000000001.5",
        "ENSG00000000002.11",
        "ENSG00000000002.11_PAR_Y",
    ]
    assert list(table.var["symbol"]) == ["AAA", "BBB", "BBB"]
    assert table.X.dtype == np.float32
    np.testing.assert_array_equal(table.X, [[1, 0, 9], [2, 0.5, 8], [3, 1e3, 7], [4, 7, 6]])


def test_windows_line_ends_and_blank_lines_change_nothing(tmp_path: Path) -> None:
    expected = read_gct(write(tmp_path)).to_df()
    path = tmp_path / "dos.gct"
    path.write_bytes(GCT.replace("\n", "\r\n").encode() + b"\r\n\r\n")
    pd.testing.assert_frame_equal(read_gct(path).to_df(), expected)


def by_gene(path: Path) -> pd.DataFrame:
    table = read_gct(path)
    return table.to_df().T.assign(symbol=table.var["symbol"])


LAYOUTS = {
    "a file of one tissue has row numbers": re.sub("^(ENSG)", r"7\t\1", GCT, flags=re.M).replace(
        "Name", "id\tName"
    ),
    "names in capitals": GCT.replace("Name\tDescription", "NAME\tDESCRIPTION"),
    "description first": re.sub(r"^(ENSG\S+)\t(\w+)", r"\2\t\1", GCT, flags=re.M).replace(
        "Name\tDescription", "Description\tName"
    ),
    "every field in quotes": re.sub(r"[^\t\n]+", r'"\g<0>"', GCT),
    "a spreadsheet's tabs at the end": GCT.replace("#1.2", "#1.2\t\t\t\t\t").replace(
        "3\t4\n", "3\t4\t\t\t\t\n", 1
    ),
    "with fields of genes and of samples": re.sub("^(ENSG.*?\t.*?)\t", r"\1\tq\t", GCT, flags=re.M)
    .replace("#1.2\n3\t4", "#1.3\n3\t4\t2\t1")
    .replace(
        "Name\tDescription\tS1\tS2\tS3\tS4", "id\tsymbol\tq\tS1\tS2\tS3\tS4\nage\t\t\t1\t2\t3\t4"
    ),
    "carriage returns alone": GCT.replace("\n", "\r"),
    "two marks": "\ufeff\ufeff" + GCT,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_other_programs_give_the_same_table(tmp_path: Path, layout: str) -> None:
    path = write(tmp_path)
    expected = by_gene(path)
    path.write_bytes(LAYOUTS[layout].encode())
    pd.testing.assert_frame_equal(by_gene(path), expected)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_encodings_of_spreadsheets_give_the_same_table(
    tmp_path: Path, encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    path = write(tmp_path)
    expected = by_gene(path)
    path.write_bytes(compress(GCT.replace("\n", "\r\n").encode(encoding)))
    pd.testing.assert_frame_equal(by_gene(path), expected)
    with open_text(path) as file:
        assert file.read() == GCT


def test_text_cut_within_a_letter_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.gct"
    path.write_bytes(GCT.encode("utf-16")[:-1])
    with pytest.raises(InputFileError, match=r"x\.gct: expected UTF-8 text, got"):
        read_gct(path)


@pytest.mark.parametrize("name", ["x.gct", "x.gct.gz"])
@pytest.mark.parametrize("gzipped", [True, False])
def test_compression_is_recognised_by_the_bytes_not_the_name(
    tmp_path: Path, name: str, gzipped: bool
) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(GCT.encode()) if gzipped else GCT.encode())
    assert read_gct(path).shape == (4, 3)


def test_part_of_a_file_is_the_whole_then_cut(tmp_path: Path, rng: np.random.Generator) -> None:
    genes = [f"ENSG{i:011d}.{i}" for i in range(30)]
    samples = [f"S{i}" for i in range(20)]
    whole = ad.AnnData(
        rng.gamma(1, 50, size=(20, 30)).astype(np.float32),
        obs=pd.DataFrame(index=samples),
        var=pd.DataFrame({"symbol": genes}, index=genes),
    )
    write_gct(whole, tmp_path / "x.gct")
    read = read_gct(tmp_path / "x.gct")
    np.testing.assert_allclose(read.X, whole.X, rtol=1e-5)

    some_genes, some_samples = genes[25:3:-4], samples[::-3]
    part = read_gct(tmp_path / "x.gct", genes=some_genes, samples=some_samples)
    in_file_order = read[read.obs_names.isin(some_samples), read.var_names.isin(some_genes)]
    pd.testing.assert_frame_equal(part.to_df(), in_file_order.to_df())


def test_genes_are_found_with_another_version_but_not_their_copy_on_y(tmp_path: Path) -> None:
    found = read_gct(write(tmp_path), genes=["ENSG00000000002.3", "ENSG00000000001"])
    assert list(found.var_names) == ["ENSG00000000001.5", "ENSG00000000002.11"]


@pytest.mark.parametrize(
    ("dimensions", "message"),
    [
        ("56200\t4", "says 56200 genes, 3 are there"),
        ("3\t17382", "says 3 genes and 17,382 samples, the header has 4 samples"),
        ("", "says no number of genes and no number of samples, the header has 4 samples"),
        ("many\t4", "says no number of genes, 3 are there"),
    ],
)
def test_wrong_dimension_line_is_said_and_what_is_there_is_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, dimensions: str, message: str
) -> None:
    path = write(tmp_path, GCT.replace("3\t4\n", dimensions + "\n", 1))
    with caplog.at_level(logging.WARNING):
        table = read_gct(path)
    assert message in caplog.text
    assert table.shape == (4, 3)
    assert table.X[3, 2] == 6


def test_right_dimension_line_gives_no_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        read_gct(write(tmp_path), genes=["ENSG00000000001"], samples=["S2"])
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("#1.2\n", "", r"first line is '#1.2'; got '3\\t4'"),
        ("\tS1\tS2\tS3\tS4", "", "'Name', 'Description'.* got .*'Name', 'Description'"),
        ("S1\tS2", "S1\tS1", "sample 'S1' is duplicated"),
        ("ENSG00000000002.11\t", "ENSG00000000001.5\t", "gene 'ENSG00000000001.5' is duplicated"),
        ("1\t2\t3\t4", "1\t2\t3", "ENSG00000000001.5: expected 4 values, got 3"),
        ("1\t2\t3\t4", "1\t2\t3\t4\t5", "ENSG00000000001.5: expected 4 values, got 5"),
        ("1\t2\t3\t4", "1\t2\tthree\t4", "ENSG00000000001.5: could not convert .*three"),
        ("1\t2\t3\t4", "1\t\t3\t4", "ENSG00000000001.5: could not convert"),
        ("1\t2\t3\t4", "1\tnan\t3\t4", "ENSG00000000001.5: expected finite numbers, got nan"),
        ("1\t2\t3\t4", "1\t2e999\t3\t4", "ENSG00000000001.5: expected finite numbers, got inf"),
        ("1\t2\t3\t4", '1\t"2\t3\t4', "ENSG00000000001.5: could not convert"),
        (GCT, GCT.replace("3\t4\n", "4\t4\n", 1)[:-1], "says 4 genes, 3 are there,.* is cut off"),
        (GCT, GCT.replace("\t", ","), "saved the GCT with commas"),
        ("1\t2\t3\t4", "1\t2\r3\t4\t5", "ENSG00000000001.5: could not convert"),
        ("ENSG00000000001.5\tAAA\t1\t2\t3\t4", "ENSG00000000001.5 AAA", "got 'ENSG.* AAA'"),
    ],
)
def test_damaged_file_is_named_with_its_place(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in GCT
    with pytest.raises(InputFileError, match=f"x.gct: .*{message}"):
        read_gct(write(tmp_path, GCT.replace(old, new, 1)))


@pytest.mark.parametrize("share", [0.5, 0.98])
def test_truncated_gzip_is_an_error_not_fewer_genes(
    tmp_path: Path, rng: np.random.Generator, share: float
) -> None:
    lines = "".join(
        f"ENSG{i:011d}.1\tG{i}\t" + "\t".join(map(str, rng.integers(0, 9999, 4))) + "\n"
        for i in range(500)
    )
    whole = gzip.compress((GCT + lines).encode())
    path = tmp_path / "cut.gct.gz"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InputFileError, match=r"cut.gct.gz: the compressed file ends early"):
        read_gct(path)


def test_damaged_gzip_is_named(tmp_path: Path) -> None:
    damaged = bytearray(gzip.compress((GCT * 200).encode()))
    damaged[60:90] = bytes(30)
    path = tmp_path / "bad.gct.gz"
    path.write_bytes(damaged)
    with pytest.raises(InputFileError, match=r"is damaged.*Download it again"):
        read_gct(path)


def test_text_in_another_encoding_is_named(tmp_path: Path) -> None:
    path = tmp_path / "latin.gct"
    path.write_bytes(GCT.replace("AAA", "Ä").encode("latin-1"))
    with pytest.raises(InputFileError, match=r"latin.gct: expected UTF-8"):
        read_gct(path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(InputFileError, match=r"cannot open .*absent.gct: No such file"),
        open_text(tmp_path / "absent.gct"),
    ):
        pass


def test_asking_for_nothing_that_is_there_shows_what_is(tmp_path: Path) -> None:
    path = write(tmp_path)
    with pytest.raises(InputFileError, match=r"none of the genes asked for .*'ENSG9'"):
        read_gct(path, genes=["ENSG9"])
    with pytest.raises(InputFileError, match=r"none of the 1 samples .* It has 4, such as 'S1'"):
        read_gct(path, samples=["T1"])
    header_only = write(tmp_path, "".join(GCT.splitlines(keepends=True)[:3]))
    with pytest.raises(InputFileError, match="a header, but no genes"):
        read_gct(header_only)


def test_more_genes_than_declared_are_all_read(tmp_path: Path, rng: np.random.Generator) -> None:
    values = rng.integers(0, 99, size=(1300, 4))
    lines = ["#1.2", "2\t4", "Name\tDescription\tS1\tS2\tS3\tS4"]
    lines += [f"G{i}\tg\t" + "\t".join(map(str, row)) for i, row in enumerate(values)]
    table = read_gct(write(tmp_path, "\n".join(lines) + "\n"))
    np.testing.assert_array_equal(table.X, values.T)


def test_a_line_too_long_does_not_make_up_for_one_too_short(tmp_path: Path) -> None:
    text = GCT.replace("1\t2\t3\t4", "1\t2\t3").replace("0\t0.5", "4\t0\t0.5")
    with pytest.raises(InputFileError, match=r"ENSG00000000001\.5: expected 4 values, got 3"):
        read_gct(write(tmp_path, text))


def test_genes_keep_their_values_over_many_batches(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    values = (10 ** rng.uniform(-3, 6, size=(1500, 900))).round(3)
    lines = [f"G{i}\tg\t" + "\t".join(map(str, row)) for i, row in enumerate(values)]
    header = ["#1.2", "1500\t900", "\t".join(["Name", "Description", *map(str, range(900))])]
    path = write(tmp_path, "\n".join([*header, *lines]) + "\n")
    assert path.stat().st_size > 2 * _PARSE_BYTES
    wanted = [f"G{i}" for i in range(1500) if i % 7]
    table = read_gct(path, genes=wanted)
    assert table.var_names.tolist() == wanted
    selected = [i for i in range(1500) if i % 7]
    np.testing.assert_array_equal(table.X, values[selected].T.astype(np.float32))


def test_progress_ends_at_the_number_of_genes(tmp_path: Path) -> None:
    lines = "".join(f"ENSG{i:011d}.1\tG\t1\t2\t3\t4\n" for i in range(10, 460))
    seen: list[tuple[int, int]] = []
    read_gct(
        write(tmp_path, GCT.replace("3\t4\n", "453\t4\n", 1) + lines),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(200, 453), (400, 453), (453, 453)]


def test_reading_few_genes_takes_little_memory(tmp_path: Path) -> None:
    n_genes, n_samples = 3_000, 2_000
    values = "\t".join(str(i % 1000) for i in range(n_samples))
    path = tmp_path / "wide.gct"
    with path.open("w") as file:
        file.write(f"#1.2\n{n_genes}\t{n_samples}\nName\tDescription\t")
        file.write("\t".join(f"S{i}" for i in range(n_samples)) + "\n")
        file.writelines(f"ENSG{i:011d}.1\tG{i}\t{values}\n" for i in range(n_genes))
    genes = [f"ENSG{i:011d}" for i in range(0, n_genes, 60)]
    tracemalloc.start()
    table = read_gct(path, genes=genes)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert table.shape == (n_samples, 50)
    whole = n_genes * n_samples * 4
    assert peak < whole / 8, f"peak {peak / 1e6:.1f} MB, whole matrix {whole / 1e6:.1f} MB"
