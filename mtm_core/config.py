"""Every setting of a run, as frozen dataclasses that are saved beside the weights they made.

``preset(name, n_genes, n_tissues)`` gives a complete :class:`RunConfig`; ``to_json`` and
``from_json`` carry it to disk and back without loss.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Literal

import cattrs

ExpressionScale = Literal["log2", "linear"]
EncoderInput = Literal["log2", "z"]
Distance = Literal["l1", "mse", "huber", "nll"]
"""``"nll"`` is the negative log-likelihood of a Gaussian whose variance the model learns."""
TissueDraw = Literal["uniform", "pairs"]
PairWeighting = Literal["pairs", "donors"]
PresetName = Literal["paper", "acmg59"]


@dataclass(frozen=True)
class ScalingConfig:
    """How expression becomes z-scores, per tissue and gene.

    Attributes
    ----------
    scale
        Scale that is standardised: ``"log2"`` for log2(1 + expression), ``"linear"`` for
        expression.
    low_expression_rule
        Keep SD at 1 where a gene's mean expression in a tissue is below 1 (TPM or CPM), so that
        genes that are off do not dominate.
    """

    scale: ExpressionScale = "log2"
    low_expression_rule: bool = False


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of the four networks. ``n_genes`` and ``n_tissues`` come from the cohort.

    With ``variance`` the model learns how far predictions miss, by tissue and gene; the loss
    ``"nll"`` needs it.
    """

    n_genes: int
    n_tissues: int
    encoder_widths: tuple[int, ...] = (2048, 1024, 512)
    n_latent: int = 256
    generator_widths: tuple[int, ...] = (1024, 1024, 2048)
    discriminator_widths: tuple[int, ...] = (2048, 1024, 100)
    n_noise: int = 32
    mapping_widths: tuple[int, ...] = (64, 128, 256)
    dropout: float = 0.3
    encoder_input: EncoderInput = "log2"
    variance: bool = False

    def __post_init__(self) -> None:
        if self.n_genes < 1 or self.n_tissues < 2:
            raise ValueError(
                "expected at least 1 gene and 2 tissues,"
                f" got {self.n_genes} genes and {self.n_tissues} tissues"
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"expected a dropout in [0, 1), got {self.dropout}")


@dataclass(frozen=True)
class LossConfig:
    """Weights of the terms of Eq 6 and the distance that its reconstruction terms use.

    A weight of 0 switches a term off altogether: its networks are not run.
    ``adversarial_warmup`` holds the adversarial term at 0 for that many epochs.
    """

    individual: float = 1.0
    cycle: float = 1.0
    latent: float = 1.0
    adversarial: float = 1.0
    distance: Distance = "l1"
    adversarial_warmup: int = 0

    def __post_init__(self) -> None:
        weights = (self.individual, self.cycle, self.latent, self.adversarial)
        if min(weights) < 0 or self.individual == 0:
            raise ValueError(
                "expected an individual weight above 0 and no weight below 0, got"
                f" individual={self.individual}, cycle={self.cycle}, latent={self.latent},"
                f" adversarial={self.adversarial}"
            )


@dataclass(frozen=True)
class TrainingConfig:
    """How the networks are trained.

    Attributes
    ----------
    batch_size
        Ordered same-donor tissue pairs a step, over all processes together.
    betas, weight_decay
        Settings of both Adam optimisers.
    learning_rate_decay
        Let the rate fall along a cosine, to 0 after the last epoch.
    ema_decay
        Decay of the averaged weights that are validated and saved; 0 saves the raw weights.
    tissue_draw
        How Eqs 1-3 draw a tissue: uniformly, or in proportion to its training pairs.
    pair_weighting
        ``"pairs"`` counts every pair alike; ``"donors"`` draws a donor of n tissues with weight
        proportional to n rather than n(n - 1).
    source_share
        Share of each epoch's pairs that start from ``validation_source``; ``None`` leaves it as
        the cohort has it.
    validation_fraction
        Share of the given donors held back to choose the epoch; 0 trains on all of them for
        ``epochs`` epochs.
    patience
        Epochs without a better validation score before training stops; ``None`` never stops early.
    validation_source
        Tissue that held-out predictions start from.
    checkpoint_every
        Epochs between two checkpoints; the last epoch has one always.
    """

    epochs: int = 200
    batch_size: int = 256
    learning_rate: float = 5e-4
    betas: tuple[float, float] = (0.5, 0.9)
    weight_decay: float = 0.0
    learning_rate_decay: bool = False
    ema_decay: float = 0.0
    tissue_draw: TissueDraw = "uniform"
    pair_weighting: PairWeighting = "pairs"
    source_share: float | None = None
    validation_fraction: float = 0.1
    patience: int | None = None
    validation_source: str = "Whole Blood"
    seed: int = 0
    checkpoint_every: int = 1

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 2 or self.checkpoint_every < 1:
            raise ValueError(
                "expected epochs >= 1, batch_size >= 2 and checkpoint_every >= 1, got"
                f" {self.epochs}, {self.batch_size} and {self.checkpoint_every}"
            )
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"expected an ema_decay in [0, 1), got {self.ema_decay}")
        if not 0 <= self.validation_fraction <= 0.5:
            raise ValueError(
                f"expected a validation_fraction in [0, 0.5], got {self.validation_fraction}"
            )
        if self.source_share is not None and not 0 < self.source_share < 1:
            raise ValueError(f"expected a source_share in (0, 1), got {self.source_share}")
        if self.patience is not None and self.patience < 1:
            raise ValueError(f"expected a patience of 1 epoch or more, got {self.patience}")


