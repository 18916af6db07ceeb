"""A joint Gaussian of all tissues of a donor: factor analysis with missing tissues.

Donor n has K factors ``z_n ~ N(0, I)``; the z-scores of tissue t are

    ``y_nt = W_t z_n + e_nt``,  ``e_nt ~ N(0, Psi_t)``

with ``Psi_t`` full within the tissue and errors independent between tissues. Fitted by EM over the
tissues that each donor has; predicts any tissue from any others by conditional expectation, with a
variance. From several source tissues it also predicts what the factors leave of each gene
(:mod:`mtm_core.methods.gene_factors`).

z-scores are bent to ``b tanh(y / b)``, in and out, so that an outlier counts for little more than
an extreme value.

EM for factor analysis: Rubin & Thayer 1982, Psychometrika 47:69-76; the parameter expansion that
rescales the factors at each step: Liu, Rubin & Wu 1998, Biometrika 85:755-770.

Shapes: D donors, T tissues, G genes, K factors, C covariates, N samples to predict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.config import ScalingConfig
from mtm_core.data.cohort import tissue_codes, tissue_names
from mtm_core.data.scaling import TissueScaler
from mtm_core.data.splits import rows_of
from mtm_core.methods.covariates import CovariateName, by_knowledge, encode_covariates
from mtm_core.methods.gene_factors import GeneFactors, fit_gene_factors
from mtm_core.methods.protocol import Floats, PredictedProfiles, PredictTarget, tissue_index

Array = NDArray[np.float64]

_LEAST_NOISE = 0.05
"""Floor of a gene's own variance, of 1: a noise of 0 would make one gene decide a factor."""


Block = tuple[NDArray[np.int64], Array]
"""Donors (n,) who have a tissue, and their bent z-scores (n, G)."""


@dataclass(frozen=True)
class TrainingDonors:
    """What a joint Gaussian is fitted on.

    Attributes
    ----------
    scaler, tissues
        Of the z-scores; names of the T tissues.
    samples
        Of each tissue.
    covariates
        (D, C) of every donor.
    """

    scaler: TissueScaler
    tissues: tuple[str, ...]
    samples: tuple[Block, ...]
    covariates: Array

    @property
    def n_donors(self) -> int:
        """Number of donors."""
        return len(self.covariates)

    @property
    def blocks(self) -> list[Block]:
        """The tissues, and the covariates as a last block that every donor has."""
        return [*self.samples, (np.arange(self.n_donors), self.covariates)]


@dataclass(frozen=True)
class Factors:
    """One fitted factor model.

    Attributes
    ----------
    loadings
        (T, G, K): ``W_t``.
    weights
        (T, G, K): ``Psi_t^-1 W_t``, what a profile is projected on.
    noise
        (T, G): diagonal of ``Psi_t``.
    covariate_loadings, covariate_weights
        (C, K): the same of the donor's C covariates, one more block beside the tissues.
    """

    loadings: Array
    weights: Array
    noise: Array
    covariate_loadings: Array
    covariate_weights: Array

    def accumulate(self, training: TrainingDonors) -> tuple[Array, Array]:
        """Give precision (D, K, K) and precision times mean (D, K), by all that donors show."""
        return accumulate(
            training.blocks,
            training.n_donors,
            [*self.loadings, self.covariate_loadings],
            [*self.weights, self.covariate_weights],
        )

    def posterior(self, profiles: Mapping[int, Array], covariates: Array) -> tuple[Array, Array]:
        """Give mean (N, K) and covariance (K, K) of the factors.

        Parameters
        ----------
        profiles
            Bent z-scores (N, G) by tissue code.
        covariates
            (N, C), or (N, 0) where none are known.
        """
        precision = np.eye(self.loadings.shape[-1])
        projected: Array = np.zeros((len(covariates), len(precision)))
        for t, y in profiles.items():
            precision = precision + self.loadings[t].T @ self.weights[t]
            projected = projected + y @ self.weights[t]
        if covariates.shape[1]:
            precision = precision + self.covariate_loadings.T @ self.covariate_weights
            projected = projected + covariates @ self.covariate_weights
        covariance = np.asarray(np.linalg.inv(precision), dtype=np.float64)
        mean: Array = projected @ covariance
        return mean, covariance


