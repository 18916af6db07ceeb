"""MTM behind the protocol: any tissue in, any tissue out, saved and restored without loss."""

from __future__ import annotations

import dataclasses
import json
import signal

import anndata as ad
import numpy as np
import pytest
import torch

from mtm_core.config import LossConfig, ModelConfig, RunConfig, TrainingConfig, with_changes
from mtm_core.data.cohort.cohort import tissue_codes, tissue_names
from mtm_core.errors import SelectionError
from mtm_core.methods.mtm import FittedMTM
from mtm_core.methods.mtm_training import MTMMethod
from mtm_core.methods.table import SavedMethod
from mtm_core.training.hardware import Hardware

Profiles = dict[str, np.ndarray]
BLOOD = "Whole Blood"


@pytest.fixture(scope="module")
def config() -> RunConfig:
    return RunConfig(
        ModelConfig(
            n_genes=40,
            n_tissues=5,
            encoder_widths=(16, 12),
            n_latent=6,
            generator_widths=(12, 16),
            discriminator_widths=(8, 4),
            n_noise=3,
            mapping_widths=(5,),
        ),
        loss=LossConfig(latent=0, adversarial=0),
        training=TrainingConfig(
            epochs=2, batch_size=64, learning_rate=5e-3, validation_fraction=0.0
        ),
    )


@pytest.fixture(scope="module")
def fitted(small_cohort: ad.AnnData, config: RunConfig) -> FittedMTM:
    donors = sorted(set(small_cohort.obs["donor"]))[:45]
    return MTMMethod(config, hardware=Hardware("cpu")).fit(small_cohort, donors)


@pytest.fixture(scope="module")
def profiles(small_cohort: ad.AnnData, fitted: FittedMTM) -> Profiles:
    """Z-scores of the same eight donors in every tissue; of whom does not matter here."""
    codes = tissue_codes(small_cohort)
    z = fitted.scaler.transform(small_cohort.X, codes)
    return {name: z[codes == t][:8] for t, name in enumerate(tissue_names(small_cohort))}


def test_fit_learns_from_the_given_donors_alone(
    small_cohort: ad.AnnData, config: RunConfig, fitted: FittedMTM
) -> None:
    donors = sorted(set(small_cohort.obs["donor"]))[:45]
    disturbed = small_cohort.copy()
    disturbed.X[~small_cohort.obs["donor"].isin(donors).to_numpy()] *= 100
    again = MTMMethod(config, hardware=Hardware("cpu")).fit(disturbed, donors)
    assert again.name == "mtm"
    assert again.tissues == tissue_names(small_cohort)
    np.testing.assert_array_equal(again.scaler.mean, fitted.scaler.mean)
    for name, array in fitted.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], array, err_msg=name)


def test_predicts_any_tissue_from_any_tissue(fitted: FittedMTM, profiles: Profiles) -> None:
    made = {}
    for source, s in ((name, fitted.tissues.index(name)) for name in fitted.tissues):
        for target, t in ((name, fitted.tissues.index(name)) for name in fitted.tissues):
            prediction = fitted.predict({source: profiles[source]}, target)
            assert prediction.sd is None
            assert prediction.mean.dtype == np.float32
            with torch.no_grad():
                expected = fitted.model(
                    torch.from_numpy(profiles[source]), torch.full((8,), s), torch.full((8,), t)
                )
            np.testing.assert_allclose(prediction.mean, expected, atol=1e-6)
            made[source, target] = prediction.mean
    assert len({array.tobytes() for array in made.values()}) == 25


def test_several_sources_average_their_codes(fitted: FittedMTM, profiles: Profiles) -> None:
    sources = fitted.tissues[:3]
    codes = [fitted.codes({name: profiles[name]}) for name in sources]
    assert codes[0].shape == (8, 6)
    together = {name: profiles[name] for name in sources}
    np.testing.assert_allclose(fitted.codes(together), np.mean(codes, axis=0), atol=1e-6)
    target = fitted.tissues[4]
    with torch.no_grad():
        expected = fitted.model.decode(
            torch.from_numpy(np.mean(codes, axis=0)), torch.full((8,), 4)
        )
    np.testing.assert_allclose(fitted.predict(together, target).mean, expected, atol=1e-5)
    in_other_order = dict(reversed(together.items()))
    np.testing.assert_allclose(
        fitted.predict(in_other_order, target).mean, fitted.predict(together, target).mean,
        atol=1e-6,
    )  # fmt: skip


