"""Predicted samples that are decoded tissue by tissue, when they are looked at.

What all tissues share (a sample's codes) is worked out at once. Of 100 samples x 48 tissues x
19,291 genes that is a few MB, where the four float32 of each value are 1.5 GB. A tissue is decoded
when it is read: whole where most of it is asked for, else the genes or the samples that are. The
last few decoded are cached, so that z, expression and interval of one tissue, or of one gene in all
tissues, are decoded once.

Letters: N samples, T tissues, G genes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from threading import RLock

import numpy as np
import torch
from numpy.typing import NDArray

from mtm_core.errors import ArtefactError
from mtm_core.inference.profiles import Profiles
from mtm_core.methods.protocol import (
    Floats,
    PredictedProfiles,
    TargetPredictor,
    select_genes,
    tissue_index,
)

INTERVAL = ("lower", "upper")
INTERVAL_LEVEL = 90
"""Level, in percent, of the interval that predictions carry."""
CACHE_BYTES = 20_000_000
"""Size of the cache of decoded values: a tissue of 100 samples x 19,291 genes with its errors."""
_WHOLE_BYTES = 1_000_000
"""A tissue of no more than this is decoded whole, whatever is asked of it."""
_MOST_OF_IT = 2
"""Asked for more than one in so many, all are decoded."""

TissueProgress = Callable[[int, int], None]
"""Called with (tissues done so far, tissues in all), before the first too; what it raises ends the
work."""
Index = NDArray[np.intp]


class Decoder:
    """Decodes tissues of predicted samples, and keeps the last few.

    Any number of threads may read at once; one decodes at a time.

    Parameters
    ----------
    profiles
        Samples to predict from; work that all targets share is done at once.
    targets
        Tissues, at the places of the variables that are read.
    model
        Name of the model, for messages.
    cache_bytes
        Most bytes of decoded values to cache.
    """

    def __init__(
        self,
        profiles: Profiles,
        targets: Sequence[str],
        model: str,
        *,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self.targets, self.model, self.cache_bytes = tuple(targets), model, cache_bytes
        self._profiles, self._predict = profiles, profiles.begin()
        self._some: tuple[bytes, TargetPredictor] | None = None
        self._cache: OrderedDict[tuple[int, bytes, bytes], PredictedProfiles] = OrderedDict()
        self._cached_bytes = self._n_readers_in_turn = 0
        self._lock = RLock()

    @property
    def shape(self) -> tuple[int, int, int]:
        """N, T, G."""
        n_samples, n_genes = self._profiles.shape
        return n_samples, len(self.targets), n_genes

    @property
    def held_bytes(self) -> int:
        """Most bytes this takes in memory: the samples' own z-scores, and the cache."""
        n_samples, n_tissues, n_genes = self.shape
        further = self._profiles.n_bytes - 4 * n_samples * n_genes
        return decoder_bytes(n_samples, n_tissues, n_genes) + max(further, 0)

    @property
    def has_interval(self) -> NDArray[np.bool_]:
        """Tell of which samples (N,) there are intervals."""
        return has_interval_of(self.result(0, np.arange(self.shape[0]), self._first_genes))

    @property
    def _first_genes(self) -> Index:
        """All genes where a tissue is cached whole, else one: to ask what holds for all."""
        n_samples, _, n_genes = self.shape
        fits = 8 * n_samples * n_genes <= self.cache_bytes
        return np.arange(n_genes if fits else min(n_genes, 1))

    @property
    def calibrated_from(self) -> str | None:
        """Tissue that intervals were calibrated on, "" if not known; ``None`` without intervals.

        A method has intervals for all targets or for none, so that the first is asked.
        """
        return _calibrated_from(self.result(0, np.arange(self.shape[0]), self._first_genes))

    def decode_all(
        self, on_progress: TissueProgress | None = None
    ) -> tuple[dict[str, Floats], str | None]:
        """Return every value (N, T, G) by name, and as :attr:`calibrated_from` of all targets.

        Raises
        ------
        ArtefactError
            If the model gives numbers that are not finite.
        """
        n_samples, n_tissues, n_genes = self.shape
        samples, genes = np.arange(n_samples), np.arange(n_genes)
        names = ["z", "expression", *INTERVAL]
        values = {name: blank(*self.shape) for name in names}
        calibrated_from: str | None = ""
        with self.read_in_turn():
            for i in range(n_tissues):
                if on_progress is not None:
                    on_progress(i, n_tissues)
                if calibrated_from is not None:
                    calibrated_from = _calibrated_from(self.result(i, samples, genes))
                if calibrated_from is None:
                    names = ["z", "expression"]
                self.write(i, samples, genes, {name: values[name][:, i] for name in names})
        return {name: values[name] for name in names}, calibrated_from

    def result(self, tissue: int, samples: Index, genes: Index) -> PredictedProfiles:
        """Return the prediction of ``samples`` (n,) and ``genes`` (g,) in a tissue.

        Raises
        ------
        ArtefactError
            If the model gives numbers that are not finite.
        """
        n_samples, _, n_genes = self.shape
        few_samples, few_genes = _of_all(samples, n_samples), _of_all(genes, n_genes)
        if 8 * n_samples * n_genes <= _WHOLE_BYTES:
            by_sample, by_gene = b"", b""
        else:
            by_sample, by_gene = (
                asked.tobytes() if asked is not None and _MOST_OF_IT * len(asked) <= n else b""
                for asked, n in ((few_samples, n_samples), (few_genes, n_genes))
            )
        with self._lock:
            for key in ((tissue, b"", b""), (tissue, by_sample, by_gene)):
                known = self._cache.get(key)
                if known is not None:
                    self._cache.move_to_end(key)
                    break
            else:
                known = self._decode(
                    tissue,
                    samples if by_sample else None,
                    genes if by_gene else None,
                )
                self._keep(key, known)
        cut_by_gene = select_genes(known, None if key[2] else few_genes)
        return (
            cut_by_gene if key[1] or few_samples is None else _samples_of(cut_by_gene, few_samples)
        )

    def _decode(self, tissue: int, samples: Index | None, genes: Index | None) -> PredictedProfiles:
        target = self.targets[tissue]
        with np.errstate(over="ignore", invalid="ignore"):  # looked at below
            result = self._begun(samples)(target, genes)
        self.check_finite(tissue, [result.mean])
        return result

    def _begun(self, samples: Index | None) -> TargetPredictor:
        """Return what is begun for all samples, or for some; the last some are cached."""
        if samples is None:
            return self._predict
        key = samples.tobytes()
        if self._some is None or self._some[0] != key:
            self._some = (key, self._profiles.begin(samples))
        return self._some[1]

    def _keep(self, key: tuple[int, bytes, bytes], result: PredictedProfiles) -> None:
        self._cache[key] = result
        self._cached_bytes += _size(result)
        self._make_room()

    def _make_room(self) -> None:
        """Let go of what was decoded first; while all is read in turn, never of the last."""
        while self._cached_bytes > self.cache_bytes and len(self._cache) > self._n_readers_in_turn:
            self._cached_bytes -= _size(self._cache.popitem(last=False)[1])

    @contextmanager
    def read_in_turn(self) -> Iterator[None]:
        """Keep the tissue that is read in the block, however large: its values are read in turn."""
        with self._lock:
            self._n_readers_in_turn += 1
        try:
            yield
        finally:
            with self._lock:
                self._n_readers_in_turn -= 1
                self._make_room()

    def write(self, tissue: int, samples: Index, genes: Index, into: Mapping[str, Floats]) -> None:
        """Write values (n, g) by their names: z, expression, lower, upper.

        Raises
        ------
        ArtefactError
            If the model gives numbers that are not finite, or an interval in some tissues alone.
        """
        result = self.result(tissue, samples, genes)
        scaler = self._profiles.method.scaler
        row = tissue_index(self._profiles.method.tissues, self.targets[tissue])
        own = scaler.of_genes(row, _of_all(genes, self.shape[2]))
        with np.errstate(over="ignore", invalid="ignore"):
            for name, out in into.items():
                if name == "z":
                    out[:] = result.mean
                elif name == "expression":
                    own.inverse(result.mean, 0, out=out)
                else:
                    own.inverse(self._bound(name, tissue, result), 0, out=out)
        if not into.keys().isdisjoint(INTERVAL):
            there = has_interval_of(result)
            into = {k: v[there] if k in INTERVAL else v for k, v in into.items()}
        self.check_finite(tissue, into.values())

    def _bound(self, name: str, tissue: int, result: PredictedProfiles) -> Floats:
        if result.sd is None or result.multipliers is None:
            raise ArtefactError(
                f"the model {self.model} gives no interval for {self.targets[tissue]}, and one for"
                f" {self.targets[0]}. Use another model."
            )
        half_width = result.multipliers[INTERVAL_LEVEL][:, None] * result.sd
        bound = result.mean - half_width if name == "lower" else result.mean + half_width
        return np.asarray(bound)

    def check_finite(self, tissue: int, values: Iterable[Floats]) -> None:
        """Refuse what is not finite.

        Raises
        ------
        ArtefactError
            If a number is not.
        """
        if not all(np.isfinite(array).all() for array in values):
            raise ArtefactError(
                f"the model {self.model} gives numbers for {self.targets[tissue]} that are not"
                " finite: its weights were not trained by this program. Use another model."
            )


