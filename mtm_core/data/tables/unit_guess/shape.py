"""How values are spread over genes and samples: whether they are centred, logarithms or linear.

The bounds on shape rest on real blood and sorted cells (GSE152641, GSE127530, GSE60424: nine groups
of samples, as CPM and FPKM, the panel's 59 genes; benchmarks/units.py, docs/units.md):

================================================  ============  =============
figure                                            linear        log(1 + x)
================================================  ============  =============
greatest over median of the genes' means          7 to 82       1.6 to 4.1
slope of log SD on log mean over genes            0.51 to 0.75  -0.27 to 0.30
SD of genes' means over that of log2(1 + mean)                  log2 0.84 to 1.09
of the reference                                                ln 0.58 to 0.76
                                                                log10 0.25 to 0.33
================================================  ============  =============
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mtm_core.data.tables.unit_guess.verdict import UnitGuess
from mtm_core.data.tables.value_summary import ValueSummary
from mtm_core.data.units import LINEAR, NOT_CENTRED, Unit

MOST_NEGATIVE = 0.2
"""Share of values below the least of a scale from which they are not on it."""
FEWEST_SAMPLES, FEWEST_GENES = 3, 15
"""Fewest samples and genes whose spread tells anything."""
LOG_PEAK, _LINEAR_PEAK = 5.0, 6.0
"""Greatest over median of the genes' means: less in logarithms, more in linear values."""
_LOG_SLOPE, _LINEAR_SLOPE = 0.4, 0.5
_LOG2_SPREAD = 0.93
_LARGEST_LN = 14.0
"""ln(1 + x) of TPM ends at 13.8."""
_CENTRED, _CENTRED_OF_FEW = 0.005, 0.001
_FLAT = 1.0


def describe_centred(summary: ValueSummary) -> str:
    """Say that values are centred, and why they are refused; empty if they are not.

    Genes differ in level far more than samples do in one gene: on any logarithmic scale the SD of
    the genes' means is 2.5 to 10 times that within genes. Where it is smaller than that within
    genes, and values are on both sides of 0, each gene's own level was taken out.
    """
    few, spread = summary.n_samples < FEWEST_SAMPLES, summary.spreads > 0
    if spread.all() and summary.n_genes >= FEWEST_GENES:
        off = float(np.abs(summary.means / summary.spreads).max())
        if off < (_CENTRED_OF_FEW if few else _CENTRED):
            return f"The values of every sample have a mean of 0: {NOT_CENTRED}"
    share = summary.share_below(0.0)
    if few or share <= MOST_NEGATIVE / 2:
        return ""
    within = float(np.sqrt(np.mean(summary.sd**2)))
    between = float(summary.mean.std())
    if within > 0 and between < _FLAT * within:
        return (
            f"{share:.0%} of the values are negative, and genes have about one level (their means"
            f" have an SD of {between:.2g}, the samples of a gene one of {within:.2g}):"
            f" {NOT_CENTRED}"
        )
    return ""


def judge_shape(summary: ValueSummary, typical: ArrayLike | None) -> UnitGuess:
    """Judge by how values are spread over genes and samples."""
    shown = f"Values have decimals, between {summary.low:.3g} and {summary.high:.3g}"
    logs: tuple[Unit, ...] = ("log2", "ln", "log10")
    positive = summary.mean[summary.mean > 0]
    if len(positive) < FEWEST_GENES:
        return UnitGuess(None, f"{shown}, of too few known genes to judge by.", (*logs, *LINEAR))
    peak = float(positive.max() / np.median(positive))
    slope = _slope(summary)
    if peak > _LINEAR_PEAK and (np.isnan(slope) or slope > _LINEAR_SLOPE):
        reason = (
            f"{shown}, with a long tail (the greatest mean of a gene is {peak:.0f} times the"
            " median): rather small linear values than logarithms."
        )
        return UnitGuess(None, reason, (*LINEAR, *logs))
    if peak > LOG_PEAK or slope > _LOG_SLOPE:
        return UnitGuess(None, f"{shown}: low logarithms or small linear values.", logs + LINEAR)
    if summary.high > _LARGEST_LN:
        return UnitGuess(
            "log2",
            f"{shown}, spread as logarithms are, and too large for ln(1 + x) or log10(1 + x).",
        )
    spread = _spread(summary, typical)
    if spread >= _LOG2_SPREAD:
        return UnitGuess(
            "log2",
            f"{shown}, and genes are spread as far as log2(1 + x) of the reference"
            f" ({spread:.2f} times).",
        )
    if np.isnan(spread):
        return UnitGuess(None, f"{shown}: logarithms, and their base is not clear.", logs)
    first: Unit = "log10" if spread < np.sqrt(np.log10(2) * np.log(2)) else "ln"
    return UnitGuess(
        None,
        f"{shown}: logarithms, and their base is not clear (genes are spread {spread:.2f} times as"
        " far as log2(1 + x) of the reference).",
        (first, *(unit for unit in logs if unit != first)),
    )


def _slope(summary: ValueSummary) -> float:
    """Return the slope of log SD on log mean over genes: about 1 on a linear scale, 0 on a log."""
    if summary.n_samples < FEWEST_SAMPLES:
        return float("nan")
    varies = (summary.mean > 0) & (summary.sd > 0)
    if varies.sum() < FEWEST_GENES:
        return float("nan")
    mean, sd = np.log(summary.mean[varies]), np.log(summary.sd[varies])
    return float(np.polyfit(mean, sd, 1)[0])


def _spread(summary: ValueSummary, typical: ArrayLike | None) -> float:
    """Return the SD of genes' means over that of log2(1 + reference) of the same genes."""
    if typical is None or summary.of_model is None or len(summary.of_model) < FEWEST_GENES:
        return float("nan")
    reference = np.log2(1 + np.asarray(typical, dtype=np.float64)[summary.of_model])
    return float(summary.mean.std() / reference.std()) if reference.std() > 0 else float("nan")
