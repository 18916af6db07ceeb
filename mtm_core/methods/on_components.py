"""Compact methods: networks on principal components of expression in place of genes.

19,291 genes of a few thousand samples vary in far fewer directions. Networks between scores on R
principal components are as small as those of a narrow panel and train in minutes on a CPU. The
components are those of the training samples of all tissues together, so that a score is the same
combination of genes in every tissue. Compact MTM is MTM on these scores, with the same networks,
losses and training; so are the single-task networks that it is compared with.

Scores are not scaled to unit variance, so that a component has the weight in the losses that it has
among the genes.

Shapes: N samples, T tissues, G genes, R components.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.config import ModelConfig, RunConfig, ScalingConfig
from mtm_core.data.cohort.scaling import TissueScaler, fit_scaler, scaled_samples
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
    TargetPredictor,
    TargetPredictorMixin,
    check_shape,
    target_predictor,
    tissue_index,
    under_prefix,
)
from mtm_core.methods.table import MethodRequest, SavedMethod

BOUND = 3.0
"""Bound of the squashed z-scores, without which outliers would become components."""
SCORE_SCALING = ScalingConfig("linear", low_expression_rule=True)
"""Scaling of scores: as their means are near 0, the low-expression rule sets every SD to 1."""
_OVERSAMPLED = 20
_POWER_STEPS = 3


@dataclass(frozen=True)
class FittedOnComponents(TargetPredictorMixin):
    """A method fitted to scores on principal components, with these components.

    Attributes
    ----------
    inner
        The method on scores; its scaler is that of the scores.
    scaler
        Scaler of the genes.
    basis
        Orthonormal components (G, R).
    unit
        Length along a component, in z-scores, of a score of 1.
    """

    inner: FittedMethod
    scaler: TissueScaler
    basis: Floats
    unit: float
    name: str = "compact-mtm"

    @property
    def tissues(self) -> tuple[str, ...]:
        """Tissues of the method on scores."""
        return self.inner.tissues

    @property
    def covariates(self) -> tuple[CovariateName, ...]:
        """Covariates of the method on scores."""
        return self.inner.covariates

    def target_predictor(
        self, profiles: Mapping[str, Floats], phenotypes: pd.DataFrame | None = None
    ) -> TargetPredictor:
        """Compute the scores once; each target's scores are predicted and converted to genes."""
        means = self.inner.scaler.mean
        predict_scores = target_predictor(self.inner, self.z_scores(profiles), phenotypes)

        def predict(target: str, genes: Genes | None = None) -> PredictedProfiles:
            chosen = ALL_GENES if genes is None else genes
            score = predict_scores(target).mean + means[tissue_index(self.tissues, target)]
            return PredictedProfiles((score * np.float32(self.unit)) @ self.basis[chosen].T)

        return predict

    def z_scores(self, profiles: Mapping[str, Floats]) -> dict[str, Floats]:
        """Return what the method on scores reads: by tissue, scores (N, R) less their means."""
        return {
            name: scores(np.array(z, dtype=np.float32), self.basis, self.unit)
            - self.inner.scaler.mean[tissue_index(self.tissues, name)]
            for name, z in profiles.items()
        }

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the components, the means of the scores and the arrays of the method on scores."""
        inner = {f"inner.{name}": array for name, array in self.inner.arrays().items()}
        return {"basis": self.basis, "score_mean": self.inner.scaler.mean, **inner}

    def settings(self) -> dict[str, Any]:
        """Return name and settings of the method on scores, and the unit of scores."""
        inner = {"method": self.inner.name, "settings": self.inner.settings()}
        return {"inner": inner, "unit": self.unit}

    @classmethod
    def restore(cls, saved: SavedMethod) -> FittedOnComponents:
        """Restore from what :meth:`arrays` and :meth:`settings` returned.

        Raises
        ------
        ValueError
            If the inner method is not in ``ON_COMPONENTS``, or the parts do not fit together.
        """
        arrays, inner, unit = saved.arrays, saved.settings["inner"], saved.settings["unit"]
        if inner["method"] not in ON_COMPONENTS:
            raise ValueError(f"expected one of {', '.join(ON_COMPONENTS)} on components")
        lost = [part for part in ("basis", "score_mean") if part not in arrays]
        unknown = [n for n in arrays if not n.startswith(("basis", "score_mean", "inner."))]
        if lost or unknown:
            raise ValueError(f"arrays missing: {lost}; unexpected: {unknown[:3]}")
        basis, mean, shape = arrays["basis"], arrays["score_mean"], saved.scaler.mean.shape
        check_shape("basis", basis, (shape[1], basis.shape[-1]))
        check_shape("score_mean", mean, (shape[0], basis.shape[-1]))
        if not (type(unit) in (int, float) and 0 < unit < math.inf):
            raise ValueError(f"the unit of the scores is {unit!r}; expected a number above 0")
        spread = np.ones(mean.shape, dtype=np.float32)
        of_scores = TissueScaler(np.asarray(mean, dtype=np.float32), spread, SCORE_SCALING.scale)
        on_scores = SavedMethod(
            inner["method"],
            under_prefix("inner.", arrays),
            inner["settings"],
            of_scores,
            saved.tissues,
        )
        return cls(on_scores.restore(), saved.scaler, basis, unit, saved.name)


@dataclass(frozen=True)
class OnComponentsMethod:
    """A method on scores of the training samples' principal components.

    Attributes
    ----------
    inner
        MTM, single-task MTM or a perceptron, configured as for genes; sizes, scaling and encoder
        input are adapted to scores.
    n_components
        Number of components, R; at most the number of genes or samples.
    scaling
        How expression of the genes is turned into z-scores.
    """

    inner: Method
    n_components: int = 200
    scaling: ScalingConfig = field(default_factory=ScalingConfig)
    name: str = "compact-mtm"

    def fit(self, cohort: ad.AnnData, donors: Sequence[str]) -> FittedOnComponents:
        """Fit the components, then the method on scores, to ``donors``."""
        rows = rows_of(cohort.obs["donor"], donors)
        scaler = fit_scaler(cohort, rows, self.scaling)
        z = squash_in_place(scaled_samples(cohort, rows, scaler), BOUND)
        basis = leading_components(z, min(self.n_components, *z.shape))
        scored = z @ basis
        del z
        unit = float(np.sqrt(np.mean(scored**2, dtype=np.float64)))
        compact = ad.AnnData(
            X=scored / np.float32(unit), obs=cohort.obs.iloc[rows].copy(), uns=dict(cohort.uns)
        )
        inner = for_scores(self.inner, basis.shape[1]).fit(compact, donors)
        return FittedOnComponents(inner, scaler, basis, unit, self.name)


def for_scores(method: Method, n_components: int) -> Method:
    """Return ``method`` with sizes, scaling and input adapted to scores in place of genes."""

    def on_scores(model: ModelConfig) -> ModelConfig:
        return replace(model, n_genes=n_components, encoder_input="z")

    template = cast("Any", method)  # a frozen dataclass, as all methods are
    config: RunConfig | None = getattr(method, "config", None)
    if config is not None:
        adapted = replace(config, model=on_scores(config.model), scaling=SCORE_SCALING)
        return cast("Method", replace(template, config=adapted))
    model: ModelConfig | None = getattr(method, "model", None)
    sized = {} if model is None else {"model": on_scores(model)}
    return cast("Method", replace(template, scaling=SCORE_SCALING, **sized))


def scores(z: NDArray[np.float32], basis: Floats, unit: float) -> Floats:
    """Return the scores (N, R) of ``z`` (N, G), which is squashed in place."""
    on_basis: Floats = squash_in_place(z, BOUND) @ basis / np.float32(unit)
    return on_basis


def leading_components(z: Floats, rank: int, seed: int = 0) -> Floats:
    """Return the leading right singular vectors (G, rank) of ``z`` (N, G).

    Large matrices are decomposed by randomised subspace iteration (Halko, Martinsson & Tropp 2011,
    SIAM Review 53:217-288).
    """
    if min(z.shape) <= rank + _OVERSAMPLED:
        right: Floats = np.linalg.svd(z, full_matrices=False)[2]
        return np.ascontiguousarray(right[:rank].T)
    start = np.random.default_rng(seed).standard_normal((z.shape[1], rank + _OVERSAMPLED))
    q: Floats = start.astype(np.float32)
    for _ in range(_POWER_STEPS):
        q, _ = np.linalg.qr(z.T @ (z @ q))
    rotation = np.linalg.svd(z @ q, full_matrices=False)[2]
    return np.ascontiguousarray(q @ rotation[:rank].T)


ON_COMPONENTS = ("mtm", "mlp", "single-task-mtm")
"""Methods that can be fitted to scores."""


def make(request: MethodRequest) -> OnComponentsMethod:
    """Make the compact form of the method whose name follows ``compact-``."""
    return OnComponentsMethod(
        request.part(request.name.removeprefix("compact-")), name=request.name
    )


restore = FittedOnComponents.restore
