"""Estimate the cells that samples of whole blood are mixed of, as columns beside the metadata."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from mtm_core.artefact import Artefact
from mtm_core.data.notes import name_some
from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.data.people.sample_names import with_sample_column
from mtm_core.data.tables.expression import ExpressionTable
from mtm_core.errors import SelectionError
from mtm_core.inference.blood_cells import COLUMNS, BloodComposition, estimate_composition
from mtm_core.inference.measured import linear_levels
from mtm_core.inference.options import PredictionOptions
from mtm_core.inference.predictor import Predictor
from mtm_core.inference.prepared import Prepared
from mtm_core.model_folder import ModelFolder
from mtm_core.model_places import DEFAULT_MODEL, find_model
from mtm_core.safe_output import check_output, writing
from mtm_core.workflows.input_files import check_files, check_metadata, check_there
from mtm_core.workflows.own_samples import Say, read_known, read_samples, say_nothing
from mtm_core.workflows.plain_values import PlainValues
from mtm_core.workflows.table_parts import write_csv

BLOOD = "Whole Blood"
COMPOSITION_FILE = "with_cells.csv"
"""Name of the file of shares if there are no other metadata."""
FIT_BESIDE = "composition_fit"
"""Column of the fit, where the metadata have one called ``fit``."""
ESTIMATED = "The shares of blood cells were estimated from the expression table."


@dataclass(frozen=True)
class CompositionOptions(PlainValues):
    """Whose blood, and where to write the shares of its cells.

    Attributes
    ----------
    tables
        Expression tables of whole blood.
    output
        CSV file.
    metadata
        Metadata of the samples: its columns are written beside the shares.
    model
        Model that reads the table: its genes show how the table lies and its unit.
    prediction
        Unit, and how to read the files.
    tx2gene
        Transcripts and their genes.
    overwrite
        Replace what is there.
    """

    tables: tuple[Path, ...]
    output: Path
    metadata: Path | None = None
    model: str = DEFAULT_MODEL
    prediction: PredictionOptions = field(default_factory=PredictionOptions)
    tx2gene: Path | None = None
    overwrite: bool = False


def composition_of(table: ExpressionTable | pd.DataFrame, prepared: Prepared) -> BloodComposition:
    """Estimate the composition of samples that a model has read.

    Raises
    ------
    SelectionError
        If they are not of whole blood.
    ExpressionError
        As :func:`mtm_core.inference.blood_cells.estimate_composition`.
    """
    if prepared.source != BLOOD:
        raise SelectionError(
            f"the samples are of {prepared.source!r}; shares of blood cells can only be estimated"
            f" in {BLOOD!r}. Choose another source, or leave composition out."
        )
    values = table.values if isinstance(table, ExpressionTable) else table
    linear = linear_levels(values, prepared.unit, prepared.match)
    return estimate_composition(linear.set_axis(list(prepared.samples)))


def with_composition(
    metadata: SampleMetadata | None, composition: BloodComposition
) -> SampleMetadata:
    """Add the shares to what is known of the samples, as columns of numbers."""
    columns = composition.shares.rename(columns=COLUMNS)
    if metadata is not None:
        return metadata.with_numbers(columns, ESTIMATED)
    return SampleMetadata.of_numbers(
        columns, [str(name) for name in columns.index], COMPOSITION_FILE, ESTIMATED
    )


def without_composition(metadata: SampleMetadata) -> SampleMetadata | None:
    """Remove the shares that :func:`with_composition` added; ``None`` if nothing else is known."""
    if metadata.file == COMPOSITION_FILE:
        return None
    return metadata.without_numbers(list(COLUMNS.values()), ESTIMATED)


def estimate_blood_composition(
    options: CompositionOptions, say: Say = say_nothing
) -> BloodComposition:
    """Estimate shares of blood cells and write them, with the metadata where they are given.

    The file can be given to ``--metadata`` of other commands.

    Raises
    ------
    SelectionError
        If options do not fit the model or the files.
    InputFileError, ExpressionError, ArtefactError
        If a table, the metadata or the model cannot be used, or too few of the genes that tell
        blood cells apart are there.
    OutputError
        If the output is something else, or cannot be written.
    """
    folder = find_model(options.model)
    files = [
        path
        for path in (*options.tables, options.metadata, options.tx2gene, folder / "model.json")
        if path is not None
    ]
    check_output(options.output, overwrite=options.overwrite, inputs=files)
    check_there(input=options.tables)
    check_files(metadata=options.metadata, tx2gene=options.tx2gene)
    if options.metadata is not None:
        check_metadata(options.metadata, options.prediction.metadata)
    predictor = Predictor(Artefact.load(ModelFolder.open(folder)))
    read, prepared = read_samples(
        options.tables, predictor, options.prediction, options.tx2gene, say
    )
    composition = composition_of(read, prepared)
    say_composition(composition, say)
    shares = composition.shares.rename(columns=COLUMNS)
    table = shares.assign(fit=composition.fit)
    if options.metadata is not None:
        known = read_known(options.metadata, prepared.samples, options.prediction.metadata, say)
        say_replaced(known, say)
        others = known.values.drop(columns=list(shares.columns), errors="ignore")
        fit = "fit" if "fit" not in others else FIT_BESIDE
        beside = shares.assign(**{fit: composition.fit})
        table = others.drop(columns=fit, errors="ignore").reindex(shares.index).join(beside)
    with writing(options.output, overwrite=options.overwrite, inputs=files) as place:
        write_csv(with_sample_column(table), place)
    return composition


def is_in_metadata(metadata: SampleMetadata | None) -> bool:
    """Tell whether the shares are columns of ``metadata``."""
    names = set() if metadata is None else {column.name for column in metadata.columns}
    return set(COLUMNS.values()) <= names


def is_estimated(metadata: SampleMetadata) -> bool:
    """Tell whether the shares in ``metadata`` were added here, and not read from the file."""
    return any(note.found == ESTIMATED for note in metadata.reading_notes)


def say_replaced(metadata: SampleMetadata, say: Say) -> None:
    """Warn where columns of the metadata have the names of the shares, and are replaced by them."""
    names = {column.name for column in metadata.columns}
    replaced = [name for name in COLUMNS.values() if name in names]
    if replaced:
        say(
            f"The metadata already have columns of these names: {name_some(replaced)}. They were"
            " replaced by the shares estimated from this table. To use your own shares, rename"
            " their columns.",
            level="warning",
        )


def say_composition(composition: BloodComposition, say: Say) -> None:
    """Say which genes were found, the median shares, and which samples do not fit."""
    medians = ", ".join(
        f"{cells} {share:.0%}" for cells, share in composition.shares.median().items()
    )
    say(
        f"Composition by {composition.n_found} of {composition.n_genes} genes, median shares of"
        f" RNA: {medians}."
    )
    if composition.poor:
        n = len(composition.poor)
        say(
            f"{n} of {len(composition.fit)} samples do not resemble a mixture of blood cells, "
            f"such as {composition.poor[0]!r}: their shares are unreliable.",
            level="warning",
        )
