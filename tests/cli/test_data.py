"""``mtm data``: GTEx's own files in, a cohort out."""

from __future__ import annotations

import gzip
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from mtm_core.data.cohort.cohort import read_cohort, summarise
from mtm_core.data.formats.stored_table import open_stored_table
from mtm_core.data.genes.ids import strip_version
from tests.cli.conftest import Done, Mtm, error_of
from tests.gtex_files import GtexFiles, write_gtex_files
from tests.gtex_server import ATTRIBUTES_PATH, GCT_NAME, GCT_PATH, serving

PSEUDOGENES = slice(30, 40)
FEW = ["--minimum-samples=20"]


@pytest.fixture(scope="session")
def files(small_cohort: ad.AnnData, tmp_path_factory: pytest.TempPathFactory) -> GtexFiles:
    pseudogenes = small_cohort.var_names[PSEUDOGENES].tolist()
    return write_gtex_files(tmp_path_factory.mktemp("gtex"), small_cohort, pseudogenes=pseudogenes)


def table_of(done: Done) -> dict[str, str]:
    return dict(line.split("\t") for line in done.out.splitlines())


def test_prepare_gives_the_cohort_that_the_files_were_written_of(
    mtm: Mtm, files: GtexFiles, small_cohort: ad.AnnData, tmp_path: Path
) -> None:
    output = tmp_path / "new" / "cohort.h5ad"
    done = mtm("data", "prepare", *files.options(), *FEW, "--output", output)
    assert done.code == 0
    expected = summarise(small_cohort)
    assert table_of(done) == {
        "tissues": str(expected.n_tissues),
        "samples": str(expected.n_samples),
        "donors": str(expected.n_donors),
        "donors with whole blood": str(expected.n_donors_with_blood),
        "ordered same-donor pairs": str(expected.n_pairs),
        "genes": "40",
        "unit": "TPM",
    }
    assert f"Wrote {output}" in done.err
    cohort = read_cohort(output)[small_cohort.obs_names]
    np.testing.assert_allclose(cohort.X, small_cohort.X, rtol=1e-5)
    assert (cohort.obs["tissue"] == small_cohort.obs["tissue"]).all()
    assert (cohort.uns["donors"]["sex"] == small_cohort.uns["donors"]["sex"]).all()
    assert mtm("data", "describe", output).out == done.out


def test_prepare_applies_the_paper_s_filters(
    mtm: Mtm, files: GtexFiles, small_cohort: ad.AnnData, tmp_path: Path
) -> None:
    counts = small_cohort.obs["tissue"].value_counts()
    least = int(counts.sort_values().iloc[2])
    done = mtm(
        "data", "prepare", *files.options(), f"--minimum-samples={least}",
        "--minimum-tissues=3", "--output", tmp_path / "c.h5ad",
    )  # fmt: skip
    obs = small_cohort.obs[small_cohort.obs["tissue"].map(counts).astype(int) >= least]
    obs = obs[obs.groupby("donor")["tissue"].transform("size") >= 3]
    assert table_of(done)["tissues"] == str(obs["tissue"].nunique()) == "3"
    assert table_of(done)["samples"] == str(len(obs))
    assert table_of(done)["donors"] == str(obs["donor"].nunique())
    # By default 51 samples a tissue, as in the paper: here whole blood alone has them.
    assert sorted(counts)[-2:] == [50, 59]
    done = mtm("data", "prepare", *files.options(), "--output", tmp_path / "paper.h5ad")
    assert "fewer than two tissues have 51 samples" in error_of(done)


@pytest.mark.parametrize("kind", ["gtf", "gene_table"])
def test_gene_type_keeps_genes_of_that_type(
    mtm: Mtm, files: GtexFiles, small_cohort: ad.AnnData, tmp_path: Path, kind: str
) -> None:
    options = [*FEW, f"--gene-table={getattr(files, kind)}", "--output", tmp_path / "c.h5ad"]
    done = mtm("data", "prepare", *files.options(), *options, "--gene-type=protein_coding")
    assert table_of(done)["genes"] == "30"
    var = read_cohort(tmp_path / "c.h5ad").var
    assert var.index.tolist() == small_cohort.var_names[:30].tolist()
    assert var["symbol"].tolist() == small_cohort.var["symbol"][:30].tolist()
    assert (var["gene_type"] == "protein_coding").all()
    entrez = small_cohort.var["entrez"][:30] if kind == "gene_table" else [""] * 30
    assert var["entrez"].tolist() == list(entrez)


