"""Trait associations in predicted and in measured expression (paper, section 3.4, first part).

Letters: N donors, G genes, R shuffles.

In each tissue every gene is correlated with the trait, once as predicted and once as measured; the
two lists are then correlated over the predictable genes. Both lists are of the same donors, so they
share those donors' chance: even a shuffled trait gives a positive figure. It is given beside each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.grouped_table import GroupedTable, whole
from mtm_core.grouped_writing import HeldRows
from mtm_core.methods.covariates import CovariateName
from mtm_core.statistics.association import trait_association
from mtm_core.statistics.correlation import columnwise_correlation
from mtm_core.statistics.outcome import TESTED
from mtm_core.statistics.overlap import Concordance, concordance
from mtm_core.statistics.regression import orthonormal_basis, residuals
from mtm_core.studies.donor_traits import Trait, adjustment_name, covariates_of
from mtm_core.studies.out_of_fold import Floats, TissuePredictions

Array = NDArray[np.float64]

N_SHUFFLES = 200
PRESERVED_RHO = 0.3
"""Correlation of the two lists above which a tissue preserves a trait (p < 0.05), as the paper."""
_NOTHING = pd.Series(dtype=np.float64)


@dataclass(frozen=True)
class TraitStudy:
    """Trait associations in predicted and in measured expression.

    Attributes
    ----------
    tissues
        One row a (``trait``, ``adjusted_for``, ``tissue``): ``n`` donors, ``n_genes`` predictable
        genes, ``rho`` between the two lists with ``rho_low``, ``rho_high`` and ``p`` (genes taken
        as independent, as the paper does), ``is_preserved`` by the paper's rule; ``shuffled``, the
        median rho with the trait shuffled among the donors, and ``shuffle_p``, the share of
        shuffles that reach rho; ``outcome``.
    gene_rows
        One row a (``trait``, ``adjusted_for``, ``tissue``, ``gene_id``): ``n`` and, ``_predicted``
        and ``_observed``, ``rho``, ``p``, ``fdr`` and ``outcome``. A data frame, or
        left on disk.
    """

    tissues: pd.DataFrame
    gene_rows: pd.DataFrame | GroupedTable

    @property
    def genes(self) -> pd.DataFrame:
        """All rows of genes: of a wide cohort millions, read anew each time."""
        return whole(self.gene_rows)

    def summary(self) -> pd.DataFrame:
        """Return one row a trait and adjustment: medians over tissues, and how many keep it."""
        tested = self.tissues[self.tissues["outcome"] == TESTED]
        return tested.groupby(["trait", "adjusted_for"], sort=False).agg(
            n_tissues=("tissue", "size"),
            n_preserved=("is_preserved", "sum"),
            n_beyond_shuffled=("shuffle_p", lambda p: int((p < 0.05).sum())),
            median_rho=("rho", "median"),
            median_shuffled=("shuffled", "median"),
            median_genes=("n_genes", "median"),
        )


def study_traits(
    predictions: Mapping[str, TissuePredictions],
    phenotypes: pd.DataFrame,
    traits: Sequence[Trait],
    *,
    n_shuffles: int = N_SHUFFLES,
    seed: int = 0,
    on_tissue: Callable[[int, int], object] | None = None,
    gene_rows: HeldRows | None = None,
) -> TraitStudy:
    """Compare predicted and measured associations, raw and with each adjustment of the traits.

    Parameters
    ----------
    predictions
        Result of :func:`mtm_core.studies.out_of_fold.on_expression_scale`.
    phenotypes
        Donor table of the cohort.
    traits
        Result of :func:`mtm_core.studies.donor_traits.known_traits`.
    n_shuffles, seed
        Shuffles of the trait among the donors, and their seed.
    on_tissue
        Called with how many tissues are done, and how many there are.
    gene_rows
        Takes the rows of genes of each tissue as they are made, such as a file
        (:class:`mtm_core.grouped_writing.GrowingTable`); those of the result are then empty.
    """
    analyses = [(trait, names) for trait in traits for names in ((), *trait.adjustments)]
    found: dict[tuple[int, int], dict[str, object]] = {}
    held = HeldRows()
    for place, (tissue, part) in enumerate(predictions.items()):  # of a wide cohort, one is there
        for number, (trait, names) in enumerate(analyses):
            rng = np.random.default_rng(seed)
            row, table = _study(part, trait, names, phenotypes, n_shuffles, rng)
            keys = {
                "trait": trait.name,
                "adjusted_for": adjustment_name(names),
                "tissue": tissue,
            }
            found[number, place] = keys | row
            table = table.reset_index(names="gene_id").assign(**keys)
            table = table[[*keys, *table.columns.drop(list(keys))]]
            (held if gene_rows is None else gene_rows).add(table, (number, place))
        if on_tissue is not None:
            on_tissue(place + 1, len(predictions))
    return TraitStudy(pd.DataFrame([found[key] for key in sorted(found)]), held.table())


def _study(
    part: TissuePredictions,
    trait: Trait,
    names: Sequence[CovariateName],
    phenotypes: pd.DataFrame,
    n_shuffles: int,
    rng: np.random.Generator,
) -> tuple[dict[str, object], pd.DataFrame]:
    values = trait.of(part.donors)
    if trait.kind == "two groups" and min((values == k).sum() for k in (0, 1)) < (
        trait.minimum_group
    ):
        values = np.full(len(values), np.nan)
    covariates = covariates_of(phenotypes, part.donors, names)
    known = np.isfinite(values)

    def associations(log2: Floats) -> pd.DataFrame:
        return part.over_chosen(
            lambda rows, genes: trait_association(
                log2[np.ix_(rows, genes)],
                values[rows],
                part.genes[genes].tolist(),
                covariates=covariates[rows],
            )
        )

    predicted, observed = associations(part.predicted), associations(part.observed)
    row: dict[str, object] = {"n": int(known.sum()), "n_genes": part.n_chosen}
    if observed.empty:
        return row | _figures(concordance(_NOTHING, _NOTHING), np.array([])), pd.DataFrame()
    agreement = concordance(predicted["rho"], observed["rho"])
    if agreement.outcome == TESTED:
        shuffled = shuffled_agreement(part, values, covariates, n_shuffles, rng, standardised=True)
    else:
        shuffled = np.array([])
    columns = ["rho", "p", "fdr", "outcome"]
    table = (
        observed[["n"]]
        .join(predicted[columns].add_suffix("_predicted"))
        .join(observed[columns].add_suffix("_observed"))
    )
    return row | _figures(agreement, shuffled), table


def _figures(agreement: Concordance, shuffled: Array) -> dict[str, object]:
    tested = agreement.outcome == TESTED and len(shuffled) > 0
    return {
        "rho": agreement.pearson,
        "rho_low": agreement.pearson_low,
        "rho_high": agreement.pearson_high,
        "p": agreement.pearson_p,
        "is_preserved": bool(agreement.pearson > PRESERVED_RHO and agreement.pearson_p < 0.05),
        "shuffled": float(np.median(shuffled)) if tested else float("nan"),
        "shuffle_p": shuffle_p(agreement.pearson, shuffled) if tested else float("nan"),
        "outcome": agreement.outcome,
    }


def shuffle_p(figure: float, shuffled: Array) -> float:
    """Return the share of shuffles (R,) that reach ``figure``, itself counted as one of them."""
    return float((1 + (shuffled >= figure).sum()) / (1 + len(shuffled)))


def shuffled_agreement(
    part: TissuePredictions,
    values: Array,
    covariates: Array,
    n_shuffles: int,
    rng: np.random.Generator,
    *,
    standardised: bool,
) -> Array:
    """Return rho between the two lists (R,) with what covariates leave of the trait shuffled.

    Parameters
    ----------
    values
        (N,) trait, NaN where unknown.
    covariates
        (N, C), C of 0 for none.
    standardised
        The lists are correlations with the trait; otherwise slopes.
    """
    known = np.flatnonzero(np.isfinite(values))
    design = np.column_stack([np.ones(len(values)), covariates])
    own = residuals(values[known, None], orthonormal_basis(design[known]))[:, 0]
    trait = np.zeros((len(values), n_shuffles))
    trait[known] = np.column_stack([rng.permutation(own) for _ in range(n_shuffles)])
    lists: tuple[list[Array], list[Array]] = ([], [])
    for rows, genes in part.parts():
        known = rows[np.isfinite(values[rows])]
        basis = orthonormal_basis(design[known])
        t = residuals(trait[known], basis)
        t = t / (_length(t) if standardised else _length(t) ** 2)
        for side, log2 in zip(lists, (part.predicted, part.observed), strict=True):
            left = residuals(log2[np.ix_(known, genes)], basis)
            side.append((left / _length(left) if standardised else left).T @ t)
    return columnwise_correlation(*(np.concatenate(side) for side in lists))


def _length(columns: Array) -> Array:
    """Return the length of each column (R,); 1 for one of zeros."""
    length = np.sqrt((columns**2).sum(axis=0))
    return np.where(length > 0, length, 1)
