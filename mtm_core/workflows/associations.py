"""Associate every gene of every tissue with the donors' traits: the reference of a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import anndata as ad

from mtm_core.data.cohort.cohort import read_cohort, tissue_names
from mtm_core.data.gtex.dbgap import with_dbgap_phenotypes
from mtm_core.model_folder import seal_around
from mtm_core.safe_output import check_output, writing
from mtm_core.studies.reference import (
    ReferenceAssociations,
    is_wide,
    write_associations,
)
from mtm_core.workflows.progress import OnProgress, Steps

ASSOCIATING = "Associate genes with the donors' traits"


@dataclass(frozen=True)
class AssociationOptions:
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
    *,
    cohort: ad.AnnData | None = None,
) -> ReferenceAssociations:
    """Write the associations of a cohort; of a wide one, tissue by tissue.

    Parameters
    ----------
    options
        Files.
    on_progress
        Called with each tissue.
    cohort
        That of ``options``, where the caller has read it.

    Raises
    ------
    InputFileError, OutputError
        If a file cannot be read, or the folder not be written to.
    """
    check_association(options)
    data = read_cohort_of(options) if cohort is None else cohort
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
    OutputError
        If the folder cannot be written to.
    """
    inputs = [path for path in (options.cohort, options.dbgap) if path is not None]
    check_output(options.output, overwrite=options.overwrite, inputs=inputs, folder=True)


def read_cohort_of(options: AssociationOptions) -> ad.AnnData:
    """Read the cohort, with the phenotypes of the dbGaP file where there is one.

    Raises
    ------
    InputFileError
        If a file cannot be read.
    """
    cohort = read_cohort(options.cohort)
    if options.dbgap is not None:
        cohort.uns["donors"] = with_dbgap_phenotypes(cohort.uns["donors"], options.dbgap)
    return cohort
