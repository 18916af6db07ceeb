"""Accuracy of predictions from combinations of several source tissues.

A combination is scored only on held-out donors who have all of its tissues, together with the
accuracy for the same donors from the first tissue alone. A combination is named by its tissues, the
source first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import xarray as xr

from mtm_core.data.cohort.cohort import tissue_names
from mtm_core.errors import SelectionError
from mtm_core.evaluation.accuracy import MINIMUM_DONORS, accuracy, gene_rho_by_fold
from mtm_core.evaluation.bootstrap import N_RESAMPLES, resample_donors
from mtm_core.grouped_table import GroupedTable, Names, as_grouped
from mtm_core.inference.together import BETWEEN
from mtm_core.methods.protocol import tissue_index
from mtm_core.safe_output import replacing

PLUS = "+"
"""Separator of the tissues of a combination, as a user writes it."""
MOST_GIVEN = "most-given"
"""Keyword for all combinations of the source with the tissues that most donors also have."""
N_MOST_GIVEN = 3
SOURCES = "sources"
"""Column with the source tissues."""
COMBINATION_KEYS = (SOURCES, "method", "tissue")
_GENE_COLUMNS = ("gene_id", "n", "rho_by_fold", "rho_pooled")
RHO_ALONE = "gene_rho_by_fold_alone"
"""Column with the rho of the same donors from the source alone."""
INTERVAL_COLUMNS = (
    *("gene_rho_by_fold_low", "gene_rho_by_fold_high", f"{RHO_ALONE}_low", f"{RHO_ALONE}_high"),
    *("difference", "difference_low", "difference_high", "p_bootstrap"),
)
"""Columns of the intervals of a combination."""


def sources_in_words(sources: Sequence[str]) -> str:
    """Return the name of a combination in tables."""
    return BETWEEN.join(sources)


def complete_donors(cohort: ad.AnnData, sources: Sequence[str]) -> set[str]:
    """Return the donors who have samples of all ``sources``."""
    own = cohort.obs[cohort.obs["tissue"].isin(list(sources))]
    counts = own.groupby("donor", observed=True)["tissue"].nunique()
    return {str(donor) for donor in counts.index[counts == len(sources)]}


def find_combinations(
    asked: Iterable[str],
    cohort: ad.AnnData,
    source: str,
    held_out: Sequence[Sequence[str]],
) -> list[tuple[str, ...]]:
    """Parse combinations of tissues; ``source`` comes first in each.

    Parameters
    ----------
    asked
        Tissues with ``+`` between them, such as ``"Whole Blood+Muscle - Skeletal"``, or
        :data:`MOST_GIVEN`.
    held_out
        Held-out donors of each fold that is run.

    Raises
    ------
    SelectionError
        If a combination has not the source, an unknown tissue, or one twice; or too few of the
        donors of a fold have all of it.
    """
    found: dict[frozenset[str], tuple[str, ...]] = {}
    for text in asked:
        if text == MOST_GIVEN:
            several = [
                one for one in of_most_given(cohort, source) if _fewest(cohort, one, held_out)[0]
            ]
        else:
            several = [_parse(text, tissue_names(cohort), source)]
            enough, fewest = _fewest(cohort, several[0], held_out)
            if not enough:
                raise SelectionError(
                    f"--combinations: a fold has {fewest} donors who give all of {text!r}; at least"
                    f" {MINIMUM_DONORS} are needed. Choose tissues that more donors share."
                )
        for one in several:
            found.setdefault(frozenset(one), one)
    return list(found.values())


def of_most_given(cohort: ad.AnnData, source: str) -> list[tuple[str, ...]]:
    """Return the combinations of ``source`` with the tissues that most donors also have."""
    obs = cohort.obs[["donor", "tissue"]].astype(str)
    givers = set(obs.loc[obs["tissue"] == source, "donor"])
    counts = obs[obs["donor"].isin(givers) & (obs["tissue"] != source)]["tissue"].value_counts()
    names = sorted(counts.index, key=lambda name: (-counts[name], name))
    names = names[: min(N_MOST_GIVEN, len(names) - 1)]  # at least one remains a target
    return [
        (source, *chosen)
        for size in range(1, len(names) + 1)
        for chosen in combinations(names, size)
    ]


def score_combination(
    predictions: xr.Dataset,
    alone: xr.Dataset,
    sources: Sequence[str],
    phenotypes: pd.DataFrame | None = None,
    *,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> CombinationScores:
    """Score predictions from ``sources``, in the donors who have all of them.

    Parameters
    ----------
    predictions
        Out-of-fold predictions from all sources, of donors with all of them.
    alone
        Out-of-fold predictions of the same method from the first source, of these and other donors.
    phenotypes
        As in :func:`mtm_core.evaluation.accuracy.accuracy`.
    n_resamples, seed
        As in :func:`mtm_core.evaluation.bootstrap.resample_donors`.
    """
    scored = accuracy(predictions, phenotypes)
    pairs = pd.MultiIndex.from_arrays(
        [predictions["donor"].to_numpy(), predictions["tissue"].to_numpy()]
    )
    all_pairs = pd.MultiIndex.from_arrays([alone["donor"].to_numpy(), alone["tissue"].to_numpy()])
    same = alone.isel(pair=np.flatnonzero(all_pairs.isin(pairs)))
    tissues = scored.tissues.assign(**{RHO_ALONE: gene_rho_by_fold(same)})
    name = {SOURCES: sources_in_words(sources)}
    return CombinationScores(
        scored.genes[["tissue", *_GENE_COLUMNS]].assign(**name),
        tissues.reset_index().assign(**name),
        _intervals(predictions, same, n_resamples, seed).assign(**name),
    )


def _intervals(
    together: xr.Dataset, alone: xr.Dataset, n_resamples: int, seed: int
) -> pd.DataFrame:
    """Resample the donors of both predictions alike; return intervals in one row."""
    all_of_it, first = (
        resample_donors(part, n_resamples=n_resamples, seed=seed) for part in (together, alone)
    )
    paired = all_of_it.difference_from(first)
    values = (
        *all_of_it.interval(),
        *first.interval(),
        all_of_it.estimate - first.estimate,
        *(paired.low, paired.high, paired.p),
    )
    return pd.DataFrame([dict(zip(INTERVAL_COLUMNS, values, strict=True))])


@dataclass(frozen=True)
class CombinationScores:
    """Accuracy of predictions from combinations of source tissues.

    Attributes
    ----------
    genes
        One row for each combination (``sources``), tissue and gene: ``n``, ``rho_by_fold`` and
        ``rho_pooled`` of :class:`mtm_core.evaluation.accuracy.Accuracy`.
    tissues
        One row for each combination and tissue: the figures of ``Accuracy``, and
        ``gene_rho_by_fold_alone``, for the same donors from the source alone.
    intervals
        One row for each combination: the donor bootstrap's 95 % intervals of the mean over tissues
        of ``gene_rho_by_fold`` and of that from the source alone (:data:`INTERVAL_COLUMNS`), their
        ``difference``, and its interval and p-value, paired by donor.
    """

    genes: pd.DataFrame
    tissues: pd.DataFrame
    intervals: pd.DataFrame

    @classmethod
    def joined(cls, by_method: Mapping[str, Sequence[CombinationScores]]) -> CombinationScores:
        """Join the scores of several methods and combinations, with a column ``method``."""
        parts = [(name, part) for name, own in by_method.items() for part in own]
        if not parts:
            return cls(pd.DataFrame(), pd.DataFrame(), pd.DataFrame())
        genes = pd.concat([part.genes.assign(method=name) for name, part in parts])
        tissues = pd.concat([part.tissues.assign(method=name) for name, part in parts])
        intervals = pd.concat([part.intervals.assign(method=name) for name, part in parts])
        single = dict.fromkeys(("rho_by_fold", "rho_pooled"), np.float32)
        first = [*COMBINATION_KEYS]
        return cls(
            genes[[*first, *_GENE_COLUMNS]].astype(single),
            tissues[[*first, *tissues.columns.difference(first, sort=False)]],
            intervals[[*COMBINATION_KEYS[:2], *INTERVAL_COLUMNS]].reset_index(drop=True),
        )

    def save(self, folder: Path) -> None:
        """Write the scores into ``folder``, which is created; the tissues are written last."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("genes", "intervals", "tissues"):
            with replacing(folder / f"{name}.parquet") as place:
                getattr(self, name).to_parquet(place, compression="zstd")

    @classmethod
    def load(cls, folder: Path) -> CombinationScores | None:
        """Read scores that :meth:`save` wrote; ``None`` if missing or incomplete."""
        try:
            tissues, genes, intervals = (
                pd.read_parquet(folder / f"{name}.parquet")
                for name in ("tissues", "genes", "intervals")
            )
        except (OSError, ValueError):
            return None
        return cls(genes, tissues, intervals)


