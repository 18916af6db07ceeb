"""Single-task neural networks: one network for each pair of source and target, nothing shared.

There are two, trained in the same way: a plain multi-layer perceptron, and MTM's own encoder and
generator. The second separates the benefit of MTM's multi-task training from that of its layers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any

import anndata as ad
import cattrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mtm_core.config import Distance, ModelConfig, ScalingConfig
from mtm_core.methods.by_target import FittedByTarget, TrainingPairs
from mtm_core.methods.protocol import ALL_GENES, Floats, Genes
from mtm_core.methods.table import MethodRequest
from mtm_core.model.losses import individual_loss
from mtm_core.model.networks import (
    MAX_LAYERS,
    Encoder,
    Generator,
    check_sizes,
    check_weights,
)
from mtm_core.statistics.correlation import columnwise_correlation

if TYPE_CHECKING:  # predicting imports no training code
    from mtm_core.training.hardware import Precision


@dataclass(frozen=True)
class NetworkTraining:
    """Training of a single-task network: full batches, Adam, early stopping.

    Epochs, learning rate and betas are those of the paper. Its L1 distance is less accurate here,
    for both networks.

    Attributes
    ----------
    epochs
        Largest number of epochs.
    learning_rate, betas
        Settings of Adam.
    distance
        Loss between predicted and observed z-scores.
    held_out
        Share of the donors held out first, to choose the number of epochs.
    patience
        Number of epochs without a better held-out rho after which that search stops.
    seed
        Seed of initial weights and the held-out donors.
    precision
        Precision of matrix products in training. In bfloat16, an epoch of 19,291 genes takes less
        than half the time on a processor with instructions for it. Weights, losses and predictions
        of the trained network are in float32.
    """

    epochs: int = 1000
    learning_rate: float = 5e-4
    betas: tuple[float, float] = (0.5, 0.9)
    distance: Distance = "mse"
    held_out: float = 0.2
    patience: int = 50
    seed: int = 0
    precision: Precision = "32-true"


@dataclass(frozen=True)
class MLPMethod:
    """Multi-layer perceptron with Leaky ReLU for each target.

    Attributes
    ----------
    source
        Tissue to predict from.
    widths
        Widths of the hidden layers. The default suits tens of genes; the paper's encoder has
        (2048, 1024, 512).
    dropout
        Dropout rate.
    training
        How each network is trained.
    scaling
        How expression is turned into z-scores.
    """

    source: str = "Whole Blood"
    widths: tuple[int, ...] = (256, 256)
    dropout: float = 0.3
    training: NetworkTraining = field(default_factory=NetworkTraining)
    scaling: ScalingConfig = field(default_factory=ScalingConfig)
    name: str = "mlp"

    def fit(self, cohort: ad.AnnData, donors: Sequence[str]) -> FittedByTarget:
        """Fit each target on ``donors`` with source and target."""
        pairs = TrainingPairs.from_cohort(cohort, donors, source=self.source, scaling=self.scaling)
        n_genes = cohort.n_vars
        build = Perceptron((n_genes, *self.widths, n_genes), self.dropout)
        return pairs.fit(self.name, partial(fit_network, build, self.training))


@dataclass(frozen=True)
class SingleTaskMTMMethod:
    """MTM's encoder and generator, trained for one target at a time.

    Attributes
    ----------
    model
        Sizes of MTM; the number of tissues becomes 2, the source and the target.
    source
        Tissue to predict from.
    training
        How each network is trained.
    scaling
        How expression is turned into z-scores.
    """

    model: ModelConfig
    source: str = "Whole Blood"
    training: NetworkTraining = field(default_factory=NetworkTraining)
    scaling: ScalingConfig = field(default_factory=ScalingConfig)
    name: str = "single-task-mtm"

    def fit(self, cohort: ad.AnnData, donors: Sequence[str]) -> FittedByTarget:
        """Fit each target on ``donors`` with source and target."""
        pairs = TrainingPairs.from_cohort(cohort, donors, source=self.source, scaling=self.scaling)
        return pairs.fit(self.name, partial(fit_network, TwoTissueMTM(self.model), self.training))


class SingleTaskMTM(nn.Module):
    """MTM's encoder and generator for two tissues: 0, the source, and 1, the target."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        config = replace(config, n_tissues=2)
        self.encoder = Encoder(config)
        self.generator = Generator(config)

    def forward(self, z: Tensor) -> Tensor:
        """Predict z-scores (B, G) of the target from those of the source (B, G)."""
        source = torch.zeros(len(z), dtype=torch.long)
        profile: Tensor = self.generator(self.encoder(z, source), source + 1)
        return profile


