"""No donor is predicted by what has seen them: in the fit, the scaler, or a fold saved on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mtm_core.config import ScalingConfig
from mtm_core.data.cohort.cohort import tissue_codes, tissue_names
from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.data.cohort.simulate import SimulationConfig, simulate_cohort
from mtm_core.data.cohort.splits import DonorFolds, donor_folds, rows_of
from mtm_core.errors import SelectionError
from mtm_core.evaluation.accuracy import accuracy
from mtm_core.evaluation.cross_validation import cross_validate, predict_fold
from mtm_core.methods.controls import ControlMethod, FittedControl
from mtm_core.methods.protocol import Floats, Method, PredictedProfiles
from mtm_core.methods.ridge import RidgeMethod

BLOOD = "Whole Blood"


@dataclass(frozen=True)
class Memory:
    """Predict the target of the training donor whose source is nearest."""

    scaler: TissueScaler
    tissues: tuple[str, ...]
    z: dict[tuple[str, str], Floats]
    name: str = "memory"

    def predict(
        self,
        profiles: Mapping[str, Floats],
        target: str,
        phenotypes: pd.DataFrame | None = None,
    ) -> PredictedProfiles:
        ((source, given),) = profiles.items()
        both = sorted(d for d, t in self.z if t == target and (d, source) in self.z)
        sources = np.stack([self.z[d, source] for d in both])
        distance = ((given[:, None] - sources[None]) ** 2).sum(axis=2)
        return PredictedProfiles(
            np.stack([self.z[both[i], target] for i in distance.argmin(axis=1)])
        )


@dataclass(frozen=True)
class MemoryMethod:
    """Learn every training donor by heart; ``seen`` records them, fit by fit."""

    scaling: ScalingConfig = field(default_factory=ScalingConfig)
    seen: list[set[str]] = field(default_factory=list, compare=False)
    name: str = "memory"

    def fit(self, cohort: ad.AnnData, donors: Sequence[str]) -> Memory:
        self.seen.append(set(donors))
        fitted = ControlMethod("training-mean", self.scaling).fit(cohort, donors)
        rows = rows_of(cohort.obs["donor"], donors)
        z = fitted.scaler.transform(cohort.X[rows], tissue_codes(cohort)[rows])
        keys = zip(cohort.obs["donor"].iloc[rows], cohort.obs["tissue"].iloc[rows], strict=True)
        return Memory(fitted.scaler, fitted.tissues, dict(zip(keys, z, strict=True)))


class LeakingFolds(DonorFolds):
    """Folds whose training donors are everyone, held-out ones too."""

    def training(self, fold: int) -> tuple[str, ...]:
        return tuple(sorted(d for members in self.folds for d in members))


@pytest.fixture
def folds(small_cohort: ad.AnnData) -> DonorFolds:
    return donor_folds(small_cohort.obs, n_folds=3, seed=0)


def by_hand(cohort: ad.AnnData, training: Sequence[str]) -> np.ndarray:
    """Standardise log2(1 + TPM) of all samples on the training donors, tissue by tissue."""
    y, codes = np.log2(1 + cohort.X.astype(np.float64)), tissue_codes(cohort)
    given = cohort.obs["donor"].isin(training).to_numpy()
    z = np.empty_like(y)
    for t in np.unique(codes):
        own = y[given & (codes == t)]
        sd = np.where(own.std(axis=0) < 1e-6, 1, own.std(axis=0))
        z[codes == t] = (y[codes == t] - own.mean(axis=0)) / sd
    return z


def test_no_donor_is_predicted_by_what_has_seen_them(
    small_cohort: ad.AnnData, folds: DonorFolds
) -> None:
    method = MemoryMethod()
    result = cross_validate(method, small_cohort, folds)
    assert len(method.seen) == 3
    everyone = set(small_cohort.obs["donor"])
    for fold, seen in enumerate(method.seen):
        predicted = set(result["donor"].to_numpy()[result["fold"].to_numpy() == fold])
        assert predicted <= set(folds.held_out(fold))
        assert not predicted & seen
        assert seen == everyone - set(folds.held_out(fold))


def test_every_donor_with_blood_is_predicted_once_in_every_other_tissue(
    small_cohort: ad.AnnData, folds: DonorFolds
) -> None:
    result = cross_validate(MemoryMethod(), small_cohort, folds)
    assert result.attrs == {"method": "memory", "source": BLOOD}
    assert result["gene"].to_numpy().tolist() == small_cohort.var_names.tolist()
    obs = small_cohort.obs
    with_blood = set(obs["donor"][(obs["tissue"] == BLOOD).to_numpy()])
    expected = [(d, t) for d, t in zip(obs["donor"], obs["tissue"], strict=True)
                if t != BLOOD and d in with_blood]  # fmt: skip
    made = list(zip(result["donor"].to_numpy(), result["tissue"].to_numpy(), strict=True))
    assert sorted(made) == sorted(expected)


def test_memorised_donors_are_predicted_only_if_folds_leak() -> None:
    # Nothing connects the tissues of these donors: only memory can score.
    cohort = simulate_cohort(
        SimulationConfig(n_donors=120, n_tissues=3, shared_variance=0.0, trait_effect=0.0)
    )
    folds = donor_folds(cohort.obs, n_folds=3, seed=0)
    clean = accuracy(cross_validate(MemoryMethod(), cohort, folds)).tissues
    leaking = accuracy(
        cross_validate(MemoryMethod(), cohort, LeakingFolds(folds.folds, folds.seed))
    ).tissues
    for name in ("gene_rho_by_fold", "gene_rho_pooled", "sample_rho"):
        assert (leaking[name] > 0.99).all()
        assert (clean[name].abs() < 0.06).all()


def test_scores_are_on_z_scores_of_the_training_donors(
    small_cohort: ad.AnnData, folds: DonorFolds
) -> None:
    # Held-out donors far off: a scaler that saw them would bring them back.
    disturbed = small_cohort.copy()
    held_out = folds.held_out(0)
    disturbed.X[rows_of(disturbed.obs["donor"], held_out)] *= 50
    result = predict_fold(MemoryMethod(), disturbed, folds, 0, source=BLOOD)
    z = by_hand(disturbed, folds.training(0))
    obs = disturbed.obs.reset_index(drop=True)
    row = {(d, t): i for i, d, t in obs[["donor", "tissue"]].itertuples()}
    rows = [row[key] for key in zip(result["donor"].to_numpy(), result["tissue"].to_numpy(),
                                    strict=True)]  # fmt: skip
    np.testing.assert_allclose(result["observed"], z[rows], rtol=1e-3, atol=1e-3)
    assert result["observed"].mean() > 2

    # And what the method was fitted on, it gives back in the same z-scores.
    own = z[~obs["donor"].isin(held_out).to_numpy()]
    for values in result["predicted"].to_numpy():
        assert np.abs(own - values).max(axis=1).min() < 1e-3


def test_prediction_is_brought_from_the_method_s_scale_to_the_common_one(
    small_cohort: ad.AnnData, folds: DonorFolds
) -> None:
    method = ControlMethod("training-mean", ScalingConfig("linear", low_expression_rule=True))
    result = predict_fold(method, small_cohort, folds, 1, source=BLOOD)
    training = rows_of(small_cohort.obs["donor"], folds.training(1))
    for t, name in enumerate(tissue_names(small_cohort)):
        if name == BLOOD:
            continue
        tpm = small_cohort.X[training][tissue_codes(small_cohort)[training] == t].astype(float)
        y = np.log2(1 + tpm)
        expected = (np.log2(1 + tpm.mean(axis=0)) - y.mean(axis=0)) / y.std(axis=0)
        for values in result["predicted"].to_numpy()[result["tissue"].to_numpy() == name]:
            np.testing.assert_allclose(values, expected, rtol=1e-3, atol=1e-3)


def test_a_prediction_far_down_is_not_cut_off_at_0_expression(
    small_cohort: ad.AnnData, folds: DonorFolds
) -> None:
    class Low(ControlMethod):
        def fit(self, cohort: ad.AnnData, donors: Sequence[str]) -> FittedControl:
            return FittedLow(**vars(super().fit(cohort, donors)))

    class FittedLow(FittedControl):
        def predict(
            self,
            profiles: Mapping[str, Floats],
            target: str,
            phenotypes: pd.DataFrame | None = None,
        ) -> PredictedProfiles:
            return PredictedProfiles(np.full_like(profiles[BLOOD], -40))

    result = predict_fold(Low("training-mean"), small_cohort, folds, 0, source=BLOOD)
    np.testing.assert_allclose(result["predicted"], -40, rtol=1e-3)


def test_may_start_from_another_tissue(small_cohort: ad.AnnData, folds: DonorFolds) -> None:
    method = ControlMethod("source-as-proxy")
    result = cross_validate(method, small_cohort, folds, source="Lung")
    assert set(result["tissue"].to_numpy()) == set(tissue_names(small_cohort)) - {"Lung"}
    # Each donor's own lung, as the proxy.
    z = by_hand(small_cohort, folds.training(0))
    lung = {
        d: z[i]
        for i, (d, t) in enumerate(
            zip(small_cohort.obs["donor"], small_cohort.obs["tissue"], strict=True)
        )
        if t == "Lung"
    }
    first = result.isel(pair=(result["fold"] == 0).to_numpy())
    for donor, predicted in zip(first["donor"].to_numpy(), first["predicted"].to_numpy(),
                                strict=True):  # fmt: skip
        np.testing.assert_allclose(predicted, lung[donor], rtol=1e-3, atol=1e-3)


def test_unknown_source_is_named_with_the_nearest(
    small_cohort: ad.AnnData, folds: DonorFolds
) -> None:
    with pytest.raises(SelectionError, match=r"'Blood' \(did you mean 'Whole Blood'\?\)"):
        cross_validate(ControlMethod("training-mean"), small_cohort, folds, source="Blood")


def test_folds_that_are_done_are_taken_from_the_folder(
    small_cohort: ad.AnnData, folds: DonorFolds, tmp_path: Path
) -> None:
    plain = cross_validate(MemoryMethod(), small_cohort, folds)
    settings = {"cohort": "a", "seed": 0}
    first, second, other = MemoryMethod(), MemoryMethod(), MemoryMethod()
    cross_validate(first, small_cohort, folds, folder=tmp_path, settings=settings, only=[1])
    resumed = cross_validate(second, small_cohort, folds, folder=tmp_path, settings=settings)
    assert (len(first.seen), len(second.seen)) == (1, 2)
    xr.testing.assert_identical(plain.drop_vars(["donor", "tissue", "gene"]),
                                resumed.drop_vars(["donor", "tissue", "gene"]))  # fmt: skip
    for name in ("donor", "tissue", "gene"):
        assert plain[name].to_numpy().tolist() == resumed[name].to_numpy().tolist()
    assert accuracy(resumed).summary() == accuracy(plain).summary()

    cross_validate(other, small_cohort, folds, folder=tmp_path, settings={**settings, "seed": 1})
    assert len(other.seen) == 3
    assert not list(tmp_path.glob("*.partial"))


def test_only_some_folds_may_be_run(small_cohort: ad.AnnData, folds: DonorFolds) -> None:
    result = cross_validate(MemoryMethod(), small_cohort, folds, only=[2, 0])
    assert set(result["fold"].to_numpy()) == {0, 2}


def test_a_method_of_other_settings_reads_no_saved_fold(
    small_cohort: ad.AnnData, folds: DonorFolds, tmp_path: Path
) -> None:
    def n_saved(method: Method, *, with_age_sex: bool = True) -> int:
        cross_validate(
            method,
            small_cohort,
            folds,
            with_phenotypes=with_age_sex,
            folder=tmp_path,
            settings={},
            only=[0],
        )
        return len(list(tmp_path.glob("*.h5")))

    assert n_saved(RidgeMethod()) == 1
    assert n_saved(RidgeMethod()) == 1
    assert n_saved(RidgeMethod(covariates=("age",))) == 2
    assert n_saved(RidgeMethod(covariates=("age",)), with_age_sex=False) == 3
