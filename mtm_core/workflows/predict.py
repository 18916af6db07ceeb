"""Predict other tissues from a user's samples, and write them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pandas as pd
import xarray as xr

from mtm_core.data.formats.stored_table import open_stored_table
from mtm_core.data.notes import Note
from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.errors import SelectionError
from mtm_core.evaluation.predictability import accuracy_in_words
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.inference.blocks import predict_blocks
from mtm_core.inference.chunk_tasks import VALUES
from mtm_core.inference.chunked import ChunkedRequest, StoredTissue, predict_chunked
from mtm_core.inference.cluster import dask_client
from mtm_core.inference.export import file_bytes, write_blocks
from mtm_core.inference.later_samples import alignment_for
from mtm_core.inference.long_parts import write_parts
from mtm_core.inference.one_sex import describe_one_sex
from mtm_core.inference.options import PredictionOptions
from mtm_core.inference.predictor import Predictor
from mtm_core.inference.prepared import Prepared
from mtm_core.inference.saved_alignment import FILE_NAME, SavedAlignment, alignment_bytes
from mtm_core.inference.together import Together, people_of
from mtm_core.inference.wide import wide_bytes, write_wide
from mtm_core.memory_budget import in_words
from mtm_core.methods.covariates import are_known
from mtm_core.model_folder import ModelFolder
from mtm_core.workflows.annotated import ANNOTATED, Beside, annotated, people_and_metadata
from mtm_core.workflows.batches import (
    batch_columns,
    batch_lines,
    groups_at_risk,
    save_alignment,
    write_saved,
)
from mtm_core.workflows.further_tissues import SeveralInWords, describe_several
from mtm_core.workflows.input_files import check_files, check_metadata, check_there
from mtm_core.workflows.own_samples import (
    Say,
    StepProgress,
    read_known,
    read_own_samples,
    say_notes,
    say_nothing,
    say_reading,
    tell_nobody,
)
from mtm_core.workflows.predict_options import PredictOptions, check_predict

LARGE_BYTES = 1_000_000_000
"""The size of an output from which on it is said beforehand."""


@dataclass(frozen=True)
class Predicted:
    """Summary of a prediction and its output.

    Attributes
    ----------
    output
        File or folder.
    sizes
        Samples, tissues, genes.
    n_used_age_sex
        Samples that were predicted with age and sex.
    covariates
        Covariates that the model uses.
    n_files
        Number of tables written.
    several
        Description of a prediction from several tissues; ``None`` from one, whose accuracy is the
        model card's.
    """

    output: Path
    sizes: tuple[int, int, int]
    n_used_age_sex: int
    covariates: tuple[str, ...]
    n_files: int = 1
    several: SeveralInWords | None = None


def predict_samples(
    options: PredictOptions,
    say: Say = say_nothing,
    on_progress: StepProgress = tell_nobody,
) -> Predicted:
    """Predict, and write block by block: in memory are a few samples, or one tissue.

    Parameters
    ----------
    options
        Options of the prediction.
    say
        Called with what was found and done: ``say(text)``, of warnings ``level="warning"``.
    on_progress
        Called with how far it is: in samples, tissues or parts.

    Raises
    ------
    SelectionError
        If options do not fit each other, the model or the table.
    InputFileError, ExpressionError, ArtefactError
        If the table, metadata or model cannot be used.
    OutputError
        If the output is something else, or cannot be written.

    Examples
    --------
    >>> from mtm_core import SAMPLES, PredictionOptions, PredictOptions, predict_samples
    >>> predicted = predict_samples(
    ...     PredictOptions(
    ...         SAMPLES / "blood_tpm.tsv",
    ...         output="lung.csv",
    ...         prediction=PredictionOptions(targets=("Lung",)),
    ...     )
    ... )
    >>> predicted.sizes  # samples, tissues, genes
    (40, 1, 59)
    """
    folder = check_predict(options)
    predictor = Predictor.load(folder)
    chosen = predictor.targets_of(options.prediction.sources, options.prediction.targets)
    run = _whole if options.part_by_part is None else _part_by_part
    return run(options, folder, predictor, chosen, say, on_progress)


def _whole(
    options: PredictOptions,
    folder: Path,
    predictor: Predictor,
    targets: tuple[str, ...],
    say: Say,
    on_progress: StepProgress,
) -> Predicted:
    """Read the whole table; predict and write it block by block."""
    check_there(input=options.tables, **{"and": options.further})
    check_files(tx2gene=options.tx2gene)
    _check_metadata(options)
    own = read_own_samples(options, predictor, say)
    prepared = own.people
    known = _metadata(options, prepared.samples, predictor, say)
    phenotypes = None if known is None else known.phenotypes()
    of_sex = [] if phenotypes is None else describe_one_sex(targets, phenotypes["sex"])
    say_notes(of_sex, say)
    n_samples, n_genes = len(prepared.samples), len(predictor.artefact.genes)
    sizes = (n_samples, len(targets), n_genes)
    _say_size(options, sizes, say)
    notes = (*own.table.report.notes, *own.prepared.notes, *of_sex)
    n_files = _write(options, folder, predictor, prepared, targets, known, notes, on_progress)
    if options.save_alignment is not None:
        save_alignment(
            prepared.tables,
            options.save_alignment,
            overwrite=options.overwrite,
            inputs=options.inputs(folder),
        )
    people = None if phenotypes is None else phenotypes.reindex(list(prepared.samples))
    n_used_age_sex = int(are_known(people, predictor.covariates, n_samples).sum())
    return Predicted(
        options.output,
        sizes,
        n_used_age_sex,
        predictor.covariates,
        n_files,
        describe_several(predictor, prepared, targets, _evaluation_of(folder, predictor))
        if isinstance(prepared, Together)
        else None,
    )


def _save(
    alignments: Sequence[SavedAlignment | None], options: PredictOptions, folder: Path
) -> None:
    """Write what tables that were read in chunks were aligned by.

    Raises
    ------
    SelectionError
        If the prediction was finished by an earlier run.
    """
    known = [one for one in alignments if one is not None]
    if len(known) < len(alignments) or options.save_alignment is None:
        raise SelectionError(
            f"{options.output} was finished by an earlier run, so its alignment was not estimated "
            "again. To save it, predict again with --overwrite."
        )
    write_saved(
        known,
        options.save_alignment,
        overwrite=options.overwrite,
        inputs=options.inputs(folder),
    )


def _evaluation_of(folder: Path, predictor: Predictor) -> EvaluationTables | None:
    """Return how the model did on held-out donors; ``None`` if it was not evaluated."""
    # Here, not above: studies load scikit-learn, which costs a second at every start.
    from mtm_core.studies.beside_model import evaluation_of

    return evaluation_of(ModelFolder.open(folder), predictor.artefact)


def _write(
    options: PredictOptions,
    folder: Path,
    predictor: Predictor,
    prepared: Prepared | Together,
    targets: tuple[str, ...],
    known: SampleMetadata | None,
    notes: Sequence[Note],
    on_progress: StepProgress,
) -> int:
    """Predict and write; return the number of files."""
    phenotypes = None if known is None else known.phenotypes()
    output, inputs, overwrite = options.output, options.inputs(folder), options.overwrite
    tell = partial(on_progress, "Predicting")
    if options.layout == "wide":
        prediction = predictor.predict_prepared(prepared, targets, phenotypes=phenotypes, at_once=0)
        values = options.wide_values
        write_wide(
            prediction,
            output,
            files=options.files,
            values=values,
            overwrite=overwrite,
            inputs=inputs,
            on_progress=tell,
            beside={FILE_NAME: alignment_bytes([one.alignment for one in prepared.tables])},
        )
        return len(targets) * len(values)
    blocks: Iterator[xr.Dataset] = predict_blocks(
        predictor, prepared, targets, phenotypes=phenotypes, on_progress=tell
    )
    if options.layout == "parts":
        return write_parts(
            blocks,
            prepared.samples,
            output,
            files=options.files,
            overwrite=overwrite,
            inputs=inputs,
        )
    if output.suffix in ANNOTATED:
        evaluation, method = _evaluation_of(folder, predictor), predictor.artefact.method.name
        people = people_and_metadata(phenotypes, known)
        beside = Beside(evaluation, method, people, notes, options.prediction)
        blocks = annotated(blocks, beside)
    write_blocks(blocks, prepared.samples, output, overwrite=overwrite, inputs=inputs)
    return 1


def _part_by_part(
    options: PredictOptions,
    folder: Path,
    predictor: Predictor,
    targets: tuple[str, ...],
    say: Say,
    on_progress: StepProgress,
) -> Predicted:
    """Read, predict and write a few samples at a time, on workers."""
    how, chosen = options.part_by_part, options.prediction
    assert how is not None
    tables = zip(chosen.further, options.further, strict=True)
    request = ChunkedRequest(
        options.tables[0].resolve(),
        options.output.resolve(),
        folder.resolve(),
        chosen.source,
        targets,
        chosen.unit,
        chosen.alignment,
        options.values or VALUES,
        how.bits,
        how.chunk,
        tuple(StoredTissue(path.resolve(), one.source, one.unit) for one, path in tables),
        chosen.near_people,
    )
    _check_metadata(options)
    names = {
        one.source: open_stored_table(one.table, predictor.genes).samples for one in request.tables
    }
    saved = _saved_alignments(chosen, predictor)
    phenotypes, batches = None, {}
    if options.metadata is not None:
        people = people_of(list(names.values()), chosen.near_people)[0]
        of_people = _metadata(options, people, predictor, say)
        if of_people is not None:
            phenotypes = of_people.phenotypes()
            say_notes(describe_one_sex(targets, phenotypes["sex"]), say)
    for number, (source, own) in enumerate(names.items()):
        column = chosen.batch if not number else chosen.further[number - 1].batch
        known = None
        if options.metadata is not None and (column or not number):
            known = read_known(options.metadata, own, chosen.metadata)
        rows = pd.DataFrame(index=list(own))
        batch = (
            chosen.batches_of_further(number - 1, rows, known, saved.get(source))
            if number
            else chosen.batches_of(rows, known)
        )
        if batch is not None:
            batches[source] = batch
        at_risk = replace(chosen, source=source, batch=column, as_batch="") if number else chosen
        say_notes(groups_at_risk(at_risk, known), say)
    with dask_client(how.scheduler, how.workers) as client:
        result = predict_chunked(
            request,
            client,
            phenotypes=phenotypes,
            batch=batches,
            alignment_from=saved,
            progress=on_progress,
            overwrite=options.overwrite,
        )
    if result.n_there_before:
        say(
            f"{result.n_there_before} of {result.n_chunks} parts were there already, and were not"
            " predicted again."
        )
    for number, table in enumerate(result.tables):
        if len(table.distance):
            prefix = f"{table.source}: " * bool(number)
            say_reading(table.unit, table.alignment, table.distance, say, prefix)
            for line in batch_lines(table.by_batch):
                say(f"{prefix}{line}")
    say_notes(result.notes, say)
    if options.save_alignment is not None:
        _save([table.saved for table in result.tables], options, folder)
    n_used_age_sex = int(result.by_sample["used_age_sex"].sum())
    several = None
    if options.further:
        evaluation, method = _evaluation_of(folder, predictor), predictor.artefact.method.name
        accuracy = accuracy_in_words(evaluation, method, chosen.sources, targets)
        several = SeveralInWords(dict(result.tissues_given), result.interval, accuracy)
    return Predicted(
        options.output, result.sizes, n_used_age_sex, predictor.covariates, several=several
    )


def _saved_alignments(chosen: PredictionOptions, predictor: Predictor) -> dict[str, SavedAlignment]:
    """Read the saved alignments of all tissues; nothing if none are named."""
    if not chosen.alignment_from:
        return {}
    return {
        source: alignment_for(chosen.alignment_from, predictor.artefact, source, chosen.alignment)
        for source in chosen.sources
    }


def _say_size(options: PredictOptions, sizes: tuple[int, int, int], say: Say) -> None:
    """Say how large a large output will be, before it is written, and what would be smaller."""
    n_samples, n_tissues, n_genes = sizes
    if options.layout == "wide":
        size = wide_bytes(sizes, options.files, len(options.wide_values))
        if size >= LARGE_BYTES:
            say(f"The files will take up to {in_words(size)}.")
        return
    ending = options.output.suffix if options.layout == "long" else options.files
    size = file_bytes(sizes, ending)
    if size < LARGE_BYTES:
        return
    rows = f"{n_samples * n_tissues * n_genes / 1e6:,.0f} million rows" * (
        ending not in (".zarr", ".h5ad", ".h5mu")
    )
    words = f"The output will take up to {in_words(size)}"
    words = f"{rows}: the output will take up to {in_words(size)}" if rows else words
    wide = in_words(wide_bytes(sizes, ".csv"))
    smaller = f" --format wide writes one file per tissue, genes x samples, {wide} in all"
    say(f"{words}.{smaller}; .zarr and .parquet are smaller, too." if rows else f"{words}.")


def _check_metadata(options: PredictOptions) -> None:
    check_files(metadata=options.metadata)
    if options.metadata is not None:
        chosen = options.prediction
        check_metadata(options.metadata, chosen.metadata, columns=batch_columns(chosen))


def _metadata(
    options: PredictOptions, samples: tuple[str, ...], predictor: Predictor, say: Say
) -> SampleMetadata | None:
    """Read the metadata of ``samples``; say so where the model reads no age and sex."""
    if options.metadata is None:
        return None
    known = read_known(options.metadata, samples, options.prediction.metadata, say)
    if not predictor.covariates and not batch_columns(options.prediction):
        say("This model uses expression alone: age and sex change nothing.")
    return known
