"""Gene sets and networks as bytes, from one process to another: JSON, never a pickle."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from mtm_core.data.gene_sets.gmt import MOST_MEMBERS, MOST_SETS, GeneSets
from mtm_core.data.gene_sets.networks import Network

T = TypeVar("T")


def pack_sets(sets: GeneSets) -> bytes:
    """Return the content of ``sets``: each gene once, and sets as places in the list of genes."""
    place = {gene: i for i, gene in enumerate(sets.genes)}
    about = {
        "sets": sets.sets,
        "descriptions": sets.descriptions,
        "genes": list(place),
        "members": [[place[gene] for gene in members] for members in sets.members],
        "digest": sets.digest,
    }
    return json.dumps(about).encode()


def unpack_sets(packed: bytes, name: str) -> GeneSets:
    """Read what :func:`pack_sets` wrote, and trust nothing of it.

    Raises
    ------
    ValueError
        If it is none of that.
    """

    def read(about: dict[str, object]) -> GeneSets:
        genes, titles = _names(about, "genes"), _names(about, "sets")
        descriptions = _names(about, "descriptions", unique=False)
        members = [_places(one, len(genes)) for one in _list(about, "members")]
        if not len(titles) == len(descriptions) == len(members) <= MOST_SETS:
            raise ValueError("lengths")
        return GeneSets(
            name,
            titles,
            descriptions,
            tuple(tuple(genes[i] for i in places) for places in members),
            name,
            str(about["digest"]),
        )

    return _read(packed, read)


def pack_network(network: Network) -> bytes:
    """Return the content of ``network``."""
    about = {
        "sources": network.sources,
        "targets": network.targets,
        "source_of": network.source_of.tolist(),
        "target_of": network.target_of.tolist(),
        "weights": network.weights.tolist(),
        "digest": network.digest,
    }
    return json.dumps(about).encode()


def unpack_network(packed: bytes, name: str) -> Network:
    """Read what :func:`pack_network` wrote, and trust nothing of it.

    Raises
    ------
    ValueError
        If it is none of that.
    """

    def read(about: dict[str, object]) -> Network:
        sources, targets = _names(about, "sources"), _names(about, "targets")
        weights = [float(str(weight)) for weight in _list(about, "weights")]
        source_of = _places(about["source_of"], len(sources))
        target_of = _places(about["target_of"], len(targets))
        if not len(source_of) == len(target_of) == len(weights) <= MOST_MEMBERS:
            raise ValueError("lengths")
        if not all(map(math.isfinite, weights)):
            raise ValueError("weights")
        return Network(
            name,
            sources,
            targets,
            np.array(source_of, dtype=np.int64),
            np.array(target_of, dtype=np.int64),
            np.array(weights, dtype=np.float64),
            name,
            str(about["digest"]),
        )

    return _read(packed, read)


def _read(packed: bytes, read: Callable[[dict[str, object]], T]) -> T:
    try:
        return read(json.loads(packed))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"no gene sets: {error}") from error


def _list(about: dict[str, object], key: str) -> list[object]:
    values = about[key]
    if not isinstance(values, list):
        raise TypeError(key)
    return values


def _names(about: dict[str, object], key: str, *, unique: bool = True) -> tuple[str, ...]:
    names = _list(about, key)
    if not all(isinstance(name, str) for name in names):
        raise TypeError(key)
    if unique and len(set(names)) < len(names):
        raise ValueError(f"{key} that are there twice")
    return tuple(map(str, names))


def _places(values: object, n: int) -> list[int]:
    if not isinstance(values, list) or not all(type(v) is int and 0 <= v < n for v in values):
        raise ValueError("places")
    return values
