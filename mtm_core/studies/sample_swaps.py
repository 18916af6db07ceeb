"""Samples that may be another person's: between tables of the same people, or within one.

Expression of some genes is a person's own for life: variants steer it, or a gene is missing in some
people. Which genes these are shows in the tables themselves: they agree between samples of the same
people. A sample is judged by genes that were chosen without it.

What this can find: samples of two people exchanged, or one under the wrong name, while most are
right. What it cannot: who a sample is of that is nobody's in the table, swaps that all tables
share, and swaps between people who are alike in these genes, such as twins. In few samples, or
where a tissue is hardly like its prediction, most samples are not most like their own person; then
nothing is said of any.

Shapes: P people, G genes, N samples.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.errors import SelectionError

Array = NDArray[np.float64]

FEWEST_PEOPLE = 6
"""People in both tables, below which genes that agree cannot be distinguished from chance."""
FEWEST_REPEATED = 3
_MOST_GENES = 500
_ENOUGH = 0.7
"""Share of samples that must be most like their own person for others to be suspected.

With half, of simulated people of whom little is their own, one table in four had a sample suspected
that was right, with this one in thirty, and as many exchanged samples were found.
"""
_CLEARLY = 0.1
"""Difference of rho from which a sample is more like another person than like its own."""
_LEAST_SD = 1e-5
"""SD of log2 levels below which a gene does not vary: rounding of single precision."""
SAME, EXCHANGED, OTHER, UNCLEAR = "same person", "exchanged", "more like another", "unclear"
SUSPECTED = (EXCHANGED, OTHER)


def match_tables(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Hold samples of two tables of the same people against each other.

    Parameters
    ----------
    first, second
        (people, genes) log2 expression or z-scores; of one tissue, or ``first`` as it is predicted
        for the tissue of ``second``. People and genes go by name; those of both are used.

    Returns
    -------
    pandas.DataFrame
        By person: ``own_rho`` of their two samples, over genes that agree between the tables for
        the others; ``rank`` of that among all of ``first``; ``nearest``, the person in ``first``
        that the sample in ``second`` is most like, ``nearest_rho``; ``other_rho`` of the nearest
        other person; and ``verdict``: ``"same person"``, ``"exchanged"`` (each of two is most like
        the other), ``"more like another"`` or ``"unclear"``: another is nearer by less than 0.1, or
        most are not nearest to their own.

    Raises
    ------
    SelectionError
        If there are fewer than ``FEWEST_PEOPLE`` in both, or no gene is.
    """
    people = first.index[first.index.isin(second.index)]
    genes = first.columns[first.columns.isin(second.columns)]
    if len(people) < FEWEST_PEOPLE or not len(genes):
        raise SelectionError(
            f"{len(people)} people and {len(genes)} genes are in both tables; at least"
            f" {FEWEST_PEOPLE} people are needed. A person must have the same name in both."
        )
    a, b = (_standard(table.loc[people, genes].to_numpy(np.float32)) for table in (first, second))
    varies = a.any(axis=0) & b.any(axis=0)
    a, b = a[:, varies], b[:, varies]
    n = len(people)
    agreement = np.einsum("pg,pg->g", a, b, dtype=np.float64)
    by_gene = np.ascontiguousarray(a.T)
    rho = np.empty((n, n))
    for i in range(n):
        without = (agreement - a[i].astype(np.float64) * b[i]) / (n - 1)
        weight, chosen = _weights(without, 2 / np.sqrt(n))
        own = by_gene[chosen].T.astype(np.float64)
        rho[i] = _weighted_rho(own, b[i, chosen].astype(np.float64), weight)
    return _verdicts(rho, np.arange(n), people, people)


def match_repeated(log2: pd.DataFrame, people: pd.Series) -> pd.DataFrame:
    """Hold each sample of a table against the other samples of all people in it.

    Parameters
    ----------
    log2
        (samples, genes).
    people
        Person of each sample, NaN where not known: samples of people with two or more are judged.

    Returns
    -------
    pandas.DataFrame
        By sample: ``person``, and the columns of :func:`match_tables`.

    Raises
    ------
    SelectionError
        If fewer than ``FEWEST_REPEATED`` people have two samples or more.
    """
    known = people.reindex(log2.index).astype(object)
    counts = known.value_counts()
    of_known = known.notna().to_numpy()
    names = pd.Index(sorted(counts.index, key=str), dtype=object)
    n_repeated = int((counts >= 2).sum())
    if n_repeated < FEWEST_REPEATED:
        raise SelectionError(
            f"{n_repeated} people have two samples or more; at least {FEWEST_REPEATED} are needed."
            " Choose the column that names the person of each sample."
        )
    x = log2.to_numpy(np.float32)[of_known]
    x = x - x.mean(axis=0, dtype=np.float64).astype(np.float32)
    own = names.get_indexer(known[of_known])
    sums = np.zeros((x.shape[1], len(names)))
    for place, profile in zip(own, x, strict=True):
        sums[:, place] += profile
    n = np.bincount(own, minlength=len(names)).astype(np.float64)
    squares = np.einsum("ng,ng->g", x, x, dtype=np.float64)
    whole, explained_by_all = sums.sum(axis=1), (sums**2 @ (1 / n))
    judged = np.flatnonzero(n[own] >= 2)
    rho = np.empty((len(judged), len(names)))
    for row, i in enumerate(judged):
        sample, person = x[i].astype(np.float64), own[i]
        # All but this sample: it has no part in the choice of its genes.
        n_left, n_own = n.sum() - 1, n[person] - 1
        rest = sums[:, person] - sample
        explained = explained_by_all - sums[:, person] ** 2 / n[person] + rest**2 / n_own
        grand = (whole - sample) / n_left
        between = explained - n_left * grand**2
        total = squares - sample**2 - n_left * grand**2
        share = np.where(total > 0, between / np.where(total > 0, total, 1), 0)
        weight, chosen = _weights(share, _by_chance(len(names), n_left))
        spread = np.sqrt(np.maximum(total[chosen], 1e-12) / n_left)
        means = sums[chosen] / n
        means[:, person] = rest[chosen] / n_own
        rho[row] = _weighted_rho(
            ((means - grand[chosen, None]) / spread[:, None]).T,
            (sample[chosen] - grand[chosen]) / spread,
            weight,
        )
    table = _verdicts(rho, own[judged], log2.index[of_known][judged], names)
    table.insert(0, "person", names.to_numpy()[own[judged]])
    return table


