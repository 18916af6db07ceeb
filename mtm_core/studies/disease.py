"""Comparison of a disease in predicted and measured expression (paper, sections 2.7 and 3.4).

Letters: N donors, G genes, R shuffles. A contrast is any trait of two groups: sex, death on a
ventilator, and diseases where a dbGaP file tells them.

Predicted and measured expression are of the same donors, so both share those donors' chance; what
is left with the groups shuffled among the donors is given beside each correlation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import anndata as ad
import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy.stats import wilcoxon

from mtm_core.grouped_table import GroupedTable, whole
from mtm_core.grouped_writing import HeldRows
from mtm_core.methods.covariates import CovariateName
from mtm_core.statistics.association import trait_association
from mtm_core.statistics.classification import FALSE_POSITIVE_RATES, Classification, classify
from mtm_core.statistics.correlation import columnwise_correlation
from mtm_core.statistics.differential import PSEUDOCOUNT, differential_expression
from mtm_core.statistics.outcome import TESTED, TOO_FEW
from mtm_core.statistics.overlap import concordance, set_overlap, sign_consistency
from mtm_core.studies.donor_traits import (
    MINIMUM_DISEASE,
    Trait,
    adjustment_name,
    covariates_of,
)
from mtm_core.studies.out_of_fold import TissuePredictions, linear, source_profiles
from mtm_core.studies.traits import shuffle_p, shuffled_agreement

Array = NDArray[np.float64]
Floats = NDArray[np.float32]

FDR = 0.05
N_SHUFFLES = 200
N_REPEATS = 50
"""Repeats of five-fold cross-validation (paper, section 2.7)."""
MINIMUM_DEGS = 10
"""Genes that a tissue must change, for the pair of tissue and disease to count (section 3.4)."""
SIGN, RHO = 0.7, 0.3
"""Above both, changes are preserved (section 3.4)."""
INFORMATIVE_AUROC = 0.6
"""AUROC that measured tissue must reach, and exceed the source's, for a pair to be compared."""
PROFILES = ("observed", "predicted", "source", "covariates")

_Task = tuple[dict[str, str], NDArray[np.floating], NDArray[np.bool_]]
"""Keys of a classification, its profiles (N, G), and who is a case (N,)."""


