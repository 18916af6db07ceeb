"""Predict other tissues from a user's samples, and write them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import pandas as pd
import xarray as xr

from mtm_core.data.files.reading_options import AS_IT_LIES
from mtm_core.data.formats.stored_table import open_stored_table
from mtm_core.data.notes import Note
from mtm_core.errors import SelectionError
from mtm_core.evaluation.predictability import accuracy_in_words
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.inference.blocks import predict_blocks
from mtm_core.inference.chunk_tasks import ALL_BITS, VALUES
from mtm_core.inference.chunked import ChunkedRequest, predict_chunked
from mtm_core.inference.cluster import dask_client
from mtm_core.inference.export import check_output, file_bytes, is_folder, write_blocks
from mtm_core.inference.long_parts import check_parts, write_parts
from mtm_core.inference.models import DEFAULT_MODEL, find_model
from mtm_core.inference.options import PredictionOptions
from mtm_core.inference.predictor import Predictor
from mtm_core.inference.prepared import Prepared
from mtm_core.inference.saved_alignment import FILE_NAME, alignment_bytes
from mtm_core.inference.together import Together, tissues_given
from mtm_core.inference.wide import check_wide, wide_bytes, write_wide
from mtm_core.memory_budget import in_words
from mtm_core.methods.covariates import are_known
from mtm_core.model_folder import ModelFolder
from mtm_core.safe_output import check_output as check_place
from mtm_core.safe_output import refuse_inputs
from mtm_core.workflows.annotated import ANNOTATED, Beside, annotated
from mtm_core.workflows.batches import (
    check_alignment,
    check_place_of_alignment,
    save_alignment,
)
from mtm_core.workflows.input_files import check_files, check_metadata, check_there
from mtm_core.workflows.own_samples import (
    Say,
    StepProgress,
    read_further,
    read_known,
    read_samples,
    say_notes,
    say_nothing,
    say_reading,
    tell_nobody,
)
from mtm_core.workflows.plain_values import PlainValues

Layout = Literal["long", "parts", "wide"]
"""A row a sample, tissue and gene, in one file or in a folder of parts; or a file a tissue."""
LARGE_BYTES = 1_000_000_000
"""The size of an output from which on it is said beforehand."""


@dataclass(frozen=True)
class PartByPart:
    """How to predict a few samples at a time, on Dask workers.

    Attributes
    ----------
    workers, scheduler
        Processes here, or address of a cluster.
    chunk, bits
        As in :class:`mtm_core.inference.chunked.ChunkedRequest`; 0 samples are as many as fit.
    """

    workers: int | None = None
    scheduler: str | None = None
    chunk: int = 0
    bits: int = ALL_BITS


@dataclass(frozen=True)
class PredictOptions(PlainValues):
    """Options of a prediction: samples, targets and output.

    Attributes
    ----------
    tables
        Expression tables.
    output
        File or folder.
    model
        Name of a model, or a model's folder.
    prediction
        Source, targets, unit, alignment, and how to read the files.
    tx2gene, metadata
        Transcripts and their genes; age and sex of the samples.
    layout
        Layout of the output. ``"long"`` takes the format that its ending names.
    files
        Ending of the files in a folder (``"parts"`` and ``"wide"``).
    values
        Quantities to write: for ``"wide"``, by default the expression; part by part, by
        default all.
    part_by_part
        ``None`` if the table is read whole.
    overwrite
        Replace what is there.
    save_alignment
        File to write what the samples were aligned by to; later samples can be read by it.
    further
        Tables of the further tissues of ``prediction``, in order.
    """

    tables: tuple[Path, ...]
    output: Path
    model: str = DEFAULT_MODEL
    prediction: PredictionOptions = field(default_factory=PredictionOptions)
    tx2gene: Path | None = None
    metadata: Path | None = None
    layout: Layout = "long"
    files: str = ".csv"
    values: tuple[str, ...] | None = None
    part_by_part: PartByPart | None = None
    overwrite: bool = False
    save_alignment: Path | None = None
    further: tuple[Path, ...] = ()


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
    tissues_given
        How many samples were predicted from which tissues.
    interval, accuracy
        Data that the intervals were calibrated on, and the accuracy, in words.
    """

    output: Path
    sizes: tuple[int, int, int]
    n_used_age_sex: int
    covariates: tuple[str, ...]
    n_files: int = 1
    tissues_given: Mapping[str, int] = field(default_factory=dict)
    interval: str = ""
    accuracy: str = ""


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
        Called with what was found and done.
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


