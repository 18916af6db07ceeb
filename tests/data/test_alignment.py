"""Alignment against formulas written out sample by sample, and what must not change a result."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mtm_core.config import ScalingConfig
from mtm_core.data.cohort.normalise import normalise
from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.errors import ExpressionError
from mtm_core.inference.alignment import align
from mtm_core.inference.batch_parameters import ENOUGH_SAMPLES
from mtm_core.inference.gene_moments import GeneMoments
from mtm_core.inference.genes_found import on_genes_found, panel_normalise

N_GENES = 10
BLOOD = 1


def frame(values: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        values,
        index=[f"s{i}" for i in range(len(values))],
        columns=[f"g{j}" for j in range(values.shape[1])],
    )


def drop(linear: pd.DataFrame, genes: list[int]) -> tuple[pd.DataFrame, np.ndarray]:
    linear = linear.copy()
    linear.iloc[:, genes] = np.nan
    return linear, ~np.isin(np.arange(N_GENES), genes)


@pytest.fixture
def reference(rng: np.random.Generator) -> np.ndarray:
    return rng.gamma(2.0, rng.uniform(5, 500, size=N_GENES), size=(80, N_GENES))


@pytest.fixture
def scaler(reference: np.ndarray) -> TissueScaler:
    tissue = np.repeat([0, BLOOD], 40)
    return TissueScaler.fit(reference.astype(np.float32), tissue, 2, ScalingConfig())


@pytest.fixture
def linear(rng: np.random.Generator) -> pd.DataFrame:
    return frame(rng.gamma(2.0, rng.uniform(10, 900, size=N_GENES), size=(30, N_GENES)))


ALL = np.ones(N_GENES, dtype=bool)


def test_without_alignment_z_is_that_of_the_reference(
    linear: pd.DataFrame, scaler: TissueScaler
) -> None:
    aligned = align(linear, ALL, BLOOD, scaler, "none")
    for i in range(len(linear)):
        for g in range(N_GENES):
            y = np.log2(1 + linear.iloc[i, g])
            expected = (y - scaler.mean[BLOOD, g]) / scaler.sd[BLOOD, g]
            assert aligned.z[i, g] == pytest.approx(expected, abs=1e-4)
    assert aligned.how == "none"
    assert aligned.z.dtype == np.float32


@pytest.mark.parametrize("scale", ["log2", "linear"])
def test_alignment_brings_mean_and_sd_of_each_gene_to_the_reference(
    linear: pd.DataFrame, reference: np.ndarray, scale: str
) -> None:
    tissue = np.repeat([0, BLOOD], 40)
    scaler = TissueScaler.fit(reference.astype(np.float32), tissue, 2, ScalingConfig(scale=scale))
    aligned = align(linear, ALL, BLOOD, scaler, "cohort")
    on_scale = aligned.z * scaler.sd[BLOOD] + scaler.mean[BLOOD]
    expected = np.log2(1 + reference[40:]) if scale == "log2" else reference[40:]
    np.testing.assert_allclose(on_scale.mean(axis=0), expected.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(on_scale.std(axis=0), expected.std(axis=0), rtol=1e-4)
    x = np.log2(1 + linear["g3"]) if scale == "log2" else linear["g3"]
    np.testing.assert_allclose(aligned.z[:, 3], (x - x.mean()) / x.std(ddof=0), atol=1e-4)


def test_one_sample_alone_equals_itself_in_the_batch(
    linear: pd.DataFrame, scaler: TissueScaler
) -> None:
    values, found = drop(linear, [2, 5])
    reference_mean = np.arange(1.0, N_GENES + 1)

    def z(samples: pd.DataFrame) -> np.ndarray:
        scaled = panel_normalise(samples, found, reference_mean, "panel-cpm")
        return align(scaled, found, BLOOD, scaler, "none").z

    np.testing.assert_array_equal(z(values)[7:8], z(values.iloc[7:8]))


def test_alignment_undoes_a_factor_of_each_gene(
    linear: pd.DataFrame, scaler: TissueScaler, rng: np.random.Generator
) -> None:
    """On the linear scale exactly: that is why gene length does not matter to aligned TPM."""
    scaler = replace(scaler, scale="linear", sd=scaler.sd * 7)
    lengths = rng.uniform(0.5, 10, size=N_GENES)
    by_length = align(linear / lengths, ALL, BLOOD, scaler, "cohort")
    aligned = align(linear, ALL, BLOOD, scaler, "cohort")
    np.testing.assert_allclose(by_length.z, aligned.z, atol=1e-4)


def test_missing_genes_are_the_reference_mean_and_change_no_other(
    linear: pd.DataFrame, scaler: TissueScaler
) -> None:
    values, found = drop(linear, [0, 4])
    for how in ("none", "cohort"):
        whole = align(linear, ALL, BLOOD, scaler, how)
        part = align(values, found, BLOOD, scaler, how)
        assert (part.z[:, [0, 4]] == 0).all()
        np.testing.assert_array_equal(part.z[:, found], whole.z[:, found])
        assert part.found.tolist() == found.tolist()


def test_distance_is_the_rms_over_the_genes_found(
    linear: pd.DataFrame, scaler: TissueScaler
) -> None:
    values, found = drop(linear, [1])
    aligned = align(values, found, BLOOD, scaler, "cohort")
    before = align(values, found, BLOOD, scaler, "none").z
    for i, sample in enumerate(linear.index):
        for column, z in (("distance_before", before), ("distance_after", aligned.z)):
            expected = (sum(z[i, g] ** 2 for g in range(N_GENES) if g != 1) / 9) ** 0.5
            assert aligned.distance.loc[sample, column] == pytest.approx(expected, rel=1e-5)


def test_far_samples_are_named(linear: pd.DataFrame, scaler: TissueScaler) -> None:
    far = linear.copy()
    far.iloc[4] = 1e6
    notes = align(far, ALL, BLOOD, scaler, "none").notes
    assert any("'s4'" in note.found and "from the reference" in note.found for note in notes)


@pytest.mark.parametrize(
    ("n_samples", "how"), [(ENOUGH_SAMPLES, "cohort"), (ENOUGH_SAMPLES - 1, "none")]
)
def test_auto_aligns_from_the_minimum_on(
    linear: pd.DataFrame, scaler: TissueScaler, n_samples: int, how: str
) -> None:
    aligned = align(linear.iloc[:n_samples], ALL, BLOOD, scaler)
    assert aligned.how == how
    assert str(n_samples) in aligned.notes[0].found


def test_too_few_samples_in_tpm_are_warned_of(linear: pd.DataFrame, scaler: TissueScaler) -> None:
    def warned(n: int, **options: str) -> bool:
        notes = align(linear.iloc[:n], ALL, BLOOD, scaler, **options).notes
        return any("gene length" in note.found for note in notes)

    assert warned(5, unit="tpm")
    assert warned(5, unit="log2")
    assert not warned(5, unit="counts")
    assert not warned(5, unit="tpm", normalisation="none")
    assert not warned(30, unit="tpm")


def test_aligning_two_samples_is_refused(linear: pd.DataFrame, scaler: TissueScaler) -> None:
    with pytest.raises(ExpressionError, match="3 samples or more, got 2"):
        align(linear.iloc[:2], ALL, BLOOD, scaler, "cohort")
    aligned = align(linear.iloc[:3], ALL, BLOOD, scaler, "cohort")
    assert any("0.58 SD" in note.found for note in aligned.notes)


def test_constant_gene_is_the_reference_mean_and_named(
    linear: pd.DataFrame, scaler: TissueScaler
) -> None:
    aligned = align(linear.assign(g6=17.0), ALL, BLOOD, scaler, "cohort")
    assert (aligned.z[:, 6] == 0).all()
    assert any("1 gene does not vary" in n.found and "'g6'" in n.found for n in aligned.notes)


def test_gene_that_is_off_in_the_reference_is_not_stretched(
    linear: pd.DataFrame, reference: np.ndarray
) -> None:
    """The paper preset keeps its SD at 1, so noise about 0 must stay near 0 here too."""
    reference[:, 0] *= 1e-4
    config = ScalingConfig(scale="linear", low_expression_rule=True)
    scaler = TissueScaler.fit(reference.astype(np.float32), np.repeat([0, BLOOD], 40), 2, config)
    off = linear.assign(g0=linear["g0"] * 1e-5)
    assert align(off, ALL, BLOOD, scaler, "cohort").z[:, 0].std() < 0.05
    assert align(linear, ALL, BLOOD, scaler, "cohort").z[:, 0].std() == pytest.approx(1, rel=1e-3)


def test_too_few_genes_are_refused(linear: pd.DataFrame, scaler: TissueScaler) -> None:
    values, found = drop(linear, [0, 1, 2, 3, 4, 5])
    with pytest.raises(ExpressionError, match=r"4 of the model's 10 genes.*'g0', 'g1', 'g2'"):
        align(values, found, BLOOD, scaler)
    with pytest.raises(ExpressionError, match="4 of the model's 10 genes"):
        panel_normalise(values, found, np.ones(N_GENES), "panel-cpm")


def test_panel_normalisation_of_all_genes_is_that_of_the_cohort(linear: pd.DataFrame) -> None:
    scaled = panel_normalise(linear, ALL, np.ones(N_GENES), "panel-cpm")
    np.testing.assert_allclose(
        scaled, normalise(linear.to_numpy(dtype=np.float32), "panel-cpm"), rtol=1e-5
    )


def test_missing_gene_does_not_raise_the_others() -> None:
    """A sample just like the reference stays so when its largest gene is missing."""
    profile = np.array([9e5, *[1e5 / 9] * 9])
    values, found = drop(frame(profile[None] * 3.5), [0])
    scaled = panel_normalise(values, found, profile, "panel-cpm")
    np.testing.assert_allclose(scaled.to_numpy()[0, 1:], profile[1:])
    assert np.isnan(scaled.iloc[0, 0])


def test_tpm_model_leaves_values(linear: pd.DataFrame) -> None:
    assert panel_normalise(linear, ALL, np.ones(N_GENES), "none").equals(linear)


def test_sample_without_expression_is_named(linear: pd.DataFrame) -> None:
    linear.loc["s3"] = 0
    with pytest.raises(ExpressionError, match="'s3'"):
        panel_normalise(linear, ALL, np.ones(N_GENES), "panel-cpm")


@pytest.mark.parametrize("cuts", [(1,), (1, 2, 29), (10, 20)])
def test_parts_align_as_they_do_among_all_samples(
    linear: pd.DataFrame, scaler: TissueScaler, cuts: tuple[int, ...]
) -> None:
    linear.iloc[:, 4] = 7.0
    linear, found = drop(linear, [2])
    expected = align(linear, found, BLOOD, scaler, "cohort")
    parts = np.split(np.arange(len(linear)), cuts)
    moments = [
        GeneMoments.of(on_genes_found(linear.iloc[part], found), scaler.scale) for part in parts
    ]
    whole = moments[0]
    for part in moments[1:]:
        whole = whole.joined(part)
    y = np.log2(1 + linear.iloc[:, 3].to_numpy(dtype=np.float32)).astype(np.float64)
    np.testing.assert_allclose([whole.mean[3], whole.sd[3]], [y.mean(), y.std()])
    assert whole.n == len(linear)
    assert (whole.low[4], whole.high[4]) == (3, 3)
    for part in parts:
        aligned = align(linear.iloc[part], found, BLOOD, scaler, "cohort", whole={"": whole})
        np.testing.assert_allclose(aligned.z, expected.z[part], atol=1e-5)
        assert (aligned.z[:, [2, 4]] == 0).all()
        pd.testing.assert_frame_equal(
            aligned.distance, expected.distance.iloc[part], rtol=1e-5, atol=1e-6
        )
        assert aligned.notes[0] == expected.notes[0]
