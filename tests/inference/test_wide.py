"""Files of one tissue each, and long tables in parts, against the long table as a whole."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mtm_core.artefact import Artefact
from mtm_core.data.tables.expression import read_expression
from mtm_core.errors import OutputError, SelectionError
from mtm_core.inference import long_parts, wide
from mtm_core.inference.export import blocks_in, to_long_table
from mtm_core.inference.long_parts import write_parts
from mtm_core.inference.predictor import Predictor
from mtm_core.inference.wide import file_stems, wide_bytes, write_tissue, write_wide

SAMPLES = ["P1", '5 %d "a", b', "%", "NA", "=1+1"]
TISSUES = ["Lung", "Brain - Nucleus accumbens (basal ganglia)", "lung", "Skin, %s"]
STEMS = ["Lung", "Brain_Nucleus_accumbens_basal_ganglia", "lung_2", "Skin_s"]


@pytest.fixture
def prediction(rng: np.random.Generator) -> xr.Dataset:
    shape, dims = (5, 4, 7), ("sample", "tissue", "gene")
    z = (rng.normal(size=shape) * 10.0 ** rng.integers(-7, 8, shape)).astype(np.float32)
    names = ("expression", "lower", "upper")
    return xr.Dataset(
        {
            "z": (dims, z),
            **{name: (dims, rng.gamma(2, size=shape).astype("f4")) for name in names},
            "used_age_sex": ("sample", np.arange(5) > 2),
            "distance_before": ("sample", rng.uniform(1, 3, 5)),
            "distance_after": ("sample", rng.uniform(0, 1, 5)),
        },
        coords={
            "sample": SAMPLES,
            "tissue": TISSUES,
            "gene": [f"ENSG{i}" for i in range(7)],
            "symbol": ("gene", ["TP53", 'a"b', "", "c,d", "100%", "=x", "b\tc"]),
        },
        attrs={"model": "small", "unit": "TPM"},
    )


def read(path: Path) -> pd.DataFrame:
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    separator = "\t" if ".tsv" in path.name else ","
    return pd.read_csv(path, sep=separator, keep_default_na=False, na_values=[""], dtype={0: str})


@pytest.mark.parametrize("files", wide.FILES)
@pytest.mark.parametrize("block", [1, 1 << 20], ids=["a gene at a time", "whole"])
def test_each_tissue_holds_what_the_long_table_does(
    prediction: xr.Dataset,
    tmp_path: Path,
    files: str,
    block: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wide, "_BLOCK_BYTES", block)
    reported: list[tuple[int, int]] = []
    values = ("expression", "z")
    folder = tmp_path / "predicted"
    write_wide(
        prediction, folder, files=files, values=values, on_progress=lambda *a: reported.append(a)
    )
    assert reported == [(i, 4) for i in range(4)]
    index = pd.read_csv(folder / "tissues.csv")
    assert index["file"].tolist() == [f"{s}.{v}{files}" for s in STEMS for v in values]
    assert index["unit"].tolist() == ["TPM", "z-score"] * 4
    long = to_long_table(prediction).astype({"sample": str, "tissue": str})
    for row in index.itertuples():
        table = read(folder / row.file)
        assert table.columns[:2].tolist() == ["gene_id", "symbol"]
        escaped = [*SAMPLES[:4], SAMPLES[4] if files == ".parquet" else "'=1+1"]
        assert table.columns[2:].tolist() == escaped
        expected = long[long["tissue"] == row.tissue].pivot(
            index="gene_id", columns="sample", values=row.value
        )[SAMPLES]
        assert table["gene_id"].tolist() == expected.index.tolist()
        np.testing.assert_allclose(table.iloc[:, 2:], expected, rtol=1e-5)
    samples = pd.read_csv(folder / "samples.csv", keep_default_na=False)
    np.testing.assert_allclose(samples["distance_after"], prediction["distance_after"])
    assert samples["used_age_sex"].tolist() == [False, False, False, True, True]
    assert json.loads((folder / "settings.json").read_text()) == prediction.attrs


def test_a_wide_file_can_be_read_as_anyones_table(
    small_artefact: Artefact, tmp_path: Path, rng: np.random.Generator
) -> None:
    predictor, genes = Predictor(small_artefact), small_artefact.genes.index
    samples = [f"P{i}" for i in range(6)]
    table = pd.DataFrame(rng.gamma(2, 20, (6, len(genes))), index=samples, columns=genes)
    prediction = predictor.predict(table, unit="tpm")
    write_tissue(prediction, "Lung", tmp_path / "lung.tsv.gz")
    again = read_expression(tmp_path / "lung.tsv.gz", known_genes=predictor.genes)
    assert again.values.index.tolist() == samples
    expected = prediction["expression"].sel(tissue="Lung").to_pandas()
    np.testing.assert_allclose(again.values[list(expected.columns)], expected, rtol=1e-5)


def test_names_of_files_are_those_of_gtex_and_differ() -> None:
    assert file_stems(TISSUES) == STEMS
    assert file_stems(["Cells - EBV-transformed lymphocytes", "../../x", "", "tissue"]) == [
        "Cells_EBV-transformed_lymphocytes",
        "x",
        "tissue",
        "tissue_2",
    ]


def test_unknown_formats_and_values_are_named(prediction: xr.Dataset, tmp_path: Path) -> None:
    with pytest.raises(SelectionError, match=r"kind of file: '\.xls'.*'\.csv', '\.tsv'"):
        write_wide(prediction, tmp_path / "a", files=".xls")
    with pytest.raises(SelectionError, match=r"value: 'Z'.*'z'"):
        write_wide(prediction, tmp_path / "a", values=["Z"])
    plain = prediction.drop_vars(["lower", "upper"])
    with pytest.raises(SelectionError, match=r"no interval.*there are expression, z"):
        write_wide(plain, tmp_path / "a", values=["upper"])
    with pytest.raises(SelectionError, match=r"kind of file: '\.tsv'.*'\.csv\.gz'"):
        write_parts(blocks_in(prediction), SAMPLES, tmp_path / "a", files=".tsv")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_replaced_only_on_request(
    prediction: xr.Dataset, tmp_path: Path
) -> None:
    write_wide(prediction, tmp_path / "p")
    with pytest.raises(OutputError, match="--overwrite"):
        write_wide(prediction, tmp_path / "p", files=".parquet")
    write_wide(prediction.isel(tissue=[0]), tmp_path / "p", files=".parquet", overwrite=True)
    beside = {".mtm-output.json", "samples.csv", "settings.json", "tissues.csv"}
    assert {path.name for path in (tmp_path / "p").iterdir()} == beside | {
        "Lung.expression.parquet"
    }


@pytest.mark.parametrize("files", long_parts.FILES)
def test_parts_together_are_the_long_table(
    prediction: xr.Dataset, tmp_path: Path, files: str
) -> None:
    of_sample = 4 * 7
    # Blocks of 2 samples, parts of 3: what is left of a block joins the next.
    blocks = [prediction.isel(sample=slice(start, start + 2)) for start in (0, 2, 4)]
    n = write_parts(blocks, SAMPLES, tmp_path / "p", files=files, rows=3 * of_sample + 5)
    index = pd.read_csv(tmp_path / "p" / "parts.csv", keep_default_na=False)
    assert n == 2
    assert index["rows"].tolist() == [3 * of_sample, 2 * of_sample]
    assert index[["first_sample", "last_sample"]].to_numpy().tolist() == [
        ["P1", "%"],
        ["NA", "'=1+1"],
    ]
    parts = [
        pd.read_parquet(tmp_path / "p" / file)
        if files == ".parquet"
        else pd.read_csv(tmp_path / "p" / file, keep_default_na=False)
        for file in index["file"]
    ]
    expected = to_long_table(prediction)
    joined = pd.concat(parts, ignore_index=True)
    assert joined.columns.tolist() == expected.columns.tolist()
    assert (joined["tissue"].astype(str) == expected["tissue"].astype(str)).all()
    assert (joined["gene_id"] == expected["gene_id"]).all()
    for name in ("z", "expression", "lower", "upper"):
        np.testing.assert_allclose(joined[name], expected[name], rtol=1e-5)


def test_a_sample_is_never_cut(prediction: xr.Dataset, tmp_path: Path) -> None:
    assert write_parts(blocks_in(prediction), SAMPLES, tmp_path / "p", rows=3) == 5


def test_size_is_estimated_from_above(tmp_path: Path, rng: np.random.Generator) -> None:
    shape = (30, 2, 300)
    values = np.exp2(rng.normal(0, 5, shape)).astype(np.float32)
    big = xr.Dataset(
        {"expression": (("sample", "tissue", "gene"), values)},
        coords={
            "sample": [f"sample {i}" for i in range(30)],
            "tissue": ["Lung", "Liver"],
            "gene": [f"ENSG{i:011d}.12" for i in range(300)],
            "symbol": ("gene", [f"GENE{i}" for i in range(300)]),
        },
        attrs={"unit": "TPM"},
    )
    for files in wide.FILES:
        write_wide(big, tmp_path / files, files=files)
        size = sum(path.stat().st_size for path in (tmp_path / files).glob("L*"))
        assert (
            wide_bytes(shape, files) / 3 < size < wide_bytes(shape, files) + 40_000
        )  # of parquet's columns


_MEASURED = """
    import resource, sys
    import numpy as np, xarray as xr
    from pathlib import Path
    from mtm_core.inference import wide
    from mtm_core.inference.on_demand import on_demand
    n, n_tissues, n_genes = 200, int(sys.argv[2]), 4000
    wide._BLOCK_BYTES = 1 << 20
    class Made:
        decoder = None
        def read(self, tissue, samples, genes, out):
            out[:] = tissue + np.arange(n_genes)[genes]
    values = on_demand(Made(), (n, n_tissues, n_genes))
    prediction = xr.Dataset({"expression": values}, attrs={"unit": "TPM"}, coords={
        "sample": [f"P{i}" for i in range(n)], "tissue": [f"T{i}" for i in range(n_tissues)],
        "gene": [f"G{i}" for i in range(n_genes)], "symbol": ("gene", ["S"] * n_genes)})
    wide.write_wide(prediction.isel(tissue=[0]), Path(sys.argv[1]) / "first", files=".parquet")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wide.write_wide(prediction, Path(sys.argv[1]) / "all", files=".parquet")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_does_not_grow_with_the_tissues(tmp_path: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(_MEASURED), str(tmp_path), "20"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert int(done.stdout) < 20_000  # kB; all values are 64 MB


@pytest.mark.parametrize("files", [".csv", ".tsv.gz"])
def test_an_unknown_value_is_blank(prediction: xr.Dataset, tmp_path: Path, files: str) -> None:
    prediction["lower"][1, 0, 2] = np.nan
    path = tmp_path / f"Lung.lower{files}"
    write_tissue(prediction, "Lung", path, value="lower")
    got = read(path).iloc[:, 2:]
    expected = prediction["lower"].sel(tissue="Lung").transpose("gene", "sample").to_numpy()
    assert got.dtypes.eq(float).all()
    np.testing.assert_allclose(got.to_numpy(), expected, rtol=1e-5)
