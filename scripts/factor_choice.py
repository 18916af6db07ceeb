"""Print what a factor model chooses for itself on a cohort, and how every candidate fared.

    python scripts/factor_choice.py COHORT

Sizes, ridge, shrinkage and kernel are chosen by inner folds of the donors, as each fit does with
its training donors. Scores are gene-wise rho from whole blood, mean over genes, tissues and folds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mtm_core.data.cohort.cohort import read_cohort
from mtm_core.data.gtex.annotations import WHOLE_BLOOD
from mtm_core.methods.joint_gaussian import MIN_DONORS_TO_CHOOSE, JointGaussianMethod
from mtm_core.methods.kernel_factors import KernelFactorsMethod


def main() -> None:
    """Read the command line, choose, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cohort", type=Path)
    cohort = read_cohort(parser.parse_args().cohort)
    joint = JointGaussianMethod(covariates=("age", "sex"), choose_from=WHOLE_BLOOD)
    training = joint.training(cohort, sorted(set(cohort.obs["donor"].astype(str))))
    choice = joint.choose(training)
    if choice is None:
        raise SystemExit(f"fewer than {MIN_DONORS_TO_CHOOSE} donors have {WHOLE_BLOOD}")
    print(f"chosen: {choice.settings}")
    for settings, score in sorted(choice.scores.items(), key=lambda item: -item[1]):
        print(f"{score:.4f}  {settings}")
    print(f"kernel: {KernelFactorsMethod(joint).choose_shape(choice.fitted_folds())}")


if __name__ == "__main__":
    main()
