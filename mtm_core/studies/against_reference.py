"""A user's own changes of expression set against those of the reference cohort."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mtm_core.data.people.exact_phenotypes import exact_phenotypes
from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.inference.decoder import TissueProgress
from mtm_core.statistics.outcome import TESTED
from mtm_core.statistics.overlap import concordance, sign_consistency
from mtm_core.studies.among_reference import reference_percentile
from mtm_core.studies.cohort_comparison import KEYS
from mtm_core.studies.reference import ReferenceAssociations
from mtm_core.studies.reference_tissue import ALL, QUANTILES
from mtm_core.studies.resampled_effects import Effects, chance_of_agreement

_FROM_OWN = ("rho_by_fold", "rho_pooled", "predictable")
_WORTH = ("low", "high", "chance_low", "chance_high", "p")


def reference_trait(metadata: SampleMetadata, name: str) -> str | None:
    """Return the reference's trait that a column of ``metadata`` is: ``"age"``, ``"sex"``, none."""
    known: Mapping[str | None, str] = {metadata.age_column: "age", metadata.sex_column: "sex"}
    return known.get(name)


def beside_reference(
    own: pd.DataFrame,
    reference: ReferenceAssociations,
    trait: str,
    *,
    adjusted_for: str = "",
    own_column: str,
    reference_column: str,
) -> pd.DataFrame:
    """Set ``own_column`` of a table of the own cohort beside a trait of the reference.

    Parameters
    ----------
    own
        Of :mod:`mtm_core.studies.cohort_comparison`, with the held-out accuracy; tissues that the
        reference lacks are left out.
    trait, adjusted_for
        Trait and adjustment of the reference.
    reference_column
        ``"rho"``, or ``"effect"``: log2 fold change of two groups, of a number the slope.

    Returns
    -------
    pandas.DataFrame
        ``KEYS``, ``own``, ``reference``, ``reference_fdr``, ``n_reference`` and the accuracy, of
        the genes tested on both sides.

    Raises
    ------
    SelectionError
        If the reference has no such trait or adjustment.
    """
    parts = []
    known = set(reference.tissues)
    for tissue, rows in own[own["outcome"] == TESTED].groupby("tissue", sort=False, observed=True):
        if tissue not in known:
            continue
        other = reference.select(trait, str(tissue), adjusted_for)
        other = other[other["outcome"] == TESTED]
        parts.append(
            rows.merge(
                pd.DataFrame(
                    {
                        "reference": other[reference_column].astype(float),
                        "reference_fdr": other["fdr"],
                        "n_reference": other["n"].astype(int),
                    }
                ),
                left_on="gene_id",
                right_index=True,
            )
        )
    columns = [*KEYS, "own", "reference", "reference_fdr", "n_reference", *_FROM_OWN]
    if not parts:
        return pd.DataFrame(columns=columns)
    joined = pd.concat(parts, ignore_index=True)
    return joined.assign(own=joined[own_column].astype(float))[columns]


def agreement(
    points: pd.DataFrame, effects: Effects, *, on_progress: TissueProgress | None = None
) -> pd.DataFrame:
    """Say tissue by tissue how far the own changes and the reference's go together.

    Parameters
    ----------
    points
        Result of :func:`beside_reference`, or some genes of it.
    effects
        Effects that ``own`` was computed from, to be resampled.
    on_progress
        Called with each tissue.

    Returns
    -------
    pandas.DataFrame
        ``tissue``, ``origin``; ``n`` genes; ``pearson`` and ``spearman``; what ``pearson`` is worth
        (:func:`mtm_core.studies.resampled_effects.chance_of_agreement`): ``low``, ``high``,
        ``chance_low``, ``chance_high``, ``p``; ``same_sign``, the share of genes with one
        direction; ``n_reference``, the most donors behind a reference value; ``outcome`` (of
        :func:`mtm_core.statistics.overlap.concordance`): the numbers are NaN unless tested.
    """
    by_tissue = points.groupby("tissue", sort=False, observed=True)
    rows: list[dict[str, object]] = []
    for tissue, part in by_tissue:
        if on_progress is not None:
            on_progress(len(rows), by_tissue.ngroups)
        rows.append(
            _agreement_of_tissue(part, effects.draw(str(tissue)), effects.gene_ids(str(tissue)))
        )
    return pd.DataFrame(rows)


