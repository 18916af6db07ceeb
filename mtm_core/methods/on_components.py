"""Networks on the leading components of expression in place of its genes, in and out.

19,291 genes of a few thousand samples go together in far fewer directions. Networks between the
scores on R of them are as small as those of a narrow panel, and train in minutes on a processor.
The components are those of the training samples of all tissues together, so that a score means the
same genes in every tissue, as a gene does. Compact MTM is MTM on them: its networks, losses and
training stay as they are. So do the networks of one task that it is compared with.

A score keeps its spread (no z-score of scores): a component weighs in the losses as it does among
the genes.

Shapes: N samples, T tissues, G genes, R components.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.config import ModelConfig, RunConfig, ScalingConfig
from mtm_core.data.cohort.cohort import tissue_codes, tissue_names
from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.data.cohort.splits import rows_of
from mtm_core.methods.covariates import CovariateName
from mtm_core.methods.factors import squash_in_place
from mtm_core.methods.protocol import (
    ALL_GENES,
    FittedMethod,
    Floats,
    Genes,
    Method,
    PredictedProfiles,
    PredictsByBeginning,
    PredictTarget,
    begin,
    check_shape,
    tissue_index,
    under_prefix,
)
from mtm_core.methods.table import Saved, Wanted

BOUND = 3.0
"""Bound of the z-scores that components are fitted to, or outliers would be components."""
SCORE_SCALING = ScalingConfig("linear", low_expression_rule=True)
"""Scaling of a cohort of scores, whose means are near 0: the rule then leaves every SD at 1."""
_OVERSAMPLED = 20
_POWER_STEPS = 3


@dataclass(frozen=True)
class FittedOnComponents(PredictsByBeginning):
    """Components, and a fitted method between the scores on them.

    Attributes
    ----------
    inner
        Its scaler is that of the scores.
    scaler
        Of the genes.
    basis
        (G, R), orthonormal columns.
    unit
        What a score of 1 is, in z-scores along a component.
    """

    inner: FittedMethod
    scaler: TissueScaler
    basis: Floats
    unit: float
    name: str = "compact-mtm"

    @property
    def tissues(self) -> tuple[str, ...]:
        """Those of the method on scores."""
        return self.inner.tissues

    @property
    def covariates(self) -> tuple[CovariateName, ...]:
        """Those of the method on scores."""
        return self.inner.covariates

    def begin(
        self, profiles: Mapping[str, Floats], phenotypes: pd.DataFrame | None = None
    ) -> PredictTarget:
        """Take the scores; each target's are predicted, and brought to the genes asked for."""
        means = self.inner.scaler.mean
        given = {}
        for name, z in profiles.items():
            own = means[tissue_index(self.tissues, name)]
            given[name] = scores(np.array(z, dtype=np.float32), self.basis, self.unit) - own
        predict_scores = begin(self.inner, given, phenotypes)

        def predict(target: str, genes: Genes | None = None) -> PredictedProfiles:
            chosen = ALL_GENES if genes is None else genes
            score = predict_scores(target).mean + means[tissue_index(self.tissues, target)]
            return PredictedProfiles((score * np.float32(self.unit)) @ self.basis[chosen].T)

        return predict

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the basis, the scores' means and the arrays of the method on scores."""
        own = {f"inner.{name}": array for name, array in self.inner.arrays().items()}
        return {"basis": self.basis, "score_mean": self.inner.scaler.mean, **own}

    def settings(self) -> dict[str, Any]:
        """Return name and settings of the method on scores, and their unit."""
        inner = {"method": self.inner.name, "settings": self.inner.settings()}
        return {"inner": inner, "unit": self.unit}

    @classmethod
    def restore(
        cls,
        name: str,
        arrays: Mapping[str, NDArray[Any]],
        settings: Mapping[str, Any],
        scaler: TissueScaler,
        restore_inner: Callable[[Mapping[str, NDArray[Any]], TissueScaler], FittedMethod],
    ) -> FittedOnComponents:
        """Put together what :meth:`arrays` and :meth:`settings` gave.

        ``restore_inner`` does so for the method on scores, from its arrays and its scaler.

        Raises
        ------
        ValueError
            If the parts do not fit together.
        """
        lost = [part for part in ("basis", "score_mean") if part not in arrays]
        unknown = [n for n in arrays if not n.startswith(("basis", "score_mean", "inner."))]
        if lost or unknown:
            raise ValueError(f"arrays missing: {lost}; unexpected: {unknown[:3]}")
        basis, mean = arrays["basis"], arrays["score_mean"]
        check_shape("basis", basis, (scaler.mean.shape[1], basis.shape[-1]))
        check_shape("score_mean", mean, (len(scaler.mean), basis.shape[-1]))
        unit = settings["unit"]
        if not (type(unit) in (int, float) and 0 < unit < math.inf):
            raise ValueError(f"the unit of the scores is {unit!r}; expected a number above 0")
        spread = np.ones(mean.shape, dtype=np.float32)
        of_scores = TissueScaler(np.asarray(mean, dtype=np.float32), spread, SCORE_SCALING.scale)
        inner = restore_inner(under_prefix("inner.", arrays), of_scores)
        return cls(inner, scaler, basis, unit, name)


