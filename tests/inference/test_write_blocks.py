"""A prediction that is written block by block is what is written of the whole."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mtm_core.artefact import Artefact
from mtm_core.errors import OutputError
from mtm_core.escaping import in_cells
from mtm_core.inference.blocks import predict_blocks, prediction_bytes
from mtm_core.inference.export import (
    blocks_in,
    file_bytes,
    to_long_table,
    write_blocks,
    write_prediction,
)
from mtm_core.inference.predictor import Predictor

SAMPLES = ["P1", '5 %d "a", b', "%", "two\nlines", "NA", "=1+1"]
FORMATS = (".csv", ".parquet", ".h5ad", ".zarr")


@pytest.fixture
def prediction(rng: np.random.Generator) -> xr.Dataset:
    shape, dims = (6, 3, 5), ("sample", "tissue", "gene")
    z = (rng.normal(size=shape) * 10.0 ** rng.integers(-7, 8, shape)).astype(np.float32)
    z[1, 1, 2:4] = np.nan
    z[2, 0, 0] = np.inf
    names = ("expression", "lower", "upper")
    return xr.Dataset(
        {
            "z": (dims, z),
            **{name: (dims, rng.gamma(2, size=shape).astype("f4")) for name in names},
            "found": ("gene", np.array([True, False, True, True, True])),
            "distance_before": ("sample", rng.uniform(1, 3, 6)),
            "distance_after": ("sample", rng.uniform(0, 1, 6)),
        },
        coords={
            "sample": SAMPLES,
            "tissue": ["Lung", "Skin, %s", "Liver"],
            "gene": [f"ENSG{i}" for i in range(5)],
            "symbol": ("gene", ["TP53", 'a"b', "", "c,d", "100%"]),
        },
        attrs={"model": "small", "unit": "TPM"},
    )


def written(prediction: xr.Dataset, path: Path, n_bytes: int = 1) -> Path:
    blocks = list(blocks_in(prediction, n_bytes))
    assert len(blocks) == (6 if n_bytes == 1 else 1)
    write_blocks(blocks, SAMPLES, path)
    return path


def test_csv_is_to_the_byte_what_pandas_writes(prediction: xr.Dataset, tmp_path: Path) -> None:
    expected = in_cells(to_long_table(prediction)).to_csv(index=False, float_format="%.6g")
    assert written(prediction, tmp_path / "a.csv").read_text() == expected
    without = prediction.drop_vars(["lower", "upper"])
    expected = in_cells(to_long_table(without)).to_csv(index=False, float_format="%.6g")
    assert written(without, tmp_path / "b.csv").read_text() == expected


def test_parquet_has_the_rows_columns_and_types_of_the_whole(
    prediction: xr.Dataset, tmp_path: Path
) -> None:
    again = pd.read_parquet(written(prediction, tmp_path / "a.parquet"))
    pd.testing.assert_frame_equal(again, to_long_table(prediction))


def test_h5ad_and_zarr_are_those_of_the_whole(prediction: xr.Dataset, tmp_path: Path) -> None:
    parts = ad.read_h5ad(written(prediction, tmp_path / "a.h5ad"))
    whole = ad.read_h5ad(written(prediction, tmp_path / "b.h5ad", 1 << 30))
    np.testing.assert_array_equal(parts.X, whole.X)
    np.testing.assert_array_equal(parts.X.reshape(6, 3, 5), prediction["z"])
    assert parts.obs.equals(whole.obs)
    assert parts.var.equals(whole.var)
    assert set(parts.layers) == {"expression", "lower", "upper"}
    for name in parts.layers:
        np.testing.assert_array_equal(parts.layers[name].reshape(6, 3, 5), prediction[name])
    with xr.open_zarr(written(prediction, tmp_path / "a.zarr"), consolidated=False) as again:
        xr.testing.assert_identical(again.load().drop_encoding(), prediction)


@pytest.mark.parametrize("ending", FORMATS)
def test_an_interrupted_write_leaves_nothing(
    prediction: xr.Dataset, tmp_path: Path, ending: str
) -> None:
    def broken():
        yield from list(blocks_in(prediction, 1))[:3]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_blocks(broken(), SAMPLES, tmp_path / f"p{ending}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", FORMATS)
def test_existing_files_are_replaced_only_on_request(
    prediction: xr.Dataset, tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"p{ending}"
    write_prediction(prediction, path)
    with pytest.raises(OutputError, match=r"exists already.*--overwrite"):
        write_prediction(prediction, path)
    write_prediction(prediction, path, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    if ending == ".zarr":
        (path / "z" / "thesis.txt").write_text("mine")
        with pytest.raises(OutputError, match=r"but also z/thesis\.txt"):
            write_prediction(prediction, path, overwrite=True)
        assert (path / "z" / "thesis.txt").read_text() == "mine"


def test_sizes_are_estimated_from_above(prediction: xr.Dataset, tmp_path: Path, rng) -> None:
    big = prediction.isel(gene=np.arange(5).repeat(40), sample=np.arange(6).repeat(5))
    names = {"sample": [f"sample {i}" for i in range(30)], "gene": [f"G{i}" for i in range(200)]}
    big = big.assign_coords(names)
    for name in ("z", "expression", "lower", "upper"):
        big[name] = big[name].copy(data=rng.standard_normal(big[name].shape, dtype="f4"))
    for ending in (".csv", ".parquet", ".h5ad"):
        write_prediction(big, tmp_path / f"p{ending}")
        size = (tmp_path / f"p{ending}").stat().st_size
        assert size < file_bytes((30, 3, 200), ending) + 60_000
        assert size > file_bytes((30, 3, 200), ending) / 4
    values = sum(big[name].nbytes for name in ("z", "expression", "lower", "upper"))
    assert prediction_bytes(30, 3, 200) == values


def test_blocks_are_the_prediction_of_the_whole(small_artefact: Artefact, rng) -> None:
    predictor = Predictor(small_artefact)
    genes = small_artefact.genes.index
    table = pd.DataFrame(
        rng.gamma(2, 20, (25, len(genes))), index=[f"P{i}" for i in range(25)], columns=genes
    )
    prepared = predictor.prepare(table, unit="tpm")
    whole = predictor.predict_prepared(prepared)
    reported: list[tuple[int, int]] = []
    one = prediction_bytes(1, whole.sizes["tissue"], len(genes))
    blocks = list(
        predict_blocks(
            predictor, prepared, block_bytes=10 * one, on_progress=lambda *a: reported.append(a)
        )
    )
    assert [block.sizes["sample"] for block in blocks] == [10, 10, 5]
    assert reported == [(0, 25), (10, 25), (20, 25)]
    joined = xr.concat(
        blocks, "sample", data_vars="minimal", coords="minimal", compat="override", join="exact"
    )
    xr.testing.assert_allclose(joined, whole, rtol=1e-5, atol=1e-6)
    assert joined.attrs == whole.attrs


_MEASURED = """
    import resource, sys
    import numpy as np, xarray as xr
    from pathlib import Path
    from mtm_core.inference.export import write_blocks
    n, shape = 60, (3, 20, 1600)
    dims = ("sample", "tissue", "gene")
    coords = {"tissue": [f"T{i}" for i in range(20)], "gene": [f"G{i}" for i in range(1600)],
              "symbol": ("gene", [f"S{i}" for i in range(1600)])}
    def blocks():
        rng = np.random.default_rng(0)
        for i in range(0, n, 3):
            z = rng.standard_normal(shape, dtype="f4")
            yield xr.Dataset({**{k: (dims, z) for k in ("z", "expression", "lower", "upper")},
                "found": ("gene", np.ones(1600, bool)), "distance_before": ("sample", np.ones(3)),
                "distance_after": ("sample", np.ones(3))},
                coords=coords | {"sample": [f"P{j}" for j in range(i, i + 3)]})
    names = [f"P{j}" for j in range(n)]
    folder = Path(sys.argv[1])
    for ending in (".parquet", ".h5ad", ".csv"):
        write_blocks(iter(list(blocks())[:1]), names[:3], folder / ("first" + ending))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        write_blocks(blocks(), names, folder / ("all" + ending))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_does_not_grow_with_the_samples(tmp_path: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(_MEASURED), str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    # All 1.9 million rows are 120 MB as a long table.
    assert max(map(int, done.stdout.split())) < 50_000  # kB
