"""Methods with one model per target tissue: their training pairs, fitted maps and predictions.

A method only has to fit one target, ``fit_target(inputs, z)``. Pairing of samples, scaling,
prediction and storage are the same for all such methods.

Shapes: N samples, D donors, G genes, P inputs (the source's G genes, then covariates).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import anndata as ad
import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray

from mtm_core.config import ScalingConfig
from mtm_core.data.cohort.cohort import tissue_codes, tissue_names
from mtm_core.data.cohort.scaling import TissueScaler, fit_scaler, scaled_samples
from mtm_core.data.cohort.splits import rows_of
from mtm_core.errors import SelectionError
from mtm_core.methods.covariates import CovariateName, encode_covariates
from mtm_core.methods.protocol import (
    ALL_GENES,
    Floats,
    Genes,
    PredictedProfiles,
    TargetPredictor,
    TargetPredictorMixin,
    check_shape,
    tissue_index,
)

Rows = NDArray[np.intp]

_MIN_DONORS = 2
_FEW_INPUTS = 1000
"""A P x G matrix of coefficients takes 4 MB per target for 1,000 genes, 1.5 GB for 19,291."""


class TargetModel(Protocol):
    """Fitted model of one target tissue, from inputs (N, P) to z-scores (N, G)."""

    def __call__(self, inputs: Floats, genes: Genes = ALL_GENES) -> Floats:
        """Predict z-scores (N, G), or those of ``genes``, from ``inputs`` (N, P)."""
        ...

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of the model, by name."""
        ...

    def settings(self) -> dict[str, Any]:
        """Return its ``kind`` and whatever else is needed to restore it, as JSON values."""
        ...


