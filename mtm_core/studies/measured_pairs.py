"""Predicted and measured profiles of the same people, compared gene by gene and person by person.

Letters: N people, G genes, S shuffles, R resamples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import rankdata

from mtm_core.statistics.blocks import gene_blocks
from mtm_core.statistics.correlation import (
    columnwise_correlation,
    correlation_interval,
    correlation_p,
)
from mtm_core.statistics.multiple_testing import benjamini_hochberg
from mtm_core.statistics.resampling import resampled_counts

Array = NDArray[np.float64]
Floats = NDArray[np.float32]
Progress = Callable[[int, int], None]
"""Called with (shuffles done, in all)."""

FEWEST = 4
"""People below which a gene has no rho: of three, chance gives any."""
FDR = 0.05
N_RESAMPLES = 200
RHO_BINS = np.linspace(-1, 1, 41)


@dataclass(frozen=True)
class Pair:
    """Predicted and measured z-scores (N, G) of the same people and genes."""

    predicted: Floats
    measured: Floats

    @property
    def n(self) -> int:
        """N."""
        return len(self.measured)

    def by_gene(self) -> pd.DataFrame:
        """Return rho, its interval, Spearman's rho, p, FDR and whether the gene holds."""
        n_genes = self.measured.shape[1]
        rho, spearman = np.full(n_genes, np.nan), np.full(n_genes, np.nan)
        low = high = p = rho
        if self.n >= FEWEST:
            for block in gene_blocks(n_genes):
                a, b = self.predicted[:, block], self.measured[:, block]
                rho[block] = columnwise_correlation(a, b)
                ranks = (rankdata(x, axis=0) for x in (a, b))
                spearman[block] = columnwise_correlation(*ranks)
            low, high = correlation_interval(rho, self.n)
            p = correlation_p(rho, self.n)
        fdr = benjamini_hochberg(p)
        return pd.DataFrame(
            {
                "rho": rho,
                "rho_low": low,
                "rho_high": high,
                "spearman": spearman,
                "p": p,
                "fdr": fdr,
                "holds": fdr <= FDR,
            }
        )

    def alike(self) -> Array:
        """Return rho over genes (N, N) of each predicted profile with each measured one."""
        a, b = standardised(self.predicted.T), standardised(self.measured.T)
        return np.asarray(a.T @ b, dtype=np.float64)

    def by_person(self) -> pd.DataFrame:
        """Return rho with the own profile, with others', and the rank of the own.

        The rank is behind all that are as near: of profiles that are the same, or where nothing
        distinguishes people, none is the nearest.
        """
        alike = self.alike()
        own = np.diag(alike)
        others = (alike.sum(axis=1) - own) / max(self.n - 1, 1) if self.n > 1 else np.nan
        return pd.DataFrame(
            {"rho": own, "rho_others": others, "rank": (alike >= own[:, None]).sum(axis=1)}
        )


@dataclass(frozen=True)
class Errors:
    """Errors in log2 units and shares inside the interval, by gene and by person."""

    genes: pd.DataFrame
    people: pd.DataFrame
    inside: Array
    n_counted: Array


@dataclass(frozen=True)
class Shuffles:
    """Results for shuffled people: figures (S,) by name, and genes by rho, mean of shuffles."""

    figures: dict[str, Array]
    counts: Array


def standardised(values: NDArray[np.floating]) -> Floats:
    """Return each column centred, of length 1; 0 where it does not vary."""
    centred = values.astype(np.float64) - values.mean(axis=0, dtype=np.float64)
    norm = np.sqrt((centred**2).sum(axis=0))
    varies = norm > 1e-9 * np.sqrt(len(values))
    return np.asarray(np.where(varies, centred / np.where(varies, norm, 1), 0), dtype=np.float32)


def shuffle(
    pair: Pair, promised: Array, n_shuffles: int, seed: int, on_progress: Progress | None
) -> Shuffles:
    """Exchange the measured people, and take the figures anew, over the genes that vary in both."""
    rng, n = np.random.default_rng(seed), pair.n
    figures: dict[str, list[float]] = {
        name: [] for name in ("gene_rho", "n_genes_that_hold", "agreement", "sample_rho")
    }
    counts = np.zeros(len(RHO_BINS) - 1)
    has_genes = n >= FEWEST
    alike = pair.alike()
    a, b = standardised(pair.predicted), standardised(pair.measured)
    varies = (a != 0).any(axis=0) & (b != 0).any(axis=0)
    known = varies & np.isfinite(promised)
    ranks = standard_ranks(promised[known])
    for number in range(n_shuffles if n > 1 else 0):
        if on_progress is not None:
            on_progress(number, n_shuffles)
        order = rng.permutation(n)
        figures["sample_rho"].append(float(alike[np.arange(n), order].mean()))
        if not has_genes:
            continue
        rho = np.einsum("ng,ng->g", a, b[order], dtype=np.float64).clip(-1, 1)
        figures["gene_rho"].append(float(rho[varies].mean()))
        fdr = benjamini_hochberg(correlation_p(rho[varies], n))
        figures["n_genes_that_hold"].append(float((fdr <= FDR).sum()))
        figures["agreement"].append(rank_agreement(ranks, rho[known]))
        counts += np.histogram(rho[varies], RHO_BINS)[0]
    done = {name: np.array(values) for name, values in figures.items()}
    return Shuffles(done, counts / max(len(done["gene_rho"]), 1))


