"""Stack: a weighted sum of several methods, with a prediction interval for every value.

Weights and intervals are estimated from inner out-of-fold predictions: the training donors are
split into folds, and each method predicts every fold from a fit to the others, so that errors are
those to expect in new donors. Then each method is fitted again to all training donors.

There is one calibration (weights and intervals) for each condition under which a donor can be
predicted: without and with known covariates, from one source tissue and from several.

Shapes: N samples, G genes, T tissues, M methods, L levels.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, cast

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.data.cohort.cohort import tissue_names
from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.data.cohort.splits import donor_folds, rows_of
from mtm_core.methods.calibration import Calibration, StackingSums, calibrate
from mtm_core.methods.covariates import CovariateName, group_by_known_covariates
from mtm_core.methods.held_out import fit_scorer, predict_held_out
from mtm_core.methods.protocol import (
    ALL_GENES,
    INTERVAL_LEVELS,
    FittedMethod,
    Floats,
    Genes,
    Method,
    PredictedProfiles,
    TargetPredictor,
    TargetPredictorMixin,
    check_names,
    target_predictor,
    tissue_index,
    under_prefix,
    with_present_names,
)
from mtm_core.methods.table import TABLE, MethodRequest, SavedMethod, own_name

Array = NDArray[np.float64]
_Condition = tuple[bool, bool]
"""Whether covariates are known, and whether there are further source tissues."""

_MAX_BASES = 32

CALIBRATIONS = ("plain", "with_covariates", "several", "several_with_covariates")
"""Attributes of :class:`FittedStack`, and the prefix of their arrays in a file."""


@dataclass(frozen=True)
class FittedStack(TargetPredictorMixin):
    """Fitted stack: methods that share one scaler, and a calibration for each condition.

    Attributes
    ----------
    bases
        The methods, each fitted to all training donors.
    plain
        Calibration for predictions from one tissue, from expression alone.
    with_covariates
        The same with covariates; ``None`` if no method uses any.
    source
        Source tissue of the calibration. Predictions from another single tissue use the same
        weights and intervals, which hold only as far as that tissue resembles this one.
    several, several_with_covariates
        Calibrations for predictions from several tissues; ``None`` to use those for one tissue.
    further
        Further tissues that these were calibrated with. Predictions from any other combination of
        tissues have no interval, because their error is unknown.

    Raises
    ------
    ValueError
        If the methods do not share one scaler.
    """

    bases: tuple[FittedMethod, ...]
    plain: Calibration
    with_covariates: Calibration | None
    source: str
    several: Calibration | None = None
    several_with_covariates: Calibration | None = None
    name: str = "stack"
    further: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        first = self.bases[0].scaler
        for base in self.bases[1:]:
            if first.scale != base.scaler.scale or not np.allclose(first.mean, base.scaler.mean):
                raise ValueError(
                    "expected methods that share one scaler: the same scale, fitted on the same"
                    f" donors; {self.bases[0].name} and {base.name} differ"
                )

    @property
    def scaler(self) -> TissueScaler:
        """Scaler of all bases."""
        return self.bases[0].scaler

    @property
    def tissues(self) -> tuple[str, ...]:
        """Tissues of all bases."""
        return self.bases[0].tissues

    @property
    def covariates(self) -> tuple[CovariateName, ...]:
        """Covariates that any base uses."""
        return tuple(dict.fromkeys(name for base in self.bases for name in base.covariates))

    def target_predictor(
        self, profiles: Mapping[str, Floats], phenotypes: pd.DataFrame | None = None
    ) -> TargetPredictor:
        """Prepare every base once for all targets."""
        shape = next(iter(profiles.values())).shape
        has_interval = self.is_calibrated_from(profiles)
        groups = []
        for rows, covariates in group_by_known_covariates(phenotypes, self.covariates, shape[0]):
            known = phenotypes.iloc[rows] if phenotypes is not None and covariates.size else None
            calibration = self._calibration(len(profiles), with_covariates=known is not None)
            of_group = {source: z[rows] for source, z in profiles.items()}
            groups.append(
                (
                    rows,
                    calibration,
                    [target_predictor(base, of_group, known) for base in self.bases],
                )
            )

        def predict(target: str, genes: Genes | None = None) -> PredictedProfiles:
            t, chosen = tissue_index(self.tissues, target), ALL_GENES if genes is None else genes
            n_chosen = len(np.arange(shape[1])[chosen])
            mean, sd = (np.empty((shape[0], n_chosen), dtype=np.float32) for _ in range(2))
            multipliers = np.empty((len(INTERVAL_LEVELS), shape[0]), dtype=np.float32)
            for rows, calibration, by_base in groups:
                total: Floats | None = None
                for weight, predict_base in zip(calibration.weights[t], by_base, strict=True):
                    weighted = predict_base(target, genes).mean * np.float32(weight)
                    total = weighted if total is None else np.add(total, weighted, out=total)
                mean[rows] = total
                sd[rows] = calibration.error[t][chosen]
                multipliers[:, rows] = calibration.multipliers[t][:, None]
            if not has_interval:
                return PredictedProfiles(mean)
            levels = dict(zip(INTERVAL_LEVELS, multipliers, strict=True))
            return PredictedProfiles(mean, sd, levels, self.source)

        return predict

    def is_calibrated_from(self, sources: Collection[str]) -> bool:
        """Tell whether predictions from ``sources`` have intervals.

        Those from one tissue always have, calibrated on :attr:`source`. Those from several have
        if the source is among them and all others are among :attr:`further`.
        """
        if len(sources) == 1:
            return True
        known = {self.source, *self.further}
        return self.several is not None and self.source in sources and known.issuperset(sources)

    def _calibration(self, n_sources: int, *, with_covariates: bool) -> Calibration:
        one = self.with_covariates if with_covariates else self.plain
        several = self.several_with_covariates if with_covariates else self.several
        return cast("Calibration", several if n_sources > 1 and several is not None else one)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of all calibrations and bases, by name."""
        arrays = {
            f"{kind}.{name}": array
            for kind in CALIBRATIONS
            if getattr(self, kind) is not None
            for name, array in vars(getattr(self, kind)).items()
        }
        for i, base in enumerate(self.bases):
            arrays |= {f"{i}.{name}": array for name, array in base.arrays().items()}
        return arrays

    def settings(self) -> dict[str, Any]:
        """Return the source, the further tissues, and name and settings of every base."""
        further = {"further": list(self.further)} if self.further else {}
        return {
            "source": self.source,
            **further,
            "bases": [{"method": base.name, "settings": base.settings()} for base in self.bases],
        }


