"""The bundled model beside a made-up evaluation, to show what evaluated models show."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from mtm_core.artefact import Artefact
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.model_folder import seal_folder
from mtm_core.model_places import find_model
from mtm_core.reporting.model_card import render_model_card

NAME = "made_up_accuracy"


def write_evaluated_model(folder: Path) -> Path:
    """Write the model into ``folder``; in Lung, BRCA1 is predictable and BRCA2 has no rho."""
    bundled = Artefact.load(find_model("gtex_v8_acmg59"))
    rng = np.random.default_rng(0)
    targets = [tissue for tissue in bundled.tissues.index if tissue != "Whole Blood"]
    genes, tissues = [], []
    for method, gain in (("mtm", 0.05), ("ridge", 0.0)):
        for tissue in targets:
            level = rng.uniform(0.0, 0.35)
            rho = np.clip(rng.normal(level + gain, 0.15, len(bundled.genes)), -0.3, 0.9)
            rows = pd.DataFrame(
                {
                    "tissue": tissue,
                    "gene_id": bundled.genes.index,
                    "n": 100,
                    "rho_by_fold": rho,
                    "rho_pooled": rho - 0.02,
                    "r2": rho**2,
                    "method": method,
                }
            )
            if tissue == "Lung":
                symbol = bundled.genes["symbol"].to_numpy()
                rows.loc[symbol == "BRCA1", ["rho_by_fold", "rho_pooled"]] = 0.5
                rows.loc[symbol == "BRCA2", ["rho_by_fold", "rho_pooled"]] = np.nan
            genes.append(rows)
            tissues.append(
                {
                    "tissue": tissue,
                    "n": 100,
                    "gene_rho_by_fold": rows["rho_by_fold"].fillna(0).mean(),
                    "gene_rho_pooled": rows["rho_pooled"].fillna(0).mean(),
                    "sample_rho": 0.2,
                    "n_predictable": int((rows["rho_pooled"] > 0.3).sum()),
                    "mse_ratio": 0.9,
                    "method": method,
                }
            )
    settings = {"folds": 5, "source": "Whole Blood"}
    evaluation = EvaluationTables(pd.concat(genes), pd.DataFrame(tissues), settings)
    artefact = replace(bundled, name=NAME, accuracy=evaluation.of_method("mtm"))
    artefact.save(folder)
    evaluation.save(folder / "evaluation")
    card = render_model_card(artefact, evaluation)
    (folder / "README.md").write_text(card, encoding="utf-8")
    history = pd.DataFrame({"epoch": [1, 2, 3], "individual": [0.9, 0.8, 0.75], "seconds": 1.0})
    history.to_csv(folder / "history.csv", index=False)
    seal_folder(folder)
    return folder
