"""Intervals of a prediction: their scale, where there are none, and which source they are of."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from mtm_core.inference.predictor import Predictor
from mtm_core.methods.protocol import FittedMethod, PredictedProfiles

BLOOD = "Whole Blood"


@dataclass(frozen=True)
class WithError:
    """A method that knows its error, in units of z: 0.5, but for the targets it does not."""

    method: FittedMethod
    uncertain: tuple[str, ...] = ()

    def __getattr__(self, name: str) -> object:
        if name == "target_predictor":  # its own ``predict`` serves every target
            raise AttributeError(name)
        return getattr(self.method, name)

    def predict(
        self, profiles: dict[str, np.ndarray], target: str, phenotypes: pd.DataFrame | None
    ) -> PredictedProfiles:
        mean = self.method.predict(profiles, target).mean
        if target in self.uncertain:
            return PredictedProfiles(mean)
        return PredictedProfiles(mean, np.full_like(mean, 0.5), {90: np.full(len(mean), 2.0)})


def test_interval_of_a_calibrated_method_is_on_the_scale_of_expression(
    small: Predictor, six_bloods: pd.DataFrame
) -> None:
    method = WithError(small.artefact.method)
    prediction = Predictor(replace(small.artefact, method=method)).predict(six_bloods)  # type: ignore[arg-type]
    scaler = small.artefact.method.scaler
    for tissue in prediction["tissue"].to_numpy():
        t = small.tissues.index(tissue)
        one = prediction.sel(tissue=tissue)
        for name, sign in (("lower", -1), ("upper", 1)):
            y = (one["z"].to_numpy() + sign * 2 * 0.5) * scaler.sd[t] + scaler.mean[t]
            np.testing.assert_allclose(one[name], np.maximum(np.exp2(y) - 1, 0), rtol=1e-4)
    assert (prediction["lower"] <= prediction["expression"]).all()
    assert prediction.attrs["interval"].startswith("90 %")


def test_no_interval_is_given_where_one_target_has_none(
    small: Predictor, six_bloods: pd.DataFrame
) -> None:
    for uncertain in ("Lung", "Liver"):
        method = WithError(small.artefact.method, uncertain=(uncertain,))
        predictor = Predictor(replace(small.artefact, method=method))  # type: ignore[arg-type]
        prediction = predictor.predict(six_bloods, targets=["Lung", "Liver"])
        assert not {"lower", "upper"} & set(prediction)
        assert prediction.attrs["interval"] == "none"


def test_interval_names_the_source_it_was_calibrated_from(
    bundled: Predictor, counts: pd.DataFrame
) -> None:
    def interval(predictor: Predictor, source: str) -> str:
        return str(predictor.predict(counts, source=source, targets=["Lung"]).attrs["interval"])

    assert interval(bundled, BLOOD) == "90 %, calibrated on donors held out, from Whole Blood"
    assert interval(bundled, "Spleen") == (
        "90 %, calibrated on donors held out, from Whole Blood; not from Spleen, for which it was"
        " not checked"
    )
    method = replace(bundled.artefact.method, source="Spleen")  # type: ignore[type-var]
    other = Predictor(replace(bundled.artefact, method=method))
    assert interval(other, "Spleen") == "90 %, calibrated on donors held out, from Spleen"
    assert "from Spleen; not from Whole Blood" in interval(other, BLOOD)
