"""Factor stack: kernel factors, calibrated without fitting anything twice.

A stack (:mod:`mtm_core.methods.stack`) fits each of its methods again in every inner fold to
estimate weights and intervals. Kernel factors already fit inner folds to choose their settings; the
fits with the chosen settings also give the out-of-fold predictions here. Predictions are decoded
and summed one tissue at a time (:class:`~mtm_core.methods.calibration.StackingSums`), so this holds
at genome width.

The factors are fitted without the held-out inner donors, but the means and SDs of the genes are of
all training donors. Among n samples, a donor who took part in them lies nearer to the mean than a
new donor, by ``(n - 1) / (n + 1)`` in mean square. Errors are corrected by this ratio.

Shapes: D donors, T tissues, G genes, P held-out donors with source and target, n other donors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import anndata as ad
import numpy as np
from numpy.typing import NDArray

from mtm_core.errors import SelectionError
from mtm_core.methods.calibration import Calibration, StackingSums, calibrate
from mtm_core.methods.factor_choice import use_settings
from mtm_core.methods.factors import Array, TrainingDonors
from mtm_core.methods.held_out import predict_held_out
from mtm_core.methods.inner_fits import InnerFit
from mtm_core.methods.inner_folds import FactorEstimator, FittedInnerFold
from mtm_core.methods.inner_split import further_tissues
from mtm_core.methods.joint_gaussian import JointGaussianMethod
from mtm_core.methods.kernel_factors import KernelFactorsMethod
from mtm_core.methods.kernel_regression import KernelShape
from mtm_core.methods.own_genes import ResidualSums, choose_own_genes, slopes_without_fold
from mtm_core.methods.protocol import FittedMethod, Floats, Method, tissue_index
from mtm_core.methods.stack import FittedStack
from mtm_core.methods.stored_arrays import MANY_GENES
from mtm_core.methods.table import MethodRequest

FitProgress = Callable[[str, int, int], None]
"""Called with the current step of the fit, how many of its parts are done, and how many it has."""


@dataclass(frozen=True)
class FactorStackMethod:
    """Calibrated kernel factors, alone or stacked with other methods.

    Attributes
    ----------
    source
        Source tissue that settings, weights and intervals are estimated for.
    factors
        The kernel factors; by default with initial settings that suit the number of genes.
    others
        Methods to stack with them, on the same expression scale. Each is fitted in every inner
        fold.
    seed
        Seed of the inner folds, where the kernel factors choose no settings.
    on_step
        Called at each step of the fit.
    """

    source: str = "Whole Blood"
    factors: KernelFactorsMethod | None = None
    others: tuple[Method, ...] = ()
    seed: int = 0
    on_step: FitProgress | None = field(default=None, compare=False)
    name: str = field(default="factor-stack", compare=False)

    def kernel(self, n_genes: int) -> KernelFactorsMethod:
        """Return the kernel factors to fit to ``n_genes``."""
        if self.factors is not None:
            return self.factors
        joint = JointGaussianMethod(
            covariates=("age", "sex"), choose_from=self.source, gene_ridge=None
        )
        if n_genes > MANY_GENES:
            joint = replace(joint, n_factors=(15, 30, 45), ridge=30.0, shrinkage=3000.0)
        return KernelFactorsMethod(joint)

    def fit(self, cohort: ad.AnnData, donors: Sequence[str]) -> FittedStack:
        """Choose settings, calibrate and fit on ``donors``."""
        kernel = self.kernel(cohort.n_vars)
        self._report("z-scores", 0, 1)
        training = kernel.joint.training(cohort, donors)
        source = tissue_index(training.tissues, self.source)
        self._report("choose settings", 0, 1)
        choice = kernel.joint.choose(training)
        shape = kernel.choose_shape(None if choice is None else choice.fitted_folds())
        residual_sums = own_genes = None
        if choice is None:
            choice = use_settings(training, source, kernel.joint.default_settings, seed=self.seed)
        else:
            self._report("own genes", 0, 1)
            residual_sums = kernel.sum_residuals(training, choice.fitted_folds(), shape)
            own_genes = choose_own_genes(residual_sums)
        inner = _OutOfFold(
            cohort,
            training,
            kernel,
            shape,
            None if own_genes is None else residual_sums,
            self.others,
            self.source,
        )
        one, several = self._calibrate(inner, choice.fitted_folds())
        self._report("fit", 0, 1)
        fitted = kernel.fit_training(training, choice.settings, shape, own_genes)
        others = tuple(method.fit(cohort, donors) for method in self.others)
        self._report("fit", 1, 1)
        further = further_tissues(training, source) if several else ()
        return FittedStack(
            (fitted, *others),
            one[False],
            one.get(True),
            self.source,
            several.get(False),
            several.get(True),
            self.name,
            tuple(training.tissues[t] for t in further),
        )

    def _report(self, step: str, done: int, total: int) -> None:
        if self.on_step is not None:
            self.on_step(step, done, total)

    def _calibrate(
        self, inner: _OutOfFold, folds: Sequence[FittedInnerFold]
    ) -> tuple[dict[bool, Calibration], dict[bool, Calibration]]:
        """Calibrate on the inner folds.

        Returns
        -------
        tuple
            Calibrations for one source tissue and for several, each by ``with_covariates``. Those
            for several are empty if no donors have several tissues, or another method cannot
            predict from several.
        """
        conditions = (False, True) if inner.training.covariates.shape[1] else (False,)
        one_sums: dict[bool, dict[str, StackingSums]] = {c: {} for c in conditions}
        several_sums: dict[bool, dict[str, StackingSums]] = {c: {} for c in conditions}
        for number, fold in enumerate(folds):
            self._report("calibrate", number, len(folds))
            slopes, others = inner.slopes_without_fold(number), inner.fit_others(fold)
            for c in conditions:
                for several, sums in ((False, one_sums[c]), (True, several_sums[c])):
                    inner.add(fold, others, slopes, sums, with_covariates=c, several=several)
        one = {c: inner.calibrate(sums) for c, sums in one_sums.items()}
        from_several = {
            c: inner.calibrate(sums).fill_from(
                one[c], [tissue in sums for tissue in inner.training.tissues]
            )
            for c, sums in several_sums.items()
            if sums
        }
        return one, from_several


@dataclass(frozen=True)
class _OutOfFold:
    """Out-of-fold predictions of the training donors, summed by tissue.

    Attributes
    ----------
    residual_sums
        Sums from which the slopes of own genes are fitted; ``None`` to use no own genes.
    """

    cohort: ad.AnnData
    training: TrainingDonors
    kernel: KernelFactorsMethod
    shape: KernelShape | None
    residual_sums: ResidualSums | None
    others: tuple[Method, ...]
    source_name: str

    @property
    def source(self) -> int:
        """Index of the source tissue."""
        return tissue_index(self.training.tissues, self.source_name)

    def slopes_without_fold(self, fold: int) -> Floats | None:
        """Return the own genes' slopes (T, G) fitted to all other folds."""
        if self.residual_sums is None:
            return None
        return slopes_without_fold(self.residual_sums, fold).astype(np.float32)

    def fit_others(self, fold: FittedInnerFold) -> tuple[FittedMethod, ...]:
        """Fit the other methods without the held-out donors of ``fold``."""
        donors = np.array(self.training.donors)[~fold.split.is_held_out].tolist()
        return tuple(method.fit(self.cohort, donors) for method in self.others)

    def add(
        self,
        fold: FittedInnerFold,
        others: Sequence[FittedMethod],
        slopes: Floats | None,
        sums: dict[str, StackingSums],
        *,
        with_covariates: bool,
        several: bool,
    ) -> None:
        """Add the predictions of held-out donors, from the source or from several tissues.

        From several, only donors with at least one further tissue count, and only other tissues are
        targets. Nothing is added if a method predicts from one tissue alone.
        """
        further = fold.split.further if several else ()
        if several and not further:
            return
        names = [self.training.tissues[t] for t in further]
        try:
            predict_others = self._predict_others(
                fold, others, names, with_covariates=with_covariates
            )
        except SelectionError:
            if several:
                return
            raise

        def from_several(fit: InnerFit) -> Array:
            return fit.held_out_factors_from_several[with_covariates]

        from_source = self.kernel.factor_estimator(self.shape, with_covariates=with_covariates)
        predict = self._predictor(fold, slopes, from_several if several else from_source)
        for t, rows, samples in fold.split.target_pairs(self.training, self.source):
            used = fold.split.has_further[rows] if several else np.ones(len(rows), dtype=bool)
            if t in further or not used.any():
                continue
            tissue = self.training.tissues[t]
            if tissue not in sums:
                sums[tissue] = StackingSums(1 + len(others), self.training.n_genes)
            beside = [predicted[used] for predicted in predict_others(tissue)]
            sums[tissue].add([predict(t, rows[used]), *beside], self._observed(t, samples[used]))

    def calibrate(self, sums: Mapping[str, StackingSums]) -> Calibration:
        """Calibrate on ``sums``, and correct the errors for donors new to means and SDs."""
        counts = np.array([len(donor) for donor, _ in self.training.samples])
        correction = np.sqrt((counts + 1) / np.maximum(counts - 1, 1))[:, None]
        calibration = calibrate(
            sums, self.training.tissues, 1 + len(self.others), self.training.n_genes
        )
        return replace(calibration, error=(calibration.error * correction).astype(np.float32))

    def _predictor(
        self, fold: FittedInnerFold, slopes: Floats | None, estimate: FactorEstimator
    ) -> Callable[[int, NDArray[np.intp]], Floats]:
        """Return the function from target and rows (P,) of source samples to z-scores (P, G)."""
        mixing_weights = fold.mixing_weights(estimate)
        residuals = (
            None if slopes is None else fold.source_residuals(self.training, self.source, estimate)
        )

        def predict(t: int, rows: NDArray[np.intp]) -> Floats:
            predicted = fold.predict(self.training, t, mixing_weights(t)[rows])
            if slopes is not None and residuals is not None:
                genes = np.flatnonzero(slopes[t])
                predicted[:, genes] += slopes[t, genes] * residuals[np.ix_(rows, genes)]
            return predicted

        return predict

    def _predict_others(
        self,
        fold: FittedInnerFold,
        others: Sequence[FittedMethod],
        further: Sequence[str],
        *,
        with_covariates: bool,
    ) -> Callable[[str], list[Floats]]:
        """Predict the held-out donors by the other methods, by tissue, donors in their order."""
        names = np.array(self.training.donors)
        by_method = []
        for method in others:
            parts = predict_held_out(
                method,
                self.cohort,
                tuple(names[fold.split.is_held_out].tolist()),
                self.training.scaler,
                source=self.source_name,
                further_sources=further,
                with_phenotypes=with_covariates,
            )
            # Donors with the same tissues come together: brought back to the donors' own order.
            by_method.append(
                {part.tissue: part.predicted[np.argsort(part.donor)] for part in parts}
            )
        return lambda tissue: [by_tissue[tissue] for by_tissue in by_method]

    def _observed(self, t: int, samples: NDArray[np.intp]) -> Floats:
        """Return z-scores (P, G) of samples of ``t``, not squashed, unlike those of training."""
        expression = np.asarray(self.cohort.X[self.training.rows[t][samples]])
        return self.training.scaler.transform(expression, np.full(len(samples), t))


def make(request: MethodRequest) -> FactorStackMethod:
    """Make the factor stack; named ``compact-stack``, with compact MTM stacked on it."""
    others = (
        (request.part_with_cache("compact-mtm"),) if request.name.startswith("compact-") else ()
    )
    return FactorStackMethod(
        request.source, others=others, on_step=request.on_step, name=request.name
    )
