"""Add rho adjusted for blood composition to a model, from an evaluation of its method with it.

    mtm evaluate cohort.h5ad --methods stack,mtm --composition CELLS.tsv --output runs/composition
    python scripts/composition_of_model.py runs/composition FOLDER_OF_MODEL --from "source, licence"

Only statistics by tissue and gene are stored, none of single donors. What both evaluations have,
the pooled rho over all donors, must differ by less than ``--most-apart`` on average, which is more
for a network that was trained anew on other hardware. The card is written anew.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from mtm_core.artefact import Artefact
from mtm_core.evaluation.composition_table import FROM, KEYS, composition_rows, save_composition
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.model_folder import ModelFolder, seal_folder
from mtm_core.reporting.model_card import render_model_card
from mtm_core.safe_output import replacing


def main() -> None:
    """Write composition.parquet, settings.json, README.md and manifest.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("evaluation", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--from", dest="source", required=True, help="source and licence")
    parser.add_argument("--most-apart", type=float, default=0.01)
    given = parser.parse_args()
    new, folder = EvaluationTables.load(given.evaluation), given.model / "evaluation"
    old = EvaluationTables.load(folder)
    methods = [name for name in new.methods if name in old.methods]
    rows = composition_rows(new.genes, methods)
    both = old.genes.merge(new.genes, on=list(KEYS), suffixes=("", "_new"))
    apart = (both["rho_pooled"] - both["rho_pooled_new"]).abs()
    if len(both) != len(rows) or apart.mean() > given.most_apart:
        raise SystemExit(f"the evaluations differ: pooled rho by {apart.mean():.3f} on average")
    save_composition(rows, folder)
    settings = old.settings | {
        "composition": new.settings["composition"],
        FROM: given.source,
    }
    with replacing(folder / "settings.json") as place:
        place.write_text(json.dumps(settings, indent=1) + "\n")
    seal_folder(given.model, changed="evaluation/")
    artefact = Artefact.load(ModelFolder.open(given.model))
    card = render_model_card(artefact, EvaluationTables.load(folder))
    with replacing(given.model / "README.md") as place:
        place.write_text(card, encoding="utf-8")
    seal_folder(given.model, changed="README.md")
    print(
        f"{given.model}: {', '.join(methods)}; pooled rho differs by {apart.mean():.4f} on average"
    )


if __name__ == "__main__":
    main()
