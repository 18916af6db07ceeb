"""Study a user's own samples against a reference (paper, 3.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mtm_core.artefact import Artefact
from mtm_core.data.people.metadata_file import read_metadata
from mtm_core.data.people.metadata_options import AS_FOUND
from mtm_core.data.tables.expression import read_expression
from mtm_core.data.units import UnitChoice
from mtm_core.errors import InputFileError, SelectionError
from mtm_core.inference.predictor import Predictor
from mtm_core.model_folder import ModelFolder
from mtm_core.model_places import DEFAULT_MODEL, find_model
from mtm_core.safe_output import check_output
from mtm_core.studies.beside_model import associations_of
from mtm_core.studies.external import study_external, summarise_external
from mtm_core.studies.reference import ReferenceAssociations
from mtm_core.workflows.input_files import check_files, check_folders, check_metadata, check_there
from mtm_core.workflows.plain_values import PlainValues
from mtm_core.workflows.study_files import save_tables


@dataclass(frozen=True)
class ExternalOptions(PlainValues):
    """Whose groups to compare, with what of the reference, and where to write it.

    Attributes
    ----------
    table, metadata
        Expression table; metadata of the samples, with their groups.
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
    source, unit
        Tissue and unit of the samples.
    overwrite
        Replace what is there.
    """

    table: Path
    metadata: Path
    group: str
    case: str
    control: str
    trait: str
    output: Path
    adjusted_for: str = ""
    model: str = DEFAULT_MODEL
    reference: Path | None = None
    source: str = "Whole Blood"
    unit: UnitChoice = "auto"
    overwrite: bool = False


@dataclass(frozen=True)
class ExternalStudied:
    """Summary of a study: the groups as the metadata name them, and the tables."""

    case: str
    control: str
    tissues: pd.DataFrame
    summary: pd.DataFrame


def study_external_samples(options: ExternalOptions) -> ExternalStudied:
    """Hold predicted changes between groups of a user's samples against a reference's.

    Tissues are decoded one after the other.

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
    table, metadata, reference = options.table, options.metadata, options.reference
    source, trait, group = options.source, options.trait, options.group
    case, control, adjusted_for = options.case, options.control, options.adjusted_for
    output, overwrite = options.output, options.overwrite
    inputs = [table, metadata, *([] if reference is None else [reference / "associations.json"])]
    check_output(output, overwrite=overwrite, inputs=inputs, folder=True)
    folder = find_model(options.model)
    check_there(input=table)
    check_files(metadata=metadata)
    check_folders(reference=reference)
    check_metadata(metadata, AS_FOUND, group=group, levels=lambda _: (case, control))
    files = ModelFolder.open(folder)
    predictor = Predictor(Artefact.load(files))
    predictor.targets_of(source)
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
    read = read_expression(table, known_genes=predictor.genes, typical=predictor.typical(source))
    samples = [str(name) for name in read.values.index]
    known = read_metadata(metadata, samples=samples)
    groups, case, control = (
        known.groups(group),
        known.level(group, case),
        known.level(group, control),
    )
    prediction = predictor.predict(read, source=source, unit=options.unit)
    tissues, genes = study_external(
        prediction,
        groups,
        associations,
        case=case,
        control=control,
        trait=trait,
        adjusted_for=adjusted_for,
    )
    settings = {
        "model": predictor.artefact.name,
        "model_sha256": predictor.artefact.sha256,
        "file_sha256": read.report.sha256,
        "case": case,
        "control": control,
        "trait": trait,
        "adjusted_for": adjusted_for,
        "source": source,
        "unit": str(prediction.attrs["input_unit"]),
        "alignment": str(prediction.attrs["alignment"]),
        "reference_cohort_sha256": associations.settings["cohort_sha256"],
    }
    summary = summarise_external(tissues)
    save_tables(
        output,
        settings,
        overwrite=overwrite,
        gene_keys=("tissue",),
        tissues=tissues,
        genes=genes,
        summary=summary,
    )
    return ExternalStudied(case, control, tissues, summary)


def _check_name(kind: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise SelectionError.unknown(kind, [name], known)
