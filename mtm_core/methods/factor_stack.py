"""A calibrated model on kernel factors that holds at any width: the stack without networks.

A stack (:mod:`mtm_core.methods.stack`) fits each of its methods anew in every inner fold, to learn
weights and intervals. Kernel factors choose their settings by inner folds already; here the fits of
the chosen settings give the out-of-fold predictions, too, so nothing is fitted twice. What they
predict is decoded a tissue at a time and added up, as :class:`calibration.Evidence` does.

Inner donors are held out of the factors, but mean and SD of every gene are of all training donors.
A donor who took part in mean and SD lies nearer to them than a new one: of n samples, by
``(n - 1) / (n + 1)`` in mean square. Errors are raised by as much.

Shapes: D donors, T tissues, G genes, P donors of a fold who give source and target, n others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import anndata as ad
import numpy as np
from numpy.typing import NDArray

from mtm_core.methods.calibration import Calibration, Evidence, calibrate
from mtm_core.methods.factor_choice import keep_settings
from mtm_core.methods.factors import TrainingDonors
from mtm_core.methods.held_out import predict_held_out
from mtm_core.methods.inner_folds import InnerFit, InnerFold, further_tissues
from mtm_core.methods.joint_gaussian import JointGaussianMethod
from mtm_core.methods.kernel_factors import KernelFactorsMethod
from mtm_core.methods.kernel_regression import KernelShape
from mtm_core.methods.own_genes import LeftOver, choose_own_genes, slopes_without
from mtm_core.methods.protocol import Floats, Method, tissue_index
from mtm_core.methods.stack import FittedStack
from mtm_core.methods.stored_arrays import MANY_GENES
from mtm_core.methods.table import Wanted

FitProgress = Callable[[str, int, int], None]
"""Called with a step of the fit, the number of its parts done, and of all."""


@dataclass(frozen=True)
class FactorStackMethod:
    """Kernel factors, with other methods beside them if there are any, weighted and calibrated.

    Attributes
    ----------
    factors
        Kernel factors, settings chosen by inner folds.
    others
        Methods on the same scale of expression. Each is fitted once an inner fold.
    source
        Tissue that settings, weights and intervals are learnt from.
    on_step
        Called with the steps of the fit.
    """

    source: str = "Whole Blood"
    factors: KernelFactorsMethod | None = None
    others: tuple[Method, ...] = ()
    seed: int = 0
    on_step: FitProgress | None = field(default=None, compare=False)
    name: str = field(default="factor-stack", compare=False)

    def kernel(self, n_genes: int) -> KernelFactorsMethod:
        """Return the kernel factors; by default they begin at settings that suit so many genes."""
        if self.factors is not None:
            return self.factors
        joint = JointGaussianMethod(
            covariates=("age", "sex"), choose_from=self.source, gene_ridge=None
        )
        if n_genes > MANY_GENES:
            joint = replace(joint, n_factors=(15, 30, 45), ridge=30.0, shrinkage=3000.0)
        return KernelFactorsMethod(joint)

    def fit(self, cohort: ad.AnnData, donors: Sequence[str]) -> FittedStack:
        """Fit on ``donors``."""
        kernel = self.kernel(cohort.n_vars)
        self._tell("z-scores", 0, 1)
        training = kernel.joint.training(cohort, donors)
        source = tissue_index(training.tissues, self.source)
        self._tell("choose settings", 0, 1)
        choice = kernel.joint.choose(training)
        shape = kernel.choose_shape(None if choice is None else choice.inner_fits())
        left = own_genes = None
        if choice is None:
            choice = keep_settings(training, source, kernel.joint.present, seed=self.seed)
        else:
            self._tell("own genes", 0, 1)
            left = kernel.leave_over(training, choice.inner_fits(), shape)
            own_genes = choose_own_genes(left)
        one, several = self._calibrations(
            cohort, training, choice.inner_fits(), shape, None if own_genes is None else left
        )
        self._tell("fit", 0, 1)
        fitted = kernel.fit_training(training, choice.settings, shape, own_genes)
        others = tuple(method.fit(cohort, donors) for method in self.others)
        self._tell("fit", 1, 1)
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

    def _tell(self, step: str, done: int, total: int) -> None:
        if self.on_step is not None:
            self.on_step(step, done, total)

    def _calibrations(
        self,
        cohort: ad.AnnData,
        training: TrainingDonors,
        folds: Sequence[InnerFold],
        shape: KernelShape | None,
        left: LeftOver | None,
    ) -> tuple[dict[bool, Calibration], dict[bool, Calibration]]:
        """Learn weights and errors from the inner folds, without covariates and with them.

        The second are of donors who give several tissues; empty beside other methods.
        Genes' own values, where they are read, have in each fold the slopes of the other folds.
        """
        reads = bool(training.covariates.shape[1])
        n_bases, n_genes = 1 + len(self.others), training.n_genes
        knowledge = (False, True)[: 1 + reads]
        shown: dict[bool, dict[str, Evidence]] = {known: {} for known in knowledge}
        together: dict[bool, dict[str, Evidence]] = {known: {} for known in knowledge}
        source = tissue_index(training.tissues, self.source)
        for number, fold in enumerate(folds):
            self._tell("calibrate", number, len(folds))
            slopes = None if left is None else slopes_without(left, number).astype(np.float32)
            for known, by_tissue in shown.items():
                codes = self.kernel(n_genes).codes(shape, with_covariates=known)
                mixture = fold.mixtures(codes)
                of_source = None if slopes is None else fold.left_of(training, source, codes)
                beside = self._by_others(cohort, training, fold, with_covariates=known)
                for t, rows, samples in fold.deal.held_out(training, source):
                    predicted = fold.decode(training, t, mixture(t)[rows])
                    if slopes is not None and of_source is not None:
                        own = np.flatnonzero(slopes[t])
                        predicted[:, own] += slopes[t, own] * of_source[np.ix_(rows, own)]
                    tissue = training.tissues[t]
                    evidence = by_tissue.setdefault(tissue, Evidence(n_bases, n_genes))
                    observed = _z_scores(cohort, training, t, samples)
                    evidence.add([predicted, *beside(tissue)], observed)
                if not self.others:
                    self._add_together(
                        cohort, training, fold, together[known], source, slopes, known=known
                    )
        counts = np.array([len(donor) for donor, _ in training.samples])
        raised = np.sqrt((counts + 1) / np.maximum(counts - 1, 1))[:, None]

        def learn(by_tissue: dict[str, Evidence]) -> Calibration:
            own = calibrate(by_tissue, training.tissues, n_bases, n_genes)
            return replace(own, error=(own.error * raised).astype(np.float32))

        one = {known: learn(by_tissue) for known, by_tissue in shown.items()}
        several = {
            known: learn(by_tissue).instead_of(
                one[known], [tissue in by_tissue for tissue in training.tissues]
            )
            for known, by_tissue in together.items()
            if by_tissue
        }
        return one, several

    @staticmethod
    def _add_together(
        cohort: ad.AnnData,
        training: TrainingDonors,
        fold: InnerFold,
        by_tissue: dict[str, Evidence],
        source: int,
        slopes: Floats | None,
        *,
        known: bool,
    ) -> None:
        """Add what is predicted of donors who give further tissues, from all that they give."""
        if not fold.deal.further:
            return

        def codes(fit: InnerFit) -> NDArray[np.float64]:
            return fit.together[known]

        mixture = fold.mixtures(codes)
        of_source = None if slopes is None else fold.left_of(training, source, codes)
        gives = fold.deal.gives_further
        for t, rows, samples in fold.deal.held_out(training, source):
            mine = gives[rows]
            if t in fold.deal.further or not mine.any():
                continue
            evidence = by_tissue.setdefault(training.tissues[t], Evidence(1, training.n_genes))
            predicted = fold.decode(training, t, mixture(t)[rows[mine]])
            if slopes is not None and of_source is not None:
                own = np.flatnonzero(slopes[t])
                predicted[:, own] += slopes[t, own] * of_source[np.ix_(rows[mine], own)]
            evidence.add([predicted], _z_scores(cohort, training, t, samples[mine]))

    def _by_others(
        self,
        cohort: ad.AnnData,
        training: TrainingDonors,
        fold: InnerFold,
        *,
        with_covariates: bool,
    ) -> Callable[[str], list[Floats]]:
        """Fit the other methods without the donors held out; give what they predict of a tissue."""
        if not self.others:
            return lambda _: []
        names = np.array(training.donors)
        held_out, rest = names[fold.deal.is_held_out], names[~fold.deal.is_held_out]
        by_method = []
        for method in self.others:
            parts = predict_held_out(
                method.fit(cohort, rest.tolist()),
                cohort,
                tuple(held_out.tolist()),
                training.scaler,
                source=self.source,
                with_phenotypes=with_covariates,
            )
            by_method.append({part.tissue: part.predicted for part in parts})
        return lambda tissue: [by_tissue[tissue] for by_tissue in by_method]


def _z_scores(
    cohort: ad.AnnData, training: TrainingDonors, t: int, samples: NDArray[np.intp]
) -> Floats:
    """Return z-scores (P, G) of samples of ``t`` as they are: those of training are squashed."""
    expression = np.asarray(cohort.X[training.rows[t][samples]])
    return training.scaler.transform(expression, np.full(len(samples), t))


def make(wanted: Wanted) -> FactorStackMethod:
    """Make the factor stack, or the compact stack: the same with MTM on components beside it."""
    others = (wanted.part_as_slow("compact-mtm"),) if wanted.name.startswith("compact-") else ()
    return FactorStackMethod(wanted.source, others=others, on_step=wanted.on_step, name=wanted.name)