@dataclass(frozen=True)
class DiseaseStudy:
    """Difference between two groups of donors, in predicted and in measured expression.

    Attributes
    ----------
    pairs
        One row a (``trait``, ``adjusted_for``, ``tissue``): ``n_case``, ``n_control``, ``n_genes``
        predictable genes; over these ``sign_consistency`` and ``rho`` (Pearson) of the predicted
        and measured effect, with ``rho_low``, ``rho_high``, ``shuffled`` (median rho with the
        groups shuffled) and ``shuffle_p``; the same over the measured DEGs
        (``deg_sign_consistency``, ``deg_rho``); for DEGs ``up`` and ``down`` the numbers
        ``n_up_observed``, ``n_up_predicted``, ``n_up_shared``, ``up_p`` (hypergeometric) and
        ``up_f1``; ``outcome``. The effect is the log2 fold change of linear expression, or, after
        adjustment, the difference of log2(1 + expression) that covariates leave.
    gene_rows
        One row a (``trait``, ``adjusted_for``, ``tissue``, ``gene_id``): ``effect``, ``p`` and
        ``fdr``, predicted and observed. A data frame, or left on disk.
    status
        One row a (``trait``, ``tissue``, ``profile``): area under the ROC curve of an L1 logistic
        regression on the measured tissue (``observed``), the predicted one (genes predictable in
        most folds' other donors), the source tissue, or the trait's own covariates: age, sex and
        Hardy scale as far as it is none of them (``covariates``); with interval and outcome.
    curves
        The same regressions' ROC curves: one row a (``trait``, ``tissue``, ``profile``,
        ``false_positive_rate``) with ``sensitivity``; empty if they were not stored.
    """

    pairs: pd.DataFrame
    gene_rows: pd.DataFrame | GroupedTable
    status: pd.DataFrame
    curves: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def genes(self) -> pd.DataFrame:
        """All rows of genes: of a wide cohort millions, read anew each time."""
        return whole(self.gene_rows)

    def summary(self, minimum_degs: int = MINIMUM_DEGS) -> pd.DataFrame:
        """Return one row a trait and adjustment, counted as the paper counts.

        Pairs with at least ``minimum_degs`` measured DEGs; of these how many keep signs and sizes;
        of those with as many DEGs up (down), how many overlap beyond chance, and the median F1.
        """
        rows = {}
        tested = self.pairs[self.pairs["outcome"] == TESTED]
        for keys, part in tested.groupby(["trait", "adjusted_for"], sort=False):
            changed = part[part["n_up_observed"] + part["n_down_observed"] >= minimum_degs]
            preserved = (changed["sign_consistency"] > SIGN) & (changed["rho"] > RHO)
            row: dict[str, float] = {
                "n_tissues": len(part),
                "median_rho": part["rho"].dropna().median(),
                "median_shuffled": part["shuffled"].dropna().median(),
                "n_with_degs": len(changed),
                "n_preserved_changes": int(preserved.sum()),
            }
            for way in ("up", "down"):
                some = part[part[f"n_{way}_observed"] >= minimum_degs]
                row[f"n_with_{way}"] = len(some)
                row[f"n_{way}_overlap"] = int((some[f"{way}_p"] < 0.05).sum())
                # No predicted DEG at all is an F1 of 0, not none.
                row[f"median_{way}_f1"] = some[f"{way}_f1"].fillna(0).median()
            rows[keys] = row
        table = pd.DataFrame.from_dict(rows, orient="index")
        table.index = pd.MultiIndex.from_tuples(table.index, names=["trait", "adjusted_for"])
        return table

    def status_summary(self) -> pd.DataFrame:
        """Compare areas over the pairs where the measured tissue tells more than the source.

        One row a trait: ``n_tissues`` tested, ``n_informative`` of them (measured at least
        ``INFORMATIVE_AUROC`` and above the source), the mean area of each profile over those, and
        ``p`` of Wilcoxon's paired test, predicted against source (two-sided; NaN below 6 pairs).
        """
        rows: dict[str, dict[str, float]] = {}
        if self.status.empty:
            return pd.DataFrame(index=pd.Index([], name="trait"))
        tested = self.status[self.status["outcome"] == TESTED]
        for trait, part in tested.groupby("trait", sort=False):
            areas = part.pivot(index="tissue", columns="profile", values="auroc")
            areas = areas.reindex(columns=list(PROFILES)).dropna(
                subset=["observed", "predicted", "source"]
            )
            informative = areas[
                (areas["observed"] >= INFORMATIVE_AUROC) & (areas["observed"] > areas["source"])
            ]
            rows[trait] = {
                "n_tissues": len(areas),
                "n_informative": len(informative),
                **{name: informative[name].mean() for name in PROFILES},
                "p": wilcoxon(informative["predicted"], informative["source"]).pvalue
                if len(informative) >= 6
                else float("nan"),
            }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("trait")


