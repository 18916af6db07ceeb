"""``mtm predict --and``: several tissues of the same people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mtm_core.inference.options import FurtherTissue, PredictionOptions
from mtm_core.inference.predictor import Predictor
from mtm_core.model_places import DEFAULT_MODEL
from mtm_core.places import SAMPLES
from mtm_core.reporting.command_line import predict_arguments
from mtm_core.reporting.command_words import InputFiles
from tests.cli.conftest import Mtm, error_of

MUSCLE = "Muscle - Skeletal"


@pytest.fixture
def tables(tmp_path: Path) -> dict[str, pd.DataFrame]:
    """Blood of P-1 to P-30; as if muscle, of P-21 to P-40; files of both."""
    values = pd.read_csv(SAMPLES / "blood_tpm.tsv", sep="\t", index_col="sample")
    found = {"Whole Blood": values.iloc[:30], MUSCLE: values.iloc[20:] + 1}
    for name, table in zip(("blood.tsv", "its muscle.tsv"), found.values(), strict=True):
        table.to_csv(tmp_path / name, sep="\t")
    return found


def test_two_tables_are_predicted_from_together(
    mtm: Mtm, tmp_path: Path, tables: dict[str, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = PredictionOptions(
        targets=("Lung",), unit="tpm", further=(FurtherTissue(MUSCLE, "tpm"),), near_people=True
    )
    files = InputFiles(("blood.tsv",), further=("its muscle.tsv",))
    words = predict_arguments(options, files, model=DEFAULT_MODEL, output="p.csv")
    done = mtm(*words[1:])
    assert done.code == 0
    shown = pd.read_csv("p.csv").pivot(index="sample", columns="gene_id", values="z")
    expected = Predictor.load(DEFAULT_MODEL).predict(tables=tables, targets=["Lung"], unit="tpm")
    z = expected["z"].sel(tissue="Lung").to_pandas()
    np.testing.assert_allclose(shown.loc[z.index, z.columns], z, atol=1e-5)
    assert "From Whole Blood: 20 people." in done.err
    assert f"From Whole Blood and {MUSCLE}: 10 people." in done.err
    assert f"From {MUSCLE}: 10 people." in done.err
    assert "for 30 of 40 people" in done.err
    assert "only in further tables" not in done.err  # all are predicted
    measured = "Out-of-fold rho from these tissues: 0."
    assert measured in done.err.replace("\n", " ")
    assert np.isnan(expected["lower"].to_numpy()[-10:]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--and", "muscle.tsv"], "expected TISSUE=FILE"),
        (["--and", f"{MUSCLE}=none.tsv"], "cannot open none.tsv"),
        (["--and", f"{MUSCLE}=a.tsv", "--and", f"{MUSCLE}=b.tsv"], "given more than once"),
        (["--and", f"{MUSCLE}=blood.tsv", "--and-unit", "Spleen=tpm"], "unknown tissue: 'Spleen'"),
        (["--and", f"{MUSCLE}=blood.tsv", "--and-unit", f"{MUSCLE}=tmp"], "unknown unit: 'tmp'"),
        (["--and", f"{MUSCLE}=blood.tsv", "--targets", MUSCLE], "is a source"),
        (
            ["--and", f"{MUSCLE}=blood.tsv", "--workers", "2"],
            "in chunks must be .h5ad",
        ),
        (["--and", "Muscel=blood.tsv"], "unknown tissue: 'Muscel'"),
        (["--and", "Whole Blood=blood.tsv"], "given more than once"),
    ],
)
def test_impossible_options_are_refused(
    mtm: Mtm,
    tmp_path: Path,
    tables: dict[str, pd.DataFrame],
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    output = "p.zarr" if "--workers" in options else "p.csv"
    done = mtm("predict", "blood.tsv", "--unit", "tpm", *options, "--output", output)
    assert message in error_of(done)
    assert not (tmp_path / output).exists()
