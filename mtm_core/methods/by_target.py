"""One model a target tissue: what all methods that learn tissue by tissue share.

A method says how it learns one target, ``fit_target(inputs, z)``; who is paired with whom, on which
scale, and what may be asked of the result is the same for all, and is here.

Shapes: N samples, D donors, G genes, P inputs (the source's G genes, then covariates).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import anndata as ad
import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray

from mtm_core.config import ScalingConfig
from mtm_core.data.cohort.cohort import tissue_codes, tissue_names
from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.data.cohort.splits import rows_of
from mtm_core.errors import SelectionError
from mtm_core.methods.covariates import CovariateName, encode_covariates
from mtm_core.methods.protocol import (
    ALL_GENES,
    Floats,
    Genes,
    PredictedProfiles,
    PredictsByBeginning,
    PredictTarget,
    check_names,
    check_shape,
    tissue_index,
)

Rows = NDArray[np.intp]

_LEAST_DONORS = 2
_FEW_INPUTS = 1000
"""Coefficients of 1,000 inputs and as many genes are 4 MB; of 19,291 they are 1.5 GB a target."""


class TargetModel(Protocol):
    """A fitted target: inputs (N, P) to z-scores (N, G)."""

    def __call__(self, inputs: Floats, genes: Genes = ALL_GENES) -> Floats:
        """Map ``inputs`` (N, P) to z-scores (N, G), or of some genes."""
        ...

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return every number it needs, by name."""
        ...

    def settings(self) -> dict[str, Any]:
        """Return its ``kind``, and what else is needed to put it together again, as JSON values."""
        ...


@dataclass(frozen=True)
class LinearMap:
    """``inputs @ coefficients + intercept``, with ``coefficients`` (P, G), ``intercept`` (G,)."""

    coefficients: Floats
    intercept: Floats

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return coefficients and intercept."""
        return {"coefficients": self.coefficients, "intercept": self.intercept}

    def settings(self) -> dict[str, Any]:
        """Return the kind."""
        return {"kind": "linear"}

    @classmethod
    def restore(
        cls,
        arrays: Mapping[str, NDArray[Any]],
        settings: Mapping[str, Any],
        n_inputs: int,
        n_genes: int,
    ) -> LinearMap:
        """Put together what :meth:`arrays` gave, of P inputs and G genes.

        Raises
        ------
        ValueError
            If it is of others.
        """
        check_names(arrays, ("coefficients", "intercept"))
        check_shape("coefficients", arrays["coefficients"], (n_inputs, n_genes))
        check_shape("intercept", arrays["intercept"], (n_genes,))
        return cls(**arrays)

    def __call__(self, inputs: Floats, genes: Genes = ALL_GENES) -> Floats:
        """Map ``inputs`` (N, P) to z-scores (N, G), or of some genes."""
        z: Floats = inputs @ self.coefficients[:, genes] + self.intercept[genes]
        return z


@dataclass(frozen=True)
class FactoredMap:
    """``inputs @ left @ right + intercept``: coefficients (P, G) that would be too many to hold.

    ``left`` is (P, R), ``right`` (R, G), ``intercept`` (G,).
    """

    left: Floats
    right: Floats
    intercept: Floats

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return both factors and the intercept."""
        return {"left": self.left, "right": self.right, "intercept": self.intercept}

    def settings(self) -> dict[str, Any]:
        """Return the kind."""
        return {"kind": "factored"}

    @classmethod
    def restore(
        cls,
        arrays: Mapping[str, NDArray[Any]],
        settings: Mapping[str, Any],
        n_inputs: int,
        n_genes: int,
    ) -> FactoredMap:
        """Put together what :meth:`arrays` gave, as :meth:`LinearMap.restore`."""
        check_names(arrays, ("left", "right", "intercept"))
        rank = len(arrays["right"])
        check_shape("left", arrays["left"], (n_inputs, rank))
        check_shape("right", arrays["right"], (rank, n_genes))
        check_shape("intercept", arrays["intercept"], (n_genes,))
        return cls(**arrays)

    def __call__(self, inputs: Floats, genes: Genes = ALL_GENES) -> Floats:
        """Map ``inputs`` (N, P) to z-scores (N, G), or of some genes."""
        z = (inputs @ self.left) @ self.right[:, genes] + self.intercept[genes]
        return np.asarray(z, dtype=np.float32)