def test_store_of_a_gct_is_the_file(
    mtm: Mtm, files: GtexFiles, small_cohort: ad.AnnData, tmp_path: Path
) -> None:
    done = mtm("data", "store", files.expression, "--output", tmp_path / "x.zarr")
    assert (done.code, done.out) == (0, "")
    n_samples, n_genes = small_cohort.shape
    assert f"x.zarr: {n_samples} samples x {n_genes} genes." in done.err
    stored = open_stored_table(tmp_path / "x.zarr").read(0, n_samples)
    np.testing.assert_allclose(stored.loc[small_cohort.obs_names], small_cohort.X, rtol=1e-5)
    refused = mtm("data", "store", files.expression, "--output", tmp_path / "x.h5ad")
    assert "ends in .zarr, got 'x.h5ad'" in error_of(refused)


def test_listed_genes_are_selected_and_unknown_ones_reported(
    mtm: Mtm,
    files: GtexFiles,
    small_cohort: ad.AnnData,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    wanted = small_cohort.var_names[[3, 1, 35]]
    names = [wanted[0], strip_version(wanted[1]), wanted[2], "ENSG00000000000.1"]
    (tmp_path / "genes.txt").write_text("\n".join(names))
    options = [*FEW, f"--genes={tmp_path / 'genes.txt'}", "--output", tmp_path / "c.h5ad"]
    with caplog.at_level("INFO", logger="mtm_core"):
        done = mtm("data", "prepare", *files.options(), *options)
    assert table_of(done)["genes"] == "3"
    assert set(read_cohort(tmp_path / "c.h5ad").var_names) == set(wanted)
    assert "1 of the 4 genes asked for are not in the file" in caplog.text
    both = [f"--gene-table={files.gtf}", "--gene-type=protein_coding"]
    done = mtm("data", "prepare", *files.options(), *options, *both)
    assert "c.h5ad exists already" in error_of(done)
    done = mtm("data", "prepare", *files.options(), *options, *both, "--overwrite")
    assert table_of(done)["genes"] == "2"


def test_normalise_is_remembered(mtm: Mtm, files: GtexFiles, tmp_path: Path) -> None:
    options = [*FEW, "--normalise=panel-cpm", "--output", tmp_path / "c.h5ad"]
    assert table_of(mtm("data", "prepare", *files.options(), *options))["unit"] == "panel CPM"
    cohort = read_cohort(tmp_path / "c.h5ad")
    np.testing.assert_allclose(cohort.X.sum(axis=1), 1e6, rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--gene-type=protein_coding"], "--gene-type needs --gene-table"),
        (["--gene-table={gtf}", "--gene-type=lncRNA"], "there are processed_pseudogene, protein_c"),
        (["--gene-table={expression}"], "expected the columns ENSEMBL"),
        (["--genes={nothing}"], "nothing: there is no such file"),
        (["--genes={empty}"], "the file is empty; expected one gene id a line"),
        (["--genes={binary}"], "expected UTF-8 text, got a binary file"),
        (["--genes={foreign}"], "none of the genes asked for is in the file"),
        (
            ["--genes={foreign}", "--gene-table={gtf}", "--gene-type=protein_coding"],
            "none of the genes of .* has the type 'protein_coding'",
        ),
        (["--minimum-samples=1000"], "fewer than two tissues have 1000 samples"),
        (["--expression={gtf}"], "expected a GCT file"),
        (["--sample-attributes={gtf}"], "expected the columns SAMPID, SMTSD"),
        (["--output={folder}/cohort.csv"], r"expected a name that ends in \.h5ad"),
    ],
)
def test_preparing_impossible_input_is_a_one_line_error(
    mtm: Mtm, files: GtexFiles, tmp_path: Path, options: list[str], message: str
) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "foreign").write_text("TP53\nBRCA1\n")
    known = {name: tmp_path / name for name in ("nothing", "empty", "binary", "foreign")}
    known |= {"gtf": files.gtf, "expression": files.expression, "folder": tmp_path}
    output = tmp_path / "c.h5ad"
    asked = [option.format(**known) for option in options]
    done = mtm("data", "prepare", *files.options(), *FEW, f"--output={output}", *asked)
    error = pytest.raises(AssertionError, match=message)
    with error:
        raise AssertionError(error_of(done))
    assert not output.exists()


