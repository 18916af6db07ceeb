"""A request and its prediction: read in isolation, within the memory budget, written to disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Literal

from mtm_core.data.isolation.reading_turns import Turn
from mtm_core.data.notes import counted
from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.data.tables.expression import read_expression
from mtm_core.endpoint.jobs import Job
from mtm_core.endpoint.people import describe_people, read_people
from mtm_core.errors import MTMError, SelectionError
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.inference.blocks import BLOCK_BYTES, predict_blocks
from mtm_core.inference.export import file_bytes, write_blocks
from mtm_core.inference.options import PredictionOptions
from mtm_core.inference.predictor import Predictor
from mtm_core.inference.saved_alignment import SavedAlignment
from mtm_core.memory_budget import in_words, shared_budget
from mtm_core.methods.covariates import are_known
from mtm_core.workflows.annotated import Beside, annotated_for
from mtm_core.workflows.server_limits import check_n_samples, max_download, preparing_bytes
from mtm_core.workflows.uploaded_alignment import read_upload, saved_of

Ending = Literal["csv", "parquet", "h5ad"]
MEDIA = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "h5ad": "application/x-hdf5",
}


class TooLargeError(MTMError):
    """A table, or what is to be made of it, is larger than this server takes."""


@dataclass
class Given:
    """What was sent, until it has been read.

    Attributes
    ----------
    data
        Bytes of the table; emptied once they are read.
    name
        File name, for messages.
    owner
        Client: readers take turns by owner.
    metadata, metadata_name, metadata_is_json
        Metadata of the samples, likewise; empty if none were sent.
    alignment, alignment_name
        Saved alignment, likewise.
    """

    data: bytes
    name: str
    owner: str
    metadata: bytes = b""
    metadata_name: str = "metadata"
    metadata_is_json: bool = False
    alignment: bytes = b""
    alignment_name: str = "alignment.json"


@dataclass(frozen=True)
class Asked:
    """The prediction to make.

    Attributes
    ----------
    predictor, evaluation
        Model, and its accuracy on held-out donors, if it was evaluated.
    options
        Options of the request.
    ending
        Format of the result.
    """

    predictor: Predictor = field(repr=False)
    options: PredictionOptions
    ending: Ending
    evaluation: EvaluationTables | None = field(default=None, repr=False)


def check_asked(options: PredictionOptions, *, has_metadata: bool, has_alignment: bool) -> None:
    """Refuse options that do not fit each other or what was sent.

    Raises
    ------
    SelectionError
        If there are such.
    """
    if options.batch and not has_metadata:
        raise SelectionError(
            f"batch={options.batch!r} names a column of the metadata, and none were sent. Send a "
            f"form with the parts 'table' and 'metadata'."
        )
    if options.as_batch and not has_alignment:
        raise SelectionError(
            f"as_batch={options.as_batch!r} names a batch of a saved alignment, and none was sent. "
            f"Send it as the part 'alignment' of a form."
        )
    if options.batch and options.as_batch:
        raise SelectionError(
            "batch names a column, as_batch one batch for all samples: use only one of them."
        )
    if has_alignment and options.alignment != "auto":
        raise SelectionError(
            f"the saved alignment says how to align: leave out alignment={options.alignment}."
        )


def maker(given: Given, asked: Asked) -> Callable[[Job], Path]:
    """Return what makes the file of a job."""
    return lambda job: predict_into(job, given, asked)


def predict_into(job: Job, given: Given, asked: Asked) -> Path:
    """Read what was sent in the isolated process, predict block by block, and write the result.

    Raises
    ------
    InputFileError, ExpressionError, SelectionError
        If the table, what was sent with it or what is asked of it cannot be used.
    TooLargeError
        If the result would be larger than this server makes.
    OverBudgetError
        If the server has not so much memory.
    """
    predictor, options = asked.predictor, asked.options
    saved = _saved(given, asked)
    data, given.data = given.data, b""
    table = read_expression(
        BytesIO(data),
        given.name,
        known_genes=predictor.genes,
        typical=predictor.typical(options.source),
        options=options.reading,
        isolated=True,
        turn=Turn(given.owner, job.check),
    )
    del data
    check_n_samples(table.report)
    targets = predictor.targets_of(options.source, options.targets)
    n_genes = len(predictor.artefact.genes)
    _check_size(asked, (table.report.n_samples, len(targets), n_genes))
    known = _known(job, given, asked, [str(name) for name in table.values.index])
    people = None if known is None else known.phenotypes()
    memory = preparing_bytes(len(table.values), table.values.shape[1], n_genes) + 3 * BLOCK_BYTES
    with shared_budget().hold(memory, "Predicting", check=job.check):
        prepared = options.prepare(predictor, table, known, saved)
        job.notes = [*table.report.notes, *prepared.notes]
        if known is not None:
            used = people.reindex(list(prepared.samples)) if people is not None else None
            n_read = int(are_known(used, predictor.covariates, len(prepared.samples)).sum())
            job.notes += describe_people(known, predictor.covariates, n_read)
        path = job.folder / f"prediction.{asked.ending}"
        blocks = predict_blocks(
            predictor, prepared, targets, phenotypes=people, on_progress=job.tell
        )
        method = predictor.artefact.method.name
        beside = Beside(asked.evaluation, method, people, job.notes, options)
        write_blocks(annotated_for(path, blocks, beside), prepared.samples, path)
    return path


def _saved(given: Given, asked: Asked) -> SavedAlignment | None:
    """Read the saved alignment that was sent; ``None`` without one."""
    data, given.alignment = given.alignment, b""
    if not data:
        return None
    name, source = given.alignment_name, asked.options.source
    saved = saved_of(read_upload(data, name), source, name)
    saved.check_fits(asked.predictor.artefact, source)
    return saved


def _known(job: Job, given: Given, asked: Asked, samples: list[str]) -> SampleMetadata | None:
    """Read the metadata that were sent; ``None`` without."""
    data, given.metadata = given.metadata, b""
    if not data:
        return None
    return read_people(
        data,
        given.metadata_name,
        is_json=given.metadata_is_json,
        samples=samples,
        options=asked.options.metadata,
        owner=given.owner,
        check=job.check,
    )


def _check_size(asked: Asked, sizes: tuple[int, int, int]) -> None:
    n_samples, n_tissues, n_genes = sizes
    size = file_bytes(sizes, f".{asked.ending}")
    if size > max_download():
        raise TooLargeError(
            f"{counted(n_samples, 'sample', 'samples')} x"
            f" {counted(n_tissues, 'tissue', 'tissues')} x {n_genes:,} genes are about"
            f" {in_words(size)} as {asked.ending}; this server makes at most"
            f" {in_words(max_download())}. Request fewer tissues at a time, or parquet or h5ad, "
            f"or run 'mtm predict' on your own machine."
        )