@dataclass(frozen=True)
class SparseMap:
    """A map that reads J inputs for each gene.

    ``chosen`` (J, G) numbers them, ``values`` (J, G) are their coefficients, ``intercept`` (G,).
    """

    chosen: NDArray[np.int32]
    values: Floats
    intercept: Floats

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return inputs, coefficients and intercept."""
        return {"chosen": self.chosen, "values": self.values, "intercept": self.intercept}

    def settings(self) -> dict[str, Any]:
        """Return the kind."""
        return {"kind": "sparse"}

    @classmethod
    def restore(
        cls,
        arrays: Mapping[str, NDArray[Any]],
        settings: Mapping[str, Any],
        n_inputs: int,
        n_genes: int,
    ) -> SparseMap:
        """Put together what :meth:`arrays` gave, as :meth:`LinearMap.restore`."""
        check_names(arrays, ("chosen", "values", "intercept"))
        chosen, per_gene = arrays["chosen"], len(arrays["values"])
        check_shape("chosen", chosen, (per_gene, n_genes))
        check_shape("values", arrays["values"], (per_gene, n_genes))
        check_shape("intercept", arrays["intercept"], (n_genes,))
        if chosen.dtype.kind != "i" or (
            chosen.size and not 0 <= chosen.min() <= chosen.max() < n_inputs
        ):
            raise ValueError(f"expected numbers of inputs from 0 to {n_inputs - 1} in 'chosen'")
        return cls(**arrays)

    def __call__(self, inputs: Floats, genes: Genes = ALL_GENES) -> Floats:
        """Map ``inputs`` (N, P) to z-scores (N, G), or of some genes."""
        intercept = np.asarray(self.intercept[genes], dtype=np.float32)
        z: Floats = np.tile(intercept, (len(inputs), 1))
        for chosen, values in zip(self.chosen[:, genes], self.values[:, genes], strict=True):
            z += inputs[:, chosen] * values
        return z


def is_wide(inputs: Floats) -> bool:
    """Tell whether ``inputs`` (n, P) are too many for P x G coefficients a target."""
    return bool(inputs.shape[1] > _FEW_INPUTS)


@dataclass(frozen=True)
class TrainingPairs:
    """What the training donors show of each target tissue.

    Attributes
    ----------
    source
        Tissue that predictions start from; ``None`` if they start from covariates alone.
    inputs
        (D, P): of every training donor with the source, in the order of their ids.
    z
        (N, G): z-scores of all samples of the training donors.
    rows
        By target tissue: rows of ``inputs`` and rows of ``z`` of the donors with both.
    """

    scaler: TissueScaler
    tissues: tuple[str, ...]
    source: str | None
    covariates: tuple[CovariateName, ...]
    inputs: Floats
    z: Floats
    rows: dict[str, tuple[Rows, Rows]]

    @classmethod
    def of(
        cls,
        cohort: ad.AnnData,
        donors: Sequence[str],
        *,
        source: str | None,
        scaling: ScalingConfig,
        covariates: tuple[CovariateName, ...] = (),
    ) -> TrainingPairs:
        """Take the samples of ``donors``, and of the donor table their rows; no others are read.

        Raises
        ------
        SelectionError
            If there is no tissue ``source``.
        """
        rows = rows_of(cohort.obs["donor"], donors)
        tissues, tissue = tissue_names(cohort), tissue_codes(cohort)[rows]
        scaler = TissueScaler.fit(cohort.X, tissue, len(tissues), scaling, rows=rows)
        z = np.empty((len(rows), cohort.n_vars), dtype=np.float32)
        for t in range(len(tissues)):  # one at a time: of a wide cohort there is room for one copy
            own = np.flatnonzero(tissue == t)
            z[own] = scaler.transform(np.asarray(cohort.X[rows[own]]), tissue[own])
        donor = pd.Index(cohort.obs["donor"].to_numpy()[rows].astype(str))
        row_of = [
            pd.Series(np.flatnonzero(tissue == t), index=donor[tissue == t]).sort_index()
            for t in range(len(tissues))
        ]
        if source is None:
            known = donor.unique().sort_values()
            profiles = np.empty((len(known), 0), dtype=np.float32)
        else:
            from_source = row_of[tissue_index(tissues, source)]
            known, profiles = from_source.index, z[from_source.to_numpy()]
        pairs = {}
        for target, own in zip(tissues, row_of, strict=True):
            both = own.index.intersection(known)
            if target != source and len(both) >= _LEAST_DONORS:
                pairs[target] = (known.get_indexer(both), own[both].to_numpy())
        phenotypes = cohort.uns["donors"].loc[known] if covariates else None
        inputs = _join(profiles, phenotypes, covariates)
        return cls(scaler, tissues, source, covariates, inputs, z, pairs)

    def fit(self, name: str, fit_target: Callable[[Floats, Floats], TargetModel]) -> FittedByTarget:
        """Fit each target by ``fit_target(inputs (n, P), z (n, G))``, as joblib is configured.

        One at a time unless the caller opens a ``joblib.parallel_config``.
        """
        models = Parallel()(
            delayed(fit_target)(self.inputs[a], self.z[b]) for a, b in self.rows.values()
        )
        by_target = dict(zip(self.rows, models, strict=True))
        return FittedByTarget(
            name, self.scaler, self.tissues, self.source, self.covariates, by_target
        )


@dataclass(frozen=True)
class FittedByTarget(PredictsByBeginning):
    """One fitted model a target tissue, all from the one ``source`` and ``covariates``."""

    name: str
    scaler: TissueScaler
    tissues: tuple[str, ...]
    source: str | None
    covariates: tuple[CovariateName, ...]
    models: Mapping[str, TargetModel]

    def begin(
        self, profiles: Mapping[str, Floats], phenotypes: pd.DataFrame | None = None
    ) -> PredictTarget:
        """Take the inputs; each target has a model of its own.

        Where there is no source, profiles only say how many donors there are.
        """
        if self.source is not None and set(profiles) != {self.source}:
            raise SelectionError(
                f"this {self.name} predicts from {self.source!r} alone,"
                f" got {', '.join(profiles) or 'nothing'}."
            )
        given = next(iter(profiles.values()))
        known = given if self.source is not None else given[:, :0]
        inputs = _join(known, phenotypes, self.covariates)

        def predict(target: str, genes: Genes | None = None) -> PredictedProfiles:
            tissue_index(self.tissues, target)
            if target not in self.models:
                needed = target if self.source is None else f"{self.source!r} and {target!r}"
                raise SelectionError(
                    f"fewer than {_LEAST_DONORS} training donors had {needed}:"
                    " nothing to predict by."
                )
            z = self.models[target](inputs, ALL_GENES if genes is None else genes)
            return PredictedProfiles(np.asarray(z, dtype=np.float32))

        return predict

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of each target."""
        return {
            f"{i}.{name}": array
            for i, model in enumerate(self.models.values())
            for name, array in model.arrays().items()
        }

    def settings(self) -> dict[str, Any]:
        """Return what is predicted from what, and the settings of the targets, alike in all."""
        return {
            "source": self.source,
            "covariates": list(self.covariates),
            "targets": list(self.models),
            "model": next(iter(self.models.values())).settings(),
        }


def _join(
    profiles: Floats, phenotypes: pd.DataFrame | None, covariates: tuple[CovariateName, ...]
) -> Floats:
    """Return inputs (N, P): ``profiles`` (N, G or 0), then covariates."""
    if not covariates:
        return profiles
    encoded = encode_covariates(phenotypes, covariates, len(profiles))
    return np.hstack([profiles, encoded]).astype(np.float32)