@dataclass(frozen=True)
class StackMethod:
    """Stack of several methods.

    Attributes
    ----------
    bases
        Methods to stack.
    source
        Source tissue of the calibration.
    n_inner
        Number of inner folds of the training donors.
    n_further
        Number of further source tissues to calibrate with, those that most donors have in addition
        to the source. With 0, predictions from several tissues are not calibrated; above 0, every
        base must accept several source tissues.
    seed
        Seed of the inner folds.
    """

    bases: tuple[Method, ...]
    source: str = "Whole Blood"
    n_inner: int = 3
    n_further: int = 0
    seed: int = 0
    name: str = field(default="stack", compare=False)

    def fit(self, cohort: ad.AnnData, donors: Sequence[str]) -> FittedStack:
        """Fit every base without each inner fold in turn, then to all ``donors``."""
        bases = tuple(base.fit(cohort, donors) for base in self.bases)
        use_covariates = any(base.covariates for base in bases)
        sums = self._out_of_fold_sums(cohort, donors)

        def calibrate_for(condition: _Condition) -> Calibration:
            return calibrate(sums[condition], tissue_names(cohort), len(bases), cohort.n_vars)

        def calibrate_several(
            one: Calibration | None, *, with_covariates: bool
        ) -> Calibration | None:
            if one is None or (with_covariates, True) not in sums:
                return None
            # The further tissues were sources, not targets: they use the calibration of one tissue.
            targets = sums[with_covariates, True]
            is_target = [tissue in targets for tissue in tissue_names(cohort)]
            return calibrate_for((with_covariates, True)).fill_from(one, is_target)

        plain = calibrate_for((False, False))
        with_covariates = calibrate_for((True, False)) if use_covariates else None
        return FittedStack(
            bases,
            plain,
            with_covariates,
            self.source,
            calibrate_several(plain, with_covariates=False),
            calibrate_several(with_covariates, with_covariates=True),
            further=self.further_sources(cohort, donors),
        )

    def _out_of_fold_sums(
        self, cohort: ad.AnnData, donors: Sequence[str]
    ) -> dict[_Condition, dict[str, StackingSums]]:
        """Predict the training donors out of fold; sum by condition and target tissue."""
        rows = rows_of(cohort.obs["donor"], donors)
        folds = donor_folds(
            cohort.obs.iloc[rows],
            n_folds=self.n_inner,
            seed=self.seed,
            balance_tissue=self.source,
        )
        further = self.further_sources(cohort, donors)
        sources: dict[_Condition, tuple[str, ...]] = {(False, False): (), (True, False): ()}
        if further:
            sources |= {(False, True): further, (True, True): further}
        sums: dict[_Condition, dict[str, StackingSums]] = {condition: {} for condition in sources}
        for fold in range(self.n_inner):
            training, held_out = folds.training(fold), folds.held_out(fold)
            scorer = fit_scorer(cohort, training)
            fitted = [base.fit(cohort, training) for base in self.bases]
            for condition, by_tissue in sums.items():
                by_base = [
                    predict_held_out(
                        base,
                        cohort,
                        held_out,
                        scorer,
                        source=self.source,
                        further_sources=sources[condition],
                        with_phenotypes=condition[0],
                    )
                    for base in fitted
                ]
                for parts in zip(*by_base, strict=True):
                    tissue = parts[0].tissue
                    if tissue not in by_tissue:
                        by_tissue[tissue] = StackingSums(len(fitted), cohort.n_vars)
                    by_tissue[tissue].add([p.predicted for p in parts], parts[0].observed)
        return sums

    def further_sources(self, cohort: ad.AnnData, donors: Sequence[str]) -> tuple[str, ...]:
        """Return the tissues that most of ``donors`` have in addition to the source."""
        samples = cohort.obs.iloc[rows_of(cohort.obs["donor"], donors)]
        with_source = samples.loc[samples["tissue"] == self.source, "donor"]
        other = samples[samples["donor"].isin(with_source) & (samples["tissue"] != self.source)]
        counts = other["tissue"].value_counts()
        by_count = sorted(counts[counts > 0].index, key=lambda tissue: (-counts[tissue], tissue))
        return tuple(
            by_count[: min(self.n_further, len(by_count) - 1)]
        )  # at least one remains a target