def decoder_bytes(n_samples: int, n_tissues: int, n_genes: int) -> int:
    """Return what a :class:`Decoder` of this shape holds, at most."""
    whole = 8 * n_samples * n_tissues * n_genes
    return 4 * n_samples * n_genes + min(CACHE_BYTES, whole)


def blank(n_samples: int, n_tissues: int, n_genes: int) -> NDArray[np.float32]:
    """Return an array (sample, tissue, gene) to be filled tissue by tissue.

    A tissue's values lie together in memory, which torch allocates: numpy asks for huge pages,
    and waiting for these took longer than predicting where memory was in pieces.
    """
    filled: NDArray[np.float32] = torch.empty(n_tissues, n_samples, n_genes).numpy()
    return filled.transpose(1, 0, 2)


def has_interval_of(result: PredictedProfiles) -> NDArray[np.bool_]:
    """Tell which samples (n,) of what was predicted have an interval."""
    if result.sd is None or result.multipliers is None:
        return np.zeros(len(result.mean), dtype=np.bool_)
    return np.isfinite(result.multipliers[INTERVAL_LEVEL])


def _calibrated_from(result: PredictedProfiles) -> str | None:
    has_interval = result.sd is not None and result.multipliers is not None
    return result.calibrated_from if has_interval else None


def _samples_of(result: PredictedProfiles, samples: Index) -> PredictedProfiles:
    """Leave of what was predicted the samples that are asked for."""
    half_widths = result.multipliers
    return replace(
        result,
        mean=result.mean[samples],
        sd=None if result.sd is None else result.sd[samples],
        multipliers=None
        if half_widths is None
        else {k: v[samples] for k, v in half_widths.items()},
    )


def _of_all(asked: Index, n: int) -> Index | None:
    """Return which of ``n`` are asked for; ``None`` if all are, in order."""
    return None if len(asked) == n and bool((asked == np.arange(n)).all()) else asked


def _size(result: PredictedProfiles) -> int:
    """Return the bytes of profiles; what is alike in all samples may be there once."""
    arrays = [result.mean] if result.sd is None else [result.mean, result.sd]
    return sum(
        array.itemsize
        * int(np.prod([n for n, step in zip(array.shape, array.strides, strict=True) if step]))
        for array in arrays
    )
