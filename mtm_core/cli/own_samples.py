"""A user's table read and made ready, with everything found in it said on standard error."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mtm_core.cli.output import err
from mtm_core.data.alignment import AlignmentMethod
from mtm_core.data.expression import read_expression
from mtm_core.data.report import Note
from mtm_core.inference.predictor import Predictor, Prepared, UnitChoice


def read_samples(
    table: Path,
    predictor: Predictor,
    *,
    source: str,
    unit: UnitChoice,
    alignment: AlignmentMethod,
) -> Prepared:
    """Read ``table`` and bring it to the model's genes, unit and z-scores.

    Raises
    ------
    InputFileError, ExpressionError, SelectionError
        As :func:`mtm_core.data.expression.read_expression` and
        :meth:`mtm_core.inference.predictor.Predictor.prepare`.
    """
    read = read_expression(table, known_genes=predictor.genes)
    report = read.report
    err.print(
        f"{report.file}: {report.n_samples} samples, {report.n_genes:,} genes,"
        f" {report.orientation}, {report.id_type} ids."
    )
    prepared = predictor.prepare(read, source=source, unit=unit, alignment=alignment)
    distance = prepared.aligned.distance
    err.print(
        f"Read as {prepared.unit}. Alignment: {prepared.aligned.how}. Distance from the reference,"
        f" median over samples: {distance['distance_before'].median():.2f} before,"
        f" {distance['distance_after'].median():.2f} after."
    )
    # What the reader took the unit for does not hold where the user has said otherwise.
    print_notes(
        note
        for note in (*report.notes, *prepared.notes)
        if note.found != report.unit_reason or unit == "auto"
    )
    return prepared


def print_notes(notes: Iterable[Note]) -> None:
    """Print findings, a line each."""
    for note in notes:
        label = "Warning: " if note.level == "warning" else "Note: "
        style = "yellow" if note.level == "warning" else None
        err.print(label + str(note), style=style)
