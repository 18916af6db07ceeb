"""Look at a user's samples before anything is predicted from them, and write what was found."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from mtm_core.artefact import Artefact
from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.data.tables.expression import ExpressionTable
from mtm_core.data.units import UnitChoice
from mtm_core.errors import SelectionError
from mtm_core.inference.options import PredictionOptions
from mtm_core.inference.predictor import Predictor
from mtm_core.inference.prepared import Prepared
from mtm_core.model_folder import ModelFolder
from mtm_core.model_places import DEFAULT_MODEL, find_model
from mtm_core.safe_output import check_output, writing
from mtm_core.studies.sample_components import FEWEST_SAMPLES as FEWEST_SAMPLES
from mtm_core.studies.sample_components import ellipse as ellipse
from mtm_core.studies.sample_review import SampleReview as SampleReview
from mtm_core.studies.sample_review import review_samples as review_samples
from mtm_core.studies.sample_sex import known_sex as known_sex
from mtm_core.studies.sample_sex import sex_disagreements as sex_disagreements
from mtm_core.studies.sample_swaps import SUSPECTED
from mtm_core.studies.sample_swaps import match_repeated as match_repeated
from mtm_core.studies.sample_swaps import swaps_in_words as swaps_in_words
from mtm_core.studies.table_swaps import OneTable as OneTable
from mtm_core.studies.table_swaps import TableSwaps as TableSwaps
from mtm_core.studies.table_swaps import compare_tables as compare_tables
from mtm_core.workflows.batches import batch_columns, check_alignment
from mtm_core.workflows.input_files import check_files, check_metadata, check_there
from mtm_core.workflows.own_samples import Say, read_known, read_samples, say_notes, say_nothing
from mtm_core.workflows.plain_values import PlainValues
from mtm_core.workflows.table_parts import write_csv, write_settings

_MOST_SAID = 20


@dataclass(frozen=True)
class QualityOptions(PlainValues):
    """Which samples to look at, and where to write what is found.

    Attributes
    ----------
    tables
        Expression tables.
    output
        Folder.
    metadata
        Metadata of the samples; ``None`` for none.
    model
        Name of a model, or a model's folder.
    prediction
        Source, unit, and how to read the files.
    tx2gene
        Transcripts and their genes.
    person
        Column of the metadata that says whose each sample is: samples under the wrong name.
    also
        Another table of the same people, under the same names: samples exchanged between the two.
    also_tissue
        Tissue of that table, if it is not the source: it is compared with its prediction.
    also_unit
        Unit of that table; ``None``: that of the first.
    near_people
        Match similar names of one person in the two tables.
    overwrite
        Replace what is there.
    """

    tables: tuple[Path, ...]
    output: Path
    metadata: Path | None = None
    model: str = DEFAULT_MODEL
    prediction: PredictionOptions = field(default_factory=PredictionOptions)
    tx2gene: Path | None = None
    person: str = ""
    also: Path | None = None
    also_tissue: str = ""
    overwrite: bool = False
    also_unit: UnitChoice | None = None
    near_people: bool = False


def check_quality(options: QualityOptions, say: Say = say_nothing) -> SampleReview:
    """Review samples, and write ``samples``, ``components`` and their tests as CSV.

    Raises
    ------
    SelectionError
        If options do not fit the model or the files.
    InputFileError, ExpressionError, ArtefactError
        If a table, the metadata or the model cannot be used.
    OutputError
        If the output is something else, or cannot be written.

    Examples
    --------
    >>> from mtm_core import SAMPLES, QualityOptions, check_quality
    >>> review = check_quality(
    ...     QualityOptions(
    ...         SAMPLES / "blood_tpm.tsv", output="quality", metadata=SAMPLES / "metadata.tsv"
    ...     )
    ... )
    >>> len(review.samples)
    40
    """
    folder = find_model(options.model)
    files = [
        path
        for path in (
            *(*options.tables, options.metadata, options.tx2gene, options.also),
            folder / "model.json",
        )
        if path is not None
    ]
    check_output(options.output, overwrite=options.overwrite, inputs=files, folder=True)
    check_there(input=options.tables)
    check_files(metadata=options.metadata, tx2gene=options.tx2gene)
    check_alignment(options.prediction, options.metadata)
    if options.person and options.metadata is None:
        raise SelectionError("--person names a column of the metadata: give --metadata too.")
    if options.also_tissue and options.also is None:
        raise SelectionError("--also-tissue is the tissue of --also: give that table too.")
    if options.metadata is not None:
        columns = batch_columns(options.prediction)
        columns += [options.person] if options.person else []
        check_metadata(options.metadata, options.prediction.metadata, columns=columns)
    predictor = Predictor(Artefact.load(ModelFolder.open(folder)))
    source = options.prediction.source
    predictor.targets_of(source)
    read, prepared = read_samples(
        options.tables, predictor, options.prediction, options.tx2gene, say, options.metadata
    )
    known = None
    if options.metadata is not None:
        known = read_known(options.metadata, prepared.samples, options.prediction.metadata, say)
    review = review_samples(
        read,
        predictor,
        source=source,
        unit=prepared.unit,
        metadata=known,
        batches=prepared.aligned.batches if prepared.aligned.has_batches else None,
    )
    say_notes(review.notes, say)
    swaps = _swaps(options, predictor, read, prepared, known, say)
    with writing(
        options.output, overwrite=options.overwrite, inputs=files, folder=True, kind="a review"
    ) as place:
        for name, table in (review_tables(review) | swaps).items():
            write_csv(table, place / f"{name}.csv")
        settings = {
            "model": predictor.artefact.name,
            "model_sha256": predictor.artefact.sha256,
            "file_sha256": read.report.sha256,
            "source": source,
            "unit": prepared.unit,
            "metadata": None if options.metadata is None else options.metadata.name,
            "n_samples": len(review.samples),
            "n_genes": review.n_genes,
            "notes": [str(note) for note in review.notes],
        }
        write_settings(settings, place)
    return review


def _swaps(
    options: QualityOptions,
    predictor: Predictor,
    read: ExpressionTable,
    prepared: Prepared,
    known: SampleMetadata | None,
    say: Say,
) -> dict[str, pd.DataFrame]:
    """Look for samples under another person's name; return ``people`` and ``between_tables``."""
    tables: dict[str, pd.DataFrame] = {}
    if options.person and known is not None:
        known.column(options.person)  # there, and with a value
        people = known.values[options.person].reindex(list(prepared.samples))
        found = match_repeated(OneTable(read, prepared).log2(), people)
        say(
            f"Samples of one person: {swaps_in_words(found)}",
            level="warning" if found["verdict"].isin(SUSPECTED).any() else "info",
        )
        tables["people"] = found
    if options.also is not None:
        found = _between(options, options.also, predictor, OneTable(read, prepared), known, say)
        tables["between_tables"] = found.people
        names = found.match.as_table().rename(columns={"further": "second"})
        return _with_samples(tables) | {"names_between_tables": names}
    return _with_samples(tables)


