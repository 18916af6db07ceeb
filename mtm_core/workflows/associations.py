"""Associate every gene of every tissue with the donors' traits: the reference of a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mtm_core.data.cohort.cohort import tissue_names
from mtm_core.model_folder import seal_around
from mtm_core.safe_output import writing
from mtm_core.studies.reference import (
    ReferenceAssociations,
    is_wide,
    write_associations,
)
from mtm_core.workflows.input_files import check_files
from mtm_core.workflows.own_samples import Say, say_nothing
from mtm_core.workflows.plain_values import PlainValues
from mtm_core.workflows.progress import OnProgress, Steps
from mtm_core.workflows.study_files import check_study_output, read_study_cohort

ASSOCIATING = "Associate genes with the donors' traits"


@dataclass(frozen=True)
class AssociationOptions(PlainValues):
    """Which cohort, and where to.

    Attributes
    ----------
    cohort, output
        Cohort of 'mtm data prepare', and folder for the tables.
    dbgap
        Subject phenotypes of dbGaP, for exact age, BMI and medical history.
    overwrite
        Replace associations that are there.
    """

    cohort: Path
    output: Path
    dbgap: Path | None = None
    overwrite: bool = False


def associate(
    options: AssociationOptions,
    on_progress: OnProgress | None = None,
    say: Say = say_nothing,
) -> ReferenceAssociations:
    """Write the associations of a cohort; of a wide one, tissue by tissue.

    Parameters
    ----------
    options
        Files.
    on_progress
        Called with each tissue.
    say
        Called with what is to be known of the cohort.

    Raises
    ------
    InputFileError, OutputError
        If a file cannot be read, or the folder not be written to.

    Examples
    --------
    >>> from mtm_core import AssociationOptions, associate
    >>> list(associate(AssociationOptions("cohort.h5ad", output="associations")).traits)
    ['age', 'sex', 'ventilator']
    """
    check_association(options)
    data = read_study_cohort(options.cohort, options.dbgap, say)
    steps = Steps((ASSOCIATING,), on_progress)
    with steps.running(ASSOCIATING, total=len(tissue_names(data)), unit="tissues") as advance:
        if is_wide(data):
            with writing(
                options.output, overwrite=options.overwrite, folder=True, kind="associations"
            ) as place:
                write_associations(data, place, lambda done, of: advance(done, of))
        else:
            ReferenceAssociations.of(data).save(options.output, overwrite=options.overwrite)
        seal_around(options.output)
    return ReferenceAssociations.load(options.output)


def check_association(options: AssociationOptions) -> None:
    """Look at the options, before anything is read.

    Raises
    ------
    InputFileError, OutputError
        If a file is not there, or the folder cannot be written to.
    """
    check_files(cohort=options.cohort, dbgap=options.dbgap)
    check_study_output(options.output, [options.cohort, options.dbgap], overwrite=options.overwrite)