@dataclass(frozen=True)
class CombinationRows:
    """Table of genes of one combination, grouped by method and tissue."""

    table: GroupedTable
    sources: str

    @classmethod
    def of(cls, rows: pd.DataFrame | GroupedTable, sources: str) -> CombinationRows:
        """Select the rows of ``sources`` from those of all combinations."""
        return cls(as_grouped(rows, COMBINATION_KEYS), sources)

    @property
    def keys(self) -> tuple[str, ...]:
        """Columns by which rows are grouped."""
        return COMBINATION_KEYS[1:]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns."""
        return tuple(name for name in self.table.columns if name != SOURCES)

    @property
    def genes(self) -> pd.Index:
        """Ids of the genes, in their order."""
        return self.table.genes

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.read(columns=["gene_id"]))

    def groups(self) -> pd.DataFrame:
        """Return the keys of the groups, one row for each, in the order of the table."""
        groups = self.table.groups()
        own = groups[groups[SOURCES] == self.sources]
        return own[list(self.keys)].reset_index(drop=True)

    def read(
        self,
        where: Mapping[str, Names] | None = None,
        *,
        columns: Sequence[str] | None = None,
        genes: Names | None = None,
    ) -> pd.DataFrame:
        """Read rows and columns; see :meth:`mtm_core.grouped_table.GroupedTable.read`."""
        wanted = self.columns if columns is None else columns
        own = dict(where or {}) | {SOURCES: self.sources}
        return self.table.read(own, columns=wanted, genes=genes)


def _parse(text: str, tissues: Sequence[str], source: str) -> tuple[str, ...]:
    """Parse one combination, the source first."""
    names = [name.strip() for name in text.split(PLUS)]
    for name in names:
        tissue_index(tissues, name)
    if len(names) < 2 or len(set(names)) < len(names) or source not in names:
        raise SelectionError(
            f"--combinations: expected {source!r} and other tissues, each once, with {PLUS} between"
            f" them, such as '{source}{PLUS}Muscle - Skeletal', got {text!r}."
        )
    if len(names) == len(tissues):
        raise SelectionError(f"--combinations: {text!r} leaves no tissue to predict.")
    return (source, *(name for name in names if name != source))


def _fewest(
    cohort: ad.AnnData, sources: Sequence[str], held_out: Sequence[Sequence[str]]
) -> tuple[bool, int]:
    """Return whether each fold has enough donors with all ``sources``, and the fewest of a fold."""
    complete = complete_donors(cohort, sources)
    fewest = min((len(complete.intersection(donors)) for donors in held_out), default=0)
    return fewest >= MINIMUM_DONORS, fewest