@dataclass(frozen=True)
class OnComponentsMethod:
    """Components of the training donors' samples, then a method on a cohort of their scores.

    Attributes
    ----------
    inner
        MTM, a network of one task or a perceptron, as for genes; sizes, scaling and encoder input
        are set to those of scores.
    n_components
        R; fewer where there are fewer genes or samples.
    scaling
        Of the genes.
    """

    inner: Method
    n_components: int = 200
    scaling: ScalingConfig = field(default_factory=ScalingConfig)
    name: str = "compact-mtm"

    def fit(self, cohort: ad.AnnData, donors: Sequence[str]) -> FittedOnComponents:
        """Fit components and the method on ``donors``."""
        rows, tissues = rows_of(cohort.obs["donor"], donors), tissue_names(cohort)
        codes = tissue_codes(cohort)[rows]
        scaler = TissueScaler.fit(cohort.X, codes, len(tissues), self.scaling, rows=rows)
        z = np.empty((len(rows), cohort.n_vars), dtype=np.float32)
        for t in range(len(tissues)):  # one at a time: of a wide cohort there is room for one copy
            own = np.flatnonzero(codes == t)
            z[own] = scaler.transform(np.asarray(cohort.X[rows[own]]), codes[own])
        squash_in_place(z, BOUND)
        basis = leading(z, min(self.n_components, *z.shape))
        scored = z @ basis
        del z
        unit = float(np.sqrt(np.mean(scored**2, dtype=np.float64)))
        compact = ad.AnnData(
            X=scored / np.float32(unit), obs=cohort.obs.iloc[rows].copy(), uns=dict(cohort.uns)
        )
        inner = for_scores(self.inner, basis.shape[1]).fit(compact, donors)
        return FittedOnComponents(inner, scaler, basis, unit, self.name)


def for_scores(method: Method, n_components: int) -> Method:
    """Return ``method`` for scores on components in place of genes."""

    def on_scores(model: ModelConfig) -> ModelConfig:
        return replace(model, n_genes=n_components, encoder_input="z")

    template = cast("Any", method)  # a frozen dataclass, as all methods are
    config: RunConfig | None = getattr(method, "config", None)
    if config is not None:
        own = replace(config, model=on_scores(config.model), scaling=SCORE_SCALING)
        return cast("Method", replace(template, config=own))
    model: ModelConfig | None = getattr(method, "model", None)
    sized = {} if model is None else {"model": on_scores(model)}
    return cast("Method", replace(template, scaling=SCORE_SCALING, **sized))


def scores(z: NDArray[np.float32], basis: Floats, unit: float) -> Floats:
    """Return the scores (N, R) of z-scores (N, G), which are squashed in place."""
    on_basis: Floats = squash_in_place(z, BOUND) @ basis / np.float32(unit)
    return on_basis


def leading(z: Floats, rank: int, seed: int = 0) -> Floats:
    """Return the leading right singular vectors (G, rank) of ``z`` (N, G).

    By a random start and power steps (Halko, Martinsson & Tropp 2011, SIAM Review 53:217-288)
    where a full decomposition would be large.
    """
    if min(z.shape) <= rank + _OVERSAMPLED:
        right: Floats = np.linalg.svd(z, full_matrices=False)[2]
        return np.ascontiguousarray(right[:rank].T)
    start = np.random.default_rng(seed).standard_normal((z.shape[1], rank + _OVERSAMPLED))
    q: Floats = start.astype(np.float32)
    for _ in range(_POWER_STEPS):
        q, _ = np.linalg.qr(z.T @ (z @ q))
    turned = np.linalg.svd(z @ q, full_matrices=False)[2]
    return np.ascontiguousarray(q @ turned[:rank].T)


ON_COMPONENTS = ("mtm", "mlp", "single-task-mtm")


def make(wanted: Wanted) -> OnComponentsMethod:
    """Make the method whose name follows ``compact-``, on components."""
    return OnComponentsMethod(wanted.part(wanted.name.removeprefix("compact-")), name=wanted.name)


def restore(saved: Saved) -> FittedOnComponents:
    """Restore components and the method on their scores, by its own name.

    Raises
    ------
    ValueError
        If that is none of ``ON_COMPONENTS``, or the parts do not fit together.
    """
    inner = saved.settings["inner"]
    if inner["method"] not in ON_COMPONENTS:
        raise ValueError(f"expected one of {', '.join(ON_COMPONENTS)} on components")
    return FittedOnComponents.restore(
        saved.name,
        saved.arrays,
        saved.settings,
        saved.scaler,
        lambda own, of_scores: Saved(
            inner["method"], own, inner["settings"], of_scores, saved.tissues
        ).restore(),
    )