def _with_samples(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    return {name: table.rename_axis("sample").reset_index() for name, table in tables.items()}


def _between(
    options: QualityOptions,
    path: Path,
    predictor: Predictor,
    first: OneTable,
    known: SampleMetadata | None,
    say: Say,
) -> TableSwaps:
    """Read the second table, and look for samples that were exchanged between the two."""
    settings = PredictionOptions(
        options.also_tissue or first.prepared.source,
        unit=options.also_unit or options.prediction.unit,
    )
    second = OneTable(*read_samples([path], predictor, settings, None, say))
    stated = None if known is None or known.sex_column is None else known.phenotypes()["sex"]
    found = compare_tables(predictor, first, second, stated=stated, near_people=options.near_people)
    say_notes(found.notes, say)
    suspicious = found.suspicious
    for name, reasons in suspicious["reasons"].iloc[:_MOST_SAID].items():
        say(f"{name}: {reasons}.", level="warning")
    if len(suspicious) > _MOST_SAID:
        say(f"And {len(suspicious) - _MOST_SAID} more, in between_tables.csv.", level="warning")
    return found


def review_tables(review: SampleReview) -> dict[str, pd.DataFrame]:
    """Return the tables of a review by name: ``samples``, ``components``, ``component_tests``..."""
    tables = {
        "samples": review.samples.rename_axis("sample").reset_index(),
        "tissue_likeness": review.likeness.rename_axis("sample").reset_index(),
    }
    if review.components is not None:
        parts = review.components
        tables["components"] = parts.scores.rename_axis("sample").reset_index()
        spread = {f"covariance_{name}": parts.covariance[:, k] for k, name in
                  enumerate(parts.scores)} if parts.covariance is not None else {}  # fmt: skip
        tables["reference_in_components"] = pd.DataFrame(
            {
                "component": list(parts.scores),
                "share_of_variance": parts.shares,
                "reference_mean": parts.centre,
                **spread,
            }
        )
    if len(review.tests):
        tables["component_tests"] = review.tests
    return tables