def study_diseases(
    predictions: Mapping[str, TissuePredictions],
    cohort: ad.AnnData,
    contrasts: Sequence[Trait],
    *,
    source: str,
    minimum_group: int = MINIMUM_DISEASE,
    n_repeats: int = N_REPEATS,
    n_shuffles: int = N_SHUFFLES,
    seed: int = 0,
    on_tissue: Callable[[int, int], object] | None = None,
    gene_rows: HeldRows | None = None,
) -> DiseaseStudy:
    """Compare cases and controls in predicted and in measured tissue.

    Classifications run in parallel where ``joblib.parallel_config`` says so.

    Parameters
    ----------
    predictions
        Result of :func:`mtm_core.studies.out_of_fold.on_expression_scale`.
    cohort
        Cohort that they were made of.
    contrasts
        Traits of two groups.
    source
        Tissue that was predicted from.
    minimum_group
        Cases and controls that a pair needs.
    n_repeats
        Repeats of the classification's cross-validation; 0 omits it.
    n_shuffles, seed
        Shuffles of the groups; seed of everything random.
    on_tissue
        Called with how many tissues are done, and how many there are.
    gene_rows
        As of :func:`mtm_core.studies.traits.study_traits`.
    """
    phenotypes: pd.DataFrame = cohort.uns["donors"]
    found: dict[tuple[int, int, int], dict[str, object]] = {}
    held = HeldRows()
    classified: dict[tuple[int, int], tuple[pd.DataFrame, pd.DataFrame]] = {}
    for place, part in enumerate(predictions.values()):  # of a wide cohort, one is there
        for number, trait in enumerate(contrasts):
            values = trait.of(part.donors)
            if min((values == 1).sum(), (values == 0).sum()) < minimum_group:
                values = np.full(len(values), np.nan)
            for which, names in enumerate(((), *trait.adjustments)):
                rng = np.random.default_rng(seed)
                row, table = _compare(part, values, names, phenotypes, n_shuffles, rng)
                keys = {
                    "trait": trait.name,
                    "adjusted_for": adjustment_name(names),
                    "tissue": part.tissue,
                }
                found[number, place, which] = keys | row
                if len(table):
                    (held if gene_rows is None else gene_rows).add(
                        table.assign(**keys).reset_index(names="gene_id"), (number, place, which)
                    )
            if n_repeats:
                tasks = _profiles(part, trait, values, cohort, source)
                classified[number, place] = _classified(tasks, n_repeats, seed)
        if on_tissue is not None:
            on_tissue(place + 1, len(predictions))
    status, curves = (
        _joined([classified[key][side] for key in sorted(classified)]) for side in (0, 1)
    )
    pairs = pd.DataFrame([found[key] for key in sorted(found)])
    return DiseaseStudy(pairs, held.table(), status, curves)