def all_agreements(
    own: pd.DataFrame,
    effects: Effects,
    reference: ReferenceAssociations,
    traits: Sequence[str],
    *,
    own_column: str,
    reference_column: str,
) -> pd.DataFrame:
    """Set a table of the own cohort beside each adjustment of each of ``traits``.

    Parameters
    ----------
    own, own_column, reference_column
        As in :func:`beside_reference`.
    effects
        Effects that ``own_column`` was computed from.

    Returns
    -------
    pandas.DataFrame
        ``reference``, ``adjusted_for``, ``genes`` ("all", and "predictable" where some are known
        not to be), then the columns of :func:`agreement`.
    """
    rows = []
    for tissue, part in own[own["outcome"] == TESTED].groupby("tissue", sort=False, observed=True):
        draws = effects.draw(str(tissue))
        for trait in traits:
            for adjusted_for in reference.traits[trait]["adjustments"]:
                points = beside_reference(
                    part,
                    reference,
                    trait,
                    adjusted_for=adjusted_for,
                    own_column=own_column,
                    reference_column=reference_column,
                )
                choices = {"all": points}
                if (points["predictable"] == "no").any():
                    choices["predictable"] = points[points["predictable"] != "no"]
                rows += [
                    {"reference": trait, "adjusted_for": adjusted_for, "genes": genes}
                    | _agreement_of_tissue(rows, draws, effects.gene_ids(str(tissue)))
                    for genes, rows in choices.items()
                    if len(rows)
                ]
    return pd.DataFrame(rows)


def _agreement_of_tissue(
    points: pd.DataFrame,
    draws: tuple[NDArray[np.floating], NDArray[np.floating]],
    gene_ids: pd.Index,
) -> dict[str, object]:
    """Return one row of :func:`agreement`, of points of one tissue."""
    own, reference = (points.set_index("gene_id")[name] for name in ("own", "reference"))
    both = concordance(own, reference)
    worth: Mapping[str, float] = dict.fromkeys(_WORTH, np.nan)
    if both.outcome == TESTED:
        genes = gene_ids.get_indexer(reference.index)
        shuffled, resampled = (drawn[:, genes] for drawn in draws)
        worth = chance_of_agreement((shuffled, resampled), reference, both.pearson)
    return {
        "tissue": points["tissue"].iloc[0],
        "origin": points["origin"].iloc[0],
        "n": both.n,
        "pearson": both.pearson,
        **worth,
        "spearman": both.spearman,
        "same_sign": sign_consistency(own.to_numpy(), reference.to_numpy()).share,
        "n_reference": int(points["n_reference"].max()),
        "outcome": both.outcome,
    }


