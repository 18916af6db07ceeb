"""Choose the settings of the kernel factors anew in each fold, on its training donors alone.

    python scripts/nested_choice.py COHORT --output nested_choice.csv

The shipped settings were chosen on the training donors of two folds, who are held out in others.
Here every fold chooses for itself, out of the shipped settings and single changes of them, by
cross-validation among its own training donors; the score of its choice on its held-out donors is
free of that. Printed beside the score of the shipped settings.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import pandas as pd
from inner_folds import mean_gene_rho, training_part

from mtm_core.data.cohort.cohort import read_cohort
from mtm_core.data.cohort.splits import donor_folds
from mtm_core.methods.kernel_factors import KernelFactorsMethod
from mtm_core.safe_output import check_output, writing

_SHIPPED = KernelFactorsMethod()
_JOINT = _SHIPPED.joint
CHOICES = {
    "shipped": _SHIPPED,
    "bound 2": replace(_SHIPPED, joint=replace(_JOINT, bound=2.0)),
    "no bound": replace(_SHIPPED, joint=replace(_JOINT, bound=None)),
    "width 0.05": replace(_SHIPPED, width=0.05),
    "width 0.2": replace(_SHIPPED, width=0.2),
    "kernel ridge 0.3": replace(_SHIPPED, ridge=0.3),
    "kernel ridge 3": replace(_SHIPPED, ridge=3.0),
    "loadings ridge 100": replace(_SHIPPED, joint=replace(_JOINT, ridge=100.0)),
    "loadings ridge 600": replace(_SHIPPED, joint=replace(_JOINT, ridge=600.0)),
    "shrinkage 40": replace(_SHIPPED, joint=replace(_JOINT, shrinkage=40.0)),
    "shrinkage 250": replace(_SHIPPED, joint=replace(_JOINT, shrinkage=250.0)),
    "12 factors": replace(_SHIPPED, joint=replace(_JOINT, n_factors=(12,))),
}


def main() -> None:
    """Choose in every fold and write what was chosen."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cohort", type=Path)
    parser.add_argument("--output", type=Path, default=Path("nested_choice.csv"))
    arguments = parser.parse_args()
    check_output(arguments.output)
    cohort = read_cohort(arguments.cohort)
    folds = donor_folds(cohort.obs)
    rows: list[dict[str, object]] = []
    for fold in range(len(folds.folds)):
        own, inner = training_part(cohort, fold)
        scores = {name: mean_gene_rho(method, own, inner) for name, method in CHOICES.items()}
        chosen = max(scores, key=scores.__getitem__)
        rows.append(
            {
                "fold": fold,
                "chosen": chosen,
                "inner, chosen": scores[chosen],
                "inner, shipped": scores["shipped"],
                "held out, chosen": mean_gene_rho(CHOICES[chosen], cohort, folds, only=[fold]),
                "held out, shipped": mean_gene_rho(_SHIPPED, cohort, folds, only=[fold]),
            }
        )
        print(rows[-1], flush=True)
        with writing(arguments.output, overwrite=len(rows) > 1) as place:
            pd.DataFrame(rows).to_csv(place, index=False, float_format="%.4f")
    print(pd.DataFrame(rows).mean(numeric_only=True))


if __name__ == "__main__":
    main()
