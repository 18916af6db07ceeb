"""A request and its prediction: read in isolation, within the memory budget, written to disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Literal

from mtm_core.data.isolation.reading_turns import Turn
from mtm_core.data.tables.expression import read_expression
from mtm_core.endpoint.jobs import Job
from mtm_core.errors import MTMError
from mtm_core.inference.blocks import BLOCK_BYTES, predict_blocks
from mtm_core.inference.export import file_bytes, write_blocks
from mtm_core.inference.options import PredictionOptions
from mtm_core.inference.predictor import Predictor
from mtm_core.memory_budget import in_words, shared_budget
from mtm_core.workflows.server_limits import check_n_samples, max_download, preparing_bytes

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
    """A table as it was sent, until it has been read.

    Attributes
    ----------
    data
        Its bytes; emptied once they are read.
    name
        Name of the file for messages.
    owner
        Whose it is: readers take turns by owner.
    """

    data: bytes
    name: str
    owner: str


@dataclass(frozen=True)
class Asked:
    """A request: what to predict, and the format of the result."""

    predictor: Predictor = field(repr=False)
    options: PredictionOptions
    ending: Ending


def maker(given: Given, asked: Asked) -> Callable[[Job], Path]:
    """Return what makes the file of a job."""
    return lambda job: predict_into(job, given, asked)


def predict_into(job: Job, given: Given, asked: Asked) -> Path:
    """Read the table in a process apart, predict block by block, and write the result.

    Raises
    ------
    InputFileError, ExpressionError, SelectionError
        If the table or what is asked of it cannot be used.
    TooLargeError
        If the result would be larger than this server makes.
    OverBudgetError
        If the server has not so much memory.
    """
    predictor, options = asked.predictor, asked.options
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
    sizes = (table.report.n_samples, len(targets), n_genes)
    size = file_bytes(sizes, f".{asked.ending}")
    if size > max_download():
        raise TooLargeError(
            f"{sizes[0]:,} samples x {sizes[1]} tissues x {n_genes:,} genes are about"
            f" {in_words(size)} as {asked.ending}; this server makes at most"
            f" {in_words(max_download())}. Request fewer tissues at a time, or parquet or h5ad, "
            f"or run 'mtm predict' on your own machine."
        )
    memory = preparing_bytes(len(table.values), table.values.shape[1], n_genes) + 3 * BLOCK_BYTES
    with shared_budget().hold(memory, "Predicting", check=job.check):
        prepared = options.prepare(predictor, table)
        job.notes = [*table.report.notes, *prepared.notes]
        path = job.folder / f"prediction.{asked.ending}"
        blocks = predict_blocks(predictor, prepared, targets, on_progress=job.tell)
        write_blocks(blocks, prepared.samples, path)
    return path