def _joined(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    some = [table for table in tables if len(table)]
    return pd.concat(some, ignore_index=True) if some else pd.DataFrame()


def _compare(
    part: TissuePredictions,
    values: Array,
    names: Sequence[CovariateName],
    phenotypes: pd.DataFrame,
    n_shuffles: int,
    rng: np.random.Generator,
) -> tuple[dict[str, object], pd.DataFrame]:
    row: dict[str, object] = {
        "n_case": int((values == 1).sum()),
        "n_control": int((values == 0).sum()),
        "n_genes": part.n_chosen,
    }
    if not row["n_case"] or not part.n_chosen:
        return row | {"outcome": TOO_FEW}, pd.DataFrame()
    covariates = covariates_of(phenotypes, part.donors, names) if names else None
    predicted = _effects(part, part.predicted, values, covariates)
    observed = _effects(part, part.observed, values, covariates)
    agreement = concordance(predicted["effect"], observed["effect"])
    signs = sign_consistency(predicted["effect"], observed["effect"])
    degs = observed.index[observed["fdr"] <= FDR]
    among = concordance(predicted.loc[degs, "effect"], observed.loc[degs, "effect"])
    row |= {
        "sign_consistency": signs.share,
        "rho": agreement.pearson,
        "rho_low": agreement.pearson_low,
        "rho_high": agreement.pearson_high,
        "shuffled": float("nan"),
        "shuffle_p": float("nan"),
        "deg_sign_consistency": sign_consistency(
            predicted.loc[degs, "effect"], observed.loc[degs, "effect"]
        ).share,
        "deg_rho": among.pearson,
    }
    for way, sign in (("up", 1), ("down", -1)):
        overlap = set_overlap(
            _changed(predicted, sign), _changed(observed, sign), list(observed.index)
        )
        row |= {
            f"n_{way}_observed": overlap.n_second,
            f"n_{way}_predicted": overlap.n_first,
            f"n_{way}_shared": overlap.n_shared,
            f"{way}_p": overlap.p,
            f"{way}_f1": overlap.f1,
        }
    if agreement.outcome == TESTED:
        if covariates is None:
            shuffled = _shuffled(part, values, n_shuffles, rng)
        else:
            shuffled = shuffled_agreement(
                part, values, covariates, n_shuffles, rng, standardised=False
            )
        row |= {
            "shuffled": float(np.median(shuffled)),
            "shuffle_p": shuffle_p(agreement.pearson, shuffled),
        }
    columns = ["effect", "p", "fdr", "outcome"]
    table = predicted[columns].join(observed[columns], lsuffix="_predicted", rsuffix="_observed")
    return row | {"outcome": agreement.outcome}, table


def _classified(
    tasks: Sequence[_Task], n_repeats: int, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a row a task, how well its profile tells cases from controls, and the ROC curves."""
    found: list[Classification] = Parallel()(
        delayed(classify)(profile, is_case, n_repeats=n_repeats, seed=seed)
        for _, profile, is_case in tasks
    )
    status, curves = [], []
    for (keys, profile, _), one in zip(tasks, found, strict=True):
        row = asdict(one)
        curve = row.pop("sensitivity")
        status.append(keys | {"n_genes": profile.shape[1]} | row)
        if curve:
            rates = {"false_positive_rate": FALSE_POSITIVE_RATES, "sensitivity": curve}
            curves.append(pd.DataFrame(keys | rates))
    return (
        pd.DataFrame(status),
        pd.concat(curves, ignore_index=True) if curves else pd.DataFrame(),
    )


def _changed(effects: pd.DataFrame, sign: int) -> list[str]:
    """Return the genes changed in the direction of ``sign`` with an FDR of at most 5 %."""
    chosen = (effects["fdr"] <= FDR) & (np.sign(effects["effect"]) == sign)
    return [str(gene) for gene in effects.index[chosen]]


def _effects(
    part: TissuePredictions, log2: Floats, values: Array, covariates: Array | None
) -> pd.DataFrame:
    """Return ``effect``, ``p``, ``fdr`` and ``outcome`` of the chosen genes, on their donors."""

    def analyse(rows: NDArray[np.int64], genes: NDArray[np.int64]) -> pd.DataFrame:
        own, ids = log2[np.ix_(rows, genes)], part.genes[genes].tolist()
        if covariates is not None:
            table = trait_association(own, values[rows], ids, covariates=covariates[rows])
            return table.assign(effect=table["slope"])
        expression, group = linear(own), values[rows]
        table = differential_expression(expression[group == 1], expression[group == 0], ids)
        return table.assign(effect=table["log2_fold_change"])

    return part.over_chosen(analyse)


def _shuffled(
    part: TissuePredictions, values: Array, n_shuffles: int, rng: np.random.Generator
) -> Array:
    """Return rho of the two lists of log2 fold changes (R,) with the groups shuffled."""
    known = np.flatnonzero(np.isfinite(values))
    case = np.zeros((n_shuffles, len(values)))
    for drawn in case:
        drawn[known] = rng.permutation(values[known])
    lists: tuple[list[Array], list[Array]] = ([], [])
    for rows, genes in part.parts():
        known = rows[np.isfinite(values[rows])]
        groups = case[:, known], 1 - case[:, known]
        for side, log2 in zip(lists, (part.predicted, part.observed), strict=True):
            expression = linear(log2[np.ix_(known, genes)]).astype(np.float64)
            means = [g @ expression / g.sum(axis=1, keepdims=True) for g in groups]
            side.append(np.log2((means[0] + PSEUDOCOUNT) / (means[1] + PSEUDOCOUNT)).T)
    return columnwise_correlation(*(np.concatenate(side) for side in lists))


def _profiles(
    part: TissuePredictions, trait: Trait, values: Array, cohort: ad.AnnData, source: str
) -> list[_Task]:
    """Return what to tell cases from controls by."""
    known = np.isfinite(values)
    if not known.any():
        return []
    donors = part.donors[known]
    profiles = {
        "observed": part.observed[known],
        "predicted": part.predicted[np.ix_(known, part.mostly_chosen)],
        "source": source_profiles(cohort, source, donors),
        "covariates": covariates_of(cohort.uns["donors"], donors, trait.adjustments[-1]),
    }
    return [
        (
            {"trait": trait.name, "tissue": part.tissue, "profile": name},
            profiles[name],
            values[known] == 1,
        )
        for name in PROFILES
    ]
