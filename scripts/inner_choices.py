"""Settings of the factor models, scored inside the training donors of folds 0 and 1.

    python scripts/inner_choices.py COHORT --output inner_choices.csv

Each row is one change of the shipped setting, cross-validated in three folds of the training donors
of a fold of ``mtm evaluate``: mean gene-wise rho over the tissues, from blood alone or from four
tissues where a donor has them: there the factors stay linear. No donor whom that fold holds out is
read.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import pandas as pd
from inner_folds import mean_gene_rho, training_part

from mtm_core.config import ScalingConfig
from mtm_core.data.cohort.cohort import read_cohort
from mtm_core.methods.kernel_factors import KernelFactorsMethod
from mtm_core.methods.protocol import Method
from mtm_core.safe_output import check_output, writing

FURTHER = ("Skin - Sun Exposed (Lower leg)", "Muscle - Skeletal", "Adipose - Subcutaneous")
_SHIPPED = KernelFactorsMethod()
_JOINT = _SHIPPED.joint
FROM_BLOOD: dict[str, Method] = {
    "shipped": _SHIPPED,
    "covariates not fitted": replace(_SHIPPED, joint=replace(_JOINT, covariates=())),
    "class of death fitted too, never read": replace(
        _SHIPPED, joint=replace(_JOINT, covariates=("age", "sex", "hardy"))
    ),
    "linear scale": replace(
        _SHIPPED,
        joint=replace(_JOINT, scaling=ScalingConfig("linear", low_expression_rule=True)),
    ),
}
FROM_FOUR: dict[str, Method] = {
    "shipped": _JOINT,
    "no gene factors": replace(_JOINT, gene_ridge=None),
    "gene factors, ridge 30": replace(_JOINT, gene_ridge=30.0),
    "gene factors, ridge 300": replace(_JOINT, gene_ridge=300.0),
    "loadings ridge 100": replace(_JOINT, ridge=100.0),
    "22, 30 and 40 factors": replace(_JOINT, n_factors=(22, 30, 40)),
}


def main() -> None:
    """Score every choice in both folds and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cohort", type=Path)
    parser.add_argument("--output", type=Path, default=Path("inner_choices.csv"))
    arguments = parser.parse_args()
    check_output(arguments.output)
    cohort = read_cohort(arguments.cohort)
    parts = [training_part(cohort, fold) for fold in (0, 1)]
    rows: list[dict[str, object]] = []
    for sources, choices in ((FURTHER, FROM_FOUR), ((), FROM_BLOOD)):
        for name, method in choices.items():
            scores = {
                f"fold {fold}": mean_gene_rho(method, own, inner, further_sources=sources)
                for fold, (own, inner) in enumerate(parts)
            }
            rows.append({"sources": 1 + len(sources), "choice": name, **scores})
            print(rows[-1], flush=True)
            with writing(arguments.output, overwrite=len(rows) > 1) as place:
                pd.DataFrame(rows).to_csv(place, index=False, float_format="%.4f")


if __name__ == "__main__":
    main()
