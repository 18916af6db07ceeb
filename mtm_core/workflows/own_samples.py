"""Reading of a user's own samples: their tables and metadata."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import pandas as pd
import xarray as xr

from mtm_core.data.notes import Level, Note, counted
from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.data.people.metadata_file import read_metadata
from mtm_core.data.people.metadata_options import MetadataOptions
from mtm_core.data.tables.expression import ExpressionTable, read_expression
from mtm_core.errors import SelectionError
from mtm_core.inference.options import PredictionOptions
from mtm_core.inference.predictor import Predictor
from mtm_core.inference.prepared import Prepared
from mtm_core.inference.together import Together
from mtm_core.workflows.batches import describe_by_batch, groups_at_risk

StepProgress = Callable[[str, int, int], None]
"""Called with (what is being done, how much of it is done, in all)."""


class Say(Protocol):
    """Called with what was found or done, in words: ``say(text)``, or with ``level="warning"``."""

    def __call__(self, text: str, *, level: Level = "info") -> None:
        """Say ``text``."""


def say_nothing(text: str, *, level: Level = "info") -> None:
    """Say nothing."""


def tell_nobody(what: str, done: int, total: int) -> None:
    """Tell nobody."""


class SampleFiles(Protocol):
    """Options that name a user's files, and how they are read."""

    @property
    def tables(self) -> tuple[Path, ...]:
        """Tables of the first tissue."""

    @property
    def further(self) -> tuple[Path, ...]:
        """Table of each further tissue of ``prediction``, in order."""

    @property
    def metadata(self) -> Path | None:
        """Metadata of the samples."""

    @property
    def tx2gene(self) -> Path | None:
        """Transcripts and their genes."""

    @property
    def prediction(self) -> PredictionOptions:
        """Source, further tissues, units, alignment, and how to read the files."""


@dataclass(frozen=True)
class OwnSamples:
    """A user's samples, as they were read.

    Attributes
    ----------
    table
        Table of the first tissue.
    prepared
        Its samples as the model reads them.
    people
        The people of all tables where there are further tissues; else ``prepared``.
    """

    table: ExpressionTable
    prepared: Prepared
    people: Prepared | Together

    def predicted(
        self, predictor: Predictor, targets: tuple[str, ...], say: Say = say_nothing
    ) -> xr.Dataset:
        """Predict the samples of the first table, from the expression in all tables."""
        n_first = len(self.prepared.samples)
        if n_others := len(self.people.samples) - n_first:
            others = counted(n_others, "person is", "people are")
            say(f"{others} only in further tables: studies are of the people of the first table.")
        # Those of the first table come first.
        return predictor.predict_prepared(self.people, targets).isel(sample=slice(0, n_first))


def check_further(options: SampleFiles) -> None:
    """Refuse more or fewer tables than there are further tissues.

    Raises
    ------
    SelectionError
        If so.
    """
    if len(options.further) != len(options.prediction.further):
        raise SelectionError("give one table for each further tissue.")


def read_own_samples(
    options: SampleFiles, predictor: Predictor, say: Say = say_nothing
) -> OwnSamples:
    """Read the tables of all tissues, and match their people.

    Raises
    ------
    InputFileError, ExpressionError, SelectionError
        As :func:`read_samples`; and if two tables have no person in common.
    """
    chosen, metadata = options.prediction, options.metadata
    table, prepared = read_samples(
        options.tables, predictor, chosen, options.tx2gene, say, metadata
    )
    further = read_further(options.further, predictor, chosen, say, metadata)
    people = chosen.put_together(prepared, further)
    if isinstance(people, Together):
        say_notes(people.notes, say)
    return OwnSamples(table, prepared, people)


