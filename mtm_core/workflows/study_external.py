"""Study a user's own samples against a reference (paper, 3.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from mtm_core.artefact import Artefact
from mtm_core.errors import InputFileError, SelectionError
from mtm_core.inference.one_sex import describe_left_out
from mtm_core.inference.options import PredictionOptions
from mtm_core.inference.predictor import Predictor
from mtm_core.model_folder import ModelFolder
from mtm_core.model_places import DEFAULT_MODEL, find_model
from mtm_core.safe_output import check_output
from mtm_core.studies.beside_model import associations_of
from mtm_core.studies.external import study_external, summarise_external
from mtm_core.studies.reference import ReferenceAssociations
from mtm_core.studies.sample_sex import sex_of_people
from mtm_core.workflows.batches import batch_columns, check_alignment, tables_at_risk
from mtm_core.workflows.group_pair import counts_in_words
from mtm_core.workflows.input_files import check_files, check_folders, check_metadata, check_there
from mtm_core.workflows.own_samples import (
    Say,
    check_further,
    read_known,
    read_own_samples,
    say_notes,
    say_nothing,
)
from mtm_core.workflows.plain_values import PlainValues
from mtm_core.workflows.study_files import save_tables


@dataclass(frozen=True)
class ExternalOptions(PlainValues):
    """Whose groups to compare, with what of the reference, and where to write it.

    Attributes
    ----------
    tables, metadata
        Expression tables; metadata of the samples, with their groups.
    group, case, control
        Column of the metadata, and the two groups.
    trait, adjusted_for
        Trait and adjustment of the reference; an empty adjustment is none.
    output
        Folder.
    model
        Name of a model, or a model's folder.
    reference
        Folder of 'mtm study reference'; the model's own by default.
    prediction
        Source, targets, unit, alignment, and how to read the files.
    tx2gene
        Transcripts and their genes.
    overwrite
        Replace what is there.
    further
        Tables of the further tissues of ``prediction``, in order: the people of the first table
        are predicted from them too.
    both_sexes
        Compare people of both sexes in tissues that only one has, too.
    """

    tables: tuple[Path, ...]
    metadata: Path
    group: str
    case: str
    control: str
    trait: str
    output: Path
    adjusted_for: str = ""
    model: str = DEFAULT_MODEL
    reference: Path | None = None
    prediction: PredictionOptions = field(default_factory=PredictionOptions)
    tx2gene: Path | None = None
    overwrite: bool = False
    further: tuple[Path, ...] = ()
    both_sexes: bool = False

    def inputs(self, folder: Path) -> list[Path]:
        """Name the files that are read; ``folder`` is the model's."""
        own = self.reference
        beside = [self.tx2gene, None if own is None else own / "associations.json"]
        return [
            *(*self.tables, *self.further, self.metadata, folder / "model.json"),
            *(path for path in beside if path is not None),
        ]


@dataclass(frozen=True)
class ExternalStudied:
    """Summary of a study: the groups as the metadata name them, and the tables."""

    case: str
    control: str
    tissues: pd.DataFrame
    summary: pd.DataFrame


def study_external_samples(options: ExternalOptions, say: Say = say_nothing) -> ExternalStudied:
    """Hold predicted changes between groups of a user's samples against a reference's.

    Tissues are decoded one after the other.

    Parameters
    ----------
    options
        Options of the study.
    say
        Called with what was found and done: ``say(text)``, of warnings ``level="warning"``.

    Raises
    ------
    SelectionError
        If a group, the trait, the adjustment or a tissue is not there.
    InputFileError, ExpressionError, ArtefactError
        If a file or the model cannot be used, or the model has no associations.
    OutputError
        If the output is something else, or cannot be written.

    Examples
    --------
    >>> from mtm_core import SAMPLES, ExternalOptions, study_external_samples
    >>> studied = study_external_samples(
    ...     ExternalOptions(
    ...         SAMPLES / "blood_tpm.tsv",
    ...         SAMPLES / "metadata.tsv",
    ...         group="group",
    ...         case="case",
    ...         control="control",
    ...         trait="sex",
    ...         output="external",
    ...     )
    ... )
    >>> len(studied.tissues)
    48
    """
    metadata, reference, group = options.metadata, options.reference, options.group
    trait, adjusted_for = options.trait, options.adjusted_for
    check_alignment(options.prediction, metadata)
    check_further(options)
    folder = find_model(options.model)
    inputs = options.inputs(folder)
    check_output(options.output, overwrite=options.overwrite, inputs=inputs, folder=True)
    check_there(input=options.tables, **{"and": options.further})
    check_files(metadata=metadata, tx2gene=options.tx2gene)
    check_folders(reference=reference)
    check_metadata(
        metadata,
        options.prediction.metadata,
        columns=batch_columns(options.prediction),
        group=group,
        levels=lambda _: (options.case, options.control),
    )
    files = ModelFolder.open(folder)
    predictor = Predictor(Artefact.load(files))
    targets = predictor.targets_of(options.prediction.sources, options.prediction.targets)
    associations = (
        associations_of(files, predictor.artefact)
        if reference is None
        else ReferenceAssociations.load(reference)
    )
    if associations is None:
        raise InputFileError(
            f"{folder} holds no reference associations. Make them with 'mtm study reference', or"
            " name their folder with --reference."
        )
    _check_name("trait", trait, list(associations.traits))
    adjustments = associations.traits[trait]["adjustments"]
    _check_name("adjustment", adjusted_for, list(adjustments))
    own = read_own_samples(options, predictor, say)
    read, prepared = own.table, own.prepared
    known = read_known(metadata, prepared.samples, options.prediction.metadata, say)
    say_notes(tables_at_risk(own.people, known), say)
    groups = known.groups(group)
    case, control = known.level(group, options.case), known.level(group, options.control)
    say(counts_in_words(groups, case, control))
    prediction = own.predicted(predictor, targets, say)
    sex = sex_of_people(read, prepared, known.phenotypes()["sex"])
    say_notes(describe_left_out(targets, sex, both_sexes=options.both_sexes), say)
    tissues, genes = study_external(
        prediction,
        groups,
        associations,
        case=case,
        control=control,
        trait=trait,
        adjusted_for=adjusted_for,
        sex=None if options.both_sexes else sex,
    )
    settings = {
        "model": predictor.artefact.name,
        "model_sha256": predictor.artefact.sha256,
        "file_sha256": read.report.sha256,
        "case": case,
        "control": control,
        "log2_ratio": "log2 of the mean of cases over that of controls, 1 added to both, as in the"
        " reference",
        "trait": trait,
        "adjusted_for": adjusted_for,
        "both_sexes": options.both_sexes,
        "source": options.prediction.source,
        "options": options.prediction.as_used(prediction).to_json(),
        "unit": str(prediction.attrs["input_unit"]),
        "alignment": str(prediction.attrs["alignment"]),
        "reference_cohort_sha256": associations.settings["cohort_sha256"],
    }
    summary = summarise_external(tissues)
    save_tables(
        options.output,
        settings,
        overwrite=options.overwrite,
        gene_keys=("tissue",),
        tissues=tissues,
        genes=genes,
        summary=summary,
    )
    return ExternalStudied(case, control, tissues, summary)


def _check_name(kind: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise SelectionError.unknown(kind, [name], known)