def make(request: MethodRequest) -> StackMethod:
    """Make the listed stack: kernel factors and MTM."""
    bases = (request.part("kernel-factors"), request.part_with_cache("mtm"))
    return StackMethod(bases, request.source, n_further=3, name=request.name)


def restore(saved: SavedMethod) -> FittedStack:
    """Restore a stack and the methods in it.

    Raises
    ------
    ValueError
        If the parts do not fit together.
    """
    scaler = saved.scaler
    parts, source = saved.settings["bases"], saved.settings["source"]
    if not 0 < len(parts) <= _MAX_BASES or any(_is_stack(base["method"]) for base in parts):
        raise ValueError(f"expected a stack of 1 to {_MAX_BASES} methods that are not stacks")
    if source not in saved.tissues:
        raise ValueError(f"the stack's source {source!r} is not one of the tissues")
    further = saved.settings.get("further", [])  # absent in older models
    if not isinstance(further, list) or not {*further} <= {*saved.tissues} - {source}:
        raise ValueError(f"the stack's further tissues {further!r} are none, or its source")
    known = (*CALIBRATIONS, *(str(i) for i in range(len(parts))))
    arrays = with_present_names(saved.arrays, known)
    bases = tuple(
        SavedMethod(
            base["method"], under_prefix(f"{i}.", arrays), base["settings"], scaler, saved.tissues
        ).restore()
        for i, base in enumerate(parts)
    )
    members = [member.name for member in fields(Calibration)]
    calibrations: dict[str, Calibration | None] = {}
    for kind in CALIBRATIONS:
        parts_of_kind = under_prefix(f"{kind}.", arrays)
        calibrations[kind] = None
        if parts_of_kind:
            check_names(parts_of_kind, members)
            calibrations[kind] = calibration = Calibration(**parts_of_kind)
            calibration.check(len(bases), scaler.mean.shape)
    check_names(arrays, [name for name in arrays if name.split(".")[0] in known])
    fitted = FittedStack(
        bases,
        source=source,
        name=saved.name,
        further=tuple(further),
        **cast("dict[str, Any]", calibrations),
    )
    for kind in ("plain", "with_covariates") if fitted.covariates else ("plain",):
        if calibrations[kind] is None:
            raise ValueError(f"the stack has no calibration {kind!r}")
    return fitted


def _is_stack(name: str) -> bool:
    home = TABLE.get(own_name(name))
    return home is not None and "stack" in (home.restored_in, home.made_in)
