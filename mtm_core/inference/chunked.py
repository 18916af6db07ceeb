"""Predict tables of any size, chunk by chunk, on Dask workers, into a zarr store.

The result is that of :class:`~mtm_core.inference.predictor.Predictor` on the whole tables, of one
tissue or of several of the same people. What it takes from all samples of a table together, the
unit and, with alignment, each gene's mean and SD, is found first, in a pass over the values each;
then every chunk of people is predicted by itself. In memory are a chunk of the tables and of its
prediction a worker, and the names of the samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from mtm_core.data.notes import Note
from mtm_core.errors import SelectionError
from mtm_core.inference.chunk_plan import ChunkPlan
from mtm_core.inference.chunk_request import ChunkedRequest, ChunkedResult, ChunkProgress, TableRead
from mtm_core.inference.chunk_tables import StoredTissue, far_notes, of_tissue
from mtm_core.inference.saved_alignment import SavedAlignment
from mtm_core.safe_output import refuse_inputs

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["ChunkedRequest", "ChunkedResult", "StoredTissue", "TableRead", "predict_chunked"]


def predict_chunked(
    request: ChunkedRequest,
    client: Client,
    *,
    phenotypes: pd.DataFrame | None = None,
    batch: pd.Series | Mapping[str, pd.Series] | None = None,
    alignment_from: SavedAlignment | Mapping[str, SavedAlignment] | None = None,
    progress: ChunkProgress | None = None,
    overwrite: bool = False,
) -> ChunkedResult:
    """Predict ``request`` on the workers of ``client``, or go on where it was cut off.

    Parameters
    ----------
    phenotypes
        As in :meth:`~mtm_core.inference.predictor.Predictor.predict_prepared`.
    batch, alignment_from
        As in :meth:`~mtm_core.inference.predictor.Predictor.prepare_tables`.
    progress
        Called with each chunk.
    overwrite
        Whether to begin anew where the output is of another run, and to replace it in the end.

    Raises
    ------
    OutputError
        If the output is something else, or cannot be written.
    SelectionError
        If the output is of another model, table or option; or as
        :meth:`~mtm_core.inference.predictor.Predictor.targets_of`.
    InputFileError, ExpressionError
        As :func:`mtm_core.data.formats.stored_table.open_stored_table` and
        :meth:`~mtm_core.inference.predictor.Predictor.prepare`; or if the table is changed while it
        is read.
    ClusterError
        As :func:`mtm_core.inference.cluster.in_order`.
    """
    inputs = [one.table for one in request.tables]
    refuse_inputs(request.output, [*inputs, request.model / "model.json"])
    plan = ChunkPlan.of(
        request,
        client,
        phenotypes,
        batch,
        alignment_from,
        progress or (lambda what, done, total: None),
    )
    begun = plan.begun(overwrite=overwrite)
    if begun is not None and begun["found"]["state"] == plan.state:
        found = begun["found"]
    else:
        found = plan.look_through()
        if begun is not None and begun["found"]["sha256"] != found["sha256"]:
            if not overwrite:
                raise SelectionError(
                    f"{request.output} was begun from other values than {plan.files} now. "
                    f"Delete it, choose another name, or start again with --overwrite."
                )
            begun = None
    run = {"asked": plan.asked, "found": found}
    work = plan.work(found)
    there, beside = set(range(len(plan.chunks))), dict[int, str]()
    notes, used = list[Note](), list[SavedAlignment]()
    if begun is None or not plan.store.is_complete(run):
        if begun is None:
            plan.store.begin_anew()
            plan.store.begin(run, plan.moments(work), plan.saved)
        there = plan.store.done()
        notes, used = plan.notes_and_alignments(work, found)
        plan.predict(work, found, there)
        beside = {chunk.number: plan.store.beside(chunk.number) for chunk in plan.chunks}
        plan.store.finish(run, overwrite=overwrite)
    plan.store.begin_anew()  # a ledger that a run left which was killed at its very end
    by_sample = plan.store.by_sample(plan.people)
    tables = plan.tables_read(work, used, by_sample, beside)
    far = [
        note
        for number, one in enumerate(tables)
        for note in (
            of_tissue(far_notes(one.distance, one.alignment), one.source)
            if number
            else far_notes(one.distance, one.alignment)
        )
    ]
    return ChunkedResult(
        sizes=(len(by_sample), len(work.targets), len(plan.predictor.artefact.genes)),
        n_chunks=len(plan.chunks),
        n_there_before=len(there),
        tables=tables,
        by_sample=by_sample,
        notes=(*notes, *far),
        tissues_given=plan.tissues_given,
        interval=plan.store.interval,
    )
