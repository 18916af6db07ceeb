"""An example for any model: people who do not exist, drawn gene by gene from its reference."""

from __future__ import annotations

from dataclasses import dataclass
from io import SEEK_END, BytesIO

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv
from scipy.special import ndtr

from mtm_core.artefact import Artefact
from mtm_core.data.gtex.annotations import WHOLE_BLOOD
from mtm_core.errors import SelectionError
from mtm_core.inference.marker_genes import Markers, find_markers
from mtm_core.methods.protocol import tissue_index
from mtm_core.model_reference import QUANTILE_LEVELS

N_CASES, N_CONTROLS = 12, 12
N_CHANGED, LOG2_FOLD_CHANGE = 8, 0.8
_IN_COMMON = 0.3
"""Share of the variance that genes have in common."""
_LOWEST, _HIGHEST = 0.05, 0.95
"""Quantiles of the donors between which people are drawn."""
_OF_ONE_SEX = 0.25
"""Share of the donors of a tissue of both sexes that are surely of one sex, at either end of a gene
that differs by sex: about a third of GTEx's donors are women."""
SIMULATED_TABLE, SIMULATED_METADATA = "simulated_example.tsv", "simulated_metadata.tsv"


@dataclass(frozen=True)
class Example:
    """Simulated samples as a user would bring them.

    Attributes
    ----------
    table, metadata
        Tab-separated text: genes in rows, linear expression in the model's unit; group, sex and
        age of each sample.
    source
        Tissue that they stand for.
    """

    table: bytes
    metadata: bytes
    source: str


def default_source(artefact: Artefact) -> str:
    """Return the tissue that samples are most likely of: blood, else what most donors gave."""
    tissues = artefact.method.tissues
    if WHOLE_BLOOD in tissues:
        return WHOLE_BLOOD
    n_samples = pd.to_numeric(artefact.tissues["n_samples"], errors="coerce").fillna(0)
    return str(n_samples.reindex(tissues).fillna(0).idxmax())


def simulate_example(artefact: Artefact, source: str | None = None, *, seed: int = 0) -> Example:
    """Draw 12 cases and 12 controls of ``source`` for the genes of a model.

    Each gene is drawn between the 5 % and the 95 % quantile of the donors of that tissue; no
    donor's row is known here. Genes go together as the model takes them to, where it can tell:
    people drawn gene by gene would have nothing that another tissue could be predicted from. Cases
    have a change of 0.8 log2 units in eight of the genes that are expressed and vary least, up in
    every other. Sex and age are drawn at random. Sex shows in XIST and the genes of the Y
    chromosome if the model has them; age has no effect. The same model, source and seed give the
    same bytes.

    Raises
    ------
    SelectionError
        If the model does not know ``source``; ``None`` takes :func:`default_source`.
    """
    source = source or default_source(artefact)
    quantiles = artefact.reference.expression[:, tissue_index(artefact.method.tissues, source)]
    if artefact.method.scaler.scale == "linear":
        quantiles = np.log2(1 + quantiles)
    rng = np.random.default_rng(seed)
    n = N_CASES + N_CONTROLS
    places = _places(artefact, source, n, rng)
    is_case = rng.permutation(n) < N_CASES
    sex = rng.choice(["male", "female"], size=n)
    _place_by_sex(places, find_markers(list(artefact.genes.index)), sex == "male")
    log2 = _drawn(np.nan_to_num(quantiles.astype(np.float64)), places)
    for number, gene in enumerate(_changed(quantiles)):
        log2[is_case, gene] += LOG2_FOLD_CHANGE if number % 2 == 0 else -LOG2_FOLD_CHANGE
    names = pd.Index([f"SIM-{number:03d}" for number in range(1, n + 1)], name="sample")
    linear = pd.DataFrame(
        np.maximum(2**log2 - 1, 0).T,
        index=pd.Index(artefact.genes.index.astype(str), name="gene_id"),
        columns=names,
    )
    metadata = pd.DataFrame(
        {
            "group": np.where(is_case, "case", "control"),
            "sex": sex,
            "age": rng.integers(25, 76, size=n),
        },
        index=names,
    )
    return Example(
        _as_text(linear),
        metadata.to_csv(sep="\t", lineterminator="\n").encode(),
        source,
    )


def _as_text(linear: pd.DataFrame) -> bytes:
    """Write a table of numbers as tab-separated text, to four decimals: pandas takes seconds."""
    rounded = pa.Table.from_pandas(linear.round(4).reset_index(), preserve_index=False)
    buffer = BytesIO("\t".join(rounded.column_names).encode() + b"\n")
    buffer.seek(0, SEEK_END)
    csv.write_csv(rounded, buffer, csv.WriteOptions(include_header=False, delimiter="\t"))
    return buffer.getvalue()


def _places(
    artefact: Artefact, source: str, n: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw where each of ``n`` people lies among the donors, gene by gene, from 0.05 to 0.95.

    Part of it is what the model makes of another tissue drawn at random: its own idea of how genes
    of ``source`` go together.
    """
    shape = (n, len(artefact.genes))
    z = rng.standard_normal(shape)
    other = next((tissue for tissue in artefact.method.tissues if tissue != source), source)
    drawn = rng.standard_normal(shape).astype(np.float32)
    try:
        common = artefact.method.predict({other: drawn}, source).mean.astype(np.float64)
    except SelectionError:  # a method that starts from one tissue alone
        common = np.zeros(shape)
    common -= common.mean(axis=0)
    size = common.std()
    if np.isfinite(size) and size > 0:
        z = np.sqrt(_IN_COMMON) * common / size + np.sqrt(1 - _IN_COMMON) * z
    places: NDArray[np.float64] = _LOWEST + (_HIGHEST - _LOWEST) * ndtr(z)
    return places


def _place_by_sex(
    places: NDArray[np.float64], markers: Markers, is_male: NDArray[np.bool_]
) -> None:
    """Move people to their sex's end of the donors, in place, in the genes that differ by sex."""
    for kind in ("XIST", "Y"):
        genes = markers[kind]
        is_high = is_male if kind == "Y" else ~is_male
        share = (places[:, genes] - _LOWEST) / (_HIGHEST - _LOWEST)
        low = _LOWEST + (_OF_ONE_SEX - _LOWEST) * share
        high = 1 - _OF_ONE_SEX + (_HIGHEST - 1 + _OF_ONE_SEX) * share
        places[:, genes] = np.where(is_high[:, None], high, low)


def _drawn(quantiles: NDArray[np.float64], u: NDArray[np.float64]) -> NDArray[np.float64]:
    """Draw people at places ``u`` (n, genes) of ``quantiles`` (levels, genes) by interpolation."""
    levels = np.array(QUANTILE_LEVELS)
    above = np.searchsorted(levels, u)
    genes = np.arange(quantiles.shape[1])
    low, high = quantiles[above - 1, genes], quantiles[above, genes]
    share = (u - levels[above - 1]) / (levels[above] - levels[above - 1])
    return np.asarray(low + share * (high - low))


def _changed(quantiles: NDArray[np.float32]) -> NDArray[np.intp]:
    """Choose the genes of the planted effect: of those expressed, the ones that vary least."""
    median = quantiles[QUANTILE_LEVELS.index(0.5)]
    spread = quantiles[QUANTILE_LEVELS.index(0.75)] - quantiles[QUANTILE_LEVELS.index(0.25)]
    candidates = np.flatnonzero((median >= np.median(median)) & (spread > 0))
    return candidates[np.argsort(spread[candidates], kind="stable")][:N_CHANGED]
