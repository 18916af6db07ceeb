"""Kernel factors: a joint Gaussian whose factors are re-estimated by kernel ridge regression.

In a joint Gaussian the posterior mean of a donor's factors is linear in the profile. Donors are not
one Gaussian population (how a donor died shifts many genes at once), so a nonlinear estimate can be
better. For each source tissue, the factors estimated from a donor's *other* tissues are regressed,
with a Gaussian kernel, on the linear estimate from the source alone. The loadings, which map
factors to expression, are unchanged.

The regression uses M landmark points drawn around the linear estimates (Nystroem's approximation:
Williams & Seeger 2001, NIPS 13), not the donors, so the fitted method stores no donor's profile.

Shapes: D donors, T tissues, K factors, M landmark points, N samples to predict.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.methods.covariates import CovariateName, group_by_known_covariates
from mtm_core.methods.factor_choice import exceeds_standard_error
from mtm_core.methods.factors import (
    Array,
    FactorLikelihood,
    FactorSettings,
    TrainingDonors,
    leave_one_tissue_out_factors,
    upcast_half,
)
from mtm_core.methods.inner_fits import InnerFit
from mtm_core.methods.inner_folds import FactorEstimator, FittedInnerFold
from mtm_core.methods.joint_gaussian import FittedJointGaussian, JointGaussianMethod
from mtm_core.methods.kernel_regression import KernelRegression, KernelShape
from mtm_core.methods.own_genes import OwnGenes, ResidualSums, choose_own_genes, sum_residuals
from mtm_core.methods.protocol import (
    ALL_GENES,
    Floats,
    Genes,
    PredictedProfiles,
    TargetPredictor,
    TargetPredictorMixin,
    check_names,
    tissue_index,
    under_prefix,
    with_present_names,
)
from mtm_core.methods.table import MethodRequest, SavedMethod

KINDS = ("plain", "with_covariates")
"""Attributes that hold regressions, and the prefix of their arrays in a file."""
_MIN_DONORS = 40
"""For a source tissue with fewer donors the linear estimate is used."""
_OTHER_SHAPES = (KernelShape(0.03, 1.0), KernelShape(0.1, 3.0), KernelShape(0.03, 3.0))
"""Candidates besides the default shape of the kernel."""


@dataclass(frozen=True)
class FittedKernelFactors(TargetPredictorMixin):
    """A joint Gaussian and the kernel regressions of its factors.

    Attributes
    ----------
    joint
        The joint Gaussian. Predictions from several source tissues use its linear estimate of
        the factors, to which the regressions would add little.
    plain
        One regression for each of its models, from expression alone.
    with_covariates
        The same from expression and covariates; empty if the joint Gaussian has no covariates.
    own_genes
        Slopes that predict a gene's residual from its residual in one source tissue; used if that
        tissue is given. ``None`` if they improve no gene.
    """

    joint: FittedJointGaussian
    plain: tuple[KernelRegression, ...]
    with_covariates: tuple[KernelRegression, ...] = ()
    own_genes: OwnGenes | None = None
    name: str = "kernel-factors"

    @property
    def scaler(self) -> TissueScaler:
        """Scaler of the joint Gaussian."""
        return self.joint.scaler

    @property
    def tissues(self) -> tuple[str, ...]:
        """Tissues of the joint Gaussian."""
        return self.joint.tissues

    @property
    def covariates(self) -> tuple[CovariateName, ...]:
        """Covariates of the joint Gaussian."""
        return self.joint.covariates

    def target_predictor(
        self, profiles: Mapping[str, Floats], phenotypes: pd.DataFrame | None = None
    ) -> TargetPredictor:
        """Re-estimate the factors once; each target is then decoded by its loadings."""
        if len(profiles) > 1 and self.joint.gene_factors:
            predict_jointly = self.joint.target_predictor(profiles, phenotypes)
            return lambda target, genes=None: PredictedProfiles(predict_jointly(target, genes).mean)
        squashed = {
            tissue_index(self.tissues, name): self.joint.squashed(z) for name, z in profiles.items()
        }
        z = next(iter(profiles.values()))
        own_genes = self.own_genes
        if own_genes is not None and own_genes.source not in squashed:
            own_genes = None
        groups: list[tuple[NDArray[np.int64], list[Array]]] = []
        residuals = np.zeros((len(z), 0 if own_genes is None else len(own_genes.genes)))
        for rows, covariates in group_by_known_covariates(phenotypes, self.covariates, len(z)):
            y = {source: values[rows] for source, values in squashed.items()}
            factors = [model.posterior(y, covariates)[0] for model in self.joint.models]
            if len(squashed) == 1:  # the regressions take estimates from one tissue
                regressions = self.with_covariates if covariates.shape[1] else self.plain
                (source,) = squashed
                pairs = zip(regressions, factors, strict=True)
                factors = [regress(source, linear) for regress, linear in pairs]
            groups.append((rows, factors))
            if own_genes is not None:
                fitted = self._decode(own_genes.source, factors, own_genes.genes)
                residuals[rows] = y[own_genes.source][:, own_genes.genes] - fitted

        def predict(target: str, genes: Genes | None = None) -> PredictedProfiles:
            t, chosen = tissue_index(self.tissues, target), ALL_GENES if genes is None else genes
            mean = np.zeros((len(z), len(np.arange(z.shape[1])[chosen])), dtype=np.float32)
            for rows, factors in groups:
                mean[rows] = self._decode(t, factors, chosen)
            if own_genes is not None:
                own_genes.add(mean, t, residuals, chosen, z.shape[1])
            return PredictedProfiles(mean)

        return predict

    def _decode(self, tissue: int, factors: Sequence[Array], genes: Genes) -> NDArray[np.floating]:
        """Return the z-scores of ``genes`` in ``tissue`` by the loadings, averaged over models."""
        by_model = []
        for model, z in zip(self.joint.models, factors, strict=True):
            loadings = upcast_half(model.loadings[tissue][genes])
            by_model.append(z.astype(loadings.dtype, copy=False) @ loadings.T)
        mean: NDArray[np.floating] = sum(by_model[1:], start=by_model[0])
        mean /= len(by_model)
        return mean

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of the joint Gaussian, the regressions and the own genes."""
        arrays = {f"joint.{name}": array for name, array in self.joint.arrays().items()}
        for kind in KINDS:
            for i, regression in enumerate(getattr(self, kind)):
                arrays |= {
                    f"{kind}.{i}.{name}": array.astype(np.float32)
                    for name, array in vars(regression).items()
                    if name != "width"
                }
        if self.own_genes is not None:
            arrays["own_genes"] = self.own_genes.dense(self.scaler.mean.shape[1])
        return arrays

    def settings(self) -> dict[str, Any]:
        """Return the joint Gaussian's settings, the kernel's width, and the source of own genes."""
        return {
            "joint": self.joint.settings(),
            "width": self.plain[0].width,
            "own_genes": None if self.own_genes is None else self.tissues[self.own_genes.source],
        }

    @classmethod
    def restore(cls, saved: SavedMethod) -> FittedKernelFactors:
        """Restore from what :meth:`arrays` and :meth:`settings` returned."""
        settings, tissues = saved.settings, saved.tissues
        arrays = with_present_names(saved.arrays, (*KINDS, "joint", "own_genes"))
        joint = FittedJointGaussian.restore(
            replace(saved, arrays=under_prefix("joint.", arrays), settings=settings["joint"])
        )
        width = settings["width"]
        if not (type(width) in (int, float) and 0 < width < math.inf):
            raise ValueError(f"the kernel's width is {width!r}; expected a number above 0")
        kinds = KINDS[: 1 + bool(joint.covariates)]
        read_in = settings.get("own_genes")  # absent in older models
        own_genes = None
        if read_in is not None and "own_genes" in arrays:
            own_genes = OwnGenes.from_dense(
                tissue_index(tissues, read_in), arrays["own_genes"], joint.scaler.mean.shape
            )
        check_names(
            {name: array for name, array in arrays.items() if not name.startswith("joint.")},
            ([] if read_in is None else ["own_genes"])
            + [
                f"{kind}.{i}.{member.name}"
                for kind in kinds
                for i in range(len(joint.models))
                for member in fields(KernelRegression)
                if member.name != "width"
            ],
        )

        def restored(kind: str) -> tuple[KernelRegression, ...]:
            return tuple(
                KernelRegression(
                    width=settings["width"],
                    **{
                        name: np.asarray(array, dtype=np.float64)
                        for name, array in under_prefix(f"{kind}.{i}.", arrays).items()
                    },
                )
                for i in range(len(joint.models))
            )

        by_kind = [restored(kind) for kind in kinds]
        fitted = cls(joint, by_kind[0], by_kind[1] if joint.covariates else (), own_genes)
        for regressions in by_kind:
            for model, regression in zip(joint.models, regressions, strict=True):
                regression.check(len(tissues), model.loadings.shape[-1])
        return fitted