def read_samples(
    tables: Sequence[Path],
    predictor: Predictor,
    options: PredictionOptions,
    tx2gene: Path | None = None,
    say: Say = say_nothing,
    metadata: Path | None = None,
) -> tuple[ExpressionTable, Prepared]:
    """Read ``tables`` and bring them to the model's genes, unit and z-scores.

    ``metadata`` are read where they name the samples' batches.

    Raises
    ------
    InputFileError, ExpressionError, SelectionError
        As :func:`mtm_core.data.tables.expression.read_expression` and
        :meth:`mtm_core.inference.predictor.Predictor.prepare`.
    """
    saved = options.saved_alignment(predictor)
    read = read_expression(
        tables,
        known_genes=predictor.genes,
        typical=predictor.typical(options.source),
        options=options.reading,
        tx2gene=tx2gene,
    )
    report = read.report
    say(f"{report.file}: {report.size_in_words}.")
    known = None
    if options.batch and metadata is not None:
        samples = tuple(str(name) for name in read.values.index)
        known = read_known(metadata, samples, options.metadata)
    prepared = options.prepare(predictor, read, known, saved)
    say_reading(prepared.unit, prepared.aligned.how, prepared.aligned.distance, say)
    # What the reader took the unit for does not hold where the user has said otherwise.
    say_notes(
        (
            note
            for note in (*report.notes, *prepared.notes)
            if note.found != report.unit_reason or options.unit == "auto"
        ),
        say,
    )
    for line in describe_by_batch(prepared):
        say(line)
    say_notes(groups_at_risk(options, known), say)
    return read, prepared


def read_further(
    tables: Sequence[Path],
    predictor: Predictor,
    options: PredictionOptions,
    say: Say = say_nothing,
    metadata: Path | None = None,
) -> list[Prepared]:
    """Read the tables of the further tissues of ``options``, in order, as :func:`read_samples`.

    ``metadata`` are read where they name the batches of a tissue's samples.

    Raises
    ------
    InputFileError, ExpressionError, SelectionError
        As :func:`read_samples`.
    """
    found = []
    for number, (one, path) in enumerate(zip(options.further, tables, strict=True)):
        read = read_expression(
            path, known_genes=predictor.genes, typical=predictor.typical(one.source)
        )
        report = read.report
        say(f"{one.source}: {report.file}: {report.size_in_words}.")
        known = None
        if one.batch and metadata is not None:
            samples = tuple(str(name) for name in read.values.index)
            known = read_known(metadata, samples, options.metadata)
        prepared = options.prepare_further(predictor, number, read, known=known)
        say_reading(prepared.unit, prepared.aligned.how, prepared.aligned.distance, say)
        say_notes((note for note in report.notes if note.found != report.unit_reason), say)
        for line in describe_by_batch(prepared):
            say(f"{one.source}: {line}")
        at_risk = replace(options, source=one.source, batch=one.batch, as_batch="")
        say_notes(groups_at_risk(at_risk, known), say)
        found.append(prepared)
    return found


def say_reading(
    unit: str, alignment: str, distance: pd.DataFrame, say: Say, prefix: str = ""
) -> None:
    """Say how samples were read: ``distance_before`` and ``distance_after`` are by sample."""
    median = distance[["distance_before", "distance_after"]].median()
    say(
        f"{prefix}Read as {unit}. Alignment: {alignment}. Distance from the reference, median over"
        f" samples: {median['distance_before']:.2f} before, {median['distance_after']:.2f} after."
    )


def say_notes(notes: Iterable[Note], say: Say) -> None:
    """Say findings, one after the other."""
    for note in notes:
        label = "Warning: " if note.level == "warning" else "Note: "
        say(label + str(note), level=note.level)


def read_known(
    path: Path, samples: tuple[str, ...], options: MetadataOptions, say: Say = say_nothing
) -> SampleMetadata:
    """Read the metadata of ``samples``.

    Raises
    ------
    InputFileError
        As :func:`mtm_core.data.people.metadata_file.read_metadata`.
    SelectionError
        If it names none of the samples, or a column of ``options`` is not there.
    """
    known = read_metadata(path, samples=samples, options=options)
    say_notes(known.notes, say)
    match = known.match
    if match.near:
        near = match.near[0]
        say(
            f"{len(match.near)} names differ in writing alone, such as {near.metadata!r} and"
            f" {near.expression!r}. If they are the same samples, add --near-names.",
            level="warning",
        )
    if not match.matched:
        raise SelectionError(
            f"{path.name} has no sample of the expression table. Use the same sample names in both."
        )
    return known
