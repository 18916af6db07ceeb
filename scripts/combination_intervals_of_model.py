"""Add the intervals of combinations of tissues to a model, from an evaluation of its method.

    mtm evaluate cohort.h5ad --methods stack,stack-age-sex --combinations most-given --output runs/e
    python scripts/combination_intervals_of_model.py runs/e FOLDER_OF_MODEL

For models whose evaluation was made before there were such intervals. Rho of every combination
must differ by less than 0.001 on average over tissues. The card is written anew.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from mtm_core.artefact import Artefact
from mtm_core.evaluation.combinations import COMBINATION_KEYS
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.model_folder import ModelFolder, seal_folder
from mtm_core.reporting.model_card import render_model_card
from mtm_core.safe_output import replacing

MOST_APART = 0.001


def main() -> None:
    """Write combination_intervals.csv, README.md and manifest.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("evaluation", type=Path)
    parser.add_argument("model", type=Path)
    given = parser.parse_args()
    folder = given.model / "evaluation"
    new, old = EvaluationTables.load(given.evaluation), EvaluationTables.load(folder)
    keys = [*COMBINATION_KEYS, "n"]
    both = old.combinations.merge(new.combinations, on=keys, suffixes=("", "_new"))
    apart = (both["gene_rho_by_fold"] - both["gene_rho_by_fold_new"]).groupby(
        [both[name] for name in COMBINATION_KEYS[:2]]
    )
    furthest = apart.mean().abs().max()
    if len(both) != len(old.combinations) or furthest > MOST_APART:
        raise SystemExit(f"the evaluations differ: rho by {furthest:.4f} on average")
    with replacing(folder / "combination_intervals.csv") as place:
        new.combination_intervals.to_csv(place, index=False, float_format="%.6g")
    seal_folder(given.model, changed="evaluation/")
    tables = replace(old, combination_intervals=new.combination_intervals)
    card = render_model_card(Artefact.load(ModelFolder.open(given.model)), tables)
    with replacing(given.model / "README.md") as place:
        place.write_text(card, encoding="utf-8")
    seal_folder(given.model, changed="README.md")
    print(f"{given.model}: mean rho of a combination differs by {furthest:.5f} at most")


if __name__ == "__main__":
    main()
