"""Options of a prediction, and what is refused before a model is loaded."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mtm_core.data.files.reading_options import AS_IT_LIES
from mtm_core.errors import SelectionError
from mtm_core.inference.chunk_tasks import ALL_BITS
from mtm_core.inference.cluster import check_workers
from mtm_core.inference.export import check_output, is_folder
from mtm_core.inference.long_parts import check_parts
from mtm_core.inference.options import PredictionOptions
from mtm_core.inference.saved_alignment import FILE_NAME
from mtm_core.inference.wide import check_wide
from mtm_core.model_places import DEFAULT_MODEL, find_model
from mtm_core.safe_output import check_output as check_place
from mtm_core.safe_output import refuse_inputs
from mtm_core.workflows.batches import check_alignment, check_place_of_alignment
from mtm_core.workflows.own_samples import check_further
from mtm_core.workflows.plain_values import PlainValues

Layout = Literal["long", "parts", "wide"]
"""A row a sample, tissue and gene, in one file or in a folder of parts; or a file a tissue."""


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
        Quantities to write: for ``"wide"``, by default the expression; in chunks, by
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

    @property
    def wide_values(self) -> tuple[str, ...]:
        """Quantities to write with the layout ``"wide"``."""
        return self.values or ("expression",)

    def inputs(self, folder: Path) -> list[Path]:
        """Name the files that are read; ``folder`` is the model's."""
        beside = [path for path in (self.metadata, self.tx2gene) if path is not None]
        if self.prediction.alignment_from:
            saved = Path(self.prediction.alignment_from)
            beside.append(saved / FILE_NAME if saved.is_dir() else saved)
        return [*self.tables, *self.further, folder / "model.json", *beside]


def check_predict(options: PredictOptions) -> Path:
    """Refuse, before a model is loaded, what cannot be written; return the model's folder.

    Raises
    ------
    SelectionError, OutputError, ArtefactError
        As :func:`mtm_core.workflows.predict.predict_samples`.
    """
    output = options.output
    if options.layout == "long":
        check_output(output)
    elif options.layout == "parts":
        check_parts(options.files)
    else:
        check_wide(options.files, options.wide_values)
    folder = find_model(options.model)
    inputs = options.inputs(folder)
    check_alignment(
        options.prediction, options.metadata, part_by_part=options.part_by_part is not None
    )
    check_place_of_alignment(options.save_alignment, overwrite=options.overwrite, inputs=inputs)
    check_further(options)
    if options.part_by_part is not None:
        check_workers(options.part_by_part.scheduler, options.part_by_part.workers)
        if options.prediction.reading != AS_IT_LIES:
            raise SelectionError(
                "a table that is predicted in chunks is read as it is: --take-back, --leave-out,"
                " --numbers, --quantity, --sheet and --strand need a table that is read whole."
            )
        refuse_inputs(output, inputs)
        if options.layout != "long" or output.suffix != ".zarr":
            raise SelectionError(
                f"--output: a prediction in chunks is written as .zarr, got {output.name!r}."
            )
        return folder
    is_a_folder = options.layout != "long" or is_folder(output)
    check_place(output, overwrite=options.overwrite, inputs=inputs, folder=is_a_folder)
    return folder
