"""Neural networks of one task (S3): from one source to one target, nothing shared.

Two of them, trained alike: a plain multi-layer perceptron, and MTM's own encoder and generator.
The second is MTM without its many tasks, so that what those bring is not taken for what its layers
bring.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice, pairwise
from typing import Any

import anndata as ad
import cattrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mtm_core.config import Distance, ModelConfig, ScalingConfig
from mtm_core.methods.by_target import FittedByTarget, TrainingPairs
from mtm_core.methods.protocol import ALL_GENES, Floats, Genes
from mtm_core.methods.table import Wanted
from mtm_core.model.losses import individual_loss
from mtm_core.model.networks import (
    MOST_LAYERS,
    Encoder,
    Generator,
    check_sizes,
    check_weights,
)
from mtm_core.statistics.correlation import columnwise_correlation


@dataclass(frozen=True)
class NetworkTraining:
    """How a network of one task is trained: full batches, Adam, early stopping.

    The paper gives epochs, rate and betas. Its L1 distance does worse here, for both networks.

    Attributes
    ----------
    held_out
        Share of the donors that first tell how many epochs to train.
    patience
        Epochs without a better held-out rho before that search stops.
    """

    epochs: int = 1000
    learning_rate: float = 5e-4
    betas: tuple[float, float] = (0.5, 0.9)
    distance: Distance = "mse"
    held_out: float = 0.2
    patience: int = 50
    seed: int = 0


@dataclass(frozen=True)
class MLPMethod:
    """A multi-layer perceptron with Leaky ReLU for each target.

    ``widths`` are for a panel of tens of genes; the paper's encoder has (2048, 1024, 512).
    """

    source: str = "Whole Blood"
    widths: tuple[int, ...] = (256, 256)
    dropout: float = 0.3
    training: NetworkTraining = field(default_factory=NetworkTraining)
    scaling: ScalingConfig = field(default_factory=ScalingConfig)
    name: str = "mlp"

    def fit(self, cohort: ad.AnnData, donors: Sequence[str]) -> FittedByTarget:
        """Fit on the pairs (source, target) of ``donors``."""
        pairs = TrainingPairs.of(cohort, donors, source=self.source, scaling=self.scaling)
        n_genes = cohort.n_vars
        build = Perceptron((n_genes, *self.widths, n_genes), self.dropout)
        return pairs.fit(self.name, partial(fit_network, build, self.training))


@dataclass(frozen=True)
class SingleTaskMTMMethod:
    """MTM's encoder and generator for each target, on pairs (source, target) alone.

    ``model`` is MTM's; of its tissues only two are left, the source and the target.
    """

    model: ModelConfig
    source: str = "Whole Blood"
    training: NetworkTraining = field(default_factory=NetworkTraining)
    scaling: ScalingConfig = field(default_factory=ScalingConfig)
    name: str = "single-task-mtm"

    def fit(self, cohort: ad.AnnData, donors: Sequence[str]) -> FittedByTarget:
        """Fit on the pairs (source, target) of ``donors``."""
        pairs = TrainingPairs.of(cohort, donors, source=self.source, scaling=self.scaling)
        return pairs.fit(self.name, partial(fit_network, TwoTissueMTM(self.model), self.training))


class SingleTaskMTM(nn.Module):
    """MTM's encoder and generator between two tissues: 0, the source, and 1, the target."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        config = replace(config, n_tissues=2)
        self.encoder = Encoder(config)
        self.generator = Generator(config)

    def forward(self, z: Tensor) -> Tensor:
        """Predict the target's z-scores (B, G) from the source's (B, G)."""
        source = torch.zeros(len(z), dtype=torch.long)
        profile: Tensor = self.generator(self.encoder(z, source), source + 1)
        return profile


