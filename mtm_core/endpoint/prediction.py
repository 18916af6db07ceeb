"""A request and its prediction: read in isolation, within the memory budget, written to disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Literal

from mtm_core.data.files.reading_options import AS_IT_LIES
from mtm_core.data.isolation.reading_turns import Turn
from mtm_core.data.notes import counted
from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.data.tables.expression import ExpressionTable, read_expression
from mtm_core.endpoint.jobs import Job
from mtm_core.endpoint.people import describe_people, read_people
from mtm_core.errors import ExpressionError, InputFileError, MTMError, SelectionError
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.inference.blocks import BLOCK_BYTES, predict_blocks
from mtm_core.inference.export import file_bytes, write_blocks
from mtm_core.inference.options import PredictionOptions
from mtm_core.inference.predictor import Predictor
from mtm_core.inference.saved_alignment import SavedAlignment
from mtm_core.inference.together import Together, people_of
from mtm_core.memory_budget import in_words, shared_budget
from mtm_core.methods.covariates import are_known
from mtm_core.workflows.annotated import Beside, annotated_for, people_and_metadata
from mtm_core.workflows.further_tissues import describe_several
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
    further
        Bytes and file name of the table of each further tissue, likewise.
    """

    data: bytes
    name: str
    owner: str
    metadata: bytes = b""
    metadata_name: str = "metadata"
    metadata_is_json: bool = False
    alignment: bytes = b""
    alignment_name: str = "alignment.json"
    further: list[tuple[bytes, str]] = field(default_factory=list)


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
    columns = [("and_batch", one.batch) for one in options.further]
    for name, column in [("batch", options.batch), *columns]:
        if column and not has_metadata:
            raise SelectionError(
                f"{name}={column!r} names a column of the metadata, and none were sent. Send a "
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
    table, *further = _tables(job, given, asked)
    names = [[str(name) for name in one.values.index] for one in (table, *further)]
    samples = list(people_of(names, options.near_people)[0])
    targets = predictor.targets_of(options.sources, options.targets)
    n_genes = len(predictor.artefact.genes)
    _check_size(asked, (len(samples), len(targets), n_genes))
    known = _known(job, given, asked, samples)
    people = None if known is None else known.phenotypes()
    memory = 3 * BLOCK_BYTES + sum(
        preparing_bytes(len(one.values), one.values.shape[1], n_genes) for one in (table, *further)
    )
    with shared_budget().hold(memory, "Predicting", check=job.check):
        first = options.prepare(predictor, table, known, saved.get(options.source))
        job.notes = [*table.report.notes, *first.notes]
        others = []
        for number, one in enumerate(further):
            source = options.further[number].source
            of_tissue = saved.get(source)
            others.append(options.prepare_further(predictor, number, one, of_tissue, known))
            job.notes += [
                replace(note, found=f"{source}: {note.found}") for note in one.report.notes
            ]
        del table, further
        prepared = options.put_together(first, others)
        if isinstance(prepared, Together):
            job.notes += prepared.notes
            several = describe_several(predictor, prepared, targets, asked.evaluation)
            job.notes += several.notes
        if known is not None:
            used = people.reindex(list(prepared.samples)) if people is not None else None
            n_read = int(are_known(used, predictor.covariates, len(prepared.samples)).sum())
            job.notes += describe_people(known, predictor.covariates, n_read)
        path = job.folder / f"prediction.{asked.ending}"
        blocks = predict_blocks(
            predictor, prepared, targets, phenotypes=people, on_progress=job.tell
        )
        method = predictor.artefact.method.name
        of_samples = people_and_metadata(people, known)
        beside = Beside(asked.evaluation, method, of_samples, job.notes, options)
        write_blocks(annotated_for(path, blocks, beside), prepared.samples, path)
    return path


def _tables(job: Job, given: Given, asked: Asked) -> list[ExpressionTable]:
    """Read the table, then those of further tissues; each in the isolated process, in its turn."""
    predictor, options = asked.predictor, asked.options
    sent, given.data, given.further = [(given.data, given.name), *given.further], b"", []
    tables = []
    for source in options.sources:
        data, name = sent.pop(0)
        try:
            table = read_expression(
                BytesIO(data),
                name,
                known_genes=predictor.genes,
                typical=predictor.typical(source),
                options=options.reading if source == options.source else AS_IT_LIES,
                isolated=True,
                turn=Turn(given.owner, job.check),
            )
            del data
            check_n_samples(table.report)
        except (InputFileError, ExpressionError) as error:
            if source == options.source:
                raise
            raise type(error)(f"{source}: {error}") from error
        tables.append(table)
    return tables


def _saved(given: Given, asked: Asked) -> dict[str, SavedAlignment]:
    """Read the saved alignment that was sent, by tissue; nothing without one."""
    data, given.alignment = given.alignment, b""
    if not data:
        return {}
    name = given.alignment_name
    uploaded, found = read_upload(data, name), {}
    for source in asked.options.sources:
        found[source] = saved_of(uploaded, source, name)
        found[source].check_fits(asked.predictor.artefact, source)
    return found


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