@dataclass(frozen=True)
class KernelFactorsMethod:
    """Kernel factors: fit a joint Gaussian, then the kernel regressions of its factors.

    Attributes
    ----------
    joint
        The joint Gaussian and its covariates.
    width, ridge
        Hyperparameters of the regressions, as in :class:`KernelShape`. If ``joint`` chooses its
        settings by inner folds, the same folds choose these, too, or no regression at all.
    n_points
        Number of landmark points, M.
    seed
        Seed of the landmark points.
    """

    joint: JointGaussianMethod = field(
        default_factory=lambda: JointGaussianMethod(covariates=("age", "sex"))
    )
    width: float = 0.1
    ridge: float = 1.0
    n_points: int = 150
    seed: int = 0
    name: str = field(default="kernel-factors", compare=False)

    def fit(self, cohort: ad.AnnData, donors: Sequence[str]) -> FittedKernelFactors:
        """Fit on ``donors``."""
        training = self.joint.training(cohort, donors)
        choice = self.joint.choose(training)
        settings = self.joint.default_settings if choice is None else choice.settings
        folds = None if choice is None else choice.fitted_folds()
        shape = self.choose_shape(folds)
        own_genes = None
        if folds is not None:
            own_genes = choose_own_genes(self.sum_residuals(training, folds, shape))
        return self.fit_training(training, settings, shape, own_genes)

    def sum_residuals(
        self, training: TrainingDonors, folds: Sequence[FittedInnerFold], shape: KernelShape | None
    ) -> ResidualSums:
        """Sum the residuals of held-out donors, their factors estimated with ``shape``."""
        source = tissue_index(training.tissues, str(self.joint.choose_from))
        return sum_residuals(folds, training, source, self.factor_estimator(shape))

    def fit_training(
        self,
        training: TrainingDonors,
        settings: FactorSettings,
        shape: KernelShape | None,
        own_genes: OwnGenes | None = None,
    ) -> FittedKernelFactors:
        """Fit with ``settings`` and a kernel of ``shape``; ``None`` uses the linear estimate."""
        plain, with_covariates = [], []

        def fit_regressions(likelihoods: Sequence[FactorLikelihood]) -> None:
            factors: Sequence[Array] = ()
            if shape is not None:
                factors = leave_one_tissue_out_factors(
                    likelihoods, training.n_donors, range(len(training.tissues))
                )
            plain.append(self._fit_regression(likelihoods, factors, shape, with_covariates=False))
            if self.joint.covariates:
                with_covariates.append(
                    self._fit_regression(likelihoods, factors, shape, with_covariates=True)
                )

        joint = self.joint.fit_training(training, settings, on_likelihoods=fit_regressions)
        return FittedKernelFactors(joint, tuple(plain), tuple(with_covariates), own_genes)

    def _fit_regression(
        self,
        likelihoods: Sequence[FactorLikelihood],
        factors: Sequence[Array],
        shape: KernelShape | None,
        *,
        with_covariates: bool,
    ) -> KernelRegression:
        """Regress leave-one-tissue-out factors (n, K) on the linear estimate from each tissue."""
        *tissues, (_, covariate_precision, covariate_mean) = likelihoods
        n_tissues, n_factors = len(tissues), len(covariate_precision)
        width = self.width if shape is None else shape.width
        regression = KernelRegression.unfitted(self._points(n_factors), n_tissues, width)
        for t, (donor, tissue_precision, weighted_mean) in enumerate(tissues):
            if shape is None or len(donor) < _MIN_DONORS:
                continue
            precision = np.eye(n_factors) + tissue_precision
            if with_covariates:
                precision = precision + covariate_precision
                weighted_mean = weighted_mean + covariate_mean[donor]
            linear = np.asarray(np.linalg.solve(precision, weighted_mean.T).T, dtype=np.float64)
            regression.fit(t, linear, factors[t], shape.ridge)
        return regression

    def _points(self, n_factors: int) -> Array:
        points: Array = np.random.default_rng(self.seed).standard_normal((self.n_points, n_factors))
        return points

    def choose_shape(self, folds: Sequence[FittedInnerFold] | None) -> KernelShape | None:
        """Choose the kernel by inner folds, or return the default if there are none.

        Returns
        -------
        KernelShape or None
            ``None`` if no regression improves on the linear estimate by more than chance.
        """
        default = KernelShape(self.width, self.ridge)
        if folds is None:
            return default

        def rho(estimate: FactorEstimator) -> Array:
            by_fold: Array = np.concatenate([fold.rho(estimate) for fold in folds])
            return by_fold

        linear = rho(self.factor_estimator(None))
        gains = {
            shape: rho(self.factor_estimator(shape)) - linear for shape in (default, *_OTHER_SHAPES)
        }
        best = max(gains, key=lambda shape: float(gains[shape].mean()))
        if not exceeds_standard_error(gains[best] - gains[default]):
            best = default
        return best if exceeds_standard_error(gains[best]) else None

    def factor_estimator(
        self, shape: KernelShape | None, *, with_covariates: bool = False
    ) -> FactorEstimator:
        """Return the estimator of held-out donors' factors, regressed on the remaining donors."""

        def estimate(fit: InnerFit) -> Array:
            linear = fit.remaining_factors[with_covariates]
            if shape is None or len(linear) < _MIN_DONORS:
                return fit.held_out_factors[with_covariates]
            points = self._points(linear.shape[1])
            regression = KernelRegression.unfitted(points, 1, shape.width)
            regression.fit(0, linear, fit.leave_source_out_factors, shape.ridge)
            return regression(0, fit.held_out_factors[with_covariates])

        return estimate


restore = FittedKernelFactors.restore


def make(request: MethodRequest) -> KernelFactorsMethod:
    """Make the listed method, with age and sex."""
    joint = JointGaussianMethod(covariates=("age", "sex"), choose_from=request.source)
    return KernelFactorsMethod(joint, name=request.name)
