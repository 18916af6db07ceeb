"""Make a cohort of GTEx's files."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import anndata as ad
import pandas as pd

from mtm_core.data.cohort.cohort import (
    MINIMUM_SAMPLES,
    MINIMUM_TISSUES,
    choose_samples,
    cohort_of,
    write_cohort,
)
from mtm_core.data.cohort.normalise import Normalisation
from mtm_core.data.files.open_file import open_text
from mtm_core.data.genes.ids import strip_version
from mtm_core.data.gtex.annotations import (
    read_gene_table,
    read_sample_attributes,
    read_subject_phenotypes,
)
from mtm_core.data.gtex.gct import Progress, open_gct, read_gct
from mtm_core.errors import CohortError, InputFileError, SelectionError
from mtm_core.safe_output import check_output
from mtm_core.workflows.plain_values import PlainValues

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PrepareOptions(PlainValues):
    """Files, and which of their genes and samples to keep.

    Attributes
    ----------
    expression
        GCT of counts or TPM.
    sample_attributes, subject_phenotypes
        GTEx's annotations of samples, and of donors.
    output
        Cohort to write (.h5ad).
    gene_table
        GENCODE GTF, or a table with ENSEMBL, SYMBOL, ENTREZID, GENETYPE.
    gene_type
        Keep genes of this type; needs ``gene_table``.
    genes
        File of gene ids to keep, one a line.
    normalise
        How samples come to one scale.
    minimum_samples, minimum_tissues
        Samples that a tissue needs, and such tissues that a donor needs.
    overwrite
        Replace a cohort that is there.
    """

    expression: Path
    sample_attributes: Path
    output: Path
    subject_phenotypes: Path | None = None
    gene_table: Path | None = None
    gene_type: str | None = None
    genes: Path | None = None
    normalise: Normalisation = "none"
    minimum_samples: int = MINIMUM_SAMPLES
    minimum_tissues: int = MINIMUM_TISSUES
    overwrite: bool = False

    @property
    def inputs(self) -> tuple[Path, ...]:
        """Files that are read."""
        given = (
            self.expression,
            self.sample_attributes,
            self.subject_phenotypes,
            self.gene_table,
            self.genes,
        )
        return tuple(path for path in given if path is not None)


def prepare_cohort(options: PrepareOptions, on_progress: Progress | None = None) -> ad.AnnData:
    """Read the files, apply the paper's filters, and write the cohort.

    Parameters
    ----------
    on_progress
        Called with how many genes are read, of how many.

    Raises
    ------
    SelectionError, CohortError
        If the options do not go together, or leave nothing.
    InputFileError
        If a file is not what it is given for.
    OutputError
        As :func:`mtm_core.safe_output.writing`.

    Examples
    --------
    >>> from mtm_core import PrepareOptions, prepare_cohort
    >>> options = PrepareOptions(
    ...     expression="gene_tpm.gct",
    ...     sample_attributes="SampleAttributesDS.txt",
    ...     subject_phenotypes="SubjectPhenotypesDS.txt",
    ...     output="prepared.h5ad",
    ...     minimum_samples=20,  # of a small study
    ... )
    >>> prepare_cohort(options).shape  # samples x genes
    (136, 8)
    """
    if options.gene_type is not None and options.gene_table is None:
        raise SelectionError("--gene-type needs --gene-table, which has the type of each gene.")
    if options.output.suffix != ".h5ad":
        raise CohortError(
            f"--output: expected a name that ends in .h5ad, got {options.output.name!r}."
        )
    check_output(options.output, overwrite=options.overwrite, inputs=options.inputs)
    samples = read_sample_attributes(options.sample_attributes)
    phenotypes = options.subject_phenotypes
    donors = read_subject_phenotypes(phenotypes) if phenotypes else None
    known = read_gene_table(options.gene_table) if options.gene_table else None
    wanted = None if options.genes is None else _gene_list(options.genes)
    if options.gene_type is not None and known is not None:
        of_type = set(known.index[known["gene_type"] == options.gene_type])
        if not of_type:
            types = ", ".join(sorted(known["gene_type"].unique())[:8])
            raise CohortError(f"no gene has the type {options.gene_type!r}; there are {types}.")
        if wanted is not None and not wanted & of_type:
            raise CohortError(
                f"none of the genes of {options.genes} has the type {options.gene_type!r}."
            )
        wanted = of_type if wanted is None else wanted & of_type
    # First the samples, by the header: so that of the matrix only what is chosen is ever in memory.
    with open_gct(options.expression) as (names, _):
        obs = choose_samples(
            pd.Index(names, name="sample"),
            samples,
            minimum_samples=options.minimum_samples,
            minimum_tissues=options.minimum_tissues,
        )
    matrix = read_gct(options.expression, genes=wanted, samples=obs.index, progress=on_progress)
    if wanted is not None:
        n_absent = len(wanted - {strip_version(gene) for gene in matrix.var_names})
        logger.info("%d of the %d genes asked for are not in the file.", n_absent, len(wanted))
    cohort = cohort_of(matrix, obs, donors, gene_table=known, normalisation=options.normalise)
    del matrix  # where samples were normalised: of full size, as is the cohort
    write_cohort(cohort, options.output, overwrite=options.overwrite)
    return cohort


def _gene_list(path: Path) -> set[str]:
    """Read gene ids, one a line, without their versions."""
    with open_text(path) as file:
        ids = {strip_version(gene) for gene in file.read().split()}
    if not ids:
        raise InputFileError(f"{path}: the file is empty; expected one gene id a line.")
    return ids