def stratum_of(phenotypes: pd.DataFrame) -> pd.DataFrame:
    """Return ``sex`` and ``age_band`` of each sample as the reference names them, "all" if unknown.

    Parameters
    ----------
    phenotypes
        ``age`` and ``sex`` by sample
        (:meth:`mtm_core.data.people.metadata.SampleMetadata.phenotypes`).
    """
    phenotypes = exact_phenotypes(phenotypes)
    decade = (phenotypes["age"] // 10 * 10).astype("Int64")
    band = decade.astype("string") + "-" + (decade + 9).astype("string")
    return pd.DataFrame(
        {
            "sex": phenotypes["sex"].fillna(ALL).astype(str),
            "age_band": band.fillna(ALL).astype(str),
        }
    )


def positions(
    expression: xr.DataArray,
    gene: str,
    quantiles: pd.DataFrame,
    *,
    reference: ReferenceAssociations | None = None,
    phenotypes: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Place every sample within the reference's distribution of one gene in each tissue.

    Parameters
    ----------
    expression
        Result of :func:`mtm_core.studies.among_reference.on_reference_scale`.
    quantiles
        (tissues, levels) of the reference's log2(1 + expression) of the gene, over all donors.
    reference, phenotypes
        For the place among donors of the sample's own sex and age band, where both are given.

    Returns
    -------
    pandas.DataFrame
        ``sample``, ``tissue``, ``origin``, ``log2_expression``, ``percentile`` among all donors;
        with a reference also ``donors_alike`` ("female, 60-69", empty if the reference has too
        few of them) and ``percentile_alike`` among these.
    """
    values = expression.sel(gene=gene).transpose("tissue", "sample")
    log2 = np.log2(1 + values.to_numpy())
    samples = values["sample"].to_numpy().astype(str)
    strata = None if phenotypes is None else stratum_of(phenotypes).reindex(samples).fillna(ALL)
    if reference is not None and strata is not None:
        known = reference.distribution_of(  # at once: a read of a file for each tissue is slow
            gene,
            values["tissue"].to_numpy().astype(str).tolist(),
            sex=strata["sex"].unique().tolist(),
            age_band=strata["age_band"].unique().tolist(),
        )
        by_tissue = _quantiles_of(known)
    parts = []
    for i, tissue in enumerate(values["tissue"].to_numpy().astype(str)):
        part = pd.DataFrame(
            {
                "sample": samples,
                "tissue": tissue,
                "origin": str(values["origin"].to_numpy()[i]),
                "log2_expression": log2[i],
                "percentile": reference_percentile(log2[i], quantiles.loc[tissue]),
            }
        )
        if reference is not None and strata is not None:
            alike, percentile = _among_alike(log2[i], strata, by_tissue.get(tissue, {}))
            part = part.assign(donors_alike=alike, percentile_alike=percentile)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def distributions_of(reference: ReferenceAssociations, gene: str, tissue: str) -> pd.DataFrame:
    """Return the reference's quantiles of one gene in one tissue.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``sex`` and ``age_band``: ``n`` donors, then a column a level of ``QUANTILES``.
    """
    return _by_stratum(reference.distribution_of(gene, tissue))


def _by_stratum(rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows.astype({"sex": str, "age_band": str}).set_index(["sex", "age_band"])
    return rows[["n", *QUANTILES]].rename(columns=QUANTILES)


def _quantiles_of(rows: pd.DataFrame) -> dict[str, dict[tuple[str, str], pd.Series]]:
    """Return the quantiles of one gene by tissue, then by sex and age band."""
    found: dict[str, dict[tuple[str, str], pd.Series]] = {}
    keys = zip(*(rows[name].astype(str) for name in ("tissue", "sex", "age_band")), strict=True)
    levels = pd.Index(list(QUANTILES.values()))
    for (tissue, *stratum), values in zip(keys, rows[list(QUANTILES)].to_numpy(), strict=True):
        sex, band = stratum
        found.setdefault(tissue, {})[sex, band] = pd.Series(values, levels)
    return found


def _among_alike(
    values: np.ndarray, strata: pd.DataFrame, known: Mapping[tuple[str, str], pd.Series]
) -> tuple[list[str], list[float]]:
    """Name the donors that each sample is like, and its percentile among them."""
    names, percentiles = np.full(len(values), "", dtype=object), np.full(len(values), np.nan)
    for (sex, band), rows in strata.groupby(["sex", "age_band"]).indices.items():
        if (sex, band) == (ALL, ALL) or (sex, band) not in known:
            continue
        names[rows] = ", ".join(part for part in (sex, band) if part != ALL)
        percentiles[rows] = reference_percentile(values[rows], known[sex, band])
    return names.tolist(), percentiles.tolist()
