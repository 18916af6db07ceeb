"""Single genes by a design: ``statsmodels``' least squares, or a mixed model of repeated samples.

The linear models of all genes (:mod:`mtm_core.studies.linear_comparison`) moderate the variance of
a gene and share one correlation within blocks. Here each gene has its own variance and correlation,
and all coefficients are reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from mtm_core.data.notes import name_some
from mtm_core.errors import MissingLibraryError, SelectionError
from mtm_core.statistics.outcome import CONSTANT, CONSTANT_TRAIT, FROM_COVARIATES, TESTED, TOO_FEW
from mtm_core.studies.design import INTERCEPT, LEAST_FREEDOM, LEAST_GROUP, StudyDesign
from mtm_core.studies.design_part import part_of_design, rows_of_design
from mtm_core.studies.own_cohort import OwnCohort

LEAST_SQUARES, MIXED = "least squares", "mixed model (REML)"
_CORRELATIONS = np.append(1 - np.geomspace(1, 1e-4, 41), 1 - 1e-6)
"""Correlations within blocks from which the search of the best one begins."""
_ROUNDING = 1e-8
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
        (infinite for z), ``p``, ``n`` (without people of the other sex, where only one has the
        tissue), ``model``, ``within_block`` (the gene's own correlation), ``outcome``: why there
        is no estimate, such as of the coefficient of sex where one sex is left.
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
    rows = rows_of_design(design, cohort.samples)
    parts = {
        tissue: part_of_design(design, cohort.may_have(tissue)[rows]).design
        for tissue in cohort.tissues
    }
    tables = []
    for gene, symbol in _named(cohort, genes):
        for tissue, every in cohort.gene(gene).iloc[rows].items():
            part = parts[str(tissue)]
            values = every.loc[part.samples]
            if len(values) and values.isna().all():  # the tissue lacks the gene
                continue
            own = _fitted(values.to_numpy(dtype=np.float64), part)
            table = _of_whole(own, design, part)
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


def _of_whole(table: pd.DataFrame, design: StudyDesign, part: StudyDesign) -> pd.DataFrame:
    """Bring the table of a part of the samples to the coefficients (P) of the whole design.

    A coefficient that depends on others in these samples, or on one sample, has no estimate.
    """
    if len(part.samples) == len(design.samples):
        return table
    whole = design.matrix.loc[part.samples].to_numpy()
    n, n_coefficients = whole.shape
    own = np.linalg.pinv(whole) @ whole if n else np.zeros((n_coefficients, n_coefficients))
    depends = np.abs(own - np.eye(n_coefficients)).max(axis=1) > _ROUNDING
    is_group = np.isin(design.matrix.to_numpy(), (0, 1)).all(axis=0)
    is_group &= design.matrix.columns != INTERCEPT
    few = is_group & (np.minimum((whole != 0).sum(axis=0), (whole == 0).sum(axis=0)) < LEAST_GROUP)
    lacking = np.full(len(depends), n - len(table) < LEAST_FREEDOM)
    same = (design.matrix.columns != INTERCEPT) & (whole == whole[:1]).all(axis=0)
    reason = np.select(
        [lacking, same, few, depends], [TOO_FEW, CONSTANT_TRAIT, TOO_FEW, FROM_COVARIATES], ""
    )
    names = pd.Index(design.matrix.columns.astype(str), name="coefficient")
    every = table.set_index("coefficient").reindex(names)
    every = every.assign(n=n, model=MIXED if part.blocks is not None else LEAST_SQUARES)
    every.loc[reason != "", [*_ESTIMATES, "df", "within_block"]] = np.nan
    return every.assign(outcome=every["outcome"].mask(reason != "", reason)).reset_index()


def _fitted(values: NDArray[np.float64], design: StudyDesign) -> pd.DataFrame:
    """Return a row a coefficient, of one gene (N,)."""
    mixed = design.blocks is not None
    table = pd.DataFrame({"coefficient": design.matrix.columns.astype(str)})
    table = table.assign(**dict.fromkeys(_ESTIMATES, np.nan))
    table.insert(6, "df", np.nan)
    table = table.assign(
        n=len(values), model=MIXED if mixed else LEAST_SQUARES, within_block=np.nan, outcome=TESTED
    )
    if len(values) - len(table) < LEAST_FREEDOM:
        return table.assign(outcome=TOO_FEW)
    if np.ptp(values) == 0:
        return table.assign(outcome=CONSTANT)
    return _mixed(values, design, table) if mixed else _least_squares(values, design, table)


def _least_squares(
    values: NDArray[np.float64], design: StudyDesign, table: pd.DataFrame
) -> pd.DataFrame:
    from statsmodels.api import OLS

    fit = OLS(values, design.matrix.to_numpy()).fit()
    return _with_coefficients(table, fit).assign(df=float(fit.df_resid))


def _mixed(values: NDArray[np.float64], design: StudyDesign, table: pd.DataFrame) -> pd.DataFrame:
    """Fit a random intercept by block: the correlation within blocks by REML, then least squares.

    The one parameter is searched over its whole range. General optimisers stop short, or report
    standard errors of their own, where a gene does not vary between blocks and it is 0.
    """
    from statsmodels.api import OLS

    assert design.blocks is not None
    code = pd.factorize(design.blocks)[0]
    size = np.bincount(code)
    x = design.matrix.to_numpy(dtype=np.float64)

    def independent(correlation: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Transform values and design so that errors of this correlation are independent."""
        ratio = correlation / (1 - correlation)
        shrunk = 1 - 1 / np.sqrt(1 + size * ratio)
        every = np.column_stack([values, x])
        mean = np.array([np.bincount(code, column) / size for column in every.T]).T
        every = every - (shrunk[:, None] * mean)[code]
        return every[:, 0], every[:, 1:]

    def criterion(correlation: float) -> float:
        """Return minus twice the restricted log likelihood, but for a constant."""
        y, own = independent(correlation)
        q, r = np.linalg.qr(own)
        left = float(((y - q @ (q.T @ y)) ** 2).sum())
        spread = np.log1p(size * correlation / (1 - correlation)).sum()
        freedom = len(y) - own.shape[1]
        return float(freedom * np.log(left) + spread + 2 * np.log(np.abs(np.diag(r))).sum())

    at = int(np.argmin([criterion(correlation) for correlation in _CORRELATIONS]))
    ends = _CORRELATIONS[max(at - 1, 0)], _CORRELATIONS[min(at + 1, len(_CORRELATIONS) - 1)]
    refined = float(minimize_scalar(criterion, bounds=ends, options={"xatol": 1e-9}).x)
    correlation = min((float(_CORRELATIONS[at]), refined), key=criterion)
    fit = OLS(*independent(correlation)).fit(use_t=False)
    return _with_coefficients(table, fit).assign(df=np.inf, within_block=correlation)


def _with_coefficients(table: pd.DataFrame, fit: Any) -> pd.DataFrame:  # noqa: ANN401 - statsmodels
    """Fill in the coefficients of a fit of statsmodels, with intervals and tests."""
    lower, upper = fit.conf_int(0.05).T
    return table.assign(
        estimate=fit.params,
        standard_error=fit.bse,
        lower=lower,
        upper=upper,
        statistic=fit.tvalues,
        p=fit.pvalues,
    )