def perceptron(widths: Sequence[int], dropout: float) -> nn.Sequential:
    """Return linear layers between ``widths``, Leaky ReLU and dropout after all but the last."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(widths):
        layers += [nn.Linear(n_in, n_out), nn.LeakyReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers[:-2])


@dataclass(frozen=True)
class Perceptron:
    """Builds :func:`perceptron` of these sizes, genes at both ends."""

    widths: tuple[int, ...]
    dropout: float

    def __call__(self) -> nn.Module:
        """Return a fresh one."""
        return perceptron(self.widths, self.dropout)


@dataclass(frozen=True)
class TwoTissueMTM:
    """Builds :class:`SingleTaskMTM` of these sizes."""

    config: ModelConfig

    def __call__(self) -> nn.Module:
        """Return a fresh one."""
        return SingleTaskMTM(self.config)


_BUILDERS: dict[str, type[Perceptron | TwoTissueMTM]] = {
    "perceptron": Perceptron,
    "single-task-mtm": TwoTissueMTM,
}


@dataclass(frozen=True)
class NetworkMap:
    """A trained network as a :data:`~mtm_core.methods.by_target.TargetModel`."""

    network: nn.Module
    build: Callable[[], nn.Module]

    @torch.inference_mode()
    def __call__(self, inputs: Floats, genes: Genes = ALL_GENES) -> Floats:
        """Map ``inputs`` (N, P) to z-scores (N, G), or of some genes."""
        z: Floats = self.network(torch.tensor(inputs)).numpy()
        return z[:, genes]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the weights."""
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
        """Put together what :meth:`arrays` and :meth:`settings` gave, of P inputs and G genes.

        Raises
        ------
        ValueError
            If the weights are of other sizes.
        """
        build = cattrs.structure(settings["sizes"], _BUILDERS[settings["kind"]])
        if isinstance(build, Perceptron):
            widths, ends = build.widths, (build.widths[0], build.widths[-1])
        else:
            widths = (*build.config.encoder_widths, *build.config.generator_widths)
            ends = (build.config.n_genes, build.config.n_genes)
            check_sizes(build.config)
        if ends != (n_inputs, n_genes) or len(widths) > MOST_LAYERS or min(widths) < 1:
            raise ValueError(f"a network of widths {widths[:5]}, for {n_inputs} inputs")
        with torch.device("meta"):  # nothing is allocated for sizes that somebody wrote
            network = build()
        weights = {n: torch.tensor(np.asarray(a)) for n, a in arrays.items()}
        check_weights(weights, network)
        network.load_state_dict(weights, assign=True)
        return cls(network.eval(), build)


def fit_network(
    build: Callable[[], nn.Module], training: NetworkTraining, inputs: Floats, z: Floats
) -> NetworkMap:
    """Train a network on ``inputs`` (n, P) and ``z`` (n, G) of n donors.

    First on part of the donors, to see on the others after how many epochs to stop; then, anew and
    for that long, on all. The same seed gives the same network, whatever torch has drawn before.
    Not so in threads side by side, which share torch's generator; joblib's processes do not.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        x, y = torch.tensor(inputs), torch.tensor(z)
        held, learnt = torch.randperm(len(x)).tensor_split(
            [max(1, round(training.held_out * len(x)))]
        )
        n_epochs = _best_epoch(build(), training, (x[learnt], y[learnt]), (x[held], y[held]))
        network = build()
        for _ in islice(_train(network, training, x, y), n_epochs):
            pass
    return NetworkMap(network, build)


def _train(network: nn.Module, training: NetworkTraining, x: Tensor, y: Tensor) -> Iterator[int]:
    """Train ``network``, in evaluation mode again after each epoch: the epochs done so far."""
    optimiser = torch.optim.Adam(
        network.parameters(), lr=training.learning_rate, betas=training.betas
    )
    for epoch in range(1, training.epochs + 1):
        network.train()
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(individual_loss(network(x), y, training.distance))
        optimiser.step()
        network.eval()
        yield epoch


def _best_epoch(
    network: nn.Module,
    training: NetworkTraining,
    learnt: tuple[Tensor, Tensor],
    held_out: tuple[Tensor, Tensor],
) -> int:
    """Return the epoch that predicts the held-out donors best, by gene-wise rho as MTM's own."""
    best, best_rho = 1, -math.inf
    for epoch in _train(network, training, *learnt):
        with torch.no_grad():
            predicted = network(held_out[0])
        rho = float(np.nan_to_num(columnwise_correlation(predicted, held_out[1])).mean())
        if rho > best_rho:
            best, best_rho = epoch, rho
        elif epoch - best >= training.patience:
            break
    return best


def make(wanted: Wanted) -> MLPMethod | SingleTaskMTMMethod:
    """Make one of the two methods, by its name."""
    if wanted.name == "mlp":
        return MLPMethod(wanted.source)
    config = wanted.config
    return SingleTaskMTMMethod(config.model, wanted.source, scaling=config.scaling)
