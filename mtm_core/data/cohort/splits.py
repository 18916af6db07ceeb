"""Splits by donor: a donor's tissues are never on both sides."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.data.files.what_is_it import what_it_is
from mtm_core.errors import CohortError, InputFileError
from mtm_core.safe_output import writing


@dataclass(frozen=True)
class DonorFolds:
    """Disjoint groups of donors that together are the cohort.

    Attributes
    ----------
    folds
        Donor ids of each fold, sorted.
    seed
        Seed that dealt them.
    """

    folds: tuple[tuple[str, ...], ...]
    seed: int

    def __post_init__(self) -> None:
        donors = [donor for fold in self.folds for donor in fold]
        if len(set(donors)) < len(donors):
            raise CohortError("a donor is in two folds; every donor belongs to one.")

    def held_out(self, fold: int) -> tuple[str, ...]:
        """Return the donors of ``fold``."""
        return self.folds[fold]

    def training(self, fold: int) -> tuple[str, ...]:
        """Return the donors of all folds but ``fold``."""
        rest = (d for i, members in enumerate(self.folds) if i != fold for d in members)
        return tuple(sorted(rest))

    def save(self, path: Path) -> None:
        """Write the folds as JSON, to a file that is new or holds the same folds.

        Raises
        ------
        OutputError
            If something else is there, or it cannot be written.
        """
        text = json.dumps({"seed": self.seed, "folds": self.folds}, indent=1) + "\n"
        if path.is_file() and path.read_bytes() == text.encode():
            return
        with writing(path) as place:
            place.write_text(text)

    @classmethod
    def load(cls, path: Path) -> DonorFolds:
        """Read what :meth:`save` wrote."""
        try:
            values = json.loads(path.read_text(encoding="utf-8-sig"))
            folds = tuple(tuple(fold) for fold in values["folds"])
            return cls(folds, int(values["seed"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputFileError(
                f"{path}: expected folds as JSON, {{'seed': 0, 'folds': [[donor, …], …]}}, as"
                f" 'mtm evaluate' writes them; got {what_it_is(path)}."
            ) from error


def donor_folds(
    samples: pd.DataFrame, *, n_folds: int = 5, seed: int = 0, balance_tissue: str = "Whole Blood"
) -> DonorFolds:
    """Deal donors into folds that are alike.

    Donors are ordered by whether they have ``balance_tissue`` and by their number of tissues (ties
    at random), then dealt in rounds of ``n_folds``, each round in random order. So folds differ by
    at most one donor and two donors with blood, and have about the same number of samples.

    Parameters
    ----------
    samples
        One row a sample, with ``donor`` and ``tissue``.
    n_folds
        2 or more.
    seed
        Seed of the split; the same seed and samples give the same folds, whatever the row order.
    balance_tissue
        Tissue that predictions start from.

    Raises
    ------
    CohortError
        If there are fewer donors than folds.
    """
    # As text: a categorical column would bring its own order.
    by_donor = samples["tissue"].groupby(samples["donor"].astype(str))
    donors = pd.DataFrame(
        {
            "has_tissue": by_donor.agg(lambda tissues: balance_tissue in set(tissues)),
            "n_tissues": by_donor.size(),
        }
    )
    if not 2 <= n_folds <= len(donors):
        raise CohortError(
            f"expected 2 to {len(donors)} folds for {len(donors)} donors, got {n_folds}."
        )
    rng = np.random.default_rng(seed)
    donors["tie"] = rng.permutation(len(donors))
    order = donors.sort_values(["has_tissue", "n_tissues", "tie"]).index
    folds: list[list[str]] = [[] for _ in range(n_folds)]
    for start in range(0, len(order), n_folds):
        deal = rng.permutation(n_folds)
        for fold, donor in zip(deal, order[start : start + n_folds], strict=False):
            folds[fold].append(str(donor))
    return DonorFolds(tuple(tuple(sorted(fold)) for fold in folds), seed)


def hold_out(
    samples: pd.DataFrame,
    *,
    fraction: float = 0.2,
    seed: int = 0,
    balance_tissue: str = "Whole Blood",
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split donors in two, balanced as :func:`donor_folds` does: (training, held out).

    ``fraction`` of the donors, rounded to one part of a whole number, is held out: 0.2 is one fold
    of five, 0.1 one of ten.

    Raises
    ------
    CohortError
        If ``fraction`` is not above 0 and at most 0.5, or there are too few donors.
    """
    if not 0 < fraction <= 0.5:
        raise CohortError(f"expected a fraction above 0 and at most 0.5, got {fraction}.")
    folds = donor_folds(
        samples, n_folds=max(2, round(1 / fraction)), seed=seed, balance_tissue=balance_tissue
    )
    return folds.training(0), folds.held_out(0)


def rows_of(donor: Sequence[str] | pd.Series, donors: Sequence[str]) -> NDArray[np.intp]:
    """Return the rows of the samples whose ``donor`` is one of ``donors``."""
    return np.flatnonzero(pd.Series(np.asarray(donor)).isin(set(donors)).to_numpy())
