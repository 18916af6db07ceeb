"""The command line that repeats a prediction or a comparison, word by word.

Whatever names hold (commas, quotes, ``$(...)``, line ends, a dash in front), the command means the
same to a shell once it is joined by :func:`in_shell`.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mtm_core.data.files.reading_options import ReadingOptions
from mtm_core.data.people.metadata_options import MetadataOptions
from mtm_core.inference.options import PredictionOptions
from mtm_core.reporting.name_lists import join_groups, join_names
from mtm_core.studies.contrasts import Asked


@dataclass(frozen=True)
class InputFiles:
    """Names of the user's files, as they lie beside where the command is run.

    Attributes
    ----------
    tables
        Expression tables.
    metadata
        Empty if the command reads none.
    tx2gene
        Table of transcripts and their genes; empty if the tables are by gene.
    further
        Table of each further tissue of the same people, in order.
    """

    tables: tuple[str, ...] = ()
    metadata: str = ""
    tx2gene: str = ""
    further: tuple[str, ...] = ()

    @property
    def words(self) -> list[str]:
        """The words that name the expression."""
        transcripts = _option("--tx2gene", _as_path(self.tx2gene)) if self.tx2gene else []
        return [*map(_as_path, self.tables), *transcripts]


@dataclass(frozen=True)
class Comparison:
    """A comparison, as ``mtm compare`` takes it.

    Attributes
    ----------
    groups
        Column, cases and controls.
    traits, covariates
        Columns of the metadata.
    shuffle
        Seed of the shuffle; ``None`` if labels are the true ones.
    formula
        Formula of a linear model; empty for none.
    contrasts
        Contrasts of the model: terms, or column, cases and controls.
    block, block_as
        Column whose samples go together, and how; empty for none.
    composition
        Whether estimated shares of blood cells are among the columns.
    counts
        Whether measured counts are tested too.
    both_sexes
        Whether both sexes are compared in tissues that only one has.
    gene_sets, background, minimum_size
        Gene sets that are tested between the groups, what they are compared with, and the fewest
        genes there; an empty name for none.
    """

    groups: tuple[str, str, str] | None = None
    traits: tuple[str, ...] = ()
    covariates: tuple[str, ...] = ()
    shuffle: int | None = None
    formula: str = ""
    contrasts: tuple[Asked, ...] = ()
    block: str = ""
    block_as: str = "random"
    composition: bool = False
    counts: bool = False
    both_sexes: bool = False
    gene_sets: str = ""
    background: str = "predictable"
    minimum_size: int = 10


def in_shell(words: Sequence[str]) -> str:
    """Join the words of a command for a POSIX shell (sh, bash, zsh)."""
    return shlex.join(words)


def predict_arguments(
    options: PredictionOptions,
    files: InputFiles,
    *,
    model: str,
    output: str,
    layout: str = "long",
) -> list[str]:
    """Return the words of the ``mtm predict`` that makes a prediction again.

    Parameters
    ----------
    options
        As used (:meth:`~mtm_core.inference.options.PredictionOptions.as_used`), so that nothing is
        guessed a second time.
    files
        The user's; with metadata where age and sex were read.
    model
        Name, or folder.
    output
        File to write, or folder.
    layout
        As ``--format`` names it: ``"wide"`` is a folder of one file a tissue.
    """
    return [
        *("mtm", "predict", *files.words),
        *_further(options, files),
        *_shared(options, model),
        *(_metadata(options.metadata, files.metadata) if files.metadata else ()),
        *(_option("--format", layout) if layout != "long" else ()),
        *_option("--output", _as_path(output)),
    ]


def compare_arguments(
    options: PredictionOptions,
    files: InputFiles,
    comparison: Comparison,
    *,
    model: str,
    output: str,
) -> list[str]:
    """Return the words of the ``mtm compare`` that makes a comparison again.

    Parameters
    ----------
    options, files, model
        As in :func:`predict_arguments`.
    comparison
        The comparison.
    output
        Folder to write.
    """
    words = ["mtm", "compare", *files.words, *_further(options, files)]
    words += _metadata(options.metadata, files.metadata)
    if comparison.groups is not None:
        words += _option("--groups", join_groups(*comparison.groups))
    if comparison.gene_sets:
        words += _option("--gene-sets", _as_path(comparison.gene_sets))
        words += _option("--background", comparison.background)
        words += _option("--min-size", str(comparison.minimum_size))
    for name, columns in (("--traits", comparison.traits), ("--covariates", comparison.covariates)):
        words += _option(name, join_names(columns)) if columns else []
    words += ["--composition"] if comparison.composition else []
    if comparison.formula:
        words += _option("--formula", comparison.formula)
        for one in comparison.contrasts:
            words += _option("--contrast", one if isinstance(one, str) else join_groups(*one))
        if comparison.block:
            words += _option("--block", comparison.block)
            words += _option("--block-as", comparison.block_as)
        words += ["--counts"] if comparison.counts else []
    words += ["--both-sexes"] if comparison.both_sexes else []
    words += _shared(options, model)
    if comparison.shuffle is not None:
        words += _option("--shuffle", str(comparison.shuffle))
    return [*words, *_option("--output", _as_path(output))]


def composition_arguments(
    options: PredictionOptions, files: InputFiles, *, model: str, output: str
) -> list[str]:
    """Return the words of the ``mtm composition`` that estimates shares of blood cells again.

    Parameters
    ----------
    options, files, model
        As in :func:`predict_arguments`.
    output
        File to write.
    """
    return [
        *("mtm", "composition", *files.words),
        *_option("--model", _as_path(model)),
        *_option("--unit", options.unit),
        *_reading(options.reading),
        *_option("--output", _as_path(output)),
    ]


@dataclass(frozen=True)
class ActivityAsked:
    """Scores of activity, as ``mtm activity`` takes them.

    Attributes
    ----------
    network
        Name or file.
    method, background, minimum_targets
        How activity is scored.
    targets
        Predicted tissues; empty for all.
    groups
        Column, cases and controls; ``None`` for none.
    shuffle
        Seed of the shuffle; ``None`` if labels are the true ones.
    both_sexes
        Whether both sexes are compared in tissues that only one has.
    """

    network: str
    method: str
    background: str
    minimum_targets: int
    targets: tuple[str, ...] = ()
    groups: tuple[str, str, str] | None = None
    shuffle: int | None = None
    both_sexes: bool = False


def activity_arguments(
    options: PredictionOptions,
    files: InputFiles,
    asked: ActivityAsked,
    *,
    model: str,
    output: str,
) -> list[str]:
    """Return the words of the ``mtm activity`` that makes scores again.

    Parameters
    ----------
    options, files, model
        As in :func:`predict_arguments`.
    asked
        The scores.
    output
        Folder to write.
    """
    words = ["mtm", "activity", *files.words, *_further(options, files)]
    words += _option("--network", _as_path(asked.network))
    words += [*_option("--method", asked.method), *_option("--background", asked.background)]
    words += _option("--min-targets", str(asked.minimum_targets))
    has_batches = bool(options.batch) or any(one.batch for one in options.further)
    if files.metadata and (asked.groups is not None or has_batches):
        words += _metadata(options.metadata, files.metadata)
    if asked.groups is not None:
        words += _option("--groups", join_groups(*asked.groups))
        words += ["--both-sexes"] if asked.both_sexes else []
    words += _shared(replace(options, targets=asked.targets or options.targets), model)
    if asked.shuffle is not None:
        words += _option("--shuffle", str(asked.shuffle))
    return [*words, *_option("--output", _as_path(output))]


@dataclass(frozen=True)
class MeasuredFiles:
    """A measured table that predictions are held to, as ``mtm judge`` takes it.

    Attributes
    ----------
    tissue, unit
        Of its samples.
    files
        Their names.
    """

    tissue: str
    unit: str
    files: tuple[str, ...]


def judge_arguments(
    options: PredictionOptions,
    files: InputFiles,
    measured: MeasuredFiles,
    *,
    model: str,
    output: str,
) -> list[str]:
    """Return the words of the ``mtm judge`` that makes a check again.

    Parameters
    ----------
    options, files, model
        As in :func:`predict_arguments`.
    measured
        What predictions are held to.
    output
        Folder to write.
    """
    words = ["mtm", "judge", *files.words]
    for name in measured.files:
        words += _option("--measured", _as_path(name))
    words += _option("--tissue", measured.tissue)
    words += _option("--measured-unit", measured.unit)
    words += _further(replace(options, near_people=False), files)
    words += ["--near-people"] if options.near_people else []
    words += _shared(replace(options, targets=None), model)
    words += _metadata(options.metadata, files.metadata) if files.metadata else []
    return [*words, *_option("--output", _as_path(output))]


@dataclass(frozen=True)
class SecondTable:
    """A second table of the same people, as ``mtm quality --also`` takes it.

    Attributes
    ----------
    file
        File name.
    tissue, unit
        Tissue and unit of its samples.
    near_people
        Whether similar names are matched.
    """

    file: str
    tissue: str
    unit: str
    near_people: bool = False


def quality_arguments(
    options: PredictionOptions,
    files: InputFiles,
    *,
    model: str,
    output: str,
    person: str = "",
    also: SecondTable | None = None,
) -> list[str]:
    """Return the words of the ``mtm quality`` that makes a review again.

    Parameters
    ----------
    options, files, model
        As in :func:`predict_arguments`.
    output
        Folder to write.
    person
        Metadata column that says whose each sample is; empty for none.
    also
        Second table of the same people.
    """
    words = ["mtm", "quality", *files.words, *_option("--model", _as_path(model))]
    words += [*_option("--source", options.source), *_option("--unit", options.unit)]
    words += _reading(options.reading)
    words += _metadata(options.metadata, files.metadata) if files.metadata else []
    words += _option("--batch", options.batch) if options.batch and files.metadata else []
    words += _option("--person", person) if person else []
    if also is not None:
        words += _option("--also", _as_path(also.file))
        words += _option("--also-tissue", also.tissue) if also.tissue != options.source else []
        words += _option("--also-unit", also.unit)
        words += ["--near-people"] if also.near_people else []
    return [*words, *_option("--output", _as_path(output))]


def _shared(options: PredictionOptions, model: str) -> list[str]:
    words = [*_option("--model", _as_path(model)), *_option("--source", options.source)]
    if options.targets is not None:
        words += _option("--targets", join_names(options.targets))
    words += _option("--unit", options.unit)
    if options.alignment_from:
        words += _option("--alignment-from", _as_path(options.alignment_from))
        words += _option("--as-batch", options.as_batch) if options.as_batch else []
    else:
        words += _option("--alignment", options.alignment)
    words += _option("--batch", options.batch) if options.batch else []
    return words + _reading(options.reading)


def _further(options: PredictionOptions, files: InputFiles) -> list[str]:
    """Return the options that name tables of further tissues, their units and batches."""
    words: list[str] = []
    for one, file in zip(options.further, files.further, strict=True):
        words += ["--and", f"{one.source}={file}"]
        words += ["--and-unit", f"{one.source}={one.unit}"] if one.unit != "auto" else []
        words += ["--and-batch", f"{one.source}={one.batch}"] if one.batch else []
    return words + (["--near-people"] if words and options.near_people else [])


def _reading(reading: ReadingOptions) -> list[str]:
    """Return what differs from the default."""
    words: list[str] = []
    default = ReadingOptions()
    for name in ("take_back", "leave_out", "numbers", "sheet", "quantity", "strand"):
        value = getattr(reading, name)
        if value != getattr(default, name):
            option = "--" + name.replace("_", "-")
            for one in value if isinstance(value, tuple) else (value,):
                words += _option(option, join_names([one]) if isinstance(value, tuple) else one)
    return words


def _metadata(metadata: MetadataOptions, file: str) -> list[str]:
    words = _option("--metadata", _as_path(file))
    for option, column in (
        ("--age-column", metadata.age_column),
        ("--sex-column", metadata.sex_column),
    ):
        words += [] if column is None else _option(option, column)
    if metadata.sex_codes:
        words += _option("--sex-codes", join_names(f"{a}={b}" for a, b in metadata.sex_codes))
    if metadata.unknown:
        words += _option("--unknown", join_names(metadata.unknown))
    if metadata.sheet:
        words += _option("--metadata-sheet", metadata.sheet)
    return words + (["--near-names"] if metadata.near_names else [])


def _option(option: str, value: str) -> list[str]:
    """Return an option with its value; in one word where the value begins as an option does."""
    return [f"{option}={value}"] if value.startswith("-") else [option, value]


def _as_path(name: str) -> str:
    """Keep a file name that begins with a dash from being read as an option."""
    return f"./{name}" if name.startswith("-") else name
