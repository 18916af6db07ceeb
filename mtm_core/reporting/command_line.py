"""The command lines that repeat predictions, comparisons and reviews, word by word.

Whatever names hold (commas, quotes, ``$(...)``, line ends, a dash in front), the command means the
same to a shell once it is joined by :func:`in_shell`.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mtm_core.inference.options import PredictionOptions
from mtm_core.reporting.command_words import (
    InputFiles,
    as_path,
    further_words,
    metadata_words,
    model_words,
    option,
    reading_words,
)
from mtm_core.reporting.name_lists import join_groups, join_names
from mtm_core.studies.contrasts import Asked


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
    references
        Columns of groups, each with the group that the others are compared with.
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
    references: tuple[tuple[str, str], ...] = ()


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
        *further_words(options, files),
        *model_words(options, model),
        *(metadata_words(options.metadata, files.metadata) if files.metadata else ()),
        *(option("--format", layout) if layout != "long" else ()),
        *option("--output", as_path(output)),
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
    words = ["mtm", "compare", *files.words, *further_words(options, files)]
    words += metadata_words(options.metadata, files.metadata)
    if comparison.groups is not None:
        words += option("--groups", join_groups(*comparison.groups))
    if comparison.gene_sets:
        words += _set_words(comparison)
    for name, columns in (("--traits", comparison.traits), ("--covariates", comparison.covariates)):
        words += option(name, join_names(columns)) if columns else []
    for column, group in comparison.references:
        words += option("--reference", f"{join_names([column])}={join_names([group])}")
    words += ["--composition"] if comparison.composition else []
    if comparison.formula:
        words += option("--formula", comparison.formula)
        for one in comparison.contrasts:
            words += option("--contrast", one if isinstance(one, str) else join_groups(*one))
        if comparison.block:
            words += option("--block", comparison.block)
            words += option("--block-as", comparison.block_as)
        words += ["--counts"] if comparison.counts else []
    words += ["--both-sexes"] if comparison.both_sexes else []
    words += model_words(options, model)
    if comparison.shuffle is not None:
        words += option("--shuffle", str(comparison.shuffle))
    return [*words, *option("--output", as_path(output))]


def enrich_arguments(
    table: str,
    comparison: Comparison,
    tissues: Sequence[str],
    *,
    model: str,
    output: str,
) -> list[str]:
    """Return the words of the ``mtm enrich`` that tests gene sets in a table again.

    Parameters
    ----------
    table
        Table of ``mtm compare``.
    comparison
        Gene sets, background and least size.
    tissues
        Tissues to test them in.
    model
        Name of the model.
    output
        Folder to write.
    """
    return [
        *("mtm", "enrich", as_path(table)),
        *_set_words(comparison),
        *option("--model", as_path(model)),
        *option("--tissues", join_names(tissues)),
        *option("--output", as_path(output)),
    ]


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
        *option("--model", as_path(model)),
        *option("--unit", options.unit),
        *reading_words(options.reading),
        *option("--output", as_path(output)),
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
    words = ["mtm", "activity", *files.words, *further_words(options, files)]
    words += option("--network", as_path(asked.network))
    words += [*option("--method", asked.method), *option("--background", asked.background)]
    words += option("--min-targets", str(asked.minimum_targets))
    has_batches = bool(options.batch) or any(one.batch for one in options.further)
    if files.metadata and (asked.groups is not None or has_batches):
        words += metadata_words(options.metadata, files.metadata)
    if asked.groups is not None:
        words += option("--groups", join_groups(*asked.groups))
        words += ["--both-sexes"] if asked.both_sexes else []
    words += model_words(replace(options, targets=asked.targets or options.targets), model)
    if asked.shuffle is not None:
        words += option("--shuffle", str(asked.shuffle))
    return [*words, *option("--output", as_path(output))]


@dataclass(frozen=True)
class MeasuredFiles:
    """A measured table that predictions are held to, as ``mtm judge`` takes it.

    Attributes
    ----------
    tissue, unit
        Tissue and unit of its samples.
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
    person: str = "",
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
    person
        Column of the person of each sample.
    """
    words = ["mtm", "judge", *files.words]
    for name in measured.files:
        words += option("--measured", as_path(name))
    words += option("--tissue", measured.tissue)
    words += option("--measured-unit", measured.unit)
    words += further_words(replace(options, near_people=False), files)
    words += ["--near-people"] if options.near_people else []
    words += model_words(replace(options, targets=None), model)
    words += metadata_words(options.metadata, files.metadata) if files.metadata else []
    words += option("--person", person) if person else []
    return [*words, *option("--output", as_path(output))]


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
    words = ["mtm", "quality", *files.words, *option("--model", as_path(model))]
    words += [*option("--source", options.source), *option("--unit", options.unit)]
    words += reading_words(options.reading)
    words += metadata_words(options.metadata, files.metadata) if files.metadata else []
    words += option("--batch", options.batch) if options.batch and files.metadata else []
    words += option("--person", person) if person else []
    if also is not None:
        words += option("--also", as_path(also.file))
        words += option("--also-tissue", also.tissue) if also.tissue != options.source else []
        words += option("--also-unit", also.unit)
        words += ["--near-people"] if also.near_people else []
    return [*words, *option("--output", as_path(output))]


def _set_words(comparison: Comparison) -> list[str]:
    """Return the options that name gene sets, their background and their least size."""
    return [
        *option("--gene-sets", as_path(comparison.gene_sets)),
        *option("--background", comparison.background),
        *option("--min-size", str(comparison.minimum_size)),
    ]
