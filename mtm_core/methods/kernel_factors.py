"""The joint Gaussian with kernel factors: its factors re-estimated by kernel ridge regression.

A joint Gaussian guesses a donor's factors linearly from a profile. Donors are no single Gaussian
cloud (how a donor died shifts many genes at once), so the best guess is not
linear. For each source tissue, the factors that the donor's *other* tissues show are regressed on
the linear guess from the source alone, with a Gaussian kernel; the loadings, and so the step from
factors to tissues, stay.

The regression is on M points drawn from the cloud of the guesses (Nystroem's approximation:
Williams & Seeger 2001, NIPS 13), not on the donors: the fitted method holds no donor's profile.

Shapes: D donors, T tissues, K factors, M points, N samples to predict.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.methods.covariates import CovariateName, by_knowledge
from mtm_core.methods.factor_choice import by_more_than_chance
from mtm_core.methods.factors import (
    Array,
    FactorEvidence,
    TrainingDonors,
    by_other_tissues,
    working,
)
from mtm_core.methods.inner_folds import Codes, FactorSettings, InnerFit, InnerFold
from mtm_core.methods.joint_gaussian import FittedJointGaussian, JointGaussianMethod
from mtm_core.methods.kernel_regression import KernelRegression, KernelShape
from mtm_core.methods.own_genes import LeftOver, OwnGenes, choose_own_genes, leave_over
from mtm_core.methods.protocol import (
    ALL_GENES,
    Floats,
    Genes,
    PredictedProfiles,
    PredictsByBeginning,
    PredictTarget,
    check_names,
    tissue_index,
    under_prefix,
)
from mtm_core.methods.table import Saved, Wanted

STORED_AS = {"plain": "plain", "with_covariates": "informed"}
"""Prefix of arrays in a file, by member. Files written before the member had its name are read."""
_MINIMUM_DONORS = 40
"""A source tissue of fewer donors keeps the linear guess."""


_OTHER_SHAPES = (KernelShape(0.03, 1.0), KernelShape(0.1, 3.0), KernelShape(0.03, 3.0))


@dataclass(frozen=True)
class FittedKernelFactors(PredictsByBeginning):
    """A joint Gaussian and the kernel regressions of its factors.

    Attributes
    ----------
    joint
        The joint Gaussian. From several source tissues its own factors are read: their guess is
        close to what the regressions would make of it.
    plain
        Regression of each of its models, from expression alone.
    with_covariates
        The same from expression and covariates; empty if it has none.
    own_genes
        What a gene's own value in one source tissue tells beside the factors, where that tissue
        is given; ``None`` if that helps no gene.
    """

    joint: FittedJointGaussian
    plain: tuple[KernelRegression, ...]
    with_covariates: tuple[KernelRegression, ...] = ()
    own_genes: OwnGenes | None = None
    name: str = "kernel-factors"

    @property
    def scaler(self) -> TissueScaler:
        """That of the joint Gaussian."""
        return self.joint.scaler

    @property
    def tissues(self) -> tuple[str, ...]:
        """Those of the joint Gaussian."""
        return self.joint.tissues

    @property
    def covariates(self) -> tuple[CovariateName, ...]:
        """Those of the joint Gaussian."""
        return self.joint.covariates

    def begin(
        self, profiles: Mapping[str, Floats], phenotypes: pd.DataFrame | None = None
    ) -> PredictTarget:
        """Re-estimate the factors; each target is then read off its loadings."""
        if len(profiles) > 1 and self.joint.gene_factors:
            predict_jointly = self.joint.begin(profiles, phenotypes)
            return lambda target, genes=None: PredictedProfiles(predict_jointly(target, genes).mean)
        given = {
            tissue_index(self.tissues, name): self.joint.squashed(z) for name, z in profiles.items()
        }
        z = next(iter(profiles.values()))
        own_genes = self.own_genes
        if own_genes is not None and own_genes.source not in given:
            own_genes = None
        groups: list[tuple[NDArray[np.int64], list[Array]]] = []
        left = np.zeros((len(z), 0 if own_genes is None else len(own_genes.genes)))
        for rows, covariates in by_knowledge(phenotypes, self.covariates, len(z)):
            y = {source: values[rows] for source, values in given.items()}
            factors = [model.posterior(y, covariates)[0] for model in self.joint.models]
            if len(given) == 1:  # regressions are of guesses from one tissue
                regressions = self.with_covariates if covariates.shape[1] else self.plain
                (source,) = given
                pairs = zip(regressions, factors, strict=True)
                factors = [regress(source, guess) for regress, guess in pairs]
            groups.append((rows, factors))
            if own_genes is not None:
                shown = self._decode(own_genes.source, factors, own_genes.genes)
                left[rows] = y[own_genes.source][:, own_genes.genes] - shown

        def predict(target: str, genes: Genes | None = None) -> PredictedProfiles:
            t, chosen = tissue_index(self.tissues, target), ALL_GENES if genes is None else genes
            mean = np.zeros((len(z), len(np.arange(z.shape[1])[chosen])), dtype=np.float32)
            for rows, factors in groups:
                mean[rows] = self._decode(t, factors, chosen)
            if own_genes is not None:
                own_genes.add(mean, t, left, chosen, z.shape[1])
            return PredictedProfiles(mean)

        return predict

    def _decode(self, tissue: int, factors: Sequence[Array], genes: Genes) -> NDArray[np.floating]:
        """Read the genes off the loadings of ``tissue``, mean over the models."""
        shown = []
        for model, own in zip(self.joint.models, factors, strict=True):
            loadings = working(model.loadings[tissue][genes])
            shown.append(own.astype(loadings.dtype, copy=False) @ loadings.T)
        total: NDArray[np.floating] = sum(shown[1:], start=shown[0])
        total /= len(shown)
        return total

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of the joint Gaussian and of the regressions."""
        own = {f"joint.{name}": array for name, array in self.joint.arrays().items()}
        for member, kind in STORED_AS.items():
            for i, regression in enumerate(getattr(self, member)):
                own |= {
                    f"{kind}.{i}.{name}": array.astype(np.float32)
                    for name, array in vars(regression).items()
                    if name != "width"
                }
        if self.own_genes is not None:
            own["own_genes"] = self.own_genes.dense(self.scaler.mean.shape[1])
        return own

    def settings(self) -> dict[str, Any]:
        """Get the settings of the joint Gaussian, the kernel's width, where own genes are read."""
        return {
            "joint": self.joint.settings(),
            "width": self.plain[0].width,
            "own_genes": None if self.own_genes is None else self.tissues[self.own_genes.source],
        }

    @classmethod
    def restore(
        cls,
        arrays: Mapping[str, NDArray[Any]],
        settings: Mapping[str, Any],
        scaler: TissueScaler,
        tissues: tuple[str, ...],
    ) -> FittedKernelFactors:
        """Put together what :meth:`arrays` and :meth:`settings` gave."""
        joint = FittedJointGaussian.restore(
            under_prefix("joint.", arrays), settings["joint"], scaler, tissues
        )
        width = settings["width"]
        if not (type(width) in (int, float) and 0 < width < math.inf):
            raise ValueError(f"the kernel's width is {width!r}; expected a number above 0")
        kinds = [*STORED_AS.values()][: 1 + bool(joint.covariates)]
        read_in = settings.get("own_genes")  # a model of before has none
        own_genes = None
        if read_in is not None and "own_genes" in arrays:
            own_genes = OwnGenes.of_dense(
                tissue_index(tissues, read_in), arrays["own_genes"], scaler.mean.shape
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
            for model, own in zip(joint.models, regressions, strict=True):
                own.check(len(tissues), model.loadings.shape[-1])
        return fitted


@dataclass(frozen=True)
class KernelFactorsMethod:
    """Fit ``joint``, then the kernel regressions.

    Attributes
    ----------
    joint
        The joint Gaussian, covariates included.
    width, ridge
        Of the kernel, as in :class:`KernelShape`. Where ``joint`` chooses its settings by inner
        folds, these are chosen by the same folds, and whether a regression is better than none.
    n_points
        M.
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
        settings = self.joint.present if choice is None else choice.settings
        folds = None if choice is None else choice.inner_fits()
        shape = self.choose_shape(folds)
        own_genes = None
        if folds is not None:
            own_genes = choose_own_genes(self.leave_over(training, folds, shape))
        return self.fit_training(training, settings, shape, own_genes)

    def leave_over(
        self, training: TrainingDonors, folds: Sequence[InnerFold], shape: KernelShape | None
    ) -> LeftOver:
        """Add up what factors, regressed as they are to be, leave of held-out donors."""
        source = tissue_index(training.tissues, str(self.joint.choose_from))
        return leave_over(folds, training, source, self.codes(shape))

    def fit_training(
        self,
        training: TrainingDonors,
        settings: FactorSettings,
        shape: KernelShape | None,
        own_genes: OwnGenes | None = None,
    ) -> FittedKernelFactors:
        """Fit with ``settings`` and a kernel of ``shape``; ``None`` keeps the linear guess."""
        plain, with_covariates = [], []

        def fit_regressions(evidence: Sequence[FactorEvidence]) -> None:
            others: Sequence[Array] = ()
            if shape is not None:
                others = by_other_tissues(evidence, training.n_donors, range(len(training.tissues)))
            plain.append(self._fit_regression(evidence, others, shape, with_covariates=False))
            if self.joint.covariates:
                with_covariates.append(
                    self._fit_regression(evidence, others, shape, with_covariates=True)
                )

        joint = self.joint.fit_training(training, settings, on_evidence=fit_regressions)
        return FittedKernelFactors(joint, tuple(plain), tuple(with_covariates), own_genes)

    def _fit_regression(
        self,
        evidence: Sequence[FactorEvidence],
        others: Sequence[Array],
        shape: KernelShape | None,
        *,
        with_covariates: bool,
    ) -> KernelRegression:
        """Regress, for each source, ``others`` (n, K) on the linear guess from the source."""
        *tissues, (_, known_precision, known_projected) = evidence
        n_tissues, n_factors = len(tissues), len(known_precision)
        points = self._points(n_factors)
        regression = KernelRegression(
            points,
            np.zeros((n_tissues, n_factors)),
            np.zeros((n_tissues, n_factors, n_factors)),
            np.zeros((n_tissues, self.n_points, n_factors)),
            self.width if shape is None else shape.width,
        )
        for t, (donor, precision, projected) in enumerate(tissues):
            if shape is None or len(donor) < _MINIMUM_DONORS:
                continue
            total = np.eye(n_factors) + precision
            if with_covariates:
                total, projected = total + known_precision, projected + known_projected[donor]
            linear = np.asarray(np.linalg.solve(total, projected.T).T, dtype=np.float64)
            regression.fit(t, linear, others[t], shape.ridge)
        return regression

    def _points(self, n_factors: int) -> Array:
        points: Array = np.random.default_rng(self.seed).standard_normal((self.n_points, n_factors))
        return points

    def choose_shape(self, folds: Sequence[InnerFold] | None) -> KernelShape | None:
        """Choose by inner folds, where there are any; ``None`` is linear."""
        present = KernelShape(self.width, self.ridge)
        if folds is None:
            return present

        def rho(codes: Codes) -> Array:
            by_fold: Array = np.concatenate([fold.rho(codes) for fold in folds])
            return by_fold

        linear = rho(self.codes(None))
        gains = {shape: rho(self.codes(shape)) - linear for shape in (present, *_OTHER_SHAPES)}
        best = max(gains, key=lambda shape: float(gains[shape].mean()))
        if not by_more_than_chance(gains[best] - gains[present]):
            best = present
        return best if by_more_than_chance(gains[best]) else None

    def codes(self, shape: KernelShape | None, *, with_covariates: bool = False) -> Codes:
        """Return what guesses the factors of held-out donors, by a regression on the others."""

        def guess(fit: InnerFit) -> Array:
            linear, n_factors = fit.linear[with_covariates], fit.others.shape[1]
            if shape is None or len(linear) < _MINIMUM_DONORS:
                return fit.factors[with_covariates]
            regression = KernelRegression(
                self._points(n_factors),
                np.zeros((1, n_factors)),
                np.zeros((1, n_factors, n_factors)),
                np.zeros((1, self.n_points, n_factors)),
                shape.width,
            )
            regression.fit(0, linear, fit.others, shape.ridge)
            return regression(0, fit.factors[with_covariates])

        return guess


def restore(saved: Saved) -> FittedKernelFactors:
    """Restore what was saved of a fitted one."""
    return FittedKernelFactors.restore(saved.arrays, saved.settings, saved.scaler, saved.tissues)


def make(wanted: Wanted) -> KernelFactorsMethod:
    """Make the method as it is listed, on the joint Gaussian as that is listed."""
    joint = JointGaussianMethod(covariates=("age", "sex"), choose_from=wanted.source)
    return KernelFactorsMethod(joint, name=wanted.name)
