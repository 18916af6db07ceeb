"""A simulated cohort of GTEx's size whose truth is known, drawn a block of genes at a time.

On the scale y = log2(1 + TPM), donor n, tissue t, gene g::

    y = mean[t, g] + sd[t, g] * (shared + private + own + noise + effects of the donor's traits)

- *shared*: factors of the donor, the same in all tissues, of falling size; loadings half common to
  all tissues, half the tissue's own;
- *private*: factors of one sample, which tell nothing of other tissues;
- *own*: of some hundred genes, the dosage of a common variant, the same in all tissues;
- *traits*: sex, age, death on a ventilator and a disease, each of some genes; genes of Y and XIST
  are on in one sex alone.

A share of the genes is *silent*: nothing of theirs is the donor's. Where y falls below 0 the gene
is 0, as half of GTEx's values are. A block is a function of the seed and its number, so that
checks draw it again instead of storing it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float32]

BLOCK = 256
"""Genes drawn at once: 18 MB of values at full size."""
DISEASE, NO_DISEASE = "MHT2D", "MHASTHMA"
"""Columns of the donor table: one that changes genes, one that changes none."""
DISEASE_TISSUES = (
    "Adipose - Subcutaneous",
    "Adipose - Visceral (Omentum)",
    "Artery - Tibial",
    "Muscle - Skeletal",
    "Nerve - Tibial",
    "Pancreas",
)
_SYMBOLS_ON_Y = (
    "AMELY BPY2 CDY1 CDY2A DAZ1 DAZ2 DDX3Y EIF1AY KDM5D NLGN4Y PCDH11Y PRKY PRY RBMY1A1 RPS4Y1"
    " RPS4Y2 SRY TBL1Y TMSB4Y TSPY1 TTTY15 USP9Y UTY VCY ZFY"
)
Y_GENES = frozenset(_SYMBOLS_ON_Y.split())
_ON = 5.0
"""Mean of y of a gene of Y in males, and of XIST in females."""


@dataclass(frozen=True)
class Planted:
    """Sizes of what is planted; shares are of a gene's variance within a tissue.

    ``effect`` is the SD of a trait's effects over the genes that have one, in SD of the gene;
    ``disease_effect`` the size of the disease's, one sign for each gene.
    """

    seed: int = 0
    n_shared: int = 40
    shared_variance: float = 0.25
    n_private: int = 30
    private_variance: float = 0.30
    factor_decay: float = 1.0
    common_loading: float = 0.5
    n_own_genes: int = 400
    own_variance: float = 0.3
    silent: float = 0.15
    trait_genes: float = 0.1
    effect: float = 0.4
    n_disease_genes: int = 400
    disease_effect: float = 0.8
    case_fraction: float = 0.22


class Roles(NamedTuple):
    """Which genes have what, each (G,) in the order of the file."""

    modelled: NDArray[np.bool_]
    silent: NDArray[np.bool_]
    own: NDArray[np.intp]
    """Number among the genes of their own effect, -1 for the others."""
    male: NDArray[np.bool_]
    age: NDArray[np.bool_]
    ventilator: NDArray[np.bool_]
    disease: NDArray[np.bool_]
    on_y: NDArray[np.bool_]
    xist: NDArray[np.bool_]


class Block(NamedTuple):
    """Genes of one block: ``rows`` of the file; arrays (T, B) and (K, B) of the modelled ones."""

    rows: NDArray[np.intp]
    mean: Floats
    sd: Floats
    loadings: Floats
    private_loadings: Floats
    effects: dict[str, Floats]
    noise_sd: Floats


@dataclass
class PlantedCohort:
    """Donors, samples and genes, and what is drawn of them.

    Attributes
    ----------
    genes
        In the order of the file: ``gene_id``, ``symbol``, ``modelled`` (protein-coding).
    donors
        Indexed by donor: ``male``, ``age`` in years, ``hardy``, and the two diseases.
    samples
        In the order of the file: ``sample``, ``donor`` and ``tissue`` as positions.
    tissues
        Names, in the order of the positions.
    """

    config: Planted
    genes: pd.DataFrame
    donors: pd.DataFrame
    samples: pd.DataFrame
    tissues: tuple[str, ...]

    @property
    def n_blocks(self) -> int:
        """Number of blocks of genes."""
        return -(-len(self.genes) // BLOCK)

    @cached_property
    def roles(self) -> Roles:
        """Which genes have what."""
        return _draw_roles(self.config, self.genes)

    @cached_property
    def factors(self) -> Floats:
        """Shared factors (D, K) of the donors."""
        rng = self._rng(1)
        return rng.standard_normal((len(self.donors), self.config.n_shared), dtype=np.float32)

    @cached_property
    def private_factors(self) -> Floats:
        """Private factors (N, K) of the samples."""
        rng = self._rng(2)
        return rng.standard_normal((len(self.samples), self.config.n_private), dtype=np.float32)

    @cached_property
    def dosages(self) -> Floats:
        """Standardised dosages (D, O) of the variants behind genes' own effects."""
        rng = self._rng(3)
        n_own = int((self.roles.own >= 0).sum())
        frequency = rng.uniform(0.2, 0.5, n_own)
        dosage = rng.binomial(2, frequency, (len(self.donors), n_own))
        return np.asarray(
            (dosage - 2 * frequency) / np.sqrt(2 * frequency * (1 - frequency)), dtype=np.float32
        )

    @cached_property
    def traits(self) -> dict[str, Floats]:
        """Traits (D,) as effects are counted: decades of age are from 50 on."""
        donors = self.donors
        return {
            "male": donors["male"].to_numpy(np.float32),
            "age": (donors["age"].to_numpy(np.float32) - 50) / 10,
            "ventilator": (donors["hardy"] == 0).to_numpy(np.float32),
            "disease": donors[DISEASE].to_numpy(np.float32),
        }

    def block(self, number: int) -> Block:
        """Draw what the modelled genes of a block are made of."""
        config, roles = self.config, self.roles
        rows = np.arange(number * BLOCK, min((number + 1) * BLOCK, len(self.genes)))
        rows = rows[roles.modelled[rows]]
        rng = self._rng(10, number)
        n_tissues, n = len(self.tissues), len(rows)
        mean, sd = _draw_means(rng, n_tissues, n)
        by_sex = roles.on_y[rows] | roles.xist[rows]
        mean[:, by_sex], sd[:, by_sex] = -1.0, 0.4
        silent = roles.silent[rows]
        shared = _draw_loadings(rng, config, n_tissues, n)
        shared *= np.sqrt(config.shared_variance) * ~silent
        private = rng.standard_normal((n_tissues, config.n_private, n), dtype=np.float32)
        private *= _falling(config.n_private, config.factor_decay)[:, None]
        private *= np.sqrt(config.private_variance) / np.linalg.norm(private, axis=1)[:, None]
        left = 1 - config.private_variance - config.shared_variance * ~silent
        left -= config.own_variance * (roles.own[rows] >= 0)
        effects = {
            name: _draw_effects(rng, config.effect, n_tissues, getattr(roles, name)[rows])
            for name in ("male", "age", "ventilator")
        }
        effects["male"] += (1 + _ON) / 0.4 * (roles.on_y[rows] * 1.0 - roles.xist[rows])
        mean[:, roles.xist[rows]] += 1 + _ON
        sign = rng.choice(np.float32([-1, 1]), n) * config.disease_effect
        changed = np.isin(self.tissues, DISEASE_TISSUES)
        effects["disease"] = np.outer(changed, sign * roles.disease[rows]).astype(np.float32)
        noise_sd = np.sqrt(left).astype(np.float32)
        return Block(rows, mean, sd, shared, private, effects, noise_sd)

    def signal(self, block: Block, tissue: int, donors: NDArray[np.intp]) -> Floats:
        """Return what of ``donors`` steers the block's genes in ``tissue``, (n, B) in y.

        Factors and own effects: what another tissue can tell of this one beside traits.
        """
        z = self.factors[donors] @ block.loadings[tissue]
        own = self.roles.own[block.rows]
        has = own >= 0
        z[:, has] += np.sqrt(self.config.own_variance) * self.dosages[np.ix_(donors, own[has])]
        return np.asarray(z * block.sd[tissue], dtype=np.float32)

    def trait_part(self, block: Block, tissue: int, donors: NDArray[np.intp]) -> Floats:
        """Return effects of ``donors``' traits on the block's genes in ``tissue``, (n, B) in y."""
        part = np.zeros((len(donors), len(block.rows)), dtype=np.float32)
        for name, effect in block.effects.items():
            part += np.outer(self.traits[name][donors], effect[tissue])
        return np.asarray(part * block.sd[tissue], dtype=np.float32)

    def values(self, number: int, block: Block | None = None) -> Floats:
        """Draw y (N, B) of all genes of a block in all samples, modelled or not."""
        block = self.block(number) if block is None else block
        start = number * BLOCK
        n = min(BLOCK, len(self.genes) - start)
        rng = self._rng(11, number)
        tissue, donor = self.samples["tissue"].to_numpy(), self.samples["donor"].to_numpy()
        y = np.empty((len(self.samples), n), dtype=np.float32)
        others = np.setdiff1d(np.arange(n), block.rows - start)
        y[:, others] = self._other_genes(rng, start + others, tissue, donor)
        for t in range(len(self.tissues)):
            rows = np.flatnonzero(tissue == t)
            if not len(rows):
                continue
            of = donor[rows]
            z = rng.standard_normal((len(rows), len(block.rows)), dtype=np.float32)
            z *= block.noise_sd
            z += self.private_factors[rows] @ block.private_loadings[t]
            z *= block.sd[t]
            z += block.mean[t]
            z += self.signal(block, t, of)
            z += self.trait_part(block, t, of)
            y[rows[:, None], block.rows - start] = z
        return y

    def _other_genes(
        self,
        rng: np.random.Generator,
        genes: NDArray[np.intp],
        tissue: NDArray[np.intp],
        donor: NDArray[np.intp],
    ) -> Floats:
        """Draw genes that nobody models: mostly off, but XIST."""
        mean = rng.normal(-1.2, 1.6, len(genes)).astype(np.float32)
        by_tissue = rng.normal(0, 0.7, (len(self.tissues), len(genes))).astype(np.float32) + mean
        xist = self.roles.xist[genes]
        by_tissue[:, xist] = _ON
        y = by_tissue[tissue]
        y += 0.6 * rng.standard_normal(y.shape, dtype=np.float32)
        if xist.any():
            y[:, xist] -= (_ON + 3) * self.traits["male"][donor][:, None]
        return y

    def _rng(self, *key: int) -> np.random.Generator:
        return np.random.default_rng((self.config.seed, *key))

    def save(self, path: Path) -> None:
        """Write the truth as ``.npz``, without pickle."""
        arrays: dict[str, NDArray[np.generic]] = {"tissues": np.array(self.tissues)}
        for name in ("genes", "donors", "samples"):
            table = getattr(self, name).reset_index()
            for column in table.columns:
                values = table[column].to_numpy()
                arrays[f"{name}/{column}"] = (
                    values.astype(str) if values.dtype == object else values
                )
        for name, value in asdict(self.config).items():
            arrays[f"config/{name}"] = np.array(value)
        np.savez_compressed(path, **arrays)

    @classmethod
    def load(cls, path: Path) -> PlantedCohort:
        """Read what :meth:`save` wrote."""
        with np.load(path) as arrays:
            tables: dict[str, dict[str, NDArray[np.generic]]] = {}
            for key in arrays.files:
                name, _, column = key.partition("/")
                tables.setdefault(name, {})[column] = arrays[key]
        kinds = {field.name: type(field.default) for field in fields(Planted)}
        config = {name: kinds[name](value) for name, value in tables["config"].items()}
        frames = {
            name: pd.DataFrame(tables[name]).drop(columns="index", errors="ignore")
            for name in ("genes", "donors", "samples")
        }
        frames["donors"] = frames["donors"].set_index("donor")
        return cls(Planted(**config), **frames, tissues=tuple(map(str, tables["tissues"][""])))


