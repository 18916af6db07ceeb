"""The arithmetic of a training step, counted from the widths of the networks."""

from __future__ import annotations

from itertools import pairwise

from mtm_core.config import ModelConfig


def flops_a_pair(model: ModelConfig) -> float:
    """Count the operations of the products of one pair in a step, all six losses.

    Forward two a weight; backward two for the weight's gradient and two for the input's, which
    needs none where the input is data. The discriminator's weights get none in the second step.
    """
    encoder = _weights((model.n_genes, *model.encoder_widths, model.n_latent))
    generator = _weights((model.n_latent, *model.generator_widths, model.n_genes))
    discriminator = _weights((model.n_genes, *model.discriminator_widths, 1))
    first_e = model.n_genes * model.encoder_widths[0]
    first_d = model.n_genes * model.discriminator_widths[0]
    d_step = 2 * generator + 3 * (6 * discriminator - 2 * first_d)
    g_step = 3 * 6 * encoder - 2 * first_e + 3 * 6 * generator + 4 * discriminator
    return float(d_step + g_step)


def _weights(widths: tuple[int, ...]) -> int:
    return sum(a * b for a, b in pairwise(widths))
