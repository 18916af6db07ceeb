"""Activity of pathways and transcription factors in each sample and tissue.

Scores are of z-scores, distances from the mean of the reference in that tissue: without that, a
score would say which genes are expressed, not which are changed. The genes of a predicted tissue
are its predictable ones; of the others nothing is known. Scores of predicted tissues are functions
of the measured samples.

Shapes: N samples, G genes of the model, S sources.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy.sparse import csr_array

from mtm_core.data.gene_sets.networks import MatchedNetwork
from mtm_core.errors import SelectionError
from mtm_core.evaluation.accuracy import PREDICTABLE_RHO
from mtm_core.inference.one_sex import may_have
from mtm_core.inference.prepared import Prepared
from mtm_core.statistics.activity import (
    NotSeparable,
    multivariate_scores,
    univariate_scores,
)
from mtm_core.statistics.differential import differential_expression
from mtm_core.studies.own_cohort import MEASURED, PREDICTED
from mtm_core.studies.sample_labels import check_groups

ActivityMethod = Literal["ulm", "mlm"]
ActivityBackground = Literal["predictable", "all"]
MINIMUM_TARGETS = 5
MOST_TOGETHER = 2000
"""Sources that one model takes."""


@dataclass(frozen=True)
class ActivityScoring:
    """How activity is scored.

    Attributes
    ----------
    method
        ``"ulm"``: a linear model of each source alone; ``"mlm"``: one of all sources together.
    background
        ``"predictable"``: genes of the tissue with an out-of-fold pooled rho above 0.3, and all
        measured genes of the source tissue. ``"all"``: every gene of the model.
    minimum_targets
        Targets that a source needs in the background.
    """

    method: ActivityMethod = "ulm"
    background: ActivityBackground = "predictable"
    minimum_targets: int = MINIMUM_TARGETS

    def __post_init__(self) -> None:
        for kind, given, known in (
            ("method", self.method, ("ulm", "mlm")),
            ("background", self.background, ("predictable", "all")),
        ):
            if given not in known:
                raise SelectionError.unknown(kind, [given], known)
        if self.minimum_targets < 2:
            raise SelectionError(f"a source needs 2 targets or more, got {self.minimum_targets}.")


@dataclass(frozen=True)
class TissueActivity:
    """Scores of one tissue.

    Attributes
    ----------
    tissue, origin
        The tissue, and whether it was measured or predicted.
    scores
        (N, S) t statistics, NaN of sources with too few targets.
    sources
        One row a source: ``n_targets`` in the background, ``n_in_model``, and ``median_rho``, the
        median out-of-fold rho of those targets (NaN of the measured tissue, or without evaluation).
    n_background
        Genes that were scored on.
    """

    tissue: str
    origin: str
    scores: pd.DataFrame
    sources: pd.DataFrame
    n_background: int

    @property
    def n_scored(self) -> int:
        """Count the sources that have scores."""
        return int(self.scores.notna().any().sum())

    @property
    def median_rho(self) -> float:
        """Median over the sources that have scores of the median rho of their targets."""
        scored = self.scores.notna().any().to_numpy()
        known = self.sources["median_rho"][scored].dropna()
        return float(known.median()) if len(known) else float("nan")


def score_tissue(
    prediction: xr.Dataset,
    prepared: Prepared,
    tissue: str,
    network: MatchedNetwork,
    rho: pd.Series | None,
    scoring: ActivityScoring | None = None,
) -> TissueActivity:
    """Score the activity of every source of ``network`` in every sample of one tissue.

    Parameters
    ----------
    prediction, prepared
        Prediction of the samples, with ``z``, and the samples as the model read them.
    tissue
        The source tissue, or one that was predicted.
    network
        Matched to the genes of the model.
    rho
        Out-of-fold pooled rho of the tissue by gene id; ``None`` where it was not evaluated.
    scoring
        How.

    Raises
    ------
    SelectionError
        If nothing says which genes are predictable and they are the background; if no source has
        enough targets; if the sources cannot be separated in one model.
    """
    asked = scoring or ActivityScoring()
    is_measured = tissue == prepared.source
    background = (
        prepared.aligned.found if is_measured else np.ones(prediction.sizes["gene"], dtype=bool)
    )
    accuracy = np.full(len(background), np.nan)
    if rho is not None and not is_measured:
        accuracy = rho.reindex(prediction["gene"].to_numpy().astype(str)).to_numpy(np.float64)
    if asked.background == "predictable" and not is_measured:
        if not np.isfinite(accuracy).any():
            raise SelectionError(
                f"the model was not evaluated in {tissue}, so its predictable genes there are"
                " unknown. Score on every gene (--background all), or choose another model."
            )
        background = background & (accuracy > PREDICTABLE_RHO)
    genes = np.flatnonzero(background)
    if is_measured:
        z = prepared.aligned.z[:, genes]
    else:
        read = prediction["z"].sel(tissue=tissue).isel(gene=genes)
        z = read.transpose("sample", "gene").to_numpy()
    values = z.astype(np.float64)
    own = network.weights[genes]
    n_targets = _n_of(own)
    enough = np.flatnonzero(n_targets >= asked.minimum_targets)
    scores = np.full((len(values), len(network.of)), np.nan)
    if len(enough):
        scores[:, enough] = _scores(values, own[:, enough], asked.method, tissue)
    sources = pd.DataFrame(
        {
            "n_targets": n_targets,
            "n_in_model": _n_of(network.weights),
            "median_rho": _median_of(accuracy[genes], own),
        },
        index=pd.Index(network.of.sources, name="source"),
    )
    return TissueActivity(
        tissue,
        MEASURED if is_measured else PREDICTED,
        pd.DataFrame(scores, pd.Index(prepared.samples, name="sample"), sources.index),
        sources,
        len(genes),
    )


def compare_activity(
    activity: TissueActivity,
    groups: pd.Series,
    *,
    case: str,
    control: str,
    sex: pd.Series | None = None,
) -> pd.DataFrame:
    """Compare the scores of two groups of samples, source by source.

    Parameters
    ----------
    activity, groups, case, control
        The scores; the group of each sample, and the two that are compared.
    sex
        ``"female"`` or ``"male"`` by sample, NaN where not known: people of the other sex are left
        out of a predicted tissue that only one has. ``None``: nobody is left out.

    Returns
    -------
    pandas.DataFrame
        One row a source with scores: ``n_case``, ``n_control``, ``mean_case``, ``mean_control``,
        ``difference`` of the means, ``auc``, ``p`` of the rank-sum test, ``fdr`` over the sources,
        ``outcome``.

    Raises
    ------
    SelectionError
        If the groups are one, or one has no sample.
    """
    known = groups.reindex(activity.scores.index)
    check_groups(known, case, control)
    if sex is not None and activity.origin == PREDICTED:
        known = known.where(may_have(activity.tissue, sex.reindex(known.index)))
    scored = activity.scores.dropna(axis=1)
    cases, controls = (scored[known == name].to_numpy() for name in (case, control))
    # As log2 values are: scores have a sign, and their means are subtracted.
    compared = differential_expression(cases, controls, list(scored.columns), scale="log2")
    named = compared.rename(columns={"log2_fold_change": "difference"})
    return named.rename_axis("source")


def say_scored(parts: Sequence[TissueActivity]) -> str:
    """Say how many sources of how many were scored on how many genes, over the tissues."""
    counts = pd.DataFrame(
        [
            (
                part.n_scored,
                len(part.sources),
                part.n_background,
                part.median_rho,
            )
            for part in parts
        ],
        columns=["scored", "sources", "genes", "rho"],
    )
    middle = counts.dropna(axis=1, how="all").median().reindex(counts.columns)
    words = (
        f"{middle['scored']:,.0f} of {middle['sources']:,.0f} sources have scores, on"
        f" {middle['genes']:,.0f} genes (medians over {len(counts)} tissues)"
    )
    if np.isfinite(middle["rho"]):
        words += f"; median out-of-fold rho of their targets {middle['rho']:.2f}"
    return words + "."


def _scores(
    values: NDArray[np.float64],
    weights: csr_array,
    method: ActivityMethod,
    tissue: str,
) -> NDArray[np.float64]:
    if method == "ulm":
        return univariate_scores(values, weights)
    n_sources = weights.shape[1]
    try:
        if n_sources > MOST_TOGETHER:
            raise NotSeparable
        return multivariate_scores(values, weights)
    except NotSeparable:
        raise SelectionError(
            f"the {n_sources:,} sources cannot be separated in one model on the"
            f" {values.shape[1]:,} genes of {tissue}: the weights of one follow from those of"
            f" others, or there are too few genes or more than {MOST_TOGETHER:,} sources. Score"
            " each source alone (--method ulm)."
        ) from None


def _n_of(weights: csr_array) -> NDArray[np.int64]:
    """Count the targets of each source."""
    counts: NDArray[np.int64] = np.bincount(weights.indices, minlength=weights.shape[1])
    return counts.astype(np.int64)


def _median_of(accuracy: NDArray[np.float64], weights: csr_array) -> NDArray[np.float64]:
    """Return the median accuracy of each source's targets."""
    pairs = weights.tocoo()
    medians = pd.Series(accuracy[pairs.row], pairs.col).dropna().groupby(level=0).median()
    every = medians.reindex(range(weights.shape[1]))
    return np.asarray(every, dtype=np.float64)