def swaps_in_words(table: pd.DataFrame) -> str:
    """Say how many samples are most like their own person, and what chance would give."""
    n_first = int((table["rank"] == 1).sum())
    n_people = len(table) if "person" not in table else table["person"].nunique()
    words = (
        f"{n_first} of {len(table)} samples are most like their own person; by chance"
        f" {len(table) / max(n_people, 1):.0f} would be."
    )
    if (table["verdict"] == UNCLEAR).all():
        return words + " That is too few to suspect any."
    suspects = table.index[table["verdict"].isin(SUSPECTED)]
    if not len(suspects):
        return words + " None is suspected."
    pairs = [f"{name} (most like {table['nearest'][name]})" for name in suspects[:10]]
    return f"{words} To look at: {', '.join(pairs)}."


def _by_chance(n_people: int, n_samples: float) -> float:
    """Return the share of variance between people that a gene rarely has by chance: mean and 2 SD.

    The share is a beta variable where the gene is no person's own.
    """
    between, within = (n_people - 1) / 2, (n_samples - n_people) / 2
    both = between + within
    mean = between / both
    return float(mean + 2 * np.sqrt(mean * (1 - mean) / (both + 1)))


def _standard(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return z-scores of each column; 0 where it does not vary."""
    left = values - values.mean(axis=0, dtype=np.float64).astype(np.float32)
    sd = left.std(axis=0, dtype=np.float64)
    scale = np.where(sd > _LEAST_SD, 1 / np.maximum(sd, _LEAST_SD), 0)
    left *= scale.astype(np.float32)
    return np.asarray(left)


def _weights(agreement: Array, chance: float) -> tuple[Array, NDArray[np.int64]]:
    """Return weights of the genes that agree beyond ``chance``, and their positions."""
    above = np.maximum(agreement - chance, 0)
    chosen = np.argsort(-above, kind="stable")[:_MOST_GENES]
    chosen = np.sort(chosen[above[chosen] > 0])
    return above[chosen] ** 2, chosen


def _weighted_rho(rows: Array, one: Array, weight: Array) -> Array:
    """Return the weighted cosine of each of ``rows`` with ``one``; NaN without any gene."""
    if not weight.size:
        return np.full(len(rows), np.nan)
    size = np.sqrt((rows**2 @ weight) * (one**2 @ weight))
    return np.asarray((rows @ (weight * one)) / np.where(size > 0, size, np.inf))


def _verdicts(
    rho: Array, own: NDArray[np.int64], samples: pd.Index, people: pd.Index
) -> pd.DataFrame:
    """Judge each sample (row of ``rho``) by the person (column) that it is most like."""
    at = np.arange(len(rho))
    # Without a gene that is a person's own nothing is known of a sample: it is nobody's nearest.
    is_known = np.asarray(np.isfinite(rho).all(axis=1))
    rho = np.where(is_known[:, None], rho, -np.inf)
    others = rho.copy()
    others[at, own] = -np.inf
    own_rho, nearest = rho[at, own], np.where(is_known, rho.argmax(axis=1), -1)
    rank = np.where(is_known, 1 + (rho > own_rho[:, None]).sum(axis=1), rho.shape[1])
    verdict = np.where(rank == 1, SAME, OTHER).astype(object)
    for i in np.flatnonzero(rank > 1):
        back = np.flatnonzero(own == nearest[i])
        if (nearest[back] == own[i]).any():
            verdict[i] = EXCHANGED
    with np.errstate(invalid="ignore"):
        is_close = rho[at, nearest] - own_rho < _CLEARLY
    verdict[~is_known | ((rank > 1) & is_close)] = UNCLEAR
    if (rank == 1).mean() < _ENOUGH:
        verdict[:] = UNCLEAR
    figures = {"own": own_rho, "nearest": rho[at, nearest], "other": others.max(axis=1)}
    found = {name: np.where(is_known, values, np.nan) for name, values in figures.items()}
    return pd.DataFrame(
        {
            "own_rho": found["own"],
            "rank": rank,
            "nearest": np.where(is_known, people.to_numpy()[nearest], ""),
            "nearest_rho": found["nearest"],
            "other_rho": found["other"],
            "verdict": verdict,
        },
        index=samples,
    )
