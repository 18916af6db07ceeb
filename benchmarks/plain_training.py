"""MTM's training step in plain PyTorch, from the paper: ``mtm_core.training`` is timed against it.

Nothing of ``mtm_core`` is used here. A ``Dataset`` of pairs behind a ``DataLoader``, one optimiser
with default settings for each side of the game, a pass through a network wherever an equation asks
for one, and each loss read back after each step: what one writes first, and correct.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.utils.data import DataLoader, Dataset


class PairDataset(Dataset[tuple[Tensor, ...]]):
    """Ordered same-donor pairs: (source log2, source z, source tissue, target z, target tissue)."""

    def __init__(self, log2: Tensor, z: Tensor, tissue: Tensor, donor: Sequence[int]) -> None:
        self.log2, self.z, self.tissue = log2, z, tissue
        by_donor: dict[int, list[int]] = {}
        for row, d in enumerate(donor):
            by_donor.setdefault(d, []).append(row)
        self.pairs = [(i, j) for rows in by_donor.values() for i in rows for j in rows if i != j]

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        i, j = self.pairs[index]
        return self.log2[i], self.z[i], self.tissue[i], self.z[j], self.tissue[j]


class TCM(nn.Module):
    """Linear, standardisation over units, the tissue's scale and shift, LeakyReLU, dropout."""

    def __init__(self, n_in: int, n_out: int, n_tissues: int, dropout: float, sn: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(n_in, n_out)
        if sn:
            self.linear = spectral_norm(self.linear)
        self.norm = nn.LayerNorm(n_out, elementwise_affine=False)
        self.scale = nn.Embedding(n_tissues, n_out)
        self.shift = nn.Embedding(n_tissues, n_out)
        nn.init.ones_(self.scale.weight)
        nn.init.zeros_(self.shift.weight)
        self.activation = nn.LeakyReLU()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, tissue: Tensor) -> Tensor:
        """Map (B, n_in) to (B, n_out) for ``tissue`` (B,)."""
        h = self.norm(self.linear(x))
        h = self.scale(tissue) * h + self.shift(tissue)
        return self.dropout(self.activation(h))


class TCMNetwork(nn.Module):
    """TCMs, then a linear layer: the encoder, the generator and the discriminator."""

    def __init__(
        self, widths: Sequence[int], n_out: int, n_tissues: int, dropout: float, sn: bool = False
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(TCM(a, b, n_tissues, dropout, sn) for a, b in pairwise(widths))
        self.last = nn.Linear(widths[-1], n_out)
        if sn:
            self.last = spectral_norm(self.last)

    def forward(self, x: Tensor, tissue: Tensor) -> Tensor:
        """Map (B, first width) to (B, n_out) for ``tissue`` (B,)."""
        for block in self.blocks:
            x = block(x, tissue)
        return self.last(x)


@dataclass(frozen=True)
class Sizes:
    """Widths of the networks; ``mtm_core.config.ModelConfig`` has the same fields."""

    n_genes: int
    n_tissues: int
    encoder_widths: tuple[int, ...]
    n_latent: int
    generator_widths: tuple[int, ...]
    discriminator_widths: tuple[int, ...]
    n_noise: int
    mapping_widths: tuple[int, ...]
    dropout: float


class PlainMTM(nn.Module):
    """The four networks. ``mean`` and ``sd`` (T, G) are of log2(1 + expression)."""

    def __init__(self, s: Sizes, mean: Tensor, sd: Tensor) -> None:
        super().__init__()
        self.sizes, self.mean, self.sd = s, mean, sd
        t, p = s.n_tissues, s.dropout
        self.encoder = TCMNetwork((s.n_genes, *s.encoder_widths), s.n_latent, t, p)
        self.generator = TCMNetwork((s.n_latent, *s.generator_widths), s.n_genes, t, p)
        self.discriminator = TCMNetwork((s.n_genes, *s.discriminator_widths), 1, t, 0.0, sn=True)
        layers: list[nn.Module] = []
        n_in = s.n_noise
        for n_out in s.mapping_widths:
            layers += [nn.Linear(n_in, n_out), nn.LeakyReLU(), nn.Dropout(p)]
            n_in = n_out
        self.mapping = nn.Sequential(*layers, nn.Linear(n_in, s.n_latent))

    def log2_of(self, z: Tensor, tissue: Tensor) -> Tensor:
        """Return log2(1 + expression) of z-scores (B, G) of ``tissue`` (B,)."""
        return F.relu(z * self.sd[tissue] + self.mean[tissue])


class PlainTraining:
    """The alternating game of section 2.2 of the paper, all six losses at weight 1."""

    def __init__(self, model: PlainMTM, learning_rate: float = 5e-4) -> None:
        self.model = model
        generator_side = [
            *model.encoder.parameters(),
            *model.generator.parameters(),
            *model.mapping.parameters(),
        ]
        kwargs: dict[str, Any] = {"lr": learning_rate, "betas": (0.5, 0.9)}
        self.optimiser_d = torch.optim.Adam(model.discriminator.parameters(), **kwargs)
        self.optimiser_g = torch.optim.Adam(generator_side, **kwargs)

    def loader(self, dataset: PairDataset, batch_size: int = 256) -> DataLoader[Any]:
        """Return shuffled batches of whole size."""
        return DataLoader(dataset, batch_size=batch_size, shuffle=True, drop_last=True)

    def step(self, batch: Sequence[Tensor], noise: Tensor, drawn: Tensor) -> dict[str, float]:
        """Take one D step and one E+G+M step; noise (B, Z), drawn (B,) tissues."""
        m = self.model
        x_s, z_s, s, z_t, t = batch

        fake = m.generator(m.mapping(noise), drawn).detach()
        real_s, real_t = m.discriminator(z_s, s), m.discriminator(z_t, t)
        on_real = F.relu(1 - torch.cat([real_s, real_t])).mean()
        loss_d = on_real + F.relu(1 + m.discriminator(fake, drawn)).mean()  # Eq 2
        self.optimiser_d.zero_grad()
        loss_d.backward()
        self.optimiser_d.step()

        z_t_hat = m.generator(m.encoder(x_s, s), t)
        individual = F.l1_loss(z_t_hat, z_t)  # Eq 4
        code_again = m.encoder(m.log2_of(z_t_hat, t), t)
        cycle = F.l1_loss(m.generator(code_again, s), z_s)  # Eq 5
        code = m.mapping(noise)
        fake = m.generator(code, drawn)
        latent = F.l1_loss(m.encoder(m.log2_of(fake, drawn), drawn), code)  # Eq 1
        adversarial = -m.discriminator(fake, drawn).mean()  # Eq 3
        total = individual + cycle + latent + adversarial  # Eq 6
        self.optimiser_g.zero_grad()
        total.backward()
        self.optimiser_g.step()
        return {
            "discriminator": loss_d.item(),
            "individual": individual.item(),
            "cycle": cycle.item(),
            "latent": latent.item(),
            "adversarial": adversarial.item(),
            "total": total.item(),
        }
