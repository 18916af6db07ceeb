"""Input and output files of all studies of a cohort."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anndata as ad
import pandas as pd

from mtm_core.data.cohort.cohort import is_simulated, read_cohort
from mtm_core.data.gtex.dbgap import with_dbgap_phenotypes
from mtm_core.grouped_writing import save_grouped
from mtm_core.model_folder import seal_around
from mtm_core.safe_output import check_output, writing
from mtm_core.studies.donor_traits import GENE_KEYS
from mtm_core.workflows.own_samples import Say, say_nothing
from mtm_core.workflows.table_parts import write_csv, write_settings

GENES = "genes.parquet"
"""The file of a study's rows of genes."""


def read_study_cohort(path: Path, dbgap: Path | None = None, say: Say = say_nothing) -> ad.AnnData:
    """Read a cohort, with the phenotypes of the dbGaP file where there is one.

    Raises
    ------
    InputFileError, CohortError
        If a file is not what it is given for.
    """
    cohort = read_cohort(path)
    if dbgap is not None:
        cohort.uns["donors"] = with_dbgap_phenotypes(cohort.uns["donors"], dbgap)
    if is_simulated(cohort):
        say("The cohort is simulated: nothing here is a result about people.")
    return cohort


def cohort_settings(cohort: ad.AnnData) -> dict[str, Any]:
    """Return what tells this cohort from others."""
    return {
        "cohort_sha256": str(cohort.uns["mtm"]["sha256"]),
        "unit": str(cohort.uns["mtm"]["unit"]),
        "simulated": is_simulated(cohort),
    }


def check_study_output(output: Path, inputs: Sequence[Path | None], *, overwrite: bool) -> None:
    """Refuse a folder that cannot be written, or that a study would read from.

    Raises
    ------
    OutputError
        As :func:`mtm_core.safe_output.check_output`.
    """
    given = [path for path in inputs if path is not None]
    check_output(output, overwrite=overwrite, inputs=given, folder=True)


@contextmanager
def writing_study(output: Path, *, overwrite: bool) -> Iterator[Path]:
    """Write a study into the folder that is yielded; it is whole at the end, or not there at all.

    Raises
    ------
    OutputError
        As :func:`mtm_core.safe_output.writing`.
    """
    with writing(output, overwrite=overwrite, folder=True, kind="a study") as folder:
        yield folder
    seal_around(output)


def write_tables(folder: Path, settings: dict[str, Any], **tables: pd.DataFrame) -> None:
    """Write tables of a study as CSV, and its settings."""
    for name, table in tables.items():
        write_csv(table, folder / f"{name}.csv")
    write_settings(settings, folder)


def save_tables(
    output: Path,
    settings: dict[str, Any],
    *,
    overwrite: bool,
    gene_keys: Sequence[str] = GENE_KEYS,
    **tables: pd.DataFrame,
) -> None:
    """Write the tables of a study, ``genes`` as parquet, the others as CSV, and its settings.

    ``gene_keys`` are the columns that ``genes`` is grouped by.

    Raises
    ------
    OutputError
        As :func:`mtm_core.safe_output.writing`.
    """
    with writing_study(output, overwrite=overwrite) as folder:
        if (genes := tables.pop("genes", None)) is not None:
            save_grouped(genes, folder / GENES, gene_keys, genes_vary=True)
        write_tables(folder, settings, **tables)
