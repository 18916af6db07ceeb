"""A simulated cohort whose truth is known: for tests, tutorials and timing, never for results.

On the scale y = log2(1 + TPM), sample (donor n, tissue t), gene g:

    ``y[n, t, g] = mean[t, g] + factors[n] . loadings[t, :, g] + noise_sd[t, g] * e
    + private[n, t] . private_loadings[t, :, g] + own_sd[t, g] * u[n, g]
    + sum of effects[trait][t, g] * trait[n]``

with e, ``factors``, ``private`` and u standard normal. A donor's factors are the same in all
tissues; that is what makes one tissue predict another. Private factors are of one sample: genes go
together in it that tell nothing of other tissues. u, of a few genes, is the same in all tissues of
a donor, as the effect of a common variant is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.data.cohort.cohort import MINIMUM_TISSUES, finish_cohort
from mtm_core.data.gtex.annotations import HARDY_CLASSES, WHOLE_BLOOD, tissue_table
from mtm_core.errors import SelectionError

Floats = NDArray[np.float32]

# Alphabetic order would begin with three fats and arteries; a small cohort should be varied.
_FIRST_TISSUES = (
    WHOLE_BLOOD,
    "Muscle - Skeletal",
    "Liver",
    "Lung",
    "Brain - Cortex",
    "Heart - Left Ventricle",
    "Adipose - Subcutaneous",
    "Skin - Sun Exposed (Lower leg)",
)
_HARDY_FREQUENCIES = (0.5, 0.05, 0.25, 0.08, 0.12)  # about those of GTEx v8


@dataclass(frozen=True)
class DiseaseConfig:
    """A case/control contrast planted in a simulated cohort.

    Attributes
    ----------
    name
        Column of the donor table, named as dbGaP names medical history.
    case_fraction
        Share of the donors who are cases.
    tissues
        Tissues that the disease changes; ``None`` for all.
    n_genes
        Genes that it changes, the same in each of these tissues.
    log2_fold_change
        Size of the change: up in every other gene, down in the rest.
    factor_shift
        Of the cases' shared factors, in SDs, in a direction of its own: it changes all genes that
        the factors reach, in every tissue, as blood shows it.
    """

    name: str = "MHT2D"
    case_fraction: float = 0.4
    tissues: tuple[str, ...] | None = None
    n_genes: int = 8
    log2_fold_change: float = 1.0
    factor_shift: float = 0.0


@dataclass(frozen=True)
class SimulationConfig:
    """Settings of a simulation.

    Attributes
    ----------
    n_tissues
        2 to 54; whole blood is always one.
    n_genes
        Number of made-up genes; ignored if genes are given.
    shared_variance
        Share of a gene's variance within a tissue that the donor's factors explain; the rest is
        the sample's own. At 0 only traits connect tissues.
    common_loading
        Share of a loading's variance that all tissues have in common; the rest is the tissue's own.
    gene_sd
        SD of y within a tissue, before traits: of a gene, on average, log2 units.
    factor_decay
        A factor's share of variance, shared or private, falls with its number k as
        ``k**-factor_decay``.
    private_variance, n_private
        Share of a gene's variance within a tissue that private factors explain, and their number.
    own_variance, n_own_genes
        Share that a donor's own effect has of the genes that have one, and how many these are.
    tissue_sd
        SD of a gene's mean between tissues, log2 units.
    trait_effect
        SD of the effects of sex, of ten years of age and of death on a ventilator, each on a
        quarter of the genes, log2 units.
    silent_share
        Share of the genes of each tissue but blood that the donor's factors do not reach: what
        they would explain is the sample's own.
    presence
        Share of the donors who have the tissue: of the commonest (whole blood) and the rarest.
    """

    n_donors: int = 60
    n_tissues: int = 5
    n_genes: int = 40
    n_factors: int = 4
    shared_variance: float = 0.6
    common_loading: float = 0.5
    factor_decay: float = 0.0
    private_variance: float = 0.0
    n_private: int = 30
    own_variance: float = 0.0
    n_own_genes: int = 0
    gene_sd: float = 0.8
    tissue_sd: float = 1.5
    trait_effect: float = 0.3
    silent_share: float = 0.0
    presence: tuple[float, float] = (0.95, 0.5)
    disease: DiseaseConfig | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        n_known = len(tissue_table())
        if not 2 <= self.n_tissues <= n_known:
            raise ValueError(f"expected 2 to {n_known} tissues, got {self.n_tissues}")
        if min(self.n_donors, self.n_genes, self.n_factors) < 1:
            raise ValueError(
                "expected at least 1 donor, gene and factor, got"
                f" {self.n_donors}, {self.n_genes} and {self.n_factors}"
            )
        for name in (
            *("shared_variance", "common_loading", "private_variance", "own_variance"),
            "silent_share",
        ):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"expected {name} in [0, 1], got {getattr(self, name)}")
        explained = self.shared_variance + self.private_variance + self.own_variance
        if explained > 1:
            raise ValueError(
                f"expected shares of variance that sum to 1 or less, got {explained:g}"
            )
        if not 1 >= self.presence[0] >= self.presence[1] > 0:
            raise ValueError(f"expected presence 1 >= highest >= lowest > 0, got {self.presence}")


def simulate_cohort(
    config: SimulationConfig | None = None, *, genes: pd.DataFrame | None = None
) -> ad.AnnData:
    """Draw a cohort, in the layout of :mod:`mtm_core.data.cohort.cohort`.

    Letters: D donors, T tissues, K factors, G genes.

    Parameters
    ----------
    config
        ``None`` for the default.
    genes
        Indexed by gene id, with ``symbol`` and ``entrez``; ``None`` makes genes up.

    Returns
    -------
    anndata.AnnData
        TPM. ``uns["truth"]``, in the order of the donor and tissue tables: ``factors`` (D, K),
        ``loadings`` (T, K, G), ``mean`` and ``noise_sd`` (T, G), and ``effects``, a (T, G) array
        for each of ``male``, ``decade`` (ten years of age above 50), ``ventilator`` and ``case``;
        where genes have effects of their own, ``own_genes`` (positions), ``own_effects`` by donor.

    Raises
    ------
    SelectionError
        If the disease is planted in a tissue that is not simulated.
    """
    config = config or SimulationConfig()
    rng = np.random.default_rng(config.seed)
    genes = _made_up_genes(config.n_genes) if genes is None else genes
    tissues = _tissues(config.n_tissues)
    donors = _draw_donors(config, rng)

    truth = _draw_truth(config, tissues, len(genes), rng)
    traits = {
        "male": (donors["sex"] == "male").to_numpy(float),
        "decade": (donors["age"].to_numpy(float) - 50) / 10,
        "ventilator": (donors["hardy"] == 0).to_numpy(float),
    }
    if config.disease is not None:
        traits["case"] = donors[config.disease.name].to_numpy(float)
        effect = _disease_effect(config.disease, tissues, len(genes), rng)
        if config.disease.factor_shift:
            draws = np.random.default_rng((config.seed, 4))
            shift = draws.standard_normal(config.n_factors, dtype=np.float32)
            shift *= config.disease.factor_shift / np.linalg.norm(shift)
            effect += shift @ truth["loadings"]
        truth["effects"]["case"] = effect

    donor, tissue = np.nonzero(_draw_presence(config, tissues, rng))
    x = np.empty((len(donor), len(genes)), dtype=np.float32)
    for t in range(len(tissues)):  # a tissue at a time: a wide cohort's (D, T, G) would not fit
        rows = np.flatnonzero(tissue == t)
        who = donor[rows]
        y = truth["mean"][t] + truth["factors"][who] @ truth["loadings"][t]
        y += truth["noise_sd"][t] * rng.standard_normal(y.shape, dtype=np.float32)
        if config.private_variance:
            y += truth["sd"][t] * _private_variation(config, len(who), len(genes), t)
        if config.n_own_genes:
            of_own = truth["own_genes"]
            y[:, of_own] += truth["own_sd"][t] * truth["own_effects"][who]
        for name, effect in truth["effects"].items():
            y += np.outer(traits[name][who], effect[t])
        x[rows] = np.maximum(np.exp2(y) - 1, 0)

    names = tissue_table().loc[tissues, "abbreviation"].to_numpy()
    obs = pd.DataFrame(
        {
            "donor": donors.index.to_numpy()[donor],
            "tissue": pd.Categorical.from_codes(tissue, categories=tissues),
        },
        index=pd.Index(
            [f"{donors.index[d]}-{names[t]}" for d, t in zip(donor, tissue, strict=True)],
            name="sample",
        ),
    )
    var = genes[["symbol", "entrez"]].astype(str).assign(gene_type="protein_coding")
    var.index.name = "gene_id"
    cohort = finish_cohort(
        ad.AnnData(X=x, obs=obs, var=var), donors, unit="TPM", normalisation="none"
    )
    cohort.uns["truth"] = truth
    return cohort


def _made_up_genes(n_genes: int) -> pd.DataFrame:
    """Return ids in a range that Ensembl does not use, so that none is mistaken for a real gene."""
    numbers = range(1, n_genes + 1)
    return pd.DataFrame(
        {
            "symbol": [f"SIM{number}" for number in numbers],
            "entrez": [str(900_000_000 + number) for number in numbers],
        },
        index=[f"ENSG9{number:010d}.1" for number in numbers],
    )


def _tissues(n_tissues: int) -> list[str]:
    rest = [name for name in tissue_table().index if name not in _FIRST_TISSUES]
    return sorted([*_FIRST_TISSUES, *rest][:n_tissues])


def _draw_donors(config: SimulationConfig, rng: np.random.Generator) -> pd.DataFrame:
    """Draw phenotypes as they are read from GTEx's file of donors."""
    n = config.n_donors
    age = rng.integers(20, 80, size=n)
    decade = age // 10 * 10
    donors = pd.DataFrame(
        {
            "sex": np.where(rng.random(n) < 0.67, "male", "female"),
            "age": age.astype(float),
            "age_band": [f"{first}-{first + 9}" for first in decade],
            "hardy": rng.choice(list(HARDY_CLASSES), size=n, p=_HARDY_FREQUENCIES).astype(float),
        },
        index=pd.Index([f"SIM-{number:05d}" for number in range(1, n + 1)], name="donor"),
    )
    if config.disease is not None:
        # An exact number of cases: a small cohort must have some of each.
        case = rng.permutation(n) < round(config.disease.case_fraction * n)
        donors[config.disease.name] = pd.array(case, dtype="boolean")
    return donors