def _draw_roles(config: Planted, genes: pd.DataFrame) -> Roles:
    rng = np.random.default_rng((config.seed, 4))
    modelled = genes["modelled"].to_numpy(bool)
    copy = genes["gene_id"].str.endswith("_PAR_Y").to_numpy(bool)
    on_y = genes["symbol"].isin(Y_GENES).to_numpy(bool) & ~copy
    xist = (genes["symbol"] == "XIST").to_numpy(bool)
    free = modelled & ~on_y & ~xist
    silent = free & (rng.random(len(genes)) < config.silent)
    steered = free & ~silent

    def some(n: int) -> NDArray[np.bool_]:
        at = rng.choice(np.flatnonzero(steered), min(n, int(steered.sum()) // 4), replace=False)
        return np.isin(np.arange(len(genes)), at)

    share = modelled.sum() / 19_291
    n_trait = round(config.trait_genes * steered.sum())
    own = some(max(round(config.n_own_genes * share), 4))
    number = np.where(own, np.cumsum(own) - 1, -1)
    disease = some(max(round(config.n_disease_genes * share), 4))
    return Roles(
        modelled, silent, number, some(n_trait), some(n_trait), some(n_trait), disease, on_y, xist
    )


def _draw_means(rng: np.random.Generator, n_tissues: int, n: int) -> tuple[Floats, Floats]:
    """Draw mean and SD (T, B) of y: a quarter of the genes is off but for single tissues."""
    off = rng.random(n) < 0.25
    base = np.where(off, rng.normal(-0.3, 0.6, n), rng.normal(4.5, 1.7, n))
    mean = base + rng.normal(0, 0.7, (n_tissues, n))
    mean += np.where(rng.random((n_tissues, n)) < 0.03, rng.normal(4, 1, (n_tissues, n)), 0)
    sd = 0.7 * rng.uniform(0.5, 1.5, n) * rng.uniform(0.7, 1.3, (n_tissues, n))
    return mean.astype(np.float32), (sd * np.clip(mean / 2, 0.1, 1)).astype(np.float32)


def _draw_loadings(rng: np.random.Generator, config: Planted, n_tissues: int, n: int) -> Floats:
    """Draw shared loadings (T, K, B) whose part of a gene's variance is 1."""
    common = rng.standard_normal((config.n_shared, n), dtype=np.float32)
    loadings = rng.standard_normal((n_tissues, config.n_shared, n), dtype=np.float32)
    loadings *= np.sqrt(1 - config.common_loading)
    loadings += np.sqrt(config.common_loading) * common
    loadings *= _falling(config.n_shared, config.factor_decay)[:, None]
    loadings /= np.linalg.norm(loadings, axis=1, keepdims=True)
    return np.asarray(loadings, dtype=np.float32)


def _draw_effects(
    rng: np.random.Generator, size: float, n_tissues: int, has: NDArray[np.bool_]
) -> Floats:
    """Draw effects (T, B) in SD of the gene: one sign in all tissues, a size by tissue."""
    by_gene = np.where(has, rng.normal(0, size, len(has)), 0)
    return (by_gene * rng.uniform(0.5, 1.5, (n_tissues, len(has)))).astype(np.float32)


def _falling(n: int, decay: float) -> Floats:
    return np.asarray(np.arange(1, n + 1) ** (-decay / 2), dtype=np.float32)
