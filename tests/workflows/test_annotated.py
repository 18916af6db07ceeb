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


def predict(output: Path) -> None:
    predict_samples(
        PredictOptions(
            SAMPLES / "blood_tpm.tsv",
            output,
            prediction=PredictionOptions(targets=TISSUES),
            metadata=SAMPLES / "metadata.tsv",
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