class StoredMap:
    """Arrays and settings of a map whose fields are its arrays."""

    kind: ClassVar[str]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the fields, by name."""
        return dict(vars(self))

    def settings(self) -> dict[str, Any]:
        """Return the kind of map."""
        return {"kind": self.kind}


@dataclass(frozen=True)
class LinearMap(StoredMap):
    """Linear map ``inputs @ coefficients + intercept``.

    Attributes
    ----------
    coefficients
        (P, G).
    intercept
        (G,).
    """

    coefficients: Floats
    intercept: Floats
    kind: ClassVar[str] = "linear"

    def check(self, n_inputs: int, n_genes: int) -> None:
        """Check a map read from disk against P inputs and G genes.

        Raises
        ------
        ValueError
            If its arrays do not fit.
        """
        check_shape("coefficients", self.coefficients, (n_inputs, n_genes))
        check_shape("intercept", self.intercept, (n_genes,))

    def __call__(self, inputs: Floats, genes: Genes = ALL_GENES) -> Floats:
        """Predict z-scores (N, G), or those of ``genes``, from ``inputs`` (N, P)."""
        z: Floats = inputs @ self.coefficients[:, genes] + self.intercept[genes]
        return z


@dataclass(frozen=True)
class FactoredMap(StoredMap):
    """Low-rank linear map ``inputs @ left @ right + intercept``, for many inputs and genes.

    Attributes
    ----------
    left
        (P, R).
    right
        (R, G).
    intercept
        (G,).
    """

    left: Floats
    right: Floats
    intercept: Floats
    kind: ClassVar[str] = "factored"

    def check(self, n_inputs: int, n_genes: int) -> None:
        """Check a map read from disk; see :meth:`LinearMap.check`."""
        rank = len(self.right)
        check_shape("left", self.left, (n_inputs, rank))
        check_shape("right", self.right, (rank, n_genes))
        check_shape("intercept", self.intercept, (n_genes,))

    def __call__(self, inputs: Floats, genes: Genes = ALL_GENES) -> Floats:
        """Predict z-scores (N, G), or those of ``genes``, from ``inputs`` (N, P)."""
        z = (inputs @ self.left) @ self.right[:, genes] + self.intercept[genes]
        return np.asarray(z, dtype=np.float32)


@dataclass(frozen=True)
class SparseMap(StoredMap):
    """Sparse linear map: each gene depends on J inputs of its own.

    Attributes
    ----------
    chosen
        Positions (J, G) of each gene's inputs.
    values
        Their coefficients (J, G).
    intercept
        (G,).
    """

    chosen: NDArray[np.int32]
    values: Floats
    intercept: Floats
    kind: ClassVar[str] = "sparse"

    def check(self, n_inputs: int, n_genes: int) -> None:
        """Check a map read from disk; see :meth:`LinearMap.check`."""
        chosen, per_gene = self.chosen, len(self.values)
        check_shape("chosen", chosen, (per_gene, n_genes))
        check_shape("values", self.values, (per_gene, n_genes))
        check_shape("intercept", self.intercept, (n_genes,))
        if chosen.dtype.kind != "i" or (
            chosen.size and not 0 <= chosen.min() <= chosen.max() < n_inputs
        ):
            raise ValueError(f"expected numbers of inputs from 0 to {n_inputs - 1} in 'chosen'")

    def __call__(self, inputs: Floats, genes: Genes = ALL_GENES) -> Floats:
        """Predict z-scores (N, G), or those of ``genes``, from ``inputs`` (N, P)."""
        intercept = np.asarray(self.intercept[genes], dtype=np.float32)
        z: Floats = np.tile(intercept, (len(inputs), 1))
        for chosen, values in zip(self.chosen[:, genes], self.values[:, genes], strict=True):
            z += inputs[:, chosen] * values
        return z


def is_wide(inputs: Floats) -> bool:
    """Tell whether ``inputs`` (n, P) are too many to store P x G coefficients per target."""
    return bool(inputs.shape[1] > _FEW_INPUTS)


@dataclass(frozen=True)
class TrainingPairs:
    """Inputs and targets of the training donors, paired for each target tissue.

    Attributes
    ----------
    scaler
        Scaler of the z-scores.
    tissues
        Names of the tissues.
    source
        Source tissue; ``None`` to predict from covariates alone.
    covariates
        Covariates among the inputs.
    inputs
        Inputs (D, P) of every training donor with the source, ordered by id.
    z
        z-scores (N, G) of all samples of the training donors.
    rows
        By target tissue: rows of ``inputs`` and of ``z`` for the donors with both.
    """

    scaler: TissueScaler
    tissues: tuple[str, ...]
    source: str | None
    covariates: tuple[CovariateName, ...]
    inputs: Floats
    z: Floats
    rows: dict[str, tuple[Rows, Rows]]

    @classmethod
    def from_cohort(
        cls,
        cohort: ad.AnnData,
        donors: Sequence[str],
        *,
        source: str | None,
        scaling: ScalingConfig,
        covariates: tuple[CovariateName, ...] = (),
    ) -> TrainingPairs:
        """Pair the samples of ``donors``; no other donor's data are read.

        Raises
        ------
        SelectionError
            If the cohort has no tissue ``source``.
        """
        rows = rows_of(cohort.obs["donor"], donors)
        tissues, tissue = tissue_names(cohort), tissue_codes(cohort)[rows]
        scaler = fit_scaler(cohort, rows, scaling)
        z = scaled_samples(cohort, rows, scaler)
        donor = pd.Index(cohort.obs["donor"].to_numpy()[rows].astype(str))
        row_of = [
            pd.Series(np.flatnonzero(tissue == t), index=donor[tissue == t]).sort_index()
            for t in range(len(tissues))
        ]
        if source is None:
            with_inputs = donor.unique().sort_values()
            profiles = np.empty((len(with_inputs), 0), dtype=np.float32)
        else:
            source_row = row_of[tissue_index(tissues, source)]
            with_inputs, profiles = source_row.index, z[source_row.to_numpy()]
        pairs = {}
        for target, target_row in zip(tissues, row_of, strict=True):
            both = target_row.index.intersection(with_inputs)
            if target != source and len(both) >= _MIN_DONORS:
                pairs[target] = (with_inputs.get_indexer(both), target_row[both].to_numpy())
        phenotypes = cohort.uns["donors"].loc[with_inputs] if covariates else None
        inputs = _join(profiles, phenotypes, covariates)
        return cls(scaler, tissues, source, covariates, inputs, z, pairs)

    def fit(self, name: str, fit_target: Callable[[Floats, Floats], TargetModel]) -> FittedByTarget:
        """Fit each target, in parallel under a ``joblib.parallel_config``, else in sequence.

        Parameters
        ----------
        name
            Name of the method.
        fit_target
            Function that fits one target to inputs (n, P) and z-scores (n, G).
        """
        models = Parallel()(
            delayed(fit_target)(self.inputs[a], self.z[b]) for a, b in self.rows.values()
        )
        by_target = dict(zip(self.rows, models, strict=True))
        return FittedByTarget(
            name, self.scaler, self.tissues, self.source, self.covariates, by_target
        )


@dataclass(frozen=True)
class FittedByTarget(TargetPredictorMixin):
    """Fitted method with one model per target tissue.

    Attributes
    ----------
    name
        Name of the method.
    scaler
        Scaler of the z-scores.
    tissues
        Names of the tissues.
    source
        Source tissue; ``None`` to predict from covariates alone.
    covariates
        Covariates among the inputs.
    models
        Fitted model by target tissue.
    """

    name: str
    scaler: TissueScaler
    tissues: tuple[str, ...]
    source: str | None
    covariates: tuple[CovariateName, ...]
    models: Mapping[str, TargetModel]

    def target_predictor(
        self, profiles: Mapping[str, Floats], phenotypes: pd.DataFrame | None = None
    ) -> TargetPredictor:
        """Assemble the inputs once for the models of all targets.

        Without a source, ``profiles`` only give the number of donors.
        """
        if self.source is not None and set(profiles) != {self.source}:
            raise SelectionError(
                f"this {self.name} predicts from {self.source!r} alone,"
                f" got {', '.join(profiles) or 'nothing'}."
            )
        z = next(iter(profiles.values()))
        inputs = _join(z if self.source is not None else z[:, :0], phenotypes, self.covariates)

        def predict(target: str, genes: Genes | None = None) -> PredictedProfiles:
            tissue_index(self.tissues, target)
            if target not in self.models:
                needed = target if self.source is None else f"{self.source!r} and {target!r}"
                raise SelectionError(
                    f"fewer than {_MIN_DONORS} training donors had {needed}: nothing to predict by."
                )
            z = self.models[target](inputs, ALL_GENES if genes is None else genes)
            return PredictedProfiles(np.asarray(z, dtype=np.float32))

        return predict

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of each target's model, by number and name."""
        return {
            f"{i}.{name}": array
            for i, model in enumerate(self.models.values())
            for name, array in model.arrays().items()
        }

    def settings(self) -> dict[str, Any]:
        """Return source, covariates and targets, and the settings common to all models."""
        return {
            "source": self.source,
            "covariates": list(self.covariates),
            "targets": list(self.models),
            "model": next(iter(self.models.values())).settings(),
        }


def _join(
    profiles: Floats, phenotypes: pd.DataFrame | None, covariates: tuple[CovariateName, ...]
) -> Floats:
    """Return the inputs (N, P): ``profiles`` (N, G or 0), then covariates."""
    if not covariates:
        return profiles
    encoded = encode_covariates(phenotypes, covariates, len(profiles))
    return np.hstack([profiles, encoded]).astype(np.float32)
