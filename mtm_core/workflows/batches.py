"""Alignment in a workflow: what is refused beforehand, what is said of batches, what is saved."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from mtm_core.data.notes import Note, counted
from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.errors import SelectionError
from mtm_core.inference.options import PredictionOptions
from mtm_core.inference.prepared import Prepared
from mtm_core.inference.saved_alignment import SavedAlignment, alignment_bytes
from mtm_core.inference.together import Together
from mtm_core.safe_output import check_output, writing
from mtm_core.studies.batch_groups import describe_batches_and_groups as describe_batches_and_groups
from mtm_core.studies.batch_groups import describe_tables_and_groups
from mtm_core.workflows.input_files import check_there


def check_alignment(
    options: PredictionOptions, metadata: Path | None, *, part_by_part: bool = False
) -> None:
    """Refuse, before anything is read, choices of alignment that do not fit each other.

    Raises
    ------
    SelectionError
        If there are some.
    InputFileError
        If the saved alignment is not there.
    """
    if part_by_part and options.alignment in ("robust", "quantiles"):
        raise SelectionError(
            "a table that is predicted in chunks is aligned by mean and SD: --alignment robust and "
            "quantiles need all values of a gene at once, in a table that is read whole."
        )
    of_further = [("--and-batch", one.batch) for one in options.further]
    for option, column in (("--batch", options.batch), *of_further):
        if column and metadata is None:
            raise SelectionError(
                f"{option} {column!r} names a column of the metadata; add --metadata FILE."
            )
    if options.batch and options.as_batch:
        raise SelectionError(
            "--batch names a column, --as-batch one batch for all samples: use only one of them."
        )
    if options.as_batch and not options.alignment_from:
        raise SelectionError(
            "--as-batch names a batch of a saved alignment; add --alignment-from FILE."
        )
    if options.alignment_from and options.alignment != "auto":
        raise SelectionError(
            f"--alignment-from says how to align: leave out --alignment {options.alignment}."
        )
    if options.alignment_from:
        check_there(alignment_from=Path(options.alignment_from))


def batch_columns(options: PredictionOptions) -> list[str]:
    """List the columns of the metadata that name batches, each once."""
    columns = (options.batch, *(one.batch for one in options.further))
    return list(dict.fromkeys(column for column in columns if column))


def describe_by_batch(prepared: Prepared) -> list[str]:
    """Say how far each batch lay from the reference, before and after alignment."""
    if not prepared.aligned.has_batches:
        return []
    return batch_lines(prepared.aligned.by_batch())


def batch_lines(by_batch: pd.DataFrame) -> list[str]:
    """Say the rows of :meth:`mtm_core.inference.alignment.Aligned.by_batch` in words."""
    lines = []
    for row in by_batch.itertuples():
        samples = counted(row.n_samples, "sample", "samples")
        of = f", by {row.parameters_of}" if row.parameters_of else ""
        lines.append(
            f"Batch {row.batch}: {samples}, {row.alignment}{of}. Distance from the reference,"
            f" median: {row.distance_before:.2f} before, {row.distance_after:.2f} after."
        )
    return lines


def check_place_of_alignment(path: Path | None, *, overwrite: bool, inputs: Iterable[Path]) -> None:
    """Refuse a place to save an alignment at that is taken, before anything is read.

    Raises
    ------
    OutputError
        If it is.
    """
    if path is not None:
        check_output(path, overwrite=overwrite, inputs=inputs)


def save_alignment(
    tables: Iterable[Prepared], path: Path, *, overwrite: bool, inputs: Iterable[Path] = ()
) -> None:
    """Write what the tables were aligned by.

    Raises
    ------
    OutputError
        As :func:`mtm_core.safe_output.writing`.
    """
    write_saved([table.alignment for table in tables], path, overwrite=overwrite, inputs=inputs)


def write_saved(
    alignments: Sequence[SavedAlignment],
    path: Path,
    *,
    overwrite: bool,
    inputs: Iterable[Path] = (),
) -> None:
    """Write saved alignments, each of another tissue, to one file.

    Raises
    ------
    OutputError
        As :func:`mtm_core.safe_output.writing`.
    """
    data = alignment_bytes(alignments)
    with writing(path, overwrite=overwrite, inputs=inputs, kind="an alignment") as place:
        place.write_bytes(data)


def groups_at_risk(options: PredictionOptions, known: SampleMetadata | None) -> list[Note]:
    """Warn where the batches that samples are aligned by coincide with groups of theirs."""
    if known is None or not options.batch or options.alignment_from:
        return []
    if options.alignment == "none":
        return []
    return describe_batches_and_groups(known, options.batch)


def tables_at_risk(people: Prepared | Together, known: SampleMetadata | None) -> list[Note]:
    """Warn where groups of people of the first table have further tables in different shares."""
    if known is None or not isinstance(people, Together):
        return []
    return describe_tables_and_groups(known, people)