def check_predict(options: PredictOptions) -> Path:
    """Refuse, before a model is loaded, what cannot be written; give the model's folder.

    Raises
    ------
    SelectionError, OutputError, ArtefactError
        As :func:`predict_samples`.
    """
    output = options.output
    if options.layout == "long":
        check_output(output)
    elif options.layout == "parts":
        check_parts(options.files)
    else:
        check_wide(options.files, _wide_values(options))
    folder = find_model(options.model)
    inputs = _inputs(options, folder)
    check_alignment(
        options.prediction, options.metadata, part_by_part=options.part_by_part is not None
    )
    check_place_of_alignment(options.save_alignment, overwrite=options.overwrite, inputs=inputs)
    if len(options.further) != len(options.prediction.further):
        raise SelectionError("give one table for each further tissue.")
    if options.part_by_part is not None:
        if options.further:
            raise SelectionError(
                "a table that is read part by part must be of one tissue; more tissues (--and) "
                "need tables that are read whole."
            )
        if options.save_alignment is not None:
            raise SelectionError(
                "--save-alignment is for tables that are read whole. To add to the store of a "
                "table that is read part by part, use the same command."
            )
        if options.prediction.reading != AS_IT_LIES:
            raise SelectionError(
                "a table that is read part by part is read as it lies: --take-back, --leave-out,"
                " --numbers, --quantity, --sheet and --strand are for tables that are read whole."
            )
        refuse_inputs(output, inputs)
        if options.layout != "long" or output.suffix != ".zarr":
            raise SelectionError(
                "--output: what is predicted part by part is written as .zarr, got"
                f" {output.name!r}."
            )
        return folder
    is_a_folder = options.layout != "long" or is_folder(output)
    check_place(output, overwrite=options.overwrite, inputs=inputs, folder=is_a_folder)
    return folder


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
    chosen = options.prediction
    read, first = read_samples(
        options.tables, predictor, chosen, options.tx2gene, say, options.metadata
    )
    prepared = chosen.put_together(first, read_further(options.further, predictor, chosen, say))
    if isinstance(prepared, Together):
        say_notes(prepared.notes, say)
    phenotypes = _phenotypes(options, prepared.samples, predictor, say)
    n_samples, n_genes = len(prepared.samples), len(predictor.artefact.genes)
    sizes = (n_samples, len(targets), n_genes)
    _say_size(options, sizes, predictor, say)
    notes = (*read.report.notes, *first.notes)
    n_files = _write(options, folder, predictor, prepared, targets, phenotypes, notes, on_progress)
    if options.save_alignment is not None:
        save_alignment(
            prepared.tables,
            options.save_alignment,
            overwrite=options.overwrite,
            inputs=_inputs(options, folder),
        )
    people = None if phenotypes is None else phenotypes.reindex(list(prepared.samples))
    n_used_age_sex = int(are_known(people, predictor.covariates, n_samples).sum())
    return Predicted(
        options.output,
        sizes,
        n_used_age_sex,
        predictor.covariates,
        n_files,
        *_said_of_several(folder, predictor, prepared, targets),
    )


