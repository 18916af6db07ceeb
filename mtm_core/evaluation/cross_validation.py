"""Cross-validation by donor: out-of-fold predictions of a cohort.

The result is an ``xarray.Dataset`` with dims (pair, gene), where a pair is a donor and a target
tissue: ``predicted`` and ``observed``, both z-scores of log2(1 + expression) relative to the fold's
training donors, whatever scale a method models; with coordinates ``donor``, ``tissue`` and ``fold``
along ``pair``. A method with calibrated intervals adds ``lower_90``, ``upper_90`` and so on. Folds
that are stored on disk are read lazily (:mod:`mtm_core.evaluation.fold_store`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import anndata as ad
import h5netcdf
import numpy as np
import xarray as xr
from joblib import Parallel, delayed
from numpy.typing import NDArray

from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.data.cohort.splits import DonorFolds
from mtm_core.evaluation.combinations import complete_donors
from mtm_core.evaluation.fold_store import StoredFold, out_of_fold, write_fold
from mtm_core.methods.cached import identity
from mtm_core.methods.held_out import HeldOutTissue, fit_scorer, predict_held_out
from mtm_core.methods.protocol import Method
from mtm_core.safe_output import whole_file

_PAIRS_AT_ONCE = 256


def predict_fold(
    method: Method,
    cohort: ad.AnnData,
    folds: DonorFolds,
    fold: int,
    *,
    source: str,
    further_sources: Sequence[str] = (),
    with_phenotypes: bool = True,
) -> xr.Dataset:
    """Fit ``method`` to the training donors of one fold, and predict the held-out donors.

    The parameters are those of :func:`cross_validate`.
    """
    parts, _ = _tissues_of_fold(
        method,
        cohort,
        folds,
        fold,
        source=source,
        further_sources=further_sources,
        with_phenotypes=with_phenotypes,
    )
    return _in_memory(parts, fold, cohort)


def _tissues_of_fold(
    method: Method,
    cohort: ad.AnnData,
    folds: DonorFolds,
    fold: int,
    *,
    source: str,
    further_sources: Sequence[str],
    with_phenotypes: bool,
    complete: bool = False,
) -> tuple[Iterator[HeldOutTissue], TissueScaler]:
    """Return the predictions of a fold, one tissue at a time, and their scaler."""
    training = folds.training(fold)
    fitted = method.fit(cohort, training)
    scorer = fit_scorer(cohort, training)
    held_out = folds.held_out(fold)
    if complete:
        known = complete_donors(cohort, (source, *further_sources))
        held_out = tuple(donor for donor in held_out if donor in known)
    parts = predict_held_out(
        fitted,
        cohort,
        held_out,
        scorer,
        source=source,
        further_sources=further_sources,
        with_phenotypes=with_phenotypes,
    )
    return parts, scorer


def cross_validate(
    method: Method,
    cohort: ad.AnnData,
    folds: DonorFolds,
    *,
    source: str = "Whole Blood",
    further_sources: Sequence[str] = (),
    complete: bool = False,
    with_phenotypes: bool = True,
    folder: Path | None = None,
    settings: Mapping[str, object] | None = None,
    only: Collection[int] | None = None,
    on_fold: Callable[[int], None] | None = None,
) -> xr.Dataset:
    """Predict every donor of ``cohort`` out of fold.

    Folds run in parallel under a ``joblib.parallel_config``, on any backend of joblib: processes,
    Dask or Ray.

    Parameters
    ----------
    method
        Method to fit in each fold.
    cohort
        Cohort to predict.
    folds
        Assignment of donors to folds.
    source
        Tissue to predict all others from.
    further_sources
        Further source tissues, used for the donors who have them; they are not predicted.
    complete
        Whether to predict only donors with the source and every further tissue.
    with_phenotypes
        Whether the method gets the donors' age and sex.
    folder
        Folder in which finished folds are stored, and from which those of an earlier run with the
        same ``settings`` are read. ``None`` computes all folds in memory.
    settings
        JSON values that distinguish this run from others of the same method: cohort, folds,
        source. Required with ``folder``.
    only
        Numbers of the folds to run, from 0; ``None`` for all.
    on_fold
        Called with the number of folds done, if they run in sequence.

    Raises
    ------
    ValueError
        If there is a ``folder`` but no ``settings``.

    Examples
    --------
    >>> from mtm_core.data.cohort.simulate import SimulationConfig, simulate_cohort
    >>> from mtm_core.data.cohort.splits import donor_folds
    >>> from mtm_core.evaluation.accuracy import accuracy
    >>> from mtm_core.methods.ridge import RidgeMethod
    >>> cohort = simulate_cohort(SimulationConfig(n_donors=60, n_genes=8, n_tissues=3))
    >>> predictions = cross_validate(RidgeMethod(), cohort, donor_folds(cohort.obs))
    >>> list(map(str, accuracy(predictions).tissues.index))
    ['Liver', 'Muscle - Skeletal']
    """
    if folder is not None and settings is None:
        raise ValueError("expected settings that tell this run from others in the folder, got none")

    def fold_place(folder: Path, fold: int) -> Path:
        given = {"further_sources": list(further_sources), "with_phenotypes": with_phenotypes}
        given |= {"complete": True} if complete else {}
        what = {"settings": settings, "method": identity(method), **given}
        key = json.dumps(what, sort_keys=True)
        digest = hashlib.sha256(key.encode()).hexdigest()[:16]
        return folder / f"{method.name}-{digest}-{fold}.h5"

    predicted = partial(
        _tissues_of_fold,
        method,
        cohort,
        folds,
        source=source,
        further_sources=further_sources,
        with_phenotypes=with_phenotypes,
        complete=complete,
    )

    def run(done: int, fold: int) -> xr.Dataset | StoredFold:
        if on_fold is not None:
            on_fold(done)
        if folder is None:
            return _in_memory(predicted(fold=fold)[0], fold, cohort)
        place = fold_place(folder, fold)
        if not place.exists():
            parts, scorer = predicted(fold=fold)
            write_fold(parts, scorer, place)
        return StoredFold.open(place, fold)

    chosen = range(len(folds.folds)) if only is None else only
    parts = Parallel()(delayed(run)(done, fold) for done, fold in enumerate(chosen))
    joined = out_of_fold(parts, cohort) if folder else xr.concat(parts, dim="pair")
    return joined.assign_attrs(method=method.name, source=source)


def write_netcdf(predictions: xr.Dataset, path: Path) -> None:
    """Write out-of-fold predictions as netCDF, some pairs at a time.

    Raises
    ------
    OSError
        If the disk is full.
    """
    values = [name for name, part in predictions.items() if part.dims == ("pair", "gene")]
    values = [name for name in values if name != "sd"]  # in the bounds
    about = predictions.drop_vars(predictions.data_vars)
    with whole_file(path) as raw:
        about.to_netcdf(raw, engine="h5netcdf")
        with h5netcdf.File(raw, "a") as file:
            for name in values:
                variable = file.create_variable(
                    name, ("pair", "gene"), np.float32, fillvalue=np.float32(np.nan)
                )
                variable.attrs["coordinates"] = "donor tissue fold"
                for start in range(0, predictions.sizes["pair"], _PAIRS_AT_ONCE):
                    rows = slice(start, start + _PAIRS_AT_ONCE)
                    variable[rows] = predictions[name].isel(pair=rows).to_numpy()


def _in_memory(parts: Iterable[HeldOutTissue], fold: int, cohort: ad.AnnData) -> xr.Dataset:
    genes = cohort.var_names.to_numpy().astype(str)
    return xr.concat([_as_dataset(part, fold, genes) for part in parts], dim="pair")


def _as_dataset(part: HeldOutTissue, fold: int, genes: NDArray[np.str_]) -> xr.Dataset:
    dims, n_pairs = ("pair", "gene"), len(part.donor)
    values = {"predicted": (dims, part.predicted), "observed": (dims, part.observed)}
    if part.sd is not None and part.multipliers is not None:
        for level, multiplier in part.multipliers.items():
            half_width = multiplier[:, None] * part.sd
            values[f"lower_{level}"] = (dims, part.predicted - half_width)
            values[f"upper_{level}"] = (dims, part.predicted + half_width)
    return xr.Dataset(
        values,
        coords={
            "donor": ("pair", part.donor),
            "tissue": ("pair", np.full(n_pairs, part.tissue)),
            "fold": ("pair", np.full(n_pairs, fold)),
            "gene": genes,
        },
    )
