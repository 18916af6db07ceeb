"""Groups compared, and traits correlated, in every gene of every tissue of a user's cohort.

Linear models are in :mod:`mtm_core.studies.linear_comparison`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.inference.decoder import TissueProgress
from mtm_core.statistics.association import trait_association
from mtm_core.statistics.differential import differential_expression
from mtm_core.studies.own_cohort import OwnCohort
from mtm_core.studies.resampled_effects import linear_of, log2_ratio
from mtm_core.studies.sample_labels import check_groups

KEYS = ("tissue", "origin", "gene_id", "gene")
"""First columns of every table here: one row a gene in a tissue."""


def compare_groups(
    cohort: OwnCohort,
    groups: pd.Series,
    *,
    case: str,
    control: str,
    on_progress: TissueProgress | None = None,
) -> pd.DataFrame:
    """Compare two groups in every gene of every tissue.

    Parameters
    ----------
    cohort
        The samples.
    groups
        Group of each sample, NaN where not known.
    on_progress
        Called with each tissue.

    Returns
    -------
    pandas.DataFrame
        ``KEYS``, then the columns of
        :func:`mtm_core.statistics.differential.differential_expression` of log2 values: means, and
        the difference of means as fold change, on the ``scale`` of the tissue. FDR within a tissue,
        over all its genes. People of the other sex are left out of a tissue that only one sex
        has, and are in neither ``n_case`` nor ``n_control``. ``log2_ratio`` is that of the groups'
        means of linear expression, as the reference's effects are: to be set beside these.

    Raises
    ------
    SelectionError
        If the groups are one, or one has no sample.
    """
    known = groups.reindex(cohort.samples)
    check_groups(known, case, control)
    is_case, is_control = (known == case).to_numpy(), (known == control).to_numpy()

    def compare(
        values: NDArray[np.floating], genes: Sequence[str], takes_part: NDArray[np.bool_]
    ) -> pd.DataFrame:
        a, b = values[is_case & takes_part], values[is_control & takes_part]
        ratio = np.full(len(genes), np.nan)
        if len(a) and len(b):
            ratio = log2_ratio(linear_of(a).mean(axis=0), linear_of(b).mean(axis=0))
        return differential_expression(a, b, genes, scale="log2").assign(log2_ratio=ratio)

    return _by_tissue(cohort, compare, on_progress)


def correlate_trait(
    cohort: OwnCohort,
    trait: pd.Series,
    covariates: pd.DataFrame | None = None,
    *,
    on_progress: TissueProgress | None = None,
) -> pd.DataFrame:
    """Correlate log2 expression of every gene of every tissue with a trait.

    Parameters
    ----------
    cohort
        The samples.
    trait
        A number for each sample, NaN where not known:
        :func:`mtm_core.studies.sample_labels.trait_numbers`.
    covariates
        Result of :func:`mtm_core.studies.sample_labels.covariate_numbers`; regressed out of both
        sides.
    on_progress
        Called with each tissue.

    Returns
    -------
    pandas.DataFrame
        ``KEYS``, then the columns of
        :func:`mtm_core.statistics.association.trait_association`; FDR within a tissue, over all
        its genes. People of the other sex are left out of a tissue that only one sex has: see
        ``n``.
    """
    samples = cohort.samples
    numbers = trait.reindex(samples).to_numpy(dtype=np.float64)
    others = None if covariates is None else covariates.reindex(samples).to_numpy(dtype=np.float64)

    def correlate(
        values: NDArray[np.floating], genes: Sequence[str], takes_part: NDArray[np.bool_]
    ) -> pd.DataFrame:
        own = np.where(takes_part, numbers, np.nan)
        return trait_association(values, own, genes, covariates=others)

    return _by_tissue(cohort, correlate, on_progress)


def _by_tissue(
    cohort: OwnCohort,
    analyse: Callable[[NDArray[np.floating], Sequence[str], NDArray[np.bool_]], pd.DataFrame],
    on_progress: TissueProgress | None,
) -> pd.DataFrame:
    """Apply ``analyse`` to (samples, genes) of each tissue and put the tables below each other.

    It is also given which samples take part in that tissue.
    """
    tables = []
    for i, tissue in enumerate(cohort.tissues):
        if on_progress is not None:
            on_progress(i, len(cohort.tissues))
        takes_part = cohort.may_have(tissue)
        table = analyse(
            cohort.log2(tissue), cohort.genes(tissue).tolist(), takes_part
        ).reset_index()
        table.insert(0, "tissue", tissue)
        table.insert(1, "origin", cohort.origin(tissue))
        table.insert(3, "gene", cohort.symbols(tissue))
        tables.append(table.assign(scale=cohort.scale(tissue)))
    return pd.concat(tables, ignore_index=True)