def standard_ranks(values: Array) -> Array:
    """Return the ranks of values, centred and of length 1; 0 where all are alike."""
    centred = rankdata(values) - (len(values) + 1) / 2
    norm = np.sqrt((centred**2).sum())
    return np.asarray(centred / norm if norm > 0 else centred)


def rank_agreement(ranks: Array, rho: Array) -> float:
    """Return Spearman's rho with values of which the standardised ranks are given."""
    if len(rho) < FEWEST or not ranks.any():
        return float("nan")
    return float(ranks @ standard_ranks(rho))


def compare_expression(
    part: xr.Dataset,
    measured: Floats,
    inverse: Callable[..., Floats],
    n: int,
) -> Errors:
    """Compare expression: errors in log2 units, and who is inside the interval."""
    n_genes = measured.shape[1]
    square, of_mean = np.zeros(n_genes), np.zeros(n_genes)
    by_person, inside, counted = np.zeros(n), np.zeros(n), np.zeros(n)
    inside_gene = np.full(n_genes, np.nan)
    has_interval = "lower" in part
    linear = inverse(measured, 0)
    typical = inverse(np.zeros((1, n_genes), dtype=np.float32), 0)
    expression = part["expression"].to_numpy()
    bounds = [part[name].to_numpy() for name in ("lower", "upper")] if has_interval else []
    for block in gene_blocks(n_genes):
        true = np.log2(1 + linear[:, block].astype(np.float64))
        error = (np.log2(1 + expression[:, block].astype(np.float64)) - true) ** 2
        square[block], by_person = error.mean(axis=0), by_person + error.sum(axis=1)
        of_mean[block] = ((np.log2(1.0 + typical[:, block]) - true) ** 2).mean(axis=0)
        if has_interval:
            low, high = (bound[:, block] for bound in bounds)
            there = np.isfinite(low) & np.isfinite(high)
            is_inside = there & (low <= linear[:, block]) & (linear[:, block] <= high)
            inside, counted = inside + is_inside.sum(axis=1), counted + there.sum(axis=1)
            n_there = there.sum(axis=0)
            inside_gene[block] = np.where(
                n_there > 0, is_inside.sum(axis=0) / np.maximum(n_there, 1), np.nan
            )
    share = np.where(counted > 0, inside / np.maximum(counted, 1), np.nan)
    return Errors(
        pd.DataFrame(
            {
                "inside_90": inside_gene,
                "error": np.sqrt(square),
                "error_of_mean": np.sqrt(of_mean),
            }
        ),
        pd.DataFrame({"inside_90": share, "error": np.sqrt(by_person / n_genes)}),
        inside,
        counted,
    )


def average_people(pair: Pair, errors: Errors, person: NDArray[np.intp]) -> tuple[Pair, Errors]:
    """Average the z-scores of the samples of one person; take their errors together.

    Parameters
    ----------
    pair, errors
        Of N samples.
    person
        Number (N,) of the person of each, from 0 on.

    Returns
    -------
    tuple
        The same of people; ``errors.people`` with ``n_samples`` of each.
    """
    n_samples = np.bincount(person)
    mean = np.zeros((len(n_samples), len(person)))
    mean[person, np.arange(len(person))] = 1 / n_samples[person]
    predicted, measured = (
        np.asarray(mean @ values, dtype=np.float32) for values in (pair.predicted, pair.measured)
    )
    inside, counted = (
        np.bincount(person, of).astype(np.float64) for of in (errors.inside, errors.n_counted)
    )
    people = pd.DataFrame(
        {
            "inside_90": np.where(counted > 0, inside / np.maximum(counted, 1), np.nan),
            "error": np.sqrt(mean @ errors.people["error"].to_numpy() ** 2),
            "n_samples": n_samples,
        }
    )
    return Pair(predicted, measured), Errors(errors.genes, people, inside, counted)


def resample(pair: Pair, errors: Errors, seed: int) -> dict[str, Array]:
    """Draw people with replacement: figures (R,) by name.

    None of fewer than ``FEWEST``: the range of the same few values is no interval.
    """
    if pair.n < FEWEST:
        return {}
    counts = resampled_counts(np.zeros(pair.n), N_RESAMPLES, seed)
    total = counts @ errors.n_counted
    inside = np.where(total > 0, counts @ errors.inside / np.maximum(total, 1), np.nan)
    drawn = {"inside_90": inside, "sample_rho": counts @ np.diag(pair.alike()) / pair.n}
    weights, sums, n_known = counts / pair.n, np.zeros(N_RESAMPLES), np.zeros(N_RESAMPLES)
    for block in gene_blocks(pair.measured.shape[1]):
        a, b = (
            standardised(x[:, block]).astype(np.float64) for x in (pair.predicted, pair.measured)
        )
        mean_a, mean_b = weights @ a, weights @ b
        product = weights @ (a * b) - mean_a * mean_b
        norm = np.sqrt(
            np.maximum(weights @ a**2 - mean_a**2, 0) * np.maximum(weights @ b**2 - mean_b**2, 0)
        )
        varies = norm > 1e-12
        sums += np.where(varies, product / np.where(varies, norm, 1), 0).sum(axis=1)
        n_known += varies.sum(axis=1)
    return drawn | {"gene_rho": np.where(n_known > 0, sums / np.maximum(n_known, 1), np.nan)}