@dataclass(frozen=True)
class RunConfig:
    """One training run, whole."""

    model: ModelConfig
    scaling: ScalingConfig = field(default_factory=ScalingConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        if (self.loss.distance == "nll") != self.model.variance:
            raise ValueError(
                "expected loss.distance=nll and model.variance=true together or neither, got"
                f" {self.loss.distance} and {str(self.model.variance).lower()}"
            )


def _paper(n_genes: int, n_tissues: int) -> RunConfig:
    """Return the paper's setting (He et al. 2023, sections 2.1 and 2.2), nothing added."""
    return RunConfig(
        model=ModelConfig(n_genes, n_tissues),
        scaling=ScalingConfig(scale="linear", low_expression_rule=True),
    )


def _acmg59(n_genes: int, n_tissues: int) -> RunConfig:
    """Return what inner validation chose on the 59-gene panel (docs/experiments.md)."""
    return RunConfig(
        model=ModelConfig(
            n_genes,
            n_tissues,
            encoder_widths=(256, 256, 128),
            n_latent=64,
            generator_widths=(128, 256, 512),
            discriminator_widths=(256, 128, 64),
            mapping_widths=(64, 64),
            encoder_input="z",
        ),
        loss=LossConfig(cycle=0.0, latent=0.0, adversarial=0.0, distance="mse"),
        training=TrainingConfig(
            epochs=7,
            learning_rate=1e-3,
            learning_rate_decay=True,
            ema_decay=0.999,
            tissue_draw="pairs",
            source_share=0.15,
            validation_fraction=0.0,
        ),
    )


_PRESETS: dict[PresetName, Callable[[int, int], RunConfig]] = {"paper": _paper, "acmg59": _acmg59}


def preset(name: PresetName, n_genes: int, n_tissues: int) -> RunConfig:
    """Return the preset ``name`` for a cohort of ``n_genes`` and ``n_tissues``.

    Raises
    ------
    ValueError
        If there is no such preset.
    """
    if name not in _PRESETS:
        raise ValueError(f"expected a preset out of {', '.join(_PRESETS)}, got {name!r}")
    return _PRESETS[name](n_genes, n_tissues)


def with_changes(config: RunConfig, changes: Mapping[str, str]) -> RunConfig:
    """Return ``config`` with single settings changed, such as ``{"training.epochs": "20"}``.

    Values are read as JSON, else as text.

    Raises
    ------
    ValueError
        If there is no such setting, or it cannot hold the value.
    """
    values = to_json(config)
    for path, text in changes.items():
        section, _, name = path.partition(".")
        if name not in values.get(section, {}):
            known = [f"{part}.{key}" for part, keys in values.items() for key in keys]
            near = get_close_matches(path, known, n=3, cutoff=0.4)
            raise ValueError(
                f"expected SECTION.SETTING out of {', '.join(values)}; got {path!r}"
                + (f". Did you mean {' or '.join(near)}?" if near else "")
            )
        try:
            values[section][name] = json.loads(text)
        except ValueError:
            values[section][name] = text
    return from_json(values)


def to_json(config: RunConfig) -> dict[str, Any]:
    """Return ``config`` as JSON values."""
    converter = cattrs.Converter(unstruct_collection_overrides={tuple: list})
    values: dict[str, Any] = converter.unstructure(config)
    return values


def from_json(values: dict[str, Any]) -> RunConfig:
    """Return the config that :func:`to_json` wrote.

    Raises
    ------
    ValueError
        If a field is missing, unknown or of the wrong kind.
    """
    converter = cattrs.Converter(forbid_extra_keys=True)
    try:
        return converter.structure(values, RunConfig)
    except cattrs.BaseValidationError as error:
        reasons = "; ".join(cattrs.transform_error(error, format_exception=_reason))
        raise ValueError(f"not the settings of a run: {reasons}") from error


def _reason(error: BaseException, kind: type | None) -> str:
    """Say why a value was refused; a config's own check has said it already."""
    if type(error) is ValueError and "expected" in str(error):
        return str(error)
    return cattrs.v.format_exception(error, kind)