def test_a_donor_s_prediction_depends_on_no_other_row(
    fitted: FittedMTM, profiles: Profiles
) -> None:
    whole = fitted.predict({BLOOD: profiles[BLOOD]}, "Lung").mean
    for i in range(8):
        alone = fitted.predict({BLOOD: profiles[BLOOD][i : i + 1]}, "Lung").mean
        np.testing.assert_allclose(alone[0], whole[i], atol=1e-6)


def test_comes_back_from_its_arrays_and_settings(fitted: FittedMTM, profiles: Profiles) -> None:
    arrays = fitted.arrays()
    assert {name.split(".")[0] for name in arrays} == {"encoder", "generator"}
    settings = json.loads(json.dumps(fitted.settings()))
    restored = FittedMTM.restore(
        SavedMethod("mtm", arrays, settings, fitted.scaler, fitted.tissues)
    )
    assert restored.config == fitted.config
    for target in fitted.tissues:
        np.testing.assert_array_equal(
            restored.predict({BLOOD: profiles[BLOOD]}, target).mean,
            fitted.predict({BLOOD: profiles[BLOOD]}, target).mean,
        )


def test_likelihood_gives_a_spread_that_is_saved_too(
    small_cohort: ad.AnnData, config: RunConfig, profiles: Profiles
) -> None:
    likelihood = with_changes(config, {"loss.distance": "nll", "model.variance": "true"})
    donors = sorted(set(small_cohort.obs["donor"]))[:45]
    fitted = MTMMethod(likelihood, hardware=Hardware("cpu")).fit(small_cohort, donors)
    predicted = fitted.predict({BLOOD: profiles[BLOOD]}, "Lung")
    assert predicted.sd is not None
    assert predicted.sd.shape == (8, 40)
    assert np.ptp(predicted.sd, axis=0).max() == 0  # of the tissue and gene, not of the donor
    assert np.ptp(predicted.sd, axis=1).min() > 0
    restored = FittedMTM.restore(
        SavedMethod(
            "mtm",
            fitted.arrays(),
            json.loads(json.dumps(fitted.settings())),
            fitted.scaler,
            fitted.tissues,
        )
    )
    again = restored.predict({BLOOD: profiles[BLOOD]}, "Lung")
    np.testing.assert_array_equal(again.sd, predicted.sd)


def test_arrays_that_may_not_be_written_are_read(fitted: FittedMTM, profiles: Profiles) -> None:
    # As they come from a memory map or out of another container.
    arrays = {name: array.copy() for name, array in fitted.arrays().items()}
    blood = profiles[BLOOD].copy()
    for array in (*arrays.values(), blood):
        array.setflags(write=False)
    restored = FittedMTM.restore(
        SavedMethod("mtm", arrays, fitted.settings(), fitted.scaler, fitted.tissues)
    )
    np.testing.assert_array_equal(
        restored.predict({BLOOD: blood}, "Lung").mean,
        fitted.predict({BLOOD: profiles[BLOOD]}, "Lung").mean,
    )


@pytest.mark.parametrize("use", ["source", "target"])
def test_unknown_tissue_is_named_with_the_nearest(
    fitted: FittedMTM, profiles: Profiles, use: str
) -> None:
    source, target = ("Whole Blod", "Lung") if use == "source" else (BLOOD, "Whole Blod")
    with pytest.raises(SelectionError, match=r"'Whole Blod' \(did you mean 'Whole Blood'\?\)"):
        fitted.predict({source: profiles[BLOOD]}, target)


@pytest.mark.parametrize("damage", ["size", "missing", "unexpected"])
def test_weights_that_do_not_fit_are_refused(fitted: FittedMTM, damage: str) -> None:
    arrays, settings = fitted.arrays(), fitted.settings()
    if damage == "size":
        model = dataclasses.replace(fitted.config.model, n_latent=7)
        config = dataclasses.replace(fitted.config, model=model)
        settings = dataclasses.replace(fitted, config=config).settings()
        message = "another size than the config's"
    elif damage == "missing":
        del arrays["generator.to_profile.bias"]
        message = r"missing: \['generator.to_profile.bias'\]"
    else:
        arrays["generator.extra"] = np.zeros(3, dtype=np.float32)
        message = r"unexpected: \['generator.extra'\]"
    with pytest.raises(ValueError, match=message):
        FittedMTM.restore(SavedMethod("mtm", arrays, settings, fitted.scaler, fitted.tissues))


def test_interrupted_training_gives_no_method(small_cohort: ad.AnnData, config: RunConfig) -> None:
    # What a cross-validation would take for a fold that is done.
    method = MTMMethod(
        config, Hardware("cpu"), on_progress=lambda progress: signal.raise_signal(signal.SIGINT)
    )
    with pytest.raises(KeyboardInterrupt):
        method.fit(small_cohort, sorted(set(small_cohort.obs["donor"])))