def _draw_truth(
    config: SimulationConfig, tissues: list[str], n_genes: int, rng: np.random.Generator
) -> dict[str, Any]:
    n_tissues, n_factors = len(tissues), config.n_factors
    sd = config.gene_sd * rng.uniform(0.5, 1.5, size=(n_tissues, n_genes))
    common = rng.normal(size=(n_factors, n_genes))
    own = rng.normal(size=(n_tissues, n_factors, n_genes))
    loadings = np.sqrt(config.common_loading) * common + np.sqrt(1 - config.common_loading) * own
    loadings *= _falling(n_factors, config.factor_decay)[:, None]
    # The factors' part of a gene's variance is then shared_variance exactly, in every tissue.
    loadings /= np.linalg.norm(loadings, axis=1, keepdims=True)
    mean = rng.normal(6, 2, size=n_genes) + rng.normal(0, config.tissue_sd, (n_tissues, n_genes))
    effects = {
        name: _trait_effect(config.trait_effect, n_tissues, n_genes, rng)
        for name in ("male", "decade", "ventilator")
    }
    own_genes, own_variance = np.arange(0), np.zeros(n_genes)
    extra: dict[str, Any] = {}
    if config.n_own_genes:
        draws = np.random.default_rng((config.seed, 1))
        own_genes = np.sort(draws.choice(n_genes, config.n_own_genes, replace=False))
        own_variance[own_genes] = config.own_variance
        shape = (config.n_donors, len(own_genes))
        extra = {
            "own_genes": own_genes,
            "own_effects": draws.standard_normal(shape, dtype=np.float32),
            "own_sd": (np.sqrt(config.own_variance) * sd[:, own_genes]).astype(np.float32),
        }
    shared = np.full((n_tissues, n_genes), config.shared_variance)
    if config.silent_share:
        silent = np.random.default_rng((config.seed, 3)).random(shared.shape) < config.silent_share
        silent[tissues.index(WHOLE_BLOOD)] = False
        shared[silent] = 0
    left = 1 - shared - config.private_variance - own_variance
    return {
        **extra,
        "sd": sd.astype(np.float32),
        "factors": rng.standard_normal((config.n_donors, n_factors), dtype=np.float32),
        "loadings": (np.sqrt(shared)[:, None, :] * sd[:, None, :] * loadings).astype(np.float32),
        "mean": np.maximum(mean, 0).astype(np.float32),
        "noise_sd": (np.sqrt(left) * sd).astype(np.float32),
        "effects": effects,
    }


