"""The alignment of one prediction, saved to read later samples by it.

With a table of twenty people each gene gets a mean and an SD, or quantiles. Saved, they read the
twenty-first person as he would have been read among the twenty, alone or with others. The file is
JSON::

    format, format_version, mtm_version
    model                   name, and SHA-256 of its folder
    alignments              one a tissue of samples:
        source, unit        of the samples; to_million and zero say the rest of how they were read
        batch_column        that batches were named by; empty if there are none
        genes               ids of the genes that parameters are of
        batches             batch, how, basis, n_samples, and centre and spread, or knots, by gene

Parameters are aggregates of three samples or more.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core import __version__
from mtm_core.artefact import Artefact
from mtm_core.data.notes import name_some
from mtm_core.data.units import UNITS, Unit
from mtm_core.errors import InputFileError, SelectionError
from mtm_core.inference.alignment import Aligned
from mtm_core.inference.batch_parameters import AlignmentHow, Basis, BatchParameters, Floats
from mtm_core.inference.unit_reading import UnitReading
from mtm_core.model_reference import QUANTILE_LEVELS
from mtm_core.safe_output import writing
from mtm_core.strict_json import read_strict_json

FORMAT = "mtm-alignment"
FORMAT_VERSION = 1
FILE_NAME = "alignment.json"
MOST_BYTES = 256 * 2**20
"""Largest file: two hundred batches of 19,291 genes by quantiles."""
_MOST_BATCHES = 10_000


@dataclass(frozen=True)
class SavedAlignment:
    """How the samples of one table were read, and what brought each batch to the reference.

    Attributes
    ----------
    model, model_sha256
        Name and SHA-256 of the model.
    source
        Tissue of the samples.
    unit, to_million, zero
        As in :class:`mtm_core.inference.unit_reading.UnitReading`.
    batch_column
        Column of the metadata; empty if there are no batches.
    genes
        (F,) ids of the genes that parameters are of.
    parameters
        Parameters of each batch, over these genes.
    """

    model: str
    model_sha256: str
    source: str
    unit: Unit
    to_million: bool
    zero: float | None
    batch_column: str
    genes: tuple[str, ...] = field(repr=False)
    parameters: tuple[BatchParameters, ...] = field(repr=False)

    @classmethod
    def of(
        cls,
        aligned: Aligned,
        artefact: Artefact,
        source: str,
        reading: UnitReading,
        batch_column: str = "",
    ) -> SavedAlignment:
        """Take what brought samples of ``source`` to the genes, unit and scale of ``artefact``."""
        genes = artefact.genes.index.to_numpy().astype(str)[aligned.found]
        return cls(
            artefact.name,
            artefact.sha256,
            source,
            reading.unit,
            reading.to_million,
            reading.zero,
            batch_column,
            tuple(genes.tolist()),
            tuple(one.of_genes(aligned.found) for one in aligned.parameters),
        )

    @property
    def how(self) -> AlignmentHow:
        """The method."""
        return self.parameters[0].how

    @property
    def batches(self) -> list[str]:
        """Names of the batches; empty if there are none."""
        return [one.batch for one in self.parameters if one.batch]

    @property
    def n_samples(self) -> int:
        """Samples that the alignment was made of."""
        return sum(one.n_samples for one in self.parameters)

    @cached_property
    def digest(self) -> str:
        """Digest of its contents."""
        return sha256(alignment_bytes(self)).hexdigest()

    def check_fits(self, artefact: Artefact, source: str) -> None:
        """Refuse to read samples of ``source`` for ``artefact`` by it, if it is of others.

        Raises
        ------
        SelectionError
            If it is.
        """
        if self.model_sha256 != artefact.sha256:
            same = ", a different model with that name" if self.model == artefact.name else ""
            raise SelectionError(
                f"the saved alignment is of the model {self.model!r}{same}"
                f" (SHA-256 {self.model_sha256[:12]}…), and this is {artefact.name!r}"
                f" ({artefact.sha256[:12]}…). Predict with the same model, or align these "
                f"samples separately."
            )
        if self.source != source:
            raise SelectionError(
                f"the saved alignment is of samples of {self.source!r}, and these are given as"
                f" {source!r}. Give samples of the same tissue."
            )

    def on_genes(self, genes: pd.Index) -> tuple[NDArray[np.bool_], tuple[BatchParameters, ...]]:
        """Return which of the model's ``genes`` (G,) it is of, and its parameters on all of them.

        Raises
        ------
        SelectionError
            If it is of genes that the model has not.
        """
        places = genes.get_indexer(list(self.genes))
        if (places < 0).any():
            first = self.genes[int(np.flatnonzero(places < 0)[0])]
            raise SelectionError(
                f"the saved alignment has genes that this model lacks, such as {first!r}."
                " Predict with the model that it was made with."
            )
        found = np.zeros(len(genes), dtype=bool)
        found[places] = True
        return found, tuple(one.spread_over(places, len(genes)) for one in self.parameters)


def write_alignment(
    alignment: SavedAlignment | Sequence[SavedAlignment],
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
) -> None:
    """Write the alignment of a table, or of the tables of several tissues.

    Parameters
    ----------
    alignment
        Alignment for one model.
    path
        File.
    overwrite
        Replace what is there.

    Raises
    ------
    OutputError
        As :func:`mtm_core.safe_output.writing`.

    Examples
    --------
    >>> from mtm_core import SAMPLES, Predictor, read_alignment, read_expression, write_alignment
    >>> predictor = Predictor.load("gtex_v8_acmg59_stack")
    >>> table = read_expression(SAMPLES / "blood_tpm.tsv", known_genes=predictor.genes)
    >>> write_alignment(predictor.prepare(table).alignment, "alignment.json")
    >>> read_alignment("alignment.json").n_samples
    40
    """
    with writing(Path(path), overwrite=overwrite, kind="an alignment") as place:
        place.write_bytes(alignment_bytes(alignment))


def alignment_bytes(alignment: SavedAlignment | Sequence[SavedAlignment]) -> bytes:
    """Return the content of the file."""
    several = [alignment] if isinstance(alignment, SavedAlignment) else list(alignment)
    values = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "mtm_version": __version__,
        "model": {"name": several[0].model, "sha256": several[0].model_sha256},
        "alignments": [
            {
                "source": one.source,
                "unit": one.unit,
                "to_million": one.to_million,
                "zero": one.zero,
                "batch_column": one.batch_column,
                "genes": list(one.genes),
                "batches": [_as_json(batch) for batch in one.parameters],
            }
            for one in several
        ],
    }
    return (json.dumps(values, ensure_ascii=False) + "\n").encode()


def read_alignment(path: str | os.PathLike[str], source: str = "Whole Blood") -> SavedAlignment:
    """Read the alignment of samples of ``source`` that was saved.

    Parameters
    ----------
    path
        The file, a folder that holds ``alignment.json``, or a bundle.
    source
        Which of its tissues.

    Raises
    ------
    InputFileError
        If there is none, or it cannot be read.
    SelectionError
        If it has no alignment of ``source``.

    Examples
    --------
    A person alone is read as among the people of the first table.

    >>> from mtm_core import SAMPLES, Predictor, read_alignment, read_expression, write_alignment
    >>> predictor = Predictor.load("gtex_v8_acmg59_stack")
    >>> table = read_expression(SAMPLES / "blood_tpm.tsv", known_genes=predictor.genes).values
    >>> write_alignment(predictor.prepare(table).alignment, "alignment.json")
    >>> saved = read_alignment("alignment.json")
    >>> alone = predictor.prepare(table.iloc[:1], alignment_from=saved)
    >>> alone.samples, saved.how
    (('SIM-001',), 'cohort')
    """
    place = Path(path)
    several = alignments_of(_bytes_of(place), place.name)
    for one in several:
        if one.source == source:
            return one
    raise SelectionError(
        f"{place.name} is an alignment of samples of {name_some(one.source for one in several)},"
        f" not of {source!r}."
    )


def alignments_of(data: bytes, name: str) -> tuple[SavedAlignment, ...]:
    """Read the content of a file called ``name``: an alignment a tissue.

    Raises
    ------
    InputFileError
        If it is not a saved alignment.
    """
    try:
        values = read_strict_json(data)
        if values["format"] != FORMAT:
            raise ValueError(f"its format is {values['format']!r}")
        if values["format_version"] != FORMAT_VERSION:
            raise ValueError(f"its format version is {values['format_version']!r}, not 1")
        several = tuple(_of_json(one, values["model"]) for one in values["alignments"])
        if not several or len({one.source for one in several}) < len(several):
            raise ValueError("a tissue is duplicated")
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        what = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
        raise InputFileError(
            f"{name} is not a saved alignment of this program: {what}. Expected the file"
            f" {FILE_NAME} that was written with an earlier prediction."
        ) from error
    return several


def _bytes_of(place: Path) -> bytes:
    """Read the file, that in a folder, or that in a bundle."""
    if place.is_dir():
        place = place / FILE_NAME
        if not place.is_file():
            raise InputFileError(
                f"{place.parent} holds no {FILE_NAME}. Give the folder of a prediction, its"
                " bundle, or the file that --save-alignment wrote."
            )
    if not place.is_file():
        raise InputFileError(f"{place}: there is no such file or folder.")
    try:
        if zipfile.is_zipfile(place):
            return _from_bundle(place)
        if place.stat().st_size > MOST_BYTES:
            raise InputFileError(f"{place.name} is not a saved alignment: it is too large.")
        return place.read_bytes()
    except (OSError, zipfile.BadZipFile) as error:
        raise InputFileError(f"{place} cannot be read: {error}") from error


def _from_bundle(place: Path) -> bytes:
    with zipfile.ZipFile(place) as bundle:
        if FILE_NAME not in bundle.namelist():
            raise InputFileError(
                f"{place.name} holds no {FILE_NAME}: it is not a bundle of this version."
            )
        with bundle.open(FILE_NAME) as file:
            data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise InputFileError(f"{place.name}: its {FILE_NAME} is too large.")
    return data


def _as_json(one: BatchParameters) -> dict[str, Any]:
    values: dict[str, Any] = {
        "batch": one.batch,
        "how": one.how,
        "basis": one.basis,
        "n_samples": one.n_samples,
    }
    for name in ("centre", "spread"):
        array = getattr(one, name)
        if array is not None:
            values[name] = _numbers(array)
    if one.knots is not None:
        values["knots"] = [_numbers(level) for level in one.knots]
    return values


def _numbers(values: Floats) -> list[float]:
    """Return float32 values in the fewest digits that give them back."""
    return [float(f"{value:.9g}") for value in values.tolist()]


def _of_json(values: dict[str, Any], model: dict[str, Any]) -> SavedAlignment:
    genes = tuple(str(gene) for gene in values["genes"])
    if len(set(genes)) != len(genes) or not genes:
        raise ValueError("a gene is duplicated")
    unit, zero = values["unit"], values["zero"]
    if unit not in UNITS or not isinstance(values["to_million"], bool):
        raise ValueError(f"its unit is {unit!r}")
    batches = tuple(_batch_of(one, len(genes)) for one in values["batches"])
    names = [one.batch for one in batches]
    if not 1 <= len(batches) <= _MOST_BATCHES or len(set(names)) < len(names):
        raise ValueError("a batch is duplicated")
    if len({one.how for one in batches}) > 1:
        raise ValueError("its batches are aligned by different methods")
    return SavedAlignment(
        str(model["name"]),
        str(model["sha256"]),
        str(values["source"]),
        unit,
        values["to_million"],
        None if zero is None else float(zero),
        str(values["batch_column"]),
        genes,
        batches,
    )


def _batch_of(one: dict[str, Any], n_genes: int) -> BatchParameters:
    how, basis, n_samples = one["how"], one["basis"], one["n_samples"]
    if how not in get_args(AlignmentHow) or basis not in get_args(Basis):
        raise ValueError(f"a batch is aligned by {how!r} ({basis!r})")
    if not isinstance(n_samples, int) or isinstance(n_samples, bool) or n_samples < 1:
        raise ValueError(f"a batch has {n_samples!r} samples")

    def by_gene(numbers: list[float]) -> Floats:
        given = np.asarray(numbers, dtype=np.float32)
        if given.shape != (n_genes,) or not np.isfinite(given).all():
            raise ValueError(f"a batch has {given.shape} numbers for {n_genes} genes")
        return given

    centre = spread = knots = None
    if how in ("cohort", "robust"):
        centre, spread = by_gene(one["centre"]), by_gene(one["spread"])
        if not (spread > 0).all():
            raise ValueError("a spread is not above 0")
    elif how == "quantiles":
        levels = [by_gene(level) for level in one["knots"]]
        if len(levels) != len(QUANTILE_LEVELS):
            raise ValueError(f"a batch has {len(levels)} quantiles, not {len(QUANTILE_LEVELS)}")
        knots = np.stack(levels)
        if (np.diff(knots, axis=0) < 0).any():
            raise ValueError("quantiles are not in ascending order")
    return BatchParameters(str(one["batch"]), how, n_samples, basis, centre, spread, knots)
