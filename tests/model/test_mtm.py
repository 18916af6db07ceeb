"""What lies between the networks: the way from z-scores to what the encoder reads."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from mtm_core.config import ExpressionScale, ModelConfig, ScalingConfig
from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.model.mtm import MTM, count_parameters

TISSUE = np.repeat([0, 1, 2], 10)


@pytest.fixture
def tpm(rng: np.random.Generator) -> np.ndarray:
    return rng.lognormal(2, 1.5, size=(30, 8)).astype(np.float32)


def model_of(config: ModelConfig, tpm: np.ndarray, scale: ExpressionScale) -> MTM:
    scaler = TissueScaler.fit(tpm, TISSUE, 3, ScalingConfig(scale=scale))
    return MTM(config, scaler).eval()


@pytest.mark.parametrize("scale", ["linear", "log2"])
def test_encoder_reads_log2_of_the_expression_behind_z(
    small_model: ModelConfig, tpm: np.ndarray, scale: ExpressionScale
) -> None:
    model = model_of(small_model, tpm, scale)
    scaler = TissueScaler.fit(tpm, TISSUE, 3, ScalingConfig(scale=scale))
    z = torch.from_numpy(scaler.transform(tpm, TISSUE))
    read = model.to_encoder_input(z, torch.from_numpy(TISSUE))
    np.testing.assert_allclose(read, np.log2(1 + tpm), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("scale", ["linear", "log2"])
def test_expression_below_0_is_read_as_0(
    small_model: ModelConfig, tpm: np.ndarray, scale: ExpressionScale
) -> None:
    model = model_of(small_model, tpm, scale)
    z = torch.full((30, 8), -100.0)
    assert (model.to_encoder_input(z, torch.from_numpy(TISSUE)) == 0).all()


def test_encoder_may_read_z_as_it_is(small_model: ModelConfig, tpm: np.ndarray) -> None:
    model = model_of(dataclasses.replace(small_model, encoder_input="z"), tpm, "linear")
    z, tissue = torch.randn(30, 8), torch.from_numpy(TISSUE)
    torch.testing.assert_close(model.to_encoder_input(z, tissue), z, rtol=0, atol=0)
    torch.testing.assert_close(model.encode(z, tissue), model.encoder(z, tissue))


def test_forward_encodes_as_the_source_and_decodes_as_the_target(
    small_model: ModelConfig, tpm: np.ndarray
) -> None:
    model = model_of(small_model, tpm, "log2")
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    z = torch.randn(4, 8)
    source, target = torch.tensor([0, 0, 1, 2]), torch.tensor([1, 2, 0, 2])
    code = model.encoder(model.to_encoder_input(z, source), source)
    assert code.shape == (4, 4)
    expected = model.generator(code, target)
    torch.testing.assert_close(model(z, source, target), expected)
    torch.testing.assert_close(model.decode(model.encode(z, source), target), expected)
    for wrong in (model(z, target, source), model(z, source, source), model(z, target, target)):
        assert (wrong - expected).abs().max() > 1e-3


def test_the_scaler_s_numbers_are_neither_trained_nor_saved(
    small_model: ModelConfig, tpm: np.ndarray
) -> None:
    model = model_of(small_model, tpm, "log2")
    assert not {"mean", "sd"} & set(model.state_dict())
    networks = (model.encoder, model.generator, model.discriminator, model.mapping)
    assert count_parameters(model) == sum(map(count_parameters, networks))


def test_frozen_parameters_are_not_counted(small_model: ModelConfig, tpm: np.ndarray) -> None:
    model = model_of(small_model, tpm, "log2")
    whole = count_parameters(model)
    model.mapping.requires_grad_(requires_grad=False)
    assert count_parameters(model) == whole - sum(p.numel() for p in model.mapping.parameters())


def test_a_scaler_of_another_cohort_is_refused(small_model: ModelConfig, tpm: np.ndarray) -> None:
    scaler = TissueScaler.fit(tpm[:, :7], TISSUE, 3, ScalingConfig())
    with pytest.raises(ValueError, match=r"scaler of \(3, 8\) tissues and genes, got \(3, 7\)"):
        MTM(small_model, scaler)
