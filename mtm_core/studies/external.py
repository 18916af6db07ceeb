"""Changes between groups of an external cohort, predicted, against a reference (section 3.5)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from mtm_core.errors import SelectionError
from mtm_core.statistics.differential import differential_expression
from mtm_core.statistics.outcome import TESTED
from mtm_core.statistics.overlap import concordance, sign_consistency
from mtm_core.studies.reference import ReferenceAssociations
from mtm_core.studies.resampled_effects import GroupEffects, LinearTissues, chance_of_agreement

FDR = 0.05
MINIMUM_DEGS = 10
"""Genes that the trait must change in a tissue of the reference for the two to be related."""


def study_external(
    prediction: xr.Dataset,
    groups: pd.Series,
    reference: ReferenceAssociations,
    *,
    case: str,
    control: str,
    trait: str,
    adjusted_for: str = "",
    sex: pd.Series | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare predicted log2 ratios of means, case against control, with those of the reference.

    Parameters
    ----------
    prediction
        Result of :meth:`mtm_core.inference.predictor.Predictor.predict`; genes that the samples
        lack are left out.
    groups
        Group of each sample; samples of neither group are left out.
    reference
        Associations of the model's cohort.
    case, control
        Groups to compare.
    trait, adjusted_for
        Trait and adjustment of the reference.
    sex
        ``"female"`` or ``"male"`` by sample, NaN where not known: people of the other sex are left
        out of tissues that only one sex has. ``None``: nobody is left out.

    Returns
    -------
    tuple
        By tissue: ``n_case``, ``n_control``, ``n`` genes in common, ``rho`` (Pearson of the
        predicted log2 fold change and the reference's effect) with ``rho_low`` and ``rho_high``,
        its 95 % interval over resampled samples; ``chance_low`` and ``chance_high``, where 95 % of
        rho lie with the groups shuffled, and ``shuffle_p``, the share of shuffles as far from 0
        (:func:`mtm_core.studies.resampled_effects.chance_of_agreement`); ``sign_consistency``;
        ``n_degs``, genes changed in the prediction, and ``n_reference_degs``, in the reference,
        with an FDR of at most 5 %; ``outcome``. And the genes behind it, one row a (``tissue``,
        ``gene_id``): ``log2_ratio``, of the means with 1 added to both, as the reference's changes
        are; ``p``, ``fdr``, ``reference_effect``, ``reference_fdr``.

    Raises
    ------
    SelectionError
        If a group, the trait or a tissue is not there.
    """
    labels = groups.reindex(prediction["sample"].to_numpy()).to_numpy(dtype=object)
    known = [str(name) for name in pd.unique(pd.Series(labels).dropna())]
    unknown = [name for name in (case, control) if name not in known]
    if unknown:
        raise SelectionError.unknown("group", unknown, known)
    if case == control:
        raise SelectionError(f"case and control are both {case!r}; choose two groups.")
    prediction = prediction.isel(gene=prediction["found"].to_numpy())
    compared = (labels == case) | (labels == control)
    tissues = LinearTissues(prediction["expression"], sex)
    effects = GroupEffects(tissues, groups, case, control)
    genes = [str(gene) for gene in prediction["gene"].to_numpy()]
    gene_ids = pd.Index(genes)
    rows, tables = [], []
    for tissue in prediction["tissue"].to_numpy().astype(str):
        samples = np.flatnonzero(compared & tissues.may_have(tissue))
        is_case = labels[samples] == case
        expression = prediction["expression"].sel(tissue=tissue).isel(sample=samples).to_numpy()
        found = differential_expression(expression[is_case], expression[~is_case], genes).rename(
            columns={"log2_fold_change": "log2_ratio"}
        )
        other = reference.select(trait, tissue, adjusted_for)
        joined = found.join(other[["effect", "fdr", "outcome"]], rsuffix="_reference", how="inner")
        tested = joined[
            (joined["outcome"] == TESTED) & (joined["outcome_reference"] == TESTED)
        ].rename(columns={"effect": "reference_effect", "fdr_reference": "reference_fdr"})
        agreement = concordance(tested["log2_ratio"], tested["reference_effect"])
        worth = dict.fromkeys(("low", "high", "chance_low", "chance_high", "p"), float("nan"))
        if agreement.outcome == TESTED:
            places = gene_ids.get_indexer(tested.index)
            drawn = [part[:, places] for part in effects.draw(tissue)]
            worth |= chance_of_agreement(
                (drawn[0], drawn[1]),
                tested["reference_effect"].to_numpy(dtype=float),
                agreement.pearson,
            )
        rows.append(
            {
                "tissue": tissue,
                "n_case": int(is_case.sum()),
                "n_control": int((~is_case).sum()),
                "n": agreement.n,
                "rho": agreement.pearson,
                "rho_low": worth["low"],
                "rho_high": worth["high"],
                "chance_low": worth["chance_low"],
                "chance_high": worth["chance_high"],
                "shuffle_p": worth["p"],
                "sign_consistency": sign_consistency(
                    tested["log2_ratio"], tested["reference_effect"]
                ).share,
                "n_degs": int((tested["fdr"] <= FDR).sum()),
                "n_reference_degs": int((tested["reference_fdr"] <= FDR).sum()),
                "outcome": agreement.outcome,
            }
        )
        columns = ["log2_ratio", "p", "fdr", "reference_effect", "reference_fdr"]
        tables.append(tested[columns].reset_index().assign(tissue=tissue))
    return pd.DataFrame(rows), pd.concat(tables, ignore_index=True)


def summarise_external(tissues: pd.DataFrame, minimum_degs: int = MINIMUM_DEGS) -> pd.DataFrame:
    """Set the tissues that the trait changes in the reference beside all others (paper, 3.5).

    One row each, ``related`` and ``other``: ``n_tissues``, ``median_rho``, its range, medians of
    ``chance_low`` and ``chance_high``, and how many tissues are ``beyond_shuffled`` (a shuffle_p
    below 0.05).
    """
    tested = tissues[tissues["outcome"] == TESTED]
    related = tested["n_reference_degs"] >= minimum_degs
    rows = [
        {
            "tissues": name,
            "n_tissues": len(part),
            "median_rho": part["rho"].median() if len(part) else float("nan"),
            "lowest_rho": part["rho"].min(),
            "highest_rho": part["rho"].max(),
            "chance_low": part["chance_low"].median() if len(part) else float("nan"),
            "chance_high": part["chance_high"].median() if len(part) else float("nan"),
            "beyond_shuffled": int((part["shuffle_p"] < 0.05).sum()),
        }
        for name, part in (("related", tested[related]), ("other", tested[~related]))
    ]
    return pd.DataFrame(rows)
