"""A joint Gaussian of all tissues of a donor: factor analysis with missing tissues.

Donor n has K factors ``z_n ~ N(0, I)``. Its z-scores in tissue t are

    ``y_nt = W_t z_n + e_nt``,  ``e_nt ~ N(0, Psi_t)``,

with a full noise covariance ``Psi_t`` within a tissue and independent noise between tissues. The
model is fitted by EM over the tissues that each donor has (:mod:`mtm_core.methods.factor_fit`). It
predicts any tissue from any others by its conditional mean and variance. From several source
tissues it also predicts residuals by gene-specific factors (:mod:`mtm_core.methods.gene_factors`).

z-scores are squashed to ``b tanh(y / b)``, in sources and targets, so that an outlier counts for
little more than an extreme value.

Shapes: D donors, T tissues, G genes, K factors, C covariates, N samples to predict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import anndata as ad
import cattrs
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.config import ScalingConfig
from mtm_core.data.cohort.cohort import tissue_codes, tissue_names
from mtm_core.data.cohort.scaling import TissueScaler, fit_scaler
from mtm_core.data.cohort.splits import rows_of
from mtm_core.methods.covariates import CovariateName, encode_covariates, group_by_known_covariates
from mtm_core.methods.factor_choice import Choice, Grid, choose_settings
from mtm_core.methods.factor_fit import WIDE_STEPS, collect_factors, fit_blocks, is_wide
from mtm_core.methods.factors import (
    NOISE_FLOOR,
    Array,
    FactorLikelihood,
    Factors,
    FactorSettings,
    TrainingDonors,
    squash,
    squash_in_place,
    upcast_half,
)
from mtm_core.methods.gene_factors import GeneFactors, fit_gene_factors
from mtm_core.methods.protocol import (
    ALL_GENES,
    Floats,
    Genes,
    PredictedProfiles,
    TargetPredictor,
    TargetPredictorMixin,
    check_covariates,
    check_names,
    check_size,
    tissue_index,
)
from mtm_core.methods.stored_arrays import MANY_GENES, is_of_wide_factors
from mtm_core.methods.table import MethodRequest, SavedMethod

_MOST_MODELS = 64

MIN_DONORS_TO_CHOOSE = 150
"""With fewer donors of the source tissue, inner folds are too noisy to choose settings by."""


@dataclass(frozen=True)
class FittedJointGaussian(TargetPredictorMixin):
    """Fitted factor models with different numbers of factors, whose predictions are averaged.

    The variance of a prediction is that of the mixture of the models: the mean of their variances
    plus the variance of their means.

    Attributes
    ----------
    scaler
        Scaler of the z-scores.
    tissues
        Names of the T tissues.
    models
        The factor models.
    covariates
        Covariates that the models use. A donor with all of them known is predicted with them, any
        other donor without.
    bound
        b of the squashed z-scores; ``None`` if they are not squashed.
    gene_factors
        Gene-specific factors of each model's residuals; may be empty.
    fitted_with
        Settings of the fit; ``None`` in models saved by earlier versions.
    """

    scaler: TissueScaler
    tissues: tuple[str, ...]
    models: tuple[Factors, ...]
    covariates: tuple[CovariateName, ...] = ()
    bound: float | None = None
    gene_factors: tuple[GeneFactors, ...] = ()
    fitted_with: FactorSettings | None = None
    name: str = "joint-gaussian"

    def target_predictor(
        self, profiles: Mapping[str, Floats], phenotypes: pd.DataFrame | None = None
    ) -> TargetPredictor:
        """Compute the posterior of the factors once; each target is decoded by its loadings."""
        squashed = {
            tissue_index(self.tissues, name): self.squashed(z) for name, z in profiles.items()
        }
        n_samples, n_genes = next(iter(squashed.values())).shape
        groups = []
        for rows, covariates in group_by_known_covariates(phenotypes, self.covariates, n_samples):
            y = {s: values[rows] for s, values in squashed.items()}
            posteriors = [model.posterior(y, covariates) for model in self.models]
            by_gene = self._gene_posteriors(y, [mean for mean, _ in posteriors])
            groups.append((rows, posteriors, by_gene))

        def predict(target: str, genes: Genes | None = None) -> PredictedProfiles:
            t, chosen = tissue_index(self.tissues, target), ALL_GENES if genes is None else genes
            shape = (n_samples, len(np.arange(n_genes)[chosen]))
            average, sd = (np.empty(shape, dtype=np.float32) for _ in range(2))
            for rows, posteriors, by_gene in groups:
                means, variances = [], []
                for model, (mean, covariance) in zip(self.models, posteriors, strict=True):
                    loadings = upcast_half(model.loadings[t][chosen])
                    dtype = loadings.dtype
                    means.append(mean.astype(dtype, copy=False) @ loadings.T)
                    scaled = loadings @ covariance.astype(dtype, copy=False)
                    variance = (scaled * loadings).sum(axis=1, dtype=np.float64)
                    variances.append(variance + upcast_half(model.noise[t][chosen]))
                for i, (mean, variance) in enumerate(by_gene):
                    loadings = self.gene_factors[i].loadings[t][chosen]
                    means[i] += loadings * mean[:, chosen]
                    explained = loadings**2 * (1 - variance[chosen])
                    variances[i] = np.maximum(variances[i] - explained, NOISE_FLOOR)
                average[rows] = np.mean(means, axis=0)
                sd[rows] = np.sqrt(np.mean(variances, axis=0)[None] + np.var(means, axis=0))
            return PredictedProfiles(average, sd)

        return predict

    def squashed(self, z: Floats) -> NDArray[np.floating]:
        """Squash z-scores (N, G); for many genes the result is float32, else float64."""
        if z.shape[1] > MANY_GENES:
            return squash_in_place(np.array(z, dtype=np.float32), self.bound)
        return squash(z, self.bound)

    def _gene_posteriors(
        self, profiles: Mapping[int, NDArray[np.floating]], factors: Sequence[Array]
    ) -> list[tuple[Array, Array]]:
        """Return mean and variance of each model's gene-specific factors; none from one tissue."""
        if len(profiles) == 1:
            return []
        return [
            gene_factors.posterior(
                {s: y - mean @ upcast_half(model.loadings[s]).T for s, y in profiles.items()}
            )
            for gene_factors, model, mean in zip(
                self.gene_factors, self.models, factors, strict=False
            )
        ]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of each model and of its gene-specific factors, by name."""
        parts: dict[str, Factors | GeneFactors] = {str(i): m for i, m in enumerate(self.models)}
        parts |= {f"{i}.gene": factors for i, factors in enumerate(self.gene_factors)}
        return {
            f"{part}.{name}": array if array.dtype.itemsize < 4 else np.asarray(array, np.float32)
            for part, model in parts.items()
            for name, array in vars(model).items()
        }

    def settings(self) -> dict[str, Any]:
        """Return numbers of models and gene factors, covariates, bound and settings of the fit."""
        return {
            "n_models": len(self.models),
            "n_gene_factors": len(self.gene_factors),
            "covariates": list(self.covariates),
            "bound": self.bound,
            "fitted_with": None if self.fitted_with is None else asdict(self.fitted_with),
        }

    @classmethod
    def restore(cls, saved: SavedMethod) -> FittedJointGaussian:
        """Restore from what :meth:`arrays` and :meth:`settings` returned."""
        arrays, settings, scaler = saved.arrays, saved.settings, saved.scaler

        def part(prefix: str, kind: type) -> dict[str, NDArray[Any]]:
            stored = {member.name: arrays[f"{prefix}.{member.name}"] for member in fields(kind)}
            return {
                name: array
                if is_of_wide_factors(name, array.shape)
                else np.asarray(array, dtype=np.float64)
                for name, array in stored.items()
            }

        n_models = check_size(settings["n_models"], _MOST_MODELS, "n_models")
        # Absent in older models.
        n_gene_factors = check_size(settings.get("n_gene_factors", 0), n_models, "n_gene_factors")
        if n_models == 0:
            raise ValueError("a joint Gaussian without any model")
        kinds: dict[str, type[Factors | GeneFactors]]
        kinds = {str(i): Factors for i in range(n_models)}
        kinds |= {f"{i}.gene": GeneFactors for i in range(n_gene_factors)}
        check_names(arrays, [f"{p}.{f.name}" for p, kind in kinds.items() for f in fields(kind)])
        covariates = check_covariates(settings["covariates"])
        models = tuple(Factors(**part(str(i), Factors)) for i in range(n_models))
        gene_factors = tuple(
            GeneFactors(**part(f"{i}.gene", GeneFactors)) for i in range(n_gene_factors)
        )
        n_covariates = encode_covariates(None, covariates, 1).shape[1]
        for model in models:
            model.check(scaler.mean.shape, n_covariates)
        for one in gene_factors:
            one.check(scaler.mean.shape)
        bound = settings["bound"]
        if bound is not None and not (type(bound) in (int, float) and bound > 0):
            raise ValueError(f"the bound is {bound!r}; expected a number above 0, or none")
        fitted_with = settings.get("fitted_with")
        return cls(
            scaler,
            saved.tissues,
            models,
            covariates,
            bound,
            gene_factors,
            None if fitted_with is None else cattrs.structure(fitted_with, FactorSettings),
        )


@dataclass(frozen=True)
class JointGaussianMethod:
    """Joint Gaussian of all tissues, fitted by EM.

    Attributes
    ----------
    n_factors
        Numbers of factors. One model is fitted for each, and their predictions are averaged.
    n_iterations
        Number of EM steps; at most ``WIDE_STEPS`` where genes outnumber samples.
    ridge
        Ridge penalty on the loadings, in donors' worth of prior.
    shrinkage
        In a tissue of n donors, noise correlations are multiplied by n / (n + shrinkage).
    choose_from
        Tissue from which held-out inner donors are predicted, to choose ``n_factors``, ``ridge``
        and ``shrinkage`` (:mod:`mtm_core.methods.factor_choice`). The values above are used as
        they are if it is ``None`` or if fewer than ``MIN_DONORS_TO_CHOOSE`` donors have it.
    grid
        Candidates to choose among.
    bound
        b of the squashed z-scores; ``None`` does not squash them.
    gene_ridge
        As ``ridge``, for gene-specific factors; ``None`` fits no such factors.
    scaling
        How expression is turned into z-scores.
    covariates
        Covariates of the donors that the model uses.
    seed
        Seed of initial loadings, inner folds and scored genes.

    Examples
    --------
    >>> from mtm_core.data.cohort.simulate import SimulationConfig, simulate_cohort
    >>> cohort = simulate_cohort(SimulationConfig(n_donors=60, n_tissues=3, n_genes=10))
    >>> method = JointGaussianMethod(n_factors=(3,), gene_ridge=None)
    >>> fitted = method.fit(cohort, sorted(set(cohort.obs["donor"])))
    >>> z = np.zeros((2, 10), dtype=np.float32)
    >>> fitted.predict({"Whole Blood": z}, "Liver").sd.shape
    (2, 10)
    """

    n_factors: tuple[int, ...] = (8, 12, 16, 22, 30)
    n_iterations: int = 20
    ridge: float = 300.0
    shrinkage: float = 100.0
    choose_from: str | None = None
    grid: Grid = field(default_factory=Grid)
    bound: float | None = 3.0
    gene_ridge: float | None = 100.0
    scaling: ScalingConfig = field(default_factory=ScalingConfig)
    covariates: tuple[CovariateName, ...] = ()
    seed: int = 0
    name: str = field(default="joint-gaussian", compare=False)

    def fit(self, cohort: ad.AnnData, donors: Sequence[str]) -> FittedJointGaussian:
        """Fit on ``donors``."""
        training = self.training(cohort, donors)
        choice = self.choose(training)
        return self.fit_training(training, None if choice is None else choice.settings)

    def training(self, cohort: ad.AnnData, donors: Sequence[str]) -> TrainingDonors:
        """Return the squashed z-scores and covariates of ``donors``."""
        rows = rows_of(cohort.obs["donor"], donors)
        tissues, tissue = tissue_names(cohort), tissue_codes(cohort)[rows]
        scaler = fit_scaler(cohort, rows, self.scaling)
        ids = cohort.obs["donor"].to_numpy()[rows].astype(str)
        names, donor = np.unique(ids, return_inverse=True)
        phenotypes = cohort.uns["donors"].loc[names]
        samples, tissue_rows = [], []
        for t in range(len(tissues)):  # one at a time: memory holds one copy of a wide cohort
            of_tissue = tissue == t
            z = scaler.transform(np.asarray(cohort.X[rows[of_tissue]]), tissue[of_tissue])
            samples.append((donor[of_tissue], squash_in_place(z, self.bound)))
            tissue_rows.append(rows[of_tissue])
        return TrainingDonors(
            scaler,
            tissues,
            tuple(samples),
            encode_covariates(phenotypes, self.covariates, len(names)),
            tuple(names.tolist()),
            tuple(tissue_rows),
        )

    def fit_training(
        self,
        training: TrainingDonors,
        settings: FactorSettings | None = None,
        on_likelihoods: Callable[[Sequence[FactorLikelihood]], None] | None = None,
    ) -> FittedJointGaussian:
        """Fit to training data from :meth:`training`.

        Parameters
        ----------
        settings
            Settings to use; by default those of this method.
        on_likelihoods
            Called once for each model with the likelihoods of the donors' factors given each
            tissue, and last the covariates.
        """
        settings, models = settings or self.default_settings, []
        n_steps = WIDE_STEPS if is_wide(training) else self.n_iterations
        for n_factors in settings.n_factors:
            blocks = fit_blocks(
                training,
                n_factors,
                n_iterations=min(self.n_iterations, n_steps),
                ridge=settings.ridge,
                shrinkage=settings.shrinkage,
                seed=self.seed,
            )
            models.append(collect_factors(blocks))
            if on_likelihoods is not None:
                on_likelihoods([(b.donor, b.precision, b.weighted_mean) for b in blocks])
        ridge = self.gene_ridge
        return FittedJointGaussian(
            training.scaler,
            training.tissues,
            tuple(models),
            self.covariates,
            self.bound,
            () if ridge is None else tuple(self._fit_genes(m, training, ridge) for m in models),
            settings,
        )

    @property
    def default_settings(self) -> FactorSettings:
        """Settings that are used where none are chosen."""
        return FactorSettings(self.n_factors, self.ridge, self.shrinkage)

    def choose(self, training: TrainingDonors) -> Choice | None:
        """Choose settings by inner folds, or return ``None``; see ``choose_from``."""
        if self.choose_from is None:
            return None
        source = tissue_index(training.tissues, self.choose_from)
        if len(training.samples[source][0]) < MIN_DONORS_TO_CHOOSE:
            return None
        return choose_settings(
            training, source, self.default_settings, grid=self.grid, seed=self.seed
        )

    def _fit_genes(self, model: Factors, training: TrainingDonors, ridge: float) -> GeneFactors:
        """Fit gene-specific factors to the residuals of ``model``, given all tissues of a donor."""
        precision, weighted_mean = model.training_posterior(training)
        factors = np.linalg.solve(precision, weighted_mean[..., None])[..., 0]
        residuals = [
            (donor, y - factors[donor] @ loadings.T)
            for (donor, y), loadings in zip(training.samples, model.loadings, strict=True)
        ]
        return fit_gene_factors(
            residuals, training.n_donors, ridge=ridge, n_iterations=self.n_iterations
        )


restore = FittedJointGaussian.restore


def make(request: MethodRequest) -> JointGaussianMethod:
    """Make the listed method: with age and sex, and settings chosen for the source."""
    return JointGaussianMethod(
        covariates=("age", "sex"), choose_from=request.source, name=request.name
    )
