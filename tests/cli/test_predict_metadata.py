"""``mtm predict --metadata``: age and sex for models that read them."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd

from mtm_core.artefact import Artefact
from mtm_core.methods.joint_gaussian import JointGaussianMethod
from tests.cli.conftest import Mtm

SAMPLES = Path(__file__).parents[2] / "data_samples"


def test_a_model_that_reads_age_and_sex_predicts_otherwise_with_them(
    mtm: Mtm, small_cohort: ad.AnnData, tmp_path: Path
) -> None:
    donors = sorted(set(small_cohort.obs["donor"]))
    fitted = JointGaussianMethod(covariates=("age", "sex")).fit(small_cohort, donors)
    provenance = {"command": "mtm train"}
    Artefact.of(fitted, small_cohort, name="with_age_sex", provenance=provenance).save(
        tmp_path / "with_age_sex"
    )
    blood = small_cohort[small_cohort.obs["tissue"] == "Whole Blood"][:24].to_df()
    blood.set_axis([f"P{i}" for i in range(24)]).to_csv(tmp_path / "blood.csv")
    people = pd.DataFrame({"sample": [f"P{i}" for i in range(24)], "age": 70.0, "sex": "f"})
    people.loc[0, "age"] = np.nan
    people.to_csv(tmp_path / "people.csv", index=False)
    options = [
        *(tmp_path / "blood.csv", "--model", tmp_path / "with_age_sex", "--unit=tpm"),
        *("--targets", "Lung"),
    ]
    assert mtm("predict", *options, "--output", tmp_path / "alone.parquet").code == 0
    done = mtm(
        "predict", *options, "--metadata", tmp_path / "people.csv",
        "--output", tmp_path / "with_age_sex.parquet",
    )  # fmt: skip
    assert done.code == 0
    assert "'f' as female; 24 female" in done.err
    alone, with_age_sex = (
        pd.read_parquet(tmp_path / f"{name}.parquet").pivot(
            index="sample", columns="gene_id", values="z"
        )
        for name in ("alone", "with_age_sex")
    )
    difference = np.abs(with_age_sex - alone).max(axis=1)
    assert difference["P0"] < 1e-6  # whose age is not known
    assert (difference.drop("P0") > 1e-3).all()


def test_a_model_that_reads_expression_alone_says_so(mtm: Mtm, tmp_path: Path) -> None:
    done = mtm(
        "predict", SAMPLES / "blood_tpm.tsv", "--metadata", SAMPLES / "metadata.tsv",
        "--targets", "Lung", "--output", tmp_path / "p.csv", "--model", "gtex_v8_acmg59",
    )  # fmt: skip
    assert done.code == 0
    assert "This model uses expression alone: age and sex change nothing." in done.err


def test_the_bundled_model_reads_age_and_sex(mtm: Mtm, tmp_path: Path) -> None:
    table = SAMPLES / "blood_tpm.tsv"
    with_age_sex = mtm(
        "predict", table, "--metadata", SAMPLES / "metadata.tsv", "--targets", "Lung",
        "--output", tmp_path / "with_age_sex.csv",
    )  # fmt: skip
    assert "40 samples are predicted with age and sex, 0 without." in with_age_sex.err
    alone = mtm("predict", table, "--targets", "Lung", "--output", tmp_path / "alone.csv")
    assert "0 samples are predicted with age and sex, 40 without." in alone.err
    z = [pd.read_csv(tmp_path / f"{name}.csv")["z"] for name in ("with_age_sex", "alone")]
    assert np.abs(z[0] - z[1]).max() > 0.05