def _falling(n: int, decay: float) -> Floats:
    """Return the sizes (n,) of factors whose shares of variance fall as ``k**-decay``."""
    return np.asarray(np.arange(1, n + 1) ** (-decay / 2), dtype=np.float32)


def _private_variation(config: SimulationConfig, n: int, n_genes: int, tissue: int) -> Floats:
    """Draw what private factors make of n samples (n, G), in units of a gene's SD."""
    draws = np.random.default_rng((config.seed, 2, tissue))
    loadings = draws.standard_normal((config.n_private, n_genes), dtype=np.float32)
    loadings *= _falling(config.n_private, config.factor_decay)[:, None]
    loadings /= np.linalg.norm(loadings, axis=0)
    factors = draws.standard_normal((n, config.n_private), dtype=np.float32)
    return np.asarray(np.sqrt(config.private_variance) * (factors @ loadings), dtype=np.float32)


def _trait_effect(size: float, n_tissues: int, n_genes: int, rng: np.random.Generator) -> Floats:
    """Draw an effect (T, G) on a quarter of the genes: one sign everywhere, a size by tissue."""
    by_gene = np.where(rng.random(n_genes) < 0.25, rng.normal(0, size, n_genes), 0)
    effect: Floats = (by_gene * rng.uniform(0.5, 1.5, (n_tissues, n_genes))).astype(np.float32)
    return effect


