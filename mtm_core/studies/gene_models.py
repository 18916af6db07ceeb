"""Single genes by a design, as ``statsmodels`` fits them: least squares, or a mixed model.

The linear models of all genes (:mod:`mtm_core.studies.linear_comparison`) moderate the variance of
a gene and share one correlation within blocks. Here each gene has its own variance and correlation,
and all coefficients are reported.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.data.notes import name_some
from mtm_core.errors import MissingLibraryError, SelectionError
from mtm_core.statistics.outcome import CONSTANT, TESTED
from mtm_core.studies.design import StudyDesign
from mtm_core.studies.own_cohort import OwnCohort

LEAST_SQUARES, MIXED = "least squares", "mixed model (REML)"
NOT_CONVERGED = "the mixed model did not converge"
_ESTIMATES = ("estimate", "standard_error", "lower", "upper", "statistic", "p")


def check_gene_models() -> None:
    """Refuse models of single genes where ``statsmodels`` is not installed.

    Raises
    ------
    MissingLibraryError
        If it is not.
    """
    try:
        import statsmodels.api  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingLibraryError(
            f"models of single genes need the Python library {error.name}, which is not installed."
            " Install it with: pip install 'mtm-core[app]'. Linear models of all genes need nothing"
            " more."
        ) from error


def model_genes(cohort: OwnCohort, design: StudyDesign, genes: Sequence[str]) -> pd.DataFrame:
    """Fit the design to single genes, in every tissue of ``cohort`` that has them.

    Parameters
    ----------
    cohort
        The samples.
    design
        Result of :func:`mtm_core.studies.design.make_design`. With a random block, a linear mixed
        model with a random intercept by block is fitted by restricted maximum likelihood; else
        ordinary least squares.
    genes
        Ids or symbols.

    Returns
    -------
    pandas.DataFrame
        One row a gene, tissue and coefficient: ``tissue``, ``origin``, ``gene_id``, ``gene``,
        ``coefficient``, ``estimate`` in log2 expression, ``standard_error``, ``lower`` and
        ``upper`` (95 % confidence interval), ``statistic`` (t, or z of a mixed model), ``df``
        (infinite for z), ``p``, ``n``, ``model``, ``within_block`` (the gene's own correlation),
        ``outcome``.
        In a predicted tissue the values are predictions, whose error is not in these figures.

    Raises
    ------
    SelectionError
        If a gene is in no tissue, or the design is of other samples.
    MissingLibraryError
        If ``statsmodels`` is not installed.

    Examples
    --------
    >>> from mtm_core import SAMPLES, OwnCohort, Predictor, make_design, model_genes
    >>> from mtm_core import read_expression, read_metadata
    >>> predictor = Predictor.load("gtex_v8_acmg59_stack")
    >>> table = read_expression(SAMPLES / "blood_tpm.tsv", known_genes=predictor.genes)
    >>> prepared = predictor.prepare(table)
    >>> prediction = predictor.predict_prepared(prepared, ["Lung"])
    >>> cohort = OwnCohort.of(prediction, prepared, predictor.artefact, table)
    >>> people = read_metadata(SAMPLES / "metadata.tsv", samples=prepared.samples)
    >>> found = model_genes(cohort, make_design(people, "group + age"), ["LDLR"])
    >>> found[found["tissue"] == "Lung"]["coefficient"].tolist()
    ['intercept', 'group[case]', 'age']
    """
    check_gene_models()
    rows = cohort.samples.get_indexer(design.samples)
    if (rows < 0).any():
        raise SelectionError(
            "the design is of other samples than the table. Make it again from this table."
        )
    tables = []
    for gene, symbol in _named(cohort, genes):
        for tissue, values in cohort.gene(gene).iloc[rows].items():
            if values.isna().all():  # the tissue lacks the gene
                continue
            table = _fitted(values.to_numpy(dtype=np.float64), design)
            table.insert(0, "tissue", tissue)
            table.insert(1, "origin", cohort.origin(str(tissue)))
            table.insert(2, "gene_id", gene)
            table.insert(3, "gene", symbol)
            tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _named(cohort: OwnCohort, genes: Sequence[str]) -> list[tuple[str, str]]:
    """Return ids and symbols of the genes that are asked for by either."""
    known: dict[str, str] = {}
    if cohort.predicted_tissues:
        known |= dict(zip(cohort.predicted_genes, cohort.predicted_symbols, strict=True))
    if cohort.source in cohort.tissues:
        known |= dict(zip(cohort.genes(cohort.source), cohort.symbols(cohort.source), strict=True))
    of_symbol: dict[str, list[str]] = {}
    for name, symbol in known.items():
        of_symbol.setdefault(symbol, []).append(name)
    found: dict[str, str] = {}
    lacking = []
    for asked in genes:
        names = [asked] if asked in known else of_symbol.get(asked, [])
        found |= {name: known[name] for name in names}
        if not names:
            lacking.append(asked)
    if lacking:
        raise SelectionError(
            f"{name_some(lacking)} is in none of these tissues. Give a gene id or a symbol of your"
            " table or of the model."
        )
    return list(found.items())


def _fitted(values: NDArray[np.float64], design: StudyDesign) -> pd.DataFrame:
    """Return a row a coefficient, of one gene (N,)."""
    mixed = design.blocks is not None
    table = pd.DataFrame({"coefficient": design.matrix.columns.astype(str)})
    table = table.assign(**dict.fromkeys(_ESTIMATES, np.nan))
    table.insert(6, "df", np.nan)
    table = table.assign(
        n=len(values), model=MIXED if mixed else LEAST_SQUARES, within_block=np.nan, outcome=TESTED
    )
    if np.ptp(values) == 0:
        return table.assign(outcome=CONSTANT)
    return _mixed(values, design, table) if mixed else _least_squares(values, design, table)


def _least_squares(
    values: NDArray[np.float64], design: StudyDesign, table: pd.DataFrame
) -> pd.DataFrame:
    from statsmodels.api import OLS

    fit = OLS(values, design.matrix.to_numpy()).fit()
    lower, upper = fit.conf_int(0.05).T
    return table.assign(
        estimate=fit.params,
        standard_error=fit.bse,
        lower=lower,
        upper=upper,
        statistic=fit.tvalues,
        df=float(fit.df_resid),
        p=fit.pvalues,
    )


def _mixed(values: NDArray[np.float64], design: StudyDesign, table: pd.DataFrame) -> pd.DataFrame:
    from statsmodels.api import MixedLM
    from statsmodels.tools.sm_exceptions import ConvergenceWarning

    with warnings.catch_warnings(record=True):
        # That a gene does not vary between blocks is no failure: its correlation is 0 then.
        warnings.simplefilter("always", ConvergenceWarning)
        fit = MixedLM(values, design.matrix.to_numpy(), groups=np.asarray(design.blocks)).fit(
            reml=True
        )
    k = len(table)
    between = max(float(np.asarray(fit.cov_re)[0, 0]), 0.0)
    errors = np.asarray(fit.bse)[:k]
    if not fit.converged or not np.isfinite(errors).all():
        return table.assign(outcome=NOT_CONVERGED)
    interval = np.asarray(fit.conf_int(0.05))[:k]
    return table.assign(
        estimate=np.asarray(fit.params)[:k],
        standard_error=errors,
        lower=interval[:, 0],
        upper=interval[:, 1],
        statistic=np.asarray(fit.tvalues)[:k],
        df=np.inf,
        p=np.asarray(fit.pvalues)[:k],
        within_block=between / (between + float(fit.scale)),
    )
