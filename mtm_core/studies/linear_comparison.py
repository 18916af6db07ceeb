"""A user's own cohort by the design of a study: moderated linear models, tissue by tissue.

Of a predicted tissue two questions are answered.

- *Difference in predicted expression* (``p``, ``fdr``): do the predictions differ? They are
  functions of the measured source and vary less than the tissue does, so that this is a question
  about the source; a gene that is hardly predicted can come out as sure as any other.
- *Difference in the tissue's expression, allowing for prediction error* (``p_tissue``,
  ``fdr_tissue``): would the tissue itself differ? Two errors are added to the variance: of each
  person, what predictions of held-out donors left over (from the calibrated interval; it averages
  out over people), and of the model, which was learnt from so many donors (the same for all people;
  it grows with how far apart the groups lie: :mod:`mtm_core.statistics.contrast_distance`). It
  holds as far as the model holds in these people: where a disease changes how blood and tissue go
  together, no test on predictions can tell.

In a measured tissue nothing is added: both are the same.

In a predicted tissue that only one sex has, people of the other are left out, and the design is cut
to the rest (:mod:`mtm_core.studies.design_part`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.inference.decoder import TissueProgress
from mtm_core.statistics.block_correlation import consensus_correlation, within_block_correlation
from mtm_core.statistics.contrast_distance import squared_distances
from mtm_core.statistics.linear_models import (
    ContrastTest,
    LinearFit,
    contrast_tests,
    fit_linear_models,
)
from mtm_core.statistics.outcome import outcome_column
from mtm_core.studies.design import StudyDesign
from mtm_core.studies.design_part import DesignPart, part_of_design, rows_of_design
from mtm_core.studies.own_cohort import OwnCohort

MOST_CORRELATED = 4000
"""Genes, evenly spaced, that the correlation within blocks is taken from."""


@dataclass(frozen=True)
class _Tissue:
    """One tissue of the samples that take part: fitted models, and errors of the values.

    ``leverage`` is that of the rows of all contrasts of ``part``, one below the other. Without a
    contrast that can be tested nothing is fitted.
    """

    part: DesignPart
    fit: LinearFit | None
    correlation: float
    measured: bool
    error: NDArray[np.floating] | None
    leverage: NDArray[np.float64] | None


def compare_by_design(
    cohort: OwnCohort, design: StudyDesign, *, on_progress: TissueProgress | None = None
) -> pd.DataFrame:
    """Test the contrasts of ``design`` in every gene of every tissue of ``cohort``.

    Parameters
    ----------
    cohort
        The samples.
    design
        Result of :func:`mtm_core.studies.design.make_design`.
    on_progress
        Called with each tissue.

    Returns
    -------
    pandas.DataFrame
        One row a contrast, tissue and gene: ``tissue``, ``origin``, ``gene_id``, ``gene``,
        ``contrast``, ``n`` samples (without people of the other sex, where only one has the
        tissue), ``log2_fold_change`` (of a number, for a change of 1; of
        several coefficients together, the one furthest from 0), ``standard_error``, ``statistic``
        (moderated t, or F of several), ``df``, ``p``, ``fdr`` within contrast and tissue;
        ``standard_error_tissue``, ``p_tissue``, ``fdr_tissue``: with prediction errors, NaN where
        the model has no intervals; ``within_block``, the correlation used; ``scale``; ``outcome``.

    Raises
    ------
    SelectionError
        If the design is of other samples.

    Examples
    --------
    >>> from mtm_core import SAMPLES, OwnCohort, Predictor, compare_by_design, make_design
    >>> from mtm_core import read_expression, read_metadata
    >>> predictor = Predictor.load("gtex_v8_acmg59_stack")
    >>> table = read_expression(SAMPLES / "blood_tpm.tsv", known_genes=predictor.genes)
    >>> prepared = predictor.prepare(table)
    >>> prediction = predictor.predict_prepared(prepared, ["Lung"])
    >>> cohort = OwnCohort.of(prediction, prepared, predictor.artefact, table)
    >>> people = read_metadata(SAMPLES / "metadata.tsv", samples=prepared.samples)
    >>> found = compare_by_design(cohort, make_design(people, "group + age + sex"))
    >>> found.groupby("tissue").size().to_dict()
    {'Lung': 59, 'Whole Blood': 59}
    """
    rows = rows_of_design(design, cohort.samples)
    tables = []
    for i, tissue in enumerate(cohort.tissues):
        if on_progress is not None:
            on_progress(i, len(cohort.tissues))
        own = _fitted(cohort, tissue, design, rows)
        for number, contrast in enumerate(design.contrasts):
            table = _tested(own, number, cohort.genes(tissue).tolist()).reset_index()
            table.insert(0, "tissue", tissue)
            table.insert(1, "origin", cohort.origin(tissue))
            table.insert(3, "gene", cohort.symbols(tissue))
            table.insert(4, "contrast", contrast.name)
            tables.append(table.assign(scale=cohort.scale(tissue)))
    return pd.concat(tables, ignore_index=True)


def _fitted(cohort: OwnCohort, tissue: str, design: StudyDesign, rows: NDArray[np.intp]) -> _Tissue:
    part = part_of_design(design, cohort.may_have(tissue)[rows])
    measured = tissue == cohort.source
    if not part.design.contrasts:
        return _Tissue(part, None, np.nan, measured, None, None)
    rows = cohort.samples.get_indexer(part.design.samples)
    design = part.design
    values, error = cohort.log2(tissue)[rows], cohort.error(tissue)
    matrix, correlation = design.matrix.to_numpy(), 0.0
    if design.blocks is not None:
        step = -(-values.shape[1] // MOST_CORRELATED)
        correlation = consensus_correlation(
            within_block_correlation(values[:, ::step], matrix, design.blocks)
        )
    fit = fit_linear_models(
        values, matrix, blocks=design.blocks, correlation=correlation, trend=measured
    )
    if error is None:
        return _Tissue(part, fit, correlation, measured, None, None)
    known = cohort.n_donors is not None and tissue in cohort.n_donors.index
    n_donors = float(cohort.n_donors[tissue]) if known and cohort.n_donors is not None else np.inf
    every = np.vstack([contrast.rows for contrast in design.contrasts])
    leverage = squared_distances(values, matrix, every) / n_donors
    return _Tissue(part, fit, correlation, measured, error[rows], leverage)


def _tested(own: _Tissue, number: int, genes: list[str]) -> pd.DataFrame:
    design, place_in_part = own.part.design, own.part.place[number]
    if own.fit is None or place_in_part is None:
        return _untested(len(design.samples), own.part.reason[number], genes)
    contrast = design.contrasts[place_in_part]
    test = contrast_tests(own.fit, contrast.rows)
    table = test.table(genes)
    table.insert(0, "n", len(design.samples))
    table.insert(1, "log2_fold_change", _furthest(test))
    columns = ["standard_error", "p", "fdr"]
    if own.error is None or own.leverage is None:
        with_error = table[columns] if own.measured else table[columns] * np.nan
    else:
        first = sum(len(other.rows) for other in design.contrasts[:place_in_part])
        place = slice(first, first + len(contrast.rows))
        leverage = own.leverage[place, place]
        blocks = design.values[design.block] if design.block else None
        with_error = contrast_tests(
            own.fit, contrast.rows, error=own.error, blocks=blocks, leverage=leverage
        ).table(genes)[columns]
    outcome = table.pop("outcome")
    return table.join(with_error, rsuffix="_tissue").assign(
        within_block=own.correlation, outcome=outcome
    )


def _untested(n: int, reason: str, genes: list[str]) -> pd.DataFrame:
    """Return the table of a contrast that cannot be tested in the people of one sex."""
    with_error = ["standard_error", "p", "fdr"]
    numbers = ["log2_fold_change", "standard_error", "statistic", "df", "p", "fdr"]
    columns = [*numbers, *(f"{name}_tissue" for name in with_error), "within_block"]
    table = pd.DataFrame(np.nan, pd.Index(genes, name="gene_id"), columns)
    table.insert(0, "n", n)
    return table.assign(outcome=outcome_column([reason] * len(genes)))


def _furthest(test: ContrastTest) -> NDArray[np.float64]:
    """Return of each gene (G,) the effect furthest from 0."""
    place = np.abs(test.effect).argmax(axis=0)
    return np.asarray(np.take_along_axis(test.effect, place[None], axis=0)[0])