@dataclass(frozen=True)
class FittedJointGaussian:
    """Factor models of one or more sizes; their predictions are averaged.

    A donor whose ``covariates`` are all known is predicted with them, any other without.
    ``gene_factors`` are of what each of the models leaves; there may be none.
    """

    scaler: TissueScaler
    tissues: tuple[str, ...]
    models: tuple[Factors, ...]
    covariates: tuple[CovariateName, ...] = ()
    bound: float | None = None
    gene_factors: tuple[GeneFactors, ...] = ()
    name: str = "joint-gaussian"

    def predict(
        self,
        profiles: Mapping[str, Floats],
        target: str,
        phenotypes: pd.DataFrame | None = None,
    ) -> PredictedProfiles:
        """Predict as :class:`~mtm_core.methods.protocol.FittedMethod` says, with a spread.

        The variance is that of the mixture of the models: their mean variance and the variance of
        their means.
        """
        return self.begin(profiles, phenotypes)(target)

    def begin(
        self, profiles: Mapping[str, Floats], phenotypes: pd.DataFrame | None = None
    ) -> PredictTarget:
        """Take the factors' posterior; each target is then read off its loadings."""
        given = {
            tissue_index(self.tissues, name): bend(z, self.bound) for name, z in profiles.items()
        }
        shape = next(iter(given.values())).shape
        groups = []
        for rows, covariates in by_knowledge(phenotypes, self.covariates, shape[0]):
            own = {s: y[rows] for s, y in given.items()}
            posteriors = [model.posterior(own, covariates) for model in self.models]
            by_gene = self._gene_posteriors(own, [mean for mean, _ in posteriors])
            groups.append((rows, posteriors, by_gene))

        def predict(target: str) -> PredictedProfiles:
            t = tissue_index(self.tissues, target)
            average, sd = (np.empty(shape, dtype=np.float32) for _ in range(2))
            for rows, posteriors, by_gene in groups:
                means, variances = [], []
                for model, (mean, covariance) in zip(self.models, posteriors, strict=True):
                    loadings = model.loadings[t]
                    means.append(mean @ loadings.T)
                    variance = ((loadings @ covariance) * loadings).sum(axis=1)
                    variances.append(variance + model.noise[t])
                for i, (mean, variance) in enumerate(by_gene):
                    loadings = self.gene_factors[i].loadings[t]
                    means[i] += loadings * mean
                    explained = loadings**2 * (1 - variance)
                    variances[i] = np.maximum(variances[i] - explained, _LEAST_NOISE)
                average[rows] = np.mean(means, axis=0)
                sd[rows] = np.sqrt(np.mean(variances, axis=0)[None] + np.var(means, axis=0))
            return PredictedProfiles(average, sd)

        return predict

    def _gene_posteriors(
        self, profiles: Mapping[int, Array], factors: Sequence[Array]
    ) -> list[tuple[Array, Array]]:
        """Give the posterior of each model's gene factors; from one tissue they tell nothing."""
        if len(profiles) == 1:
            return []
        return [
            own.posterior({s: y - mean @ model.loadings[s].T for s, y in profiles.items()})
            for own, model, mean in zip(self.gene_factors, self.models, factors, strict=False)
        ]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Give the arrays of each model and of its gene factors."""
        parts: dict[str, Factors | GeneFactors] = {str(i): m for i, m in enumerate(self.models)}
        parts |= {f"{i}.gene": own for i, own in enumerate(self.gene_factors)}
        return {
            f"{part}.{name}": array.astype(np.float32)
            for part, model in parts.items()
            for name, array in vars(model).items()
        }

    def settings(self) -> dict[str, Any]:
        """Give the numbers of models and of gene factors, the covariates and the bound."""
        return {
            "n_models": len(self.models),
            "n_gene_factors": len(self.gene_factors),
            "covariates": list(self.covariates),
            "bound": self.bound,
        }

    @classmethod
    def restore(
        cls,
        arrays: Mapping[str, NDArray[Any]],
        settings: Mapping[str, Any],
        scaler: TissueScaler,
        tissues: tuple[str, ...],
    ) -> FittedJointGaussian:
        """Put together what :meth:`arrays` and :meth:`settings` gave."""

        def part(prefix: str, kind: type) -> dict[str, Array]:
            names = [member.name for member in fields(kind)]
            return {n: np.asarray(arrays[f"{prefix}.{n}"], dtype=np.float64) for n in names}

        n_gene_factors = settings.get("n_gene_factors", 0)  # a model of before has none
        return cls(
            scaler,
            tissues,
            tuple(Factors(**part(str(i), Factors)) for i in range(settings["n_models"])),
            tuple(settings["covariates"]),
            settings["bound"],
            tuple(GeneFactors(**part(f"{i}.gene", GeneFactors)) for i in range(n_gene_factors)),
        )


@dataclass(frozen=True)
class JointGaussianMethod:
    """EM for the joint Gaussian.

    Attributes
    ----------
    n_factors
        Sizes of the models to average.
    n_iterations
        EM steps.
    ridge
        Added to the factors' second moment when loadings are fitted: donors' worth of prior.
    shrinkage
        A tissue of n donors keeps n / (n + shrinkage) of its noise correlations.
    bound
        b of the bent z-scores; ``None`` leaves them straight.
    gene_ridge
        As ``ridge``, for the factors of single genes; ``None`` fits none of them.
    """

    n_factors: tuple[int, ...] = (8, 12, 16, 22, 30)
    n_iterations: int = 20
    ridge: float = 300.0
    shrinkage: float = 100.0
    bound: float | None = 3.0
    gene_ridge: float | None = 100.0
    scaling: ScalingConfig = field(default_factory=ScalingConfig)
    covariates: tuple[CovariateName, ...] = ()
    seed: int = 0
    name: str = field(default="joint-gaussian", compare=False)

    def fit(self, cohort: ad.AnnData, donors: Sequence[str]) -> FittedJointGaussian:
        """Fit on ``donors``."""
        return self.fit_training(self.training(cohort, donors))

    def training(self, cohort: ad.AnnData, donors: Sequence[str]) -> TrainingDonors:
        """Bring the samples of ``donors`` to what is fitted."""
        rows = rows_of(cohort.obs["donor"], donors)
        tissues, tissue = tissue_names(cohort), tissue_codes(cohort)[rows]
        expression = np.asarray(cohort.X[rows])
        scaler = TissueScaler.fit(expression, tissue, len(tissues), self.scaling)
        y = bend(scaler.transform(expression, tissue), self.bound)
        ids = cohort.obs["donor"].to_numpy()[rows].astype(str)
        names, donor = np.unique(ids, return_inverse=True)
        phenotypes = cohort.uns["donors"].loc[names]
        return TrainingDonors(
            scaler,
            tissues,
            tuple((donor[tissue == t], y[tissue == t]) for t in range(len(tissues))),
            encode_covariates(phenotypes, self.covariates, len(names)),
        )

    def fit_training(self, training: TrainingDonors) -> FittedJointGaussian:
        """Fit on donors made ready by :meth:`training`."""
        models = tuple(self._fit_one(training, k) for k in self.n_factors)
        ridge = self.gene_ridge
        return FittedJointGaussian(
            training.scaler,
            training.tissues,
            models,
            self.covariates,
            self.bound,
            () if ridge is None else tuple(self._fit_genes(m, training, ridge) for m in models),
        )

    def _fit_genes(self, model: Factors, training: TrainingDonors, ridge: float) -> GeneFactors:
        """Fit the factors of single genes to what ``model``, told all of a donor, leaves."""
        precision, projected = model.accumulate(training)
        factors = np.linalg.solve(precision, projected[..., None])[..., 0]
        residuals = [
            (donor, y - factors[donor] @ loadings.T)
            for (donor, y), loadings in zip(training.samples, model.loadings, strict=True)
        ]
        return fit_gene_factors(
            residuals, training.n_donors, ridge=ridge, n_iterations=self.n_iterations
        )

    def _fit_one(self, training: TrainingDonors, n_factors: int) -> Factors:
        """Fit K factors; the covariates are a last block, which every donor has."""
        rng = np.random.default_rng(self.seed)
        n_donors, blocks = training.n_donors, training.blocks
        loadings = [
            0.3 * rng.standard_normal((y.shape[1], n_factors)) / np.sqrt(n_factors)
            for _, y in blocks
        ]
        noise = [np.eye(y.shape[1]) for _, y in blocks]
        weights = list(loadings)
        for _ in range(self.n_iterations):
            precision, projected = accumulate(blocks, n_donors, loadings, weights)
            covariance = np.asarray(np.linalg.inv(precision), dtype=np.float64)
            mean: Array = np.einsum("dkl,dl->dk", covariance, projected)
            # Rescale the factors to unit second moment: the same model, in far fewer steps.
            moment = (covariance.sum(axis=0) + mean.T @ mean) / n_donors
            inverse = np.linalg.inv(np.linalg.cholesky(moment))
            mean = mean @ inverse.T
            covariance = inverse @ covariance @ inverse.T
            for b, (donor, y) in enumerate(blocks):
                loadings[b], noise[b] = self._maximise(y, mean[donor], covariance[donor])
                weights[b] = np.linalg.solve(noise[b], loadings[b])
        return Factors(
            np.stack(loadings[:-1]),
            np.stack(weights[:-1]),
            np.stack([np.diagonal(psi) for psi in noise[:-1]]),
            loadings[-1],
            weights[-1],
        )

    def _maximise(self, y: Array, mean: Array, covariance: Array) -> tuple[Array, Array]:
        """Fit loadings (G, K) and noise (G, G) of one tissue to its samples' factors."""
        n, spread = len(y), covariance.sum(axis=0)
        second = mean.T @ mean + spread
        loadings = np.linalg.solve(second + self.ridge * np.eye(len(second)), mean.T @ y).T
        residual = y - mean @ loadings.T
        noise = (residual.T @ residual + loadings @ spread @ loadings.T) / max(n, 1)
        diagonal = np.maximum(np.diagonal(noise), _LEAST_NOISE)
        noise = noise * (n / (n + self.shrinkage))
        np.fill_diagonal(noise, diagonal)
        return loadings, noise


def bend(z: NDArray[np.floating], bound: float | None) -> Array:
    """Give ``bound tanh(z / bound)``, or ``z`` where there is no bound."""
    values = np.asarray(z, dtype=np.float64)
    return values if bound is None else bound * np.tanh(values / bound)


def accumulate(
    blocks: Sequence[Block], n_donors: int, loadings: Sequence[Array], weights: Sequence[Array]
) -> tuple[Array, Array]:
    """Give precision (D, K, K) and precision times mean (D, K) of every donor's factors."""
    n_factors = loadings[0].shape[-1]
    precision = np.tile(np.eye(n_factors), (n_donors, 1, 1))
    projected = np.zeros((n_donors, n_factors))
    for (donor, y), w, p in zip(blocks, loadings, weights, strict=True):
        precision[donor] += w.T @ p  # a donor is in a block once
        projected[donor] += y @ p
    return precision, projected