def perceptron(widths: Sequence[int], dropout: float) -> nn.Sequential:
    """Return linear layers of ``widths``, each but the last followed by Leaky ReLU and dropout."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(widths):
        layers += [nn.Linear(n_in, n_out), nn.LeakyReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers[:-2])


@dataclass(frozen=True)
class Perceptron:
    """Builder of a :func:`perceptron` of these widths, which begin and end with the genes."""

    widths: tuple[int, ...]
    dropout: float

    def __call__(self) -> nn.Module:
        """Build an untrained network."""
        return perceptron(self.widths, self.dropout)


@dataclass(frozen=True)
class TwoTissueMTM:
    """Builder of a :class:`SingleTaskMTM` of these sizes."""

    config: ModelConfig

    def __call__(self) -> nn.Module:
        """Build an untrained network."""
        return SingleTaskMTM(self.config)


_BUILDERS: dict[str, type[Perceptron | TwoTissueMTM]] = {
    "perceptron": Perceptron,
    "single-task-mtm": TwoTissueMTM,
}


@dataclass(frozen=True)
class NetworkMap:
    """Trained network as a :class:`~mtm_core.methods.by_target.TargetModel`."""

    network: nn.Module
    build: Callable[[], nn.Module]

    @torch.inference_mode()
    def __call__(self, inputs: Floats, genes: Genes = ALL_GENES) -> Floats:
        """Predict z-scores (N, G), or those of ``genes``, from ``inputs`` (N, P)."""
        z: Floats = self.network(torch.tensor(inputs)).numpy()
        return z[:, genes]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the weights of the network, by name."""
        return {name: tensor.numpy() for name, tensor in self.network.state_dict().items()}

    def settings(self) -> dict[str, Any]:
        """Return the kind of network and its sizes."""
        kind = next(name for name, builder in _BUILDERS.items() if builder is type(self.build))
        return {"kind": kind, "sizes": cattrs.unstructure(self.build)}

    @classmethod
    def restore(
        cls,
        arrays: Mapping[str, NDArray[Any]],
        settings: Mapping[str, Any],
        n_inputs: int,
        n_genes: int,
    ) -> NetworkMap:
        """Restore from what :meth:`arrays` and :meth:`settings` returned.

        Raises
        ------
        ValueError
            If the network or its weights do not fit P inputs and G genes.
        """
        build = cattrs.structure(settings["sizes"], _BUILDERS[settings["kind"]])
        if isinstance(build, Perceptron):
            widths, ends = build.widths, (build.widths[0], build.widths[-1])
        else:
            widths = (*build.config.encoder_widths, *build.config.generator_widths)
            ends = (build.config.n_genes, build.config.n_genes)
            check_sizes(build.config)
        if ends != (n_inputs, n_genes) or len(widths) > MAX_LAYERS or min(widths) < 1:
            raise ValueError(f"a network of widths {widths[:5]}, for {n_inputs} inputs")
        with torch.device("meta"):  # no memory is allocated for sizes that a file claims
            network = build()
        weights = {n: torch.tensor(np.asarray(a)) for n, a in arrays.items()}
        check_weights(weights, network)
        network.load_state_dict(weights, assign=True)
        return cls(network.eval(), build)


def fit_network(
    build: Callable[[], nn.Module], training: NetworkTraining, inputs: Floats, z: Floats
) -> NetworkMap:
    """Train a network on ``inputs`` (n, P) and ``z`` (n, G) of n donors.

    It is trained on part of the donors to choose the number of epochs on the others, then again on
    all donors for that many epochs. The same seed gives the same network, whatever torch has drawn
    before; but not in concurrent threads, which share torch's generator.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        x, y = torch.tensor(inputs, dtype=_input_type(training)), torch.tensor(z)
        held_out, training_part = torch.randperm(len(x)).tensor_split(
            [max(1, round(training.held_out * len(x)))]
        )
        n_epochs = _best_epoch(
            build(),
            training,
            (x[training_part], y[training_part]),
            (x[held_out], y[held_out]),
        )
        network = build()
        for _ in islice(_train(network, training, x, y), n_epochs):
            pass
    return NetworkMap(network, build)


def _train(network: nn.Module, training: NetworkTraining, x: Tensor, y: Tensor) -> Iterator[int]:
    """Train ``network``; yield the epochs done after each, with the network in evaluation mode."""
    optimiser = torch.optim.Adam(
        network.parameters(), lr=training.learning_rate, betas=training.betas, fused=True
    )
    for epoch in range(1, training.epochs + 1):
        network.train()
        optimiser.zero_grad(set_to_none=True)
        predicted = _predict(network, training, x)
        torch.autograd.backward(individual_loss(predicted, y, training.distance))
        optimiser.step()
        network.eval()
        yield epoch


def _input_type(training: NetworkTraining) -> torch.dtype:
    """Return the type of the inputs, which are converted once and not in every epoch."""
    return torch.bfloat16 if training.precision == "bf16-mixed" else torch.float32


def _predict(network: nn.Module, training: NetworkTraining, x: Tensor) -> Tensor:
    """Predict z-scores, in float32, with matrix products of the chosen precision."""
    with torch.autocast("cpu", torch.bfloat16, enabled=training.precision == "bf16-mixed"):
        predicted: Tensor = network(x)
    return predicted.float()


def _best_epoch(
    network: nn.Module,
    training: NetworkTraining,
    training_part: tuple[Tensor, Tensor],
    held_out: tuple[Tensor, Tensor],
) -> int:
    """Return the epoch with the best gene-wise rho in held-out donors, the criterion of MTM."""
    best, best_rho = 1, -math.inf
    for epoch in _train(network, training, *training_part):
        with torch.no_grad():
            predicted = _predict(network, training, held_out[0])
        rho = float(np.nan_to_num(columnwise_correlation(predicted, held_out[1])).mean())
        if rho > best_rho:
            best, best_rho = epoch, rho
        elif epoch - best >= training.patience:
            break
    return best


def make(request: MethodRequest) -> MLPMethod | SingleTaskMTMMethod:
    """Make the network named in ``request``, trained in the precision of its hardware."""
    precision = "32-true" if request.hardware is None else request.hardware.precision
    training = NetworkTraining(precision=precision)
    if request.name == "mlp":
        return MLPMethod(request.source, training=training)
    config = request.config
    return SingleTaskMTMMethod(config.model, request.source, training, config.scaling)