def _said_of_several(
    folder: Path, predictor: Predictor, prepared: Prepared | Together, targets: tuple[str, ...]
) -> tuple[dict[str, int], str, str]:
    """Count people by the tissues that they give; say what intervals there are, and how accurate.

    One tissue says nothing: its accuracy is the model card's.
    """
    if not isinstance(prepared, Together):
        return {}, "", ""
    some = predictor.predict_prepared(prepared, targets[:1], at_once=0)
    evaluation = _evaluation_of(folder, predictor)
    accuracy = accuracy_in_words(
        evaluation, predictor.artefact.method.name, prepared.sources, targets
    )
    return dict(Counter(tissues_given(some))), str(some.attrs["interval"]), accuracy


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
    phenotypes: pd.DataFrame | None,
    notes: Sequence[Note],
    on_progress: StepProgress,
) -> int:
    """Predict and write; give the number of files."""
    output, inputs, overwrite = options.output, _inputs(options, folder), options.overwrite
    tell = partial(on_progress, "Predicting")
    if options.layout == "wide":
        prediction = predictor.predict_prepared(prepared, targets, phenotypes=phenotypes, at_once=0)
        values = _wide_values(options)
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
        beside = Beside(evaluation, method, phenotypes, notes, options.prediction)
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
    )
    _check_metadata(options)
    phenotypes = None
    if options.metadata is not None:
        samples = open_stored_table(request.table, predictor.genes).samples
        phenotypes = _phenotypes(options, samples, predictor, say)
    with dask_client(how.scheduler, how.workers) as client:
        result = predict_chunked(
            request,
            client,
            phenotypes=phenotypes,
            progress=on_progress,
            overwrite=options.overwrite,
        )
    if result.n_there_before:
        say(
            f"{result.n_there_before} of {result.n_chunks} parts were there already, and were not"
            " predicted again.",
            False,
        )
    say_reading(result.unit, result.alignment, result.by_sample, say)
    say_notes(result.notes, say)
    n_used_age_sex = int(result.by_sample["used_age_sex"].sum())
    return Predicted(options.output, result.sizes, n_used_age_sex, predictor.covariates)


def _say_size(
    options: PredictOptions, sizes: tuple[int, int, int], predictor: Predictor, say: Say
) -> None:
    """Say how large a large output will be, before it is written, and what would be smaller."""
    n_samples, n_tissues, n_genes = sizes
    if options.layout == "wide":
        size = wide_bytes(sizes, options.files, len(_wide_values(options)))
        if size >= LARGE_BYTES:
            say(f"The files will take up to {in_words(size)}.", False)
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
    smaller = f" --format wide writes one file a tissue, genes x samples, {wide} in all"
    say(f"{words}.{smaller}; .zarr and .parquet are smaller, too." if rows else f"{words}.", False)


def _wide_values(options: PredictOptions) -> tuple[str, ...]:
    return options.values or ("expression",)


def _inputs(options: PredictOptions, folder: Path) -> list[Path]:
    beside = [path for path in (options.metadata, options.tx2gene) if path is not None]
    saved = options.prediction.alignment_from
    of_saved = [_saved_file(Path(saved))] if saved else []
    return [*options.tables, *options.further, folder / "model.json", *beside, *of_saved]


def _saved_file(path: Path) -> Path:
    return path / FILE_NAME if path.is_dir() else path


def _check_metadata(options: PredictOptions) -> None:
    check_files(metadata=options.metadata)
    if options.metadata is not None:
        batch = options.prediction.batch
        check_metadata(
            options.metadata, options.prediction.metadata, columns=[batch] if batch else []
        )


def _phenotypes(
    options: PredictOptions, samples: tuple[str, ...], predictor: Predictor, say: Say
) -> pd.DataFrame | None:
    """Read age and sex of ``samples``; say so where the model does not read them."""
    if options.metadata is None:
        return None
    known = read_known(options.metadata, samples, options.prediction.metadata, say)
    if not predictor.covariates and not options.prediction.batch:
        say("This model uses expression alone: age and sex change nothing.", False)
    return known.phenotypes()
