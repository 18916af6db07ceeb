from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace

import pytest

from mtm_core.config import (
    LossConfig,
    ModelConfig,
    RunConfig,
    ScalingConfig,
    TrainingConfig,
    from_json,
    preset,
    to_json,
    with_changes,
)

PRESETS = ("paper", "acmg59")


@pytest.fixture(params=PRESETS)
def config(request: pytest.FixtureRequest) -> RunConfig:
    return preset(request.param, n_genes=59, n_tissues=49)


def test_paper_preset_is_the_papers() -> None:
    config = preset("paper", n_genes=19_291, n_tissues=49)
    assert config.model.encoder_widths == (2048, 1024, 512)
    assert config.model.generator_widths == (1024, 1024, 2048)
    assert config.model.discriminator_widths == (2048, 1024, 100)
    assert config.model.mapping_widths == (64, 128, 256)
    assert (config.model.n_latent, config.model.n_noise, config.model.dropout) == (256, 32, 0.3)
    assert config.model.encoder_input == "log2"
    assert config.scaling == ScalingConfig(scale="linear", low_expression_rule=True)
    loss = config.loss
    assert (loss.individual, loss.cycle, loss.latent, loss.adversarial) == (1, 1, 1, 1)
    assert (loss.distance, loss.adversarial_warmup) == ("l1", 0)
    training = config.training
    assert (training.learning_rate, training.betas) == (5e-4, (0.5, 0.9))
    assert (training.batch_size, training.epochs) == (256, 200)
    assert (training.ema_decay, training.tissue_draw) == (0, "uniform")


def test_settings_go_to_json_text_and_back(config: RunConfig) -> None:
    changed = replace(
        config,
        training=replace(config.training, patience=3, source_share=0.25, betas=(0.0, 0.99)),
    )
    for original in (config, changed):
        assert from_json(json.loads(json.dumps(to_json(original)))) == original


def test_settings_cannot_be_changed_in_place(config: RunConfig) -> None:
    with pytest.raises(FrozenInstanceError):
        config.training.epochs = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("section", "name", "value", "message"),
    [
        ("training", "epoch", 3, "not the settings of a run: .*epoch"),
        ("training", "epochs", "many", r"not the settings of a run: .*epochs"),
        ("loss", "distance", "l3", r"not the settings of a run: .*distance"),
        ("model", "dropout", 1.5, r"not the settings of a run: .*model"),
    ],
)
def test_foreign_settings_are_named(
    config: RunConfig, section: str, name: str, value: object, message: str
) -> None:
    values = to_json(config)
    values[section][name] = value
    with pytest.raises(ValueError, match=message):
        from_json(values)


@pytest.mark.parametrize("path", ["loss.distance", "model.variance"])
def test_likelihood_and_variance_go_together(config: RunConfig, path: str) -> None:
    both = {"loss.distance": "nll", "model.variance": "true"}
    assert with_changes(config, both).model.variance
    with pytest.raises(ValueError, match=r"loss\.distance=nll and model\.variance=true together"):
        with_changes(config, {path: both[path]})


def test_missing_sizes_are_named(config: RunConfig) -> None:
    values = to_json(config)
    del values["model"]["n_genes"]
    with pytest.raises(ValueError, match=r"not the settings of a run: .*n_genes"):
        from_json(values)


def test_unknown_preset_is_named() -> None:
    with pytest.raises(ValueError, match="expected a preset out of paper, acmg59, got 'best'"):
        preset("best", 59, 49)  # type: ignore[arg-type]


def test_single_settings_are_changed_by_name(config: RunConfig) -> None:
    changed = with_changes(
        config,
        {"training.epochs": "7", "loss.distance": "huber", "model.encoder_widths": "[8, 4]"},
    )
    assert changed.training == replace(config.training, epochs=7)
    assert changed.loss == replace(config.loss, distance="huber")
    assert changed.model == replace(config.model, encoder_widths=(8, 4))
    assert with_changes(config, {}) == config


@pytest.mark.parametrize("path", ["epochs", "training.epoch", "train.epochs"])
def test_unknown_setting_is_named(config: RunConfig, path: str) -> None:
    with pytest.raises(ValueError, match=rf"got '{path}'.*Did you mean .*training.epochs"):
        with_changes(config, {path: "3"})


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (ModelConfig, {"n_genes": 0, "n_tissues": 2}, "got 0 genes and 2 tissues"),
        (ModelConfig, {"n_genes": 5, "n_tissues": 1}, "got 5 genes and 1 tissues"),
        (ModelConfig, {"n_genes": 5, "n_tissues": 2, "dropout": -0.1}, "dropout .* got -0.1"),
        (LossConfig, {"individual": 0}, "individual weight above 0 .* individual=0"),
        (LossConfig, {"cycle": -1}, "no weight below 0.* cycle=-1"),
        (TrainingConfig, {"epochs": 0}, "epochs >= 1"),
        (TrainingConfig, {"batch_size": 1}, "batch_size >= 2"),
        (TrainingConfig, {"ema_decay": 1.0}, r"ema_decay in \[0, 1\), got 1.0"),
        (TrainingConfig, {"validation_fraction": -0.1}, r"validation_fraction in \[0, 0.5\], got"),
    ],
)
def test_impossible_settings_are_named(kind: type, values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**values)