def _disease_effect(
    disease: DiseaseConfig, tissues: list[str], n_genes: int, rng: np.random.Generator
) -> Floats:
    """Return the log2 fold changes (T, G) of the disease."""
    changed = tissues if disease.tissues is None else list(disease.tissues)
    unknown = [name for name in changed if name not in tissues]
    if unknown:
        raise SelectionError.unknown("tissue", unknown, tissues)
    genes = rng.choice(n_genes, size=min(disease.n_genes, n_genes), replace=False)
    effect = np.zeros((len(tissues), n_genes), dtype=np.float32)
    signs = np.where(np.arange(len(genes)) % 2 == 0, 1, -1)
    effect[np.ix_(np.isin(tissues, changed), genes)] = signs * disease.log2_fold_change
    return effect


def _draw_presence(
    config: SimulationConfig, tissues: list[str], rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Draw who has which tissue (D, T): everyone at least two, every tissue at least one donor."""
    n_tissues = len(tissues)
    share = np.linspace(*config.presence, n_tissues)
    order = [WHOLE_BLOOD, *rng.permutation([name for name in tissues if name != WHOLE_BLOOD])]
    chance = share[[order.index(name) for name in tissues]]
    draw = rng.random((config.n_donors, n_tissues))
    present: NDArray[np.bool_] = draw < chance
    # Whoever has too few gets the tissues that were nearest to being drawn.
    nearest = np.argsort(draw / chance, axis=1)[:, :MINIMUM_TISSUES]
    present[np.arange(config.n_donors)[:, None], nearest] = True
    present[rng.integers(config.n_donors, size=n_tissues), np.arange(n_tissues)] = True
    return present
