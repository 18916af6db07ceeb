"""Study of MTM's latent codes and decoding (paper, section 3.3 and Supplementary Figure S8).

Letters: N samples, C size of a code, T tissues, L layers, U units of a layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu, wilcoxon

from mtm_core.data.cohort.cohort import tissue_names
from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.data.gtex.annotations import WHOLE_BLOOD
from mtm_core.errors import CohortError, SelectionError
from mtm_core.methods.mtm import FittedMTM
from mtm_core.methods.on_components import FittedOnComponents
from mtm_core.methods.protocol import FittedMethod, Floats
from mtm_core.methods.stack import FittedStack
from mtm_core.statistics.similarity import similarity_agreement
from mtm_core.studies.predictable_genes import tissue_similarity
from mtm_core.studies.reference_tissue import tissues_of

Array = NDArray[np.float64]

MINIMUM_SHARED = 10
"""Donors that a pair of tissues must share to be compared."""
N_CODES = 100
"""Codes that decoding paths are averaged over."""
_CODES_AT_ONCE = 5
"""Codes whose decoding is in memory at a time: 38 MB of 19,291 genes x 49 tissues."""


@dataclass(frozen=True)
class LatentStudy:
    """Codes and decoding paths of one MTM.

    Attributes
    ----------
    pairs
        One row a pair of tissues: ``n`` donors with both; mean Pearson's rho between the codes of
        the two tissues of one donor (``same_donor``), of one donor and another drawn from the same
        donors (``other_donor``), and of another of the same sex and Hardy scale
        (``matched_donor``); ``auc`` and ``matched_auc``, the chance that the first is above.
    codes
        The same over all pairs, ``p`` of Wilcoxon's rank-sum test over pairs of samples, same
        against other (the paper's; samples of a donor are not independent), and by donor, which
        is: ``n_donors``, ``share_higher`` of them whose tissues are closer to each other than to
        matched donors', and ``donor_p`` of Wilcoxon's signed-rank test of that.
    layers
        One row a layer of the generator: ``n_units``; ``spearman`` between the similarity of the
        tissues' activations, of one blood code decoded to each, and that of their mean profiles;
        ``p`` by Mantel's test.
    """

    pairs: pd.DataFrame
    codes: dict[str, float]
    layers: pd.DataFrame


@dataclass(frozen=True)
class LatentModel:
    """MTM on genes, or on principal components of their expression.

    Attributes
    ----------
    mtm
        The networks.
    components
        The compact MTM whose networks these are; ``None`` if they read genes.
    """

    mtm: FittedMTM
    components: FittedOnComponents | None = None

    @property
    def scaler(self) -> TissueScaler:
        """Scaler of the genes."""
        return self.mtm.scaler if self.components is None else self.components.scaler

    @property
    def tissues(self) -> tuple[str, ...]:
        """Names of the tissues."""
        return self.mtm.tissues

    def codes(self, profiles: Mapping[str, Floats]) -> Floats:
        """Return the donors' latent codes (N, C) from z-scores of the genes, by tissue."""
        if self.components is not None:
            profiles = self.components.z_scores(profiles)
        return self.mtm.codes(profiles)

    def output(self, last: torch.Tensor, tissue: int) -> Array:
        """Return the z-scores of the genes (N, G) that the last layer (N, U) is turned into."""
        z = self.mtm.model.generator.to_profile(last).numpy()
        if self.components is not None:
            score = z + self.mtm.scaler.mean[tissue]
            z = (score * np.float32(self.components.unit)) @ self.components.basis.T
        return np.asarray(z, dtype=np.float64)


def find_mtm(method: FittedMethod) -> LatentModel:
    """Return the MTM or compact MTM that ``method`` is, or that is in its stack.

    Raises
    ------
    SelectionError
        If there is none.
    """
    for base in method.bases if isinstance(method, FittedStack) else (method,):
        if isinstance(base, FittedMTM):
            return LatentModel(base)
        if isinstance(base, FittedOnComponents) and isinstance(base.inner, FittedMTM):
            return LatentModel(base.inner, base)
    raise SelectionError(
        f"{method.name} has no latent codes. Choose a model of the method mtm or compact-mtm, or a"
        " stack with one of them; compact-mtm can be trained on genome-wide cohorts, too."
    )


def study_latent(
    fitted: LatentModel,
    cohort: ad.AnnData,
    donors: Sequence[str] | None = None,
    *,
    n_codes: int = N_CODES,
    seed: int = 0,
) -> LatentStudy:
    """Compare codes within and between donors, and follow blood codes through the generator.

    Parameters
    ----------
    fitted
        Whoever it was trained on has codes that fit better than those of new donors.
    cohort
        With the genes and tissues of ``fitted``.
    donors
        Donors to study: those held out, if any; ``None`` for all.
    n_codes
        Blood codes that decoding paths are averaged over.
    seed
        Seed of the choice of other donors, and of Mantel's test.

    Raises
    ------
    CohortError
        If the cohort has other genes or tissues, or no tissues with enough donors in common.
    """
    n_genes = fitted.scaler.mean.shape[1]
    if tissue_names(cohort) != fitted.tissues or cohort.n_vars != n_genes:
        raise CohortError(
            f"the model and the cohort differ: {len(fitted.tissues)} and"
            f" {len(tissue_names(cohort))} tissues, {n_genes} and {cohort.n_vars} genes, or their"
            " names. Give the cohort that the model was trained on."
        )
    codes = _codes(fitted, cohort, None if donors is None else set(donors))
    known = cohort.uns["donors"].reindex(columns=["sex", "hardy"]).astype(str)
    alike = known["sex"] + " " + known["hardy"]
    pairs, by_sample = _pairs(codes, alike, np.random.default_rng(seed))
    return LatentStudy(pairs, _codes_summary(by_sample), _layers(fitted, cohort, codes, n_codes))


def _codes(
    fitted: LatentModel, cohort: ad.AnnData, donors: set[str] | None
) -> dict[str, pd.DataFrame]:
    """Return the codes (N, C) of each tissue's samples, by donor."""
    result = {}
    for code, (tissue, donor, expression) in enumerate(tissues_of(cohort)):
        chosen = np.array([donors is None or name in donors for name in donor])
        if chosen.any():
            z = fitted.scaler.transform(expression[chosen], np.full(chosen.sum(), code))
            result[tissue] = pd.DataFrame(fitted.codes({tissue: z}), index=donor[chosen])
    return result


def _pairs(
    codes: dict[str, pd.DataFrame], alike: pd.Series, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a row a pair of tissues, and a row a pair of samples of one donor."""
    unit = {tissue: _standardised(table) for tissue, table in codes.items()}
    rows, samples = [], []
    for first, second in combinations(unit, 2):
        shared = unit[first].index.intersection(unit[second].index)
        if len(shared) < MINIMUM_SHARED:
            continue
        a, b = (unit[tissue].loc[shared].to_numpy() for tissue in (first, second))
        other = _another(np.zeros(len(shared)), rng)
        matched = _another(alike[shared].to_numpy(), rng)
        rho = pd.DataFrame(
            {
                "donor": shared,
                "same": (a * b).sum(axis=1),
                "other": (a * b[other]).sum(axis=1),
                # Who has no like has no matched figure.
                "matched": np.where(matched >= 0, (a * b[matched]).sum(axis=1), np.nan),
            }
        )
        samples.append(rho)
        rows.append({"tissue": first, "other_tissue": second, "n": len(shared)} | _compare(rho))
    if not rows:
        raise CohortError(
            f"no two tissues share {MINIMUM_SHARED} of the donors chosen; choose more donors."
        )
    return pd.DataFrame(rows), pd.concat(samples, ignore_index=True)


def _another(group: NDArray[Any], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return for each member (N,) another of its group, each one once; -1 where it is alone."""
    other = np.full(len(group), -1, dtype=np.int64)
    for members in pd.Series(np.arange(len(group))).groupby(group):
        ring = rng.permutation(members[1].to_numpy())
        if len(ring) > 1:
            other[ring] = np.roll(ring, 1)
    return other


def _compare(rho: pd.DataFrame) -> dict[str, float]:
    """Return means, and the chance that the same donor's rho is above another's."""
    known = rho.dropna()
    result = {
        "same_donor": float(rho["same"].mean()),
        "other_donor": float(rho["other"].mean()),
        "matched_donor": float("nan"),
        "auc": _area(rho["same"], rho["other"]),
        "matched_auc": float("nan"),
    }
    if len(known):
        result["matched_donor"] = float(known["matched"].mean())
        result["matched_auc"] = _area(known["same"], known["matched"])
    return result


def _area(first: pd.Series, second: pd.Series) -> float:
    return float(mannwhitneyu(first, second).statistic / (len(first) * len(second)))


def _codes_summary(samples: pd.DataFrame) -> dict[str, float]:
    test = mannwhitneyu(samples["same"], samples["other"], method="asymptotic")
    by_donor = samples.dropna().groupby("donor")[["same", "matched"]].mean()
    difference = by_donor["same"] - by_donor["matched"]
    return {
        "n_pairs": len(samples),
        **_compare(samples),
        "p": float(test.pvalue),
        "n_donors": len(by_donor),
        "share_higher": float((difference > 0).mean()),
        "donor_p": float(wilcoxon(difference).pvalue) if difference.any() else float("nan"),
    }


def _layers(
    fitted: LatentModel, cohort: ad.AnnData, codes: dict[str, pd.DataFrame], n_codes: int
) -> pd.DataFrame:
    """Return a row a layer: how far decoding to tissues is alike as the tissues are."""
    if WHOLE_BLOOD not in codes:
        raise CohortError(f"none of the donors chosen has {WHOLE_BLOOD}; choose others.")
    reference = tissue_similarity(cohort)
    code = codes[WHOLE_BLOOD].iloc[:n_codes].to_numpy(np.float32)
    sums: dict[str, Array] = {}
    units: dict[str, int] = {}
    for start in range(0, len(code), _CODES_AT_ONCE):
        for name, activations in decoding_paths(
            fitted, code[start : start + _CODES_AT_ONCE]
        ).items():
            sums[name] = sums.get(name, 0.0) + _path_similarity(activations)
            units[name] = activations.shape[2]
    rows = []
    for name, summed in sums.items():
        agreement = similarity_agreement(summed / len(code), reference)
        rows.append(
            {
                "layer": name,
                "n_units": units[name],
                "n_codes": len(code),
                "n_tissues": agreement.n_items,
                "spearman": agreement.spearman,
                "p": agreement.p,
                "outcome": agreement.outcome,
            }
        )
    return pd.DataFrame(rows)


def decoding_paths(fitted: LatentModel, code: NDArray[np.float32]) -> dict[str, Array]:
    """Return the activations (T, N, U) of each layer of the generator, ``code`` (N, C) decoded.

    Layers are ``layer 1`` to ``layer L``, then ``output``: the z-scores of the genes.
    """
    generator = fitted.mtm.model.generator
    n, n_tissues = len(code), len(fitted.tissues)
    paths: dict[str, list[Array]] = {}
    with torch.inference_mode():
        for t in range(n_tissues):
            tissue = torch.full((n,), t)
            x = torch.tensor(code)
            for number, layer in enumerate(generator.body.layers, start=1):
                x = layer(x, tissue)
                paths.setdefault(f"layer {number}", []).append(x.numpy().astype(np.float64))
            paths.setdefault("output", []).append(fitted.output(x, t))
    return {name: np.stack(activations) for name, activations in paths.items()}


def _path_similarity(activations: Array) -> Array:
    """Return Pearson's rho between tissues (T, T) over units, summed over codes."""
    n_tissues, n, _ = activations.shape
    similarity = np.zeros((n_tissues, n_tissues))
    for i in range(n):
        unit = _unit_rows(activations[:, i])
        similarity += unit @ unit.T
    return similarity


def _standardised(codes: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(_unit_rows(codes.to_numpy(np.float64)), index=codes.index)


def _unit_rows(values: Array) -> Array:
    """Centre each row and bring it to length 1: products of rows are Pearson's rho."""
    centred = values - values.mean(axis=1, keepdims=True)
    length = np.sqrt((centred**2).sum(axis=1, keepdims=True))
    return np.asarray(centred / np.where(length > 0, length, 1))
