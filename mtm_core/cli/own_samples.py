"""A user's table read and made ready, with everything found in it said on standard error."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, cast, get_args

import pandas as pd
import typer

from mtm_core.cli.output import err
from mtm_core.data.alignment import AlignmentMethod
from mtm_core.data.expression import read_expression
from mtm_core.data.metadata import SampleMetadata, read_metadata
from mtm_core.data.phenotypes import Sex
from mtm_core.data.report import Note
from mtm_core.errors import SelectionError
from mtm_core.inference.predictor import Predictor, Prepared, UnitChoice

SexCodesOption = Annotated[
    str, typer.Option(help="What codes of the metadata's sexes mean, as 1=male,2=female.")
]
NearNamesOption = Annotated[
    bool,
    typer.Option("--near-names", help="Take names that differ in writing alone for the same."),
]


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
    print_reading(prepared.unit, prepared.aligned.how, prepared.aligned.distance)
    # What the reader took the unit for does not hold where the user has said otherwise.
    print_notes(
        note
        for note in (*report.notes, *prepared.notes)
        if note.found != report.unit_reason or unit == "auto"
    )
    return prepared


def sex_code_option(option: str) -> dict[str, Sex]:
    """Read an option such as ``1=male,2=female``.

    Raises
    ------
    SelectionError
        If it is not written so.
    """
    codes: dict[str, Sex] = {}
    for pair in option.split(",") if option.strip() else ():
        code, equals, sex = (part.strip() for part in pair.partition("="))
        if not equals or sex not in get_args(Sex):
            raise SelectionError(f"--sex-codes expects 1=male,2=female or the like, got {pair!r}.")
        codes[code] = cast("Sex", sex)
    return codes


def read_known(
    path: Path, samples: tuple[str, ...], codes: dict[str, Sex], *, near_names: bool
) -> SampleMetadata:
    """Read the metadata of ``samples`` and print what was found.

    Raises
    ------
    InputFileError
        As :func:`mtm_core.data.metadata.read_metadata`.
    SelectionError
        If it names none of the samples.
    """
    known = read_metadata(path, samples=samples)
    if near_names:
        known = known.with_near_matches()
    known = known.with_roles(
        age_column=known.age_column, sex_column=known.sex_column, sex_codes=codes
    )
    print_notes(known.notes)
    match = known.match
    if match.near:
        near = match.near[0]
        err.print(
            f"{len(match.near)} names differ in writing alone, such as {near.metadata!r} and"
            f" {near.expression!r}. If they are the same samples, add --near-names.",
            style="yellow",
        )
    if not match.matched:
        raise SelectionError(
            f"{path.name} names no sample of the expression table. Write the same names into both."
        )
    return known


def print_reading(unit: str, alignment: str, distance: pd.DataFrame) -> None:
    """Print how samples were read: ``distance_before`` and ``distance_after`` are by sample."""
    median = distance[["distance_before", "distance_after"]].median()
    err.print(
        f"Read as {unit}. Alignment: {alignment}. Distance from the reference, median over"
        f" samples: {median['distance_before']:.2f} before, {median['distance_after']:.2f} after."
    )


def print_notes(notes: Iterable[Note]) -> None:
    """Print findings, a line each."""
    for note in notes:
        label = "Warning: " if note.level == "warning" else "Note: "
        style = "yellow" if note.level == "warning" else None
        err.print(label + str(note), style=style)