@pytest.mark.parametrize("name", ["none.h5ad", "text.h5ad", "other.h5ad"])
def test_describing_a_file_that_is_not_a_cohort_is_an_error(
    mtm: Mtm, tmp_path: Path, name: str
) -> None:
    (tmp_path / "text.h5ad").write_text("text")
    ad.AnnData(np.ones((2, 2))).write_h5ad(tmp_path / "other.h5ad")
    assert str(tmp_path / name) in error_of(mtm("data", "describe", tmp_path / name))


def test_a_simulated_cohort_says_so(mtm: Mtm, cohort_file: Path) -> None:
    assert table_of(mtm("data", "describe", cohort_file))["simulated"] == "yes"


def test_download_gets_the_requested_files_and_prints_their_paths(
    mtm: Mtm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    matrix = gzip.compress(b"#1.2\n1\t1\nName\tDescription\tGTEX-1-1\nENSG1.1\tG1\t2.5\n")
    attributes = b"SAMPID\tSMTSD\nGTEX-1-1\tWhole Blood\n"
    folder = tmp_path / "gtex"
    with serving({GCT_PATH: matrix, ATTRIBUTES_PATH: attributes}) as server:
        options = [f"--base-url={server.url}", "--output", folder]
        done = mtm("data", "download", *options, "--files", "sample-attributes, expression")
        assert done.code == 0
        paths = dict(line.split(": ") for line in done.out.splitlines())
        assert list(paths) == ["expression", "sample-attributes"]
        assert Path(paths["expression"]).read_bytes() == matrix
        assert Path(paths["sample-attributes"]).read_bytes() == attributes
        assert f"{GCT_NAME}: {len(matrix)} bytes." in done.err.splitlines()
        n_requests = len(server.requests)
        again = mtm("data", "download", *options, "--files=expression,sample-attributes")
        assert again.out == done.out
        assert len(server.requests) == n_requests
        error = error_of(mtm("data", "download", *options))
        assert "does not have GTEx_Analysis_v8_Annotations_SubjectPhenotypesDS.txt" in error


def test_download_of_an_unknown_file_is_refused(mtm: Mtm, tmp_path: Path) -> None:
    error = error_of(mtm("data", "download", "--files=gene", "--output", tmp_path / "x"))
    assert "unknown GTEx file: 'gene' (did you mean 'genes'?)" in error
    assert not (tmp_path / "x").exists()


@pytest.mark.reference
def test_prepare_of_the_real_files_gives_the_numbers_of_the_paper(
    mtm: Mtm, reference_data: Path, tmp_path: Path
) -> None:
    gtex = reference_data / "gtex_v8_acmg59"
    (expression,) = gtex.glob("*.gct.gz")
    done = mtm(
        "data", "prepare", f"--expression={expression}",
        f"--sample-attributes={gtex / 'SampleAttributes_minimal.txt'}",
        f"--subject-phenotypes={gtex / 'GTEx_Analysis_v8_Annotations_SubjectPhenotypesDS.txt'}",
        "--minimum-samples=70", "--normalise=panel-cpm", "--output", tmp_path / "c.h5ad",
    )  # fmt: skip
    table = table_of(done)
    assert (table["tissues"], table["samples"], table["donors"]) == ("49", "17,325", "944")
    assert table["donors with whole blood"] == "753"
    assert table["ordered same-donor pairs"] == "340,588"
    assert isinstance(read_cohort(tmp_path / "c.h5ad").uns["donors"], pd.DataFrame)
