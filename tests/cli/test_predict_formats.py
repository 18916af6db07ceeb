"""``mtm predict --format``: folders of files that people can open."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mtm_core.workflows import predict as workflow
from tests.cli.conftest import Mtm, error_of

TPM = Path(__file__).parents[2] / "data_samples" / "blood_tpm.tsv"
TARGETS = ["--targets", "Lung, Liver"]


def test_wide_files_and_parts_hold_what_the_long_table_does(
    mtm: Mtm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert mtm("predict", TPM, *TARGETS, "--output", tmp_path / "p.parquet").code == 0
    long = pd.read_parquet(tmp_path / "p.parquet").astype({"sample": str, "tissue": str})
    wide = tmp_path / "wide"
    done = mtm(
        "predict", TPM, *TARGETS, "--format=wide", "--files=tsv.gz", "--values=z,upper",
        "--output", wide,
    )  # fmt: skip
    assert done.code == 0
    assert f"Wrote {wide}: 4 tables of 40 samples x 2 tissues x 59 genes" in done.err
    for tissue in ("Lung", "Liver"):
        for value in ("z", "upper"):
            table = pd.read_csv(wide / f"{tissue}.{value}.tsv.gz", sep="\t", index_col="gene_id")
            expected = long[long["tissue"] == tissue].pivot(
                index="gene_id", columns="sample", values=value
            )
            got = table.drop(columns="symbol").loc[expected.index, expected.columns]
            np.testing.assert_allclose(got, expected, rtol=1e-5)
    monkeypatch.setattr(workflow, "LARGE_BYTES", 1)
    parts = tmp_path / "parts"
    done = mtm("predict", TPM, *TARGETS, "--format=parts", "--files", ".parquet", "--output", parts)
    assert done.code == 0
    assert "0 million rows: the output will take up to" in done.err
    assert "--format wide writes one file per tissue, genes x samples" in done.err
    joined = pd.concat(map(pd.read_parquet, sorted(parts.glob("part-*.parquet"))))
    np.testing.assert_array_equal(joined["z"], long["z"])
    for files in ("csv", "csv.gz"):
        texts = tmp_path / files
        done = mtm("predict", TPM, *TARGETS, "--format=parts", "--files", files, "--output", texts)
        assert done.code == 0
        as_text = pd.concat(map(pd.read_csv, sorted(texts.glob(f"part-*.{files}"))))
        np.testing.assert_allclose(as_text["upper"], long["upper"], rtol=1e-5)
        assert list(as_text["tissue"]) == list(long["tissue"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--files=csv"], "--files is for folders"),
        (["--format=wide", "--files=xlsx"], "unknown kind of file: '.xlsx'"),
        (["--format=wide", "--values=rho"], "unknown value: 'rho'"),
        (["--format=parts", "--files=tsv"], "unknown kind of file: '.tsv'"),
        (["--format=wide", "--workers=1"], "a prediction in chunks is written as .zarr"),
    ],
)
def test_unknown_formats_are_refused_first(
    mtm: Mtm, tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = mtm("predict", "none.csv", *arguments, "--output", tmp_path / "p.csv")
    assert message in error_of(done)
    assert list(tmp_path.iterdir()) == []
