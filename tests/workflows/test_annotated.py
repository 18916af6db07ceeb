"""``.h5ad`` and ``.h5mu`` with everything in its slot, as AnnData and MuData read them."""

from __future__ import annotations

import json
from pathlib import Path

import anndata as ad
import mudata
import numpy as np
import pandas as pd

from mtm_core.artefact import Artefact
from mtm_core.evaluation.predictability import out_of_fold_rho
from mtm_core.inference.options import FurtherTissue, PredictionOptions
from mtm_core.model_folder import ModelFolder
from mtm_core.model_places import DEFAULT_MODEL, find_model
from mtm_core.places import SAMPLES
from mtm_core.studies.beside_model import evaluation_of
from mtm_core.workflows.predict import predict_samples
from mtm_core.workflows.predict_options import PredictOptions

TISSUES = ("Lung", "Liver")
METADATA = SAMPLES / "metadata.tsv"


def predict(output: Path, metadata: Path = METADATA) -> None:
    predict_samples(
        PredictOptions(
            SAMPLES / "blood_tpm.tsv",
            output,
            prediction=PredictionOptions(targets=TISSUES),
            metadata=metadata,
        )
    )


def rho_of(tissue: str, column: str = "rho_pooled") -> pd.Series:
    files = ModelFolder.open(find_model(DEFAULT_MODEL))
    artefact = Artefact.load(files)
    genes = evaluation_of(files, artefact).genes
    own = genes[(genes["method"] == artefact.method.name) & (genes["tissue"] == tissue)]
    return own.set_index("gene_id")[column]


def test_an_h5ad_says_how_far_each_gene_is_to_be_trusted(tmp_path: Path) -> None:
    predict(tmp_path / "p.h5ad")
    found = ad.read_h5ad(tmp_path / "p.h5ad")
    for tissue in TISSUES:
        rho = rho_of(tissue).reindex(found.var_names)
        np.testing.assert_allclose(found.varm["out_of_fold_rho"][tissue], rho, rtol=1e-6)
        assert (found.varm["predictable"][tissue] == (rho > 0.3)).all()
        adjusted = rho_of(tissue, "adjusted_rho_pooled").reindex(found.var_names)
        np.testing.assert_allclose(found.varm["adjusted_rho"][tissue], adjusted, rtol=1e-6)
    given = pd.read_csv(SAMPLES / "metadata.tsv", sep="\t").set_index("sample")
    np.testing.assert_allclose(
        found.obs["age"], given["age"].reindex(found.obs["sample"].astype(str))
    )
    assert "59 of the model's 59 genes" in found.uns["mtm"]["notes"]
    assert found.uns["mtm"]["model"] == DEFAULT_MODEL
    assert {"expression", "lower", "upper"} <= set(found.layers)
    options = PredictionOptions.from_json(json.loads(found.uns["mtm"]["options"]))
    assert (options.unit, options.targets) == ("tpm", TISSUES)


def test_an_h5mu_says_it_by_tissue(tmp_path: Path) -> None:
    predict(tmp_path / "p.h5mu")
    with mudata.set_options(pull_on_update=False):
        found = mudata.read_h5mu(tmp_path / "p.h5mu")
    lung = found.mod["Lung"]
    rho = rho_of("Lung").reindex(lung.var["gene_id"])
    np.testing.assert_allclose(lung.var["out_of_fold_rho"], rho, rtol=1e-6)
    assert lung.var["symbol"].notna().all()
    assert lung.var_names[0].startswith("Lung:ENSG")
    assert "age" in lung.obs


def test_from_two_tissues_it_has_the_accuracy_of_both_together(tmp_path: Path) -> None:
    muscle = "Muscle - Skeletal"
    predict_samples(
        PredictOptions(
            SAMPLES / "blood_tpm.tsv",
            tmp_path / "p.h5ad",
            prediction=PredictionOptions(
                targets=("Lung",), unit="tpm", further=(FurtherTissue(muscle, "tpm"),)
            ),
            further=(SAMPLES / "blood_tpm.tsv",),
        )
    )
    found = ad.read_h5ad(tmp_path / "p.h5ad").varm["out_of_fold_rho"]["Lung"]
    files = ModelFolder.open(find_model(DEFAULT_MODEL))
    artefact = Artefact.load(files)
    both = out_of_fold_rho(
        evaluation_of(files, artefact), artefact.method.name, ("Whole Blood", muscle)
    )["rho_pooled"]["Lung"]
    np.testing.assert_allclose(found, both.reindex(found.index), rtol=1e-6)
    assert not np.allclose(found, rho_of("Lung").reindex(found.index), atol=1e-3)


def test_obs_has_every_column_of_the_metadata(tmp_path: Path) -> None:
    given = pd.read_csv(METADATA, sep="\t").set_index("sample")
    given = given.assign(
        tissue="EDTA tube", bmi=np.linspace(18, 40, len(given)), blank=np.nan, _index="x"
    ).rename(columns={"bmi": "BMI kg/m2"})
    given.iloc[5, given.columns.get_loc("group")] = np.nan
    given.iloc[::-1].to_csv(tmp_path / "m.tsv", sep="\t")  # in another order than the table
    for name in ("p.h5ad", "p.h5mu"):
        predict(tmp_path / name, tmp_path / "m.tsv")
    found = ad.read_h5ad(tmp_path / "p.h5ad").obs
    expected = given.reindex(found["sample"].astype(str))
    assert set(found["tissue"]) == set(TISSUES)
    for column, own in (
        ("group", "group"),
        ("sex", "sex"),
        ("metadata_tissue", "tissue"),
        ("metadata__index", "_index"),
    ):
        assert isinstance(found[column].dtype, pd.CategoricalDtype)
        assert found[column].astype(object).fillna("").tolist() == expected[own].fillna("").tolist()
    assert found["BMI kg|m2"].dtype == float
    np.testing.assert_allclose(found["BMI kg|m2"], expected["BMI kg/m2"], rtol=1e-12)
    assert not {"blank", "metadata_blank"} & set(found)
    with mudata.set_options(pull_on_update=False):
        lung = mudata.read_h5mu(tmp_path / "p.h5mu").mod["Lung"].obs
    of_lung = found[found["tissue"] == "Lung"].set_index("sample")
    for column in ("group", "metadata_tissue", "BMI kg|m2"):
        pd.testing.assert_series_equal(
            lung[column].astype(object), of_lung[column].astype(object), check_index=False
        )


def test_the_file_says_what_its_values_are(tmp_path: Path) -> None:
    predict(tmp_path / "p.h5ad")
    found = ad.read_h5ad(tmp_path / "p.h5ad")
    about = found.uns["mtm"]
    assert about["X"].startswith("z-scores")
    assert about["layers"] == "expression, lower, upper: panel CPM, not logarithms"
    assert found.obs_names.is_unique
    assert found.var_names.is_unique
    assert {found.X.dtype, *(layer.dtype for layer in found.layers.values())} == {
        np.dtype(np.float32)
    }
    # The two scales are of the same values: the higher z, the higher the expression.
    lung = found[found.obs["tissue"] == "Lung"]
    for gene in range(lung.n_vars):
        order = np.argsort(lung.X[:, gene], kind="stable")
        assert (np.diff(lung.layers["expression"][order, gene]) >= 0).all()
