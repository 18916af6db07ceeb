"""Out-of-fold predictions on the expression scale, with the genes that other donors chose.

Letters: N donors of a tissue, G genes, K folds.

A gene counts as predictable for a donor if it is so on the donors of the *other* folds (pooled rho
above the paper's 0.3). So no donor helps to choose the genes that he is then tested on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mtm_core.data.cohort.cohort import tissue_codes, tissue_names
from mtm_core.data.cohort.scaling import from_scale
from mtm_core.data.cohort.splits import DonorFolds
from mtm_core.data.files.self_contained import check_hdf5
from mtm_core.data.files.what_is_it import what_it_is
from mtm_core.errors import CohortError, InputFileError
from mtm_core.evaluation.accuracy import PREDICTABLE_RHO
from mtm_core.methods.held_out import fit_scorer
from mtm_core.statistics.correlation import columnwise_correlation
from mtm_core.statistics.multiple_testing import benjamini_hochberg

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

_TOLERANCE = 1e-2
"""Tolerance in log2 expression: single precision and a round trip by z-scores may cost that."""
_MOST_BYTES = 2**29
"""Size of out-of-fold predictions that are read at once; larger ones are read tissue by tissue."""


@dataclass(frozen=True)
class TissuePredictions:
    """One tissue of donors whom the model never saw.

    Attributes
    ----------
    tissue
        Predicted.
    donors
        (N,) ids.
    fold
        (N,) row of ``chosen``.
    genes
        (G,) ids.
    predicted, observed
        (N, G) log2(1 + expression).
    chosen
        (K, G) whether the gene is predictable on the donors of all folds but this.
    """

    tissue: str
    donors: NDArray[np.str_]
    fold: Ints
    genes: NDArray[np.str_]
    predicted: Floats
    observed: Floats
    chosen: NDArray[np.bool_]

    @property
    def n_chosen(self) -> int:
        """Genes that are predictable on the others of at least one fold."""
        return int(self.chosen.any(axis=0).sum())

    @property
    def mostly_chosen(self) -> NDArray[np.bool_]:
        """Genes (G,) that are predictable on the others of at least half of the folds."""
        mostly: NDArray[np.bool_] = 2 * self.chosen.sum(axis=0) >= len(self.chosen)
        return mostly

    def parts(self) -> Iterator[tuple[Ints, Ints]]:
        """Yield (rows, genes) so that every gene goes with the donors it was chosen for.

        Genes that the same folds chose come together; each gene once, genes of no fold never.
        """
        patterns, code = np.unique(self.chosen, axis=1, return_inverse=True)
        for i, pattern in enumerate(patterns.T):
            if pattern.any():
                yield np.flatnonzero(pattern[self.fold]), np.flatnonzero(code.ravel() == i)

    def over_chosen(self, analysis: Callable[[Ints, Ints], pd.DataFrame]) -> pd.DataFrame:
        """Join ``analysis(rows, genes)``, indexed by gene, with ``fdr`` over all of them."""
        tables = [analysis(rows, genes) for rows, genes in self.parts()]
        if not tables:
            return pd.DataFrame()
        joined = pd.concat(tables)
        joined["fdr"] = benjamini_hochberg(joined["p"])
        return joined


def linear(log2: Floats) -> Floats:
    """Return linear expression, 0 or more, of log2(1 + expression)."""
    return from_scale(log2, "log2")


def read_out_of_fold(path: Path) -> xr.Dataset:
    """Read what ``mtm evaluate --save-predictions`` wrote; of a wide cohort, values later.

    Raises
    ------
    InputFileError
        If the file holds no out-of-fold predictions.
    """
    if not h5py.is_hdf5(path):
        raise InputFileError(
            f"{path}: expected the NetCDF file of 'mtm evaluate --save-predictions', got"
            f" {what_it_is(path)}."
        )
    try:
        with h5py.File(path, "r") as file:
            check_hdf5(file)
        out_of_fold = xr.open_dataset(path, engine="h5netcdf")
        if out_of_fold.nbytes <= _MOST_BYTES:
            with out_of_fold as saved:
                out_of_fold = saved.load()
    except (OSError, ValueError) as error:
        raise InputFileError(
            f"{path}: expected the NetCDF file of 'mtm evaluate --save-predictions': {error}"
        ) from error
    lacking = {"predicted", "observed", "donor", "tissue", "fold"} - set(out_of_fold.variables)
    if lacking or "source" not in out_of_fold.attrs:
        out_of_fold.close()
        raise InputFileError(
            f"{path}: no out-of-fold predictions: {', '.join(sorted(lacking)) or 'source'} missing."
            " Make them with 'mtm evaluate --save-predictions'."
        )
    return out_of_fold


def on_expression_scale(
    out_of_fold: xr.Dataset, cohort: ad.AnnData, folds: DonorFolds
) -> Mapping[str, TissuePredictions]:
    """Undo the folds' z-scores, and choose each fold's genes on the other folds.

    Parameters
    ----------
    out_of_fold
        Result of :func:`mtm_core.evaluation.cross_validation.cross_validate`, two folds or more.
    cohort, folds
        Cohort and folds that it was made of.

    Returns
    -------
    Mapping
        By tissue; of a wide cohort made when it is asked for, and only the last one is held.

    Raises
    ------
    CohortError
        If the predictions are not of this cohort and these folds, or of one fold only.
    """
    genes = out_of_fold["gene"].to_numpy().astype(str)
    if genes.tolist() != cohort.var_names.tolist():
        raise CohortError(
            f"the genes of the predictions ({len(genes)}) are not those of the cohort"
            f" ({cohort.n_vars}). Give the cohort that was evaluated."
        )
    donor, tissue, fold = (out_of_fold[name].to_numpy() for name in ("donor", "tissue", "fold"))
    numbers, fold_row = np.unique(fold, return_inverse=True)
    if len(numbers) < 2:
        raise CohortError(
            "the predictions are of a single fold, so there are no other donors to choose genes"
            " by. Run 'mtm evaluate' on at least two folds."
        )
    mean, sd = _scales(cohort, folds, [int(number) for number in numbers])
    sample = _samples(cohort, donor, tissue)

    def of_tissue(name: str) -> TissuePredictions:
        code = tissue_names(cohort).index(name)
        rows = np.flatnonzero(tissue == name)
        own = fold_row[rows]
        part = out_of_fold.isel(pair=rows)
        predicted, observed = part["predicted"].to_numpy(), part["observed"].to_numpy()
        measured: Floats = np.log2(1 + np.asarray(cohort.X[sample[rows]]))
        log2 = observed * sd[own, code] + mean[own, code]
        if not np.allclose(log2, measured, atol=_TOLERANCE):
            raise CohortError(
                f"the predictions of {name} do not belong to this cohort and folds: their observed"
                " values differ from the cohort's. Give the cohort and folds.json of the same"
                " 'mtm evaluate'."
            )
        return TissuePredictions(
            name,
            donor[rows].astype(str),
            own,
            genes,
            predicted * sd[own, code] + mean[own, code],
            measured,
            _chosen(predicted, observed, own, len(numbers)),
        )

    there = set(np.unique(tissue).astype(str).tolist())
    by_tissue = _OneByOne(tuple(name for name in tissue_names(cohort) if name in there), of_tissue)
    if out_of_fold.nbytes <= _MOST_BYTES:
        return dict(by_tissue)
    by_tissue[by_tissue.names[0]]  # that they belong together is said before any work
    return by_tissue


@dataclass(frozen=True)
class _OneByOne(Mapping[str, TissuePredictions]):
    """Tissues that are made when they are asked for; the last one stays."""

    names: tuple[str, ...]
    make: Callable[[str], TissuePredictions]
    _last: dict[str, TissuePredictions] = field(default_factory=dict)

    def __getitem__(self, name: str) -> TissuePredictions:
        if name not in self.names:
            raise KeyError(name)
        if name not in self._last:
            self._last.clear()
            self._last[name] = self.make(name)
        return self._last[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def source_profiles(cohort: ad.AnnData, source: str, donors: NDArray[np.str_]) -> Floats:
    """Return log2(1 + expression) (N, G) of the ``source`` tissue of ``donors`` (N,)."""
    rows = _samples(cohort, donors, np.full(len(donors), source))
    log2: Floats = np.log2(1 + np.asarray(cohort.X[rows]))
    return log2


def _scales(cohort: ad.AnnData, folds: DonorFolds, numbers: list[int]) -> tuple[Floats, Floats]:
    """Return mean and SD (K, T, G) of each fold's training donors, as they were scored on."""
    if max(numbers) >= len(folds.folds):
        raise CohortError(
            f"the predictions are of fold {max(numbers)}, but there are {len(folds.folds)} folds,"
            " from 0. Give folds.json of the same 'mtm evaluate'."
        )
    scorers = [fit_scorer(cohort, folds.training(number)) for number in numbers]
    return np.stack([s.mean for s in scorers]), np.stack([s.sd for s in scorers])


def _samples(
    cohort: ad.AnnData, donor: NDArray[np.str_], tissue: NDArray[np.str_]
) -> NDArray[np.intp]:
    """Return the rows of the samples of ``donor`` and ``tissue`` (N,)."""
    samples = pd.MultiIndex.from_arrays(
        [
            cohort.obs["donor"].to_numpy().astype(str),
            np.array(tissue_names(cohort))[tissue_codes(cohort)],
        ]
    )
    rows = samples.get_indexer(pd.MultiIndex.from_arrays([donor, tissue]))
    if (rows < 0).any():
        first = int(np.argmax(rows < 0))
        raise CohortError(
            f"the cohort lacks a sample that the predictions have: {tissue[first]} of donor"
            f" {donor[first]!r}. Give the cohort that was evaluated."
        )
    return np.asarray(rows)


def _chosen(predicted: Floats, observed: Floats, fold: Ints, n_folds: int) -> NDArray[np.bool_]:
    """Tell which genes (K, G) are predictable on the donors of all folds but each."""
    return np.stack(
        [
            columnwise_correlation(predicted[fold != k], observed[fold != k]) > PREDICTABLE_RHO
            for k in range(n_folds)
        ]
    )
