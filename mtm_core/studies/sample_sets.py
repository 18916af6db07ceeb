"""Gene sets between two groups of a user's samples, allowing for the correlation of their genes.

A table of results does not say how the genes of a set are correlated; the samples do. So the test
is made where the samples are: predicted genes depend on the same few factors, and tests that take
genes as independent find sets by chance (:mod:`mtm_core.statistics.set_tests`).

Shapes: N samples, G genes of a tissue.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from mtm_core.data.gene_sets.gmt import GeneSets
from mtm_core.data.genes.index import GeneIndex
from mtm_core.errors import SelectionError
from mtm_core.evaluation.accuracy import PREDICTABLE_RHO
from mtm_core.statistics.enrichment import RestrictedSets
from mtm_core.statistics.linear_models import contrast_tests, fit_linear_models
from mtm_core.statistics.outcome import TESTED
from mtm_core.statistics.regression import residuals
from mtm_core.statistics.set_tests import correlation_adjusted, normal_scores
from mtm_core.studies.design import LEAST_GROUP
from mtm_core.studies.enrichment import HIGHER, LOWER, EnrichmentOptions
from mtm_core.studies.own_cohort import MEASURED, OwnCohort
from mtm_core.studies.sample_labels import check_groups

LEAST_SAMPLES = 6
"""Fewest samples of both groups together: the correlation is estimated from their residuals."""


def compare_sets(
    cohort: OwnCohort,
    groups: pd.Series,
    sets: Sequence[GeneSets],
    *,
    case: str,
    control: str,
    held_out: Callable[[str], pd.Series] | None = None,
    options: EnrichmentOptions | None = None,
) -> pd.DataFrame:
    """Test gene sets between two groups in every tissue of ``cohort``.

    Genes have moderated t statistics of the difference of log2 expression; a set is tested against
    the other genes of its background by
    :func:`mtm_core.statistics.set_tests.correlation_adjusted`.

    Parameters
    ----------
    cohort
        The samples.
    groups
        Group of each sample, NaN where not known.
    sets
        Collections.
    case, control
        The two groups.
    held_out
        Called with a predicted tissue: out-of-fold pooled rho by gene id. ``None`` if not known.
    options
        Background and sizes of sets; what else it has is not used.

    Returns
    -------
    pandas.DataFrame
        One row a tissue, collection and set: ``tissue``, ``origin``, ``collection``, ``set``,
        ``direction``, ``size``, ``correlation``, ``statistic``, ``p``, ``fdr`` within tissue and
        collection, and ``n_background`` genes. Without tissues that one sex alone has, where too
        few people of that sex are in a group.

    Raises
    ------
    SelectionError
        If the groups are one or too small; or nothing says which genes are predictable, and they
        are the background.
    InputFileError
        If a collection has too few of the genes.
    """
    asked = options or EnrichmentOptions()
    known = groups.reindex(cohort.samples)
    check_groups(known, case, control)
    is_known = known.isin([case, control]).to_numpy()
    if is_known.sum() < LEAST_SAMPLES:
        raise SelectionError(
            f"gene sets are compared with {LEAST_SAMPLES} samples or more, from which the"
            f" correlation of genes is estimated; the two groups have {is_known.sum()}."
        )
    tables = []
    for tissue in cohort.tissues:
        rows = np.flatnonzero(is_known & cohort.may_have(tissue))
        is_case = (known.iloc[rows] == case).to_numpy(dtype=np.float64)
        smaller = min(is_case.sum(), len(rows) - is_case.sum())
        if len(rows) < LEAST_SAMPLES or smaller < LEAST_GROUP:
            continue
        design = np.column_stack([np.ones(len(rows)), is_case])
        basis = np.linalg.qr(design)[0]
        values, genes = cohort.log2(tissue)[rows], cohort.genes(tissue)
        is_measured = cohort.origin(tissue) == MEASURED
        fit = fit_linear_models(values, design, trend=is_measured)
        test = contrast_tests(fit, [0, 1])
        background = test.outcome == TESTED
        if not is_measured and asked.background == "predictable":
            rho = pd.Series(dtype=float) if held_out is None else held_out(tissue)
            if rho.empty:
                raise SelectionError(
                    f"the predictable genes of {tissue} are unknown: the model was not evaluated."
                    " Use every gene as background (--background tested)."
                )
            background &= rho.reindex(genes).to_numpy(dtype=np.float64) > PREDICTABLE_RHO
        scores = normal_scores(test.statistic, test.df)
        left = residuals(values.astype(np.float64), basis)
        index = GeneIndex(
            pd.DataFrame({"symbol": cohort.symbols(tissue), "entrez": ""}, index=genes)
        )
        for collection in sets:
            matched = collection.match(index)
            cut = RestrictedSets.restrict(
                matched.starts,
                matched.members,
                background,
                minimum=asked.minimum_size,
                maximum=asked.maximum_size,
            )
            table = correlation_adjusted(scores, left, fit.df, background, cut)
            named = {
                "tissue": tissue,
                "origin": cohort.origin(tissue),
                "collection": collection.name,
                "set": np.array(collection.sets, dtype=object)[cut.sets],
                "direction": np.where(table["statistic"] >= 0, HIGHER, LOWER),
            }
            for place, (name, column) in enumerate(named.items()):
                table.insert(place, name, column)
            table["n_background"] = int(background.sum())
            tables.append(table.sort_values("p", kind="stable"))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
