"""``mtm data``: download, prepare and describe cohorts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import anndata as ad
import typer
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column

from mtm_core.cli.checks import check_files
from mtm_core.cli.output import OverwriteOption, err, print_table, say
from mtm_core.data.cohort.cohort import (
    MINIMUM_SAMPLES,
    MINIMUM_TISSUES,
    is_simulated,
    read_cohort,
    summarise,
)
from mtm_core.data.cohort.normalise import Normalisation
from mtm_core.data.gtex.download import FILE_KINDS, OFFICIAL, FileKind, Release
from mtm_core.data.gtex.gct_store import gct_to_zarr
from mtm_core.errors import InputFileError, SelectionError
from mtm_core.workflows.download import DownloadOptions, download_release
from mtm_core.workflows.prepare import PrepareOptions, prepare_cohort

data_app = typer.Typer(
    help="Get and prepare cohorts.\n\n**Example:** `mtm data describe cohort.h5ad`",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@data_app.command("download")
def download(
    output: Annotated[Path, typer.Option(help="Folder for the files.")] = Path("gtex"),
    release: Annotated[Release, typer.Option(help="GTEx release.")] = "v8",
    files: Annotated[
        str, typer.Option(help=f"Comma-separated: {', '.join(FILE_KINDS)}; or all.")
    ] = "all",
    base_url: Annotated[str, typer.Option(help="A mirror of the official server.")] = OFFICIAL,
) -> None:
    """Download the official open-access GTEx files (1.6 GB), going on where a try broke off.

    **Example:** `mtm data download --release v8 --output gtex`
    """
    chosen = _chosen(files)
    with download_bars() as show:
        paths = download_release(DownloadOptions(output, release, chosen, base_url), show)
    for kind, path in paths.items():
        say(f"{kind}: {path}")


@contextmanager
def download_bars() -> Iterator[Callable[[str, int, int], None]]:
    """Show how far each file is: a bar at a terminal, elsewhere a line when it is there."""
    columns = (
        TextColumn("{task.description}", table_column=Column(max_width=34, no_wrap=True)),
        BarColumn(bar_width=16),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, disable=not err.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def show(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=None)
            bars.update(tasks[name], completed=done, total=total or None)
            if bars.disable and done == total:
                err.print(f"{name}: {done:,} bytes.")

        yield show


def _chosen(files: str) -> tuple[FileKind, ...]:
    """Return the files that ``--files`` names."""
    if files == "all":
        return FILE_KINDS
    names = [name.strip() for name in files.split(",")]
    unknown = [name for name in names if name not in FILE_KINDS]
    if unknown:
        raise SelectionError.unknown("GTEx file", unknown, FILE_KINDS)
    return tuple(kind for kind in FILE_KINDS if kind in names)


@data_app.command("prepare")
def prepare(
    expression: Annotated[Path, typer.Option(help="GCT or GCT.gz of counts or TPM.")],
    sample_attributes: Annotated[Path, typer.Option(help="GTEx sample attributes.")],
    output: Annotated[Path, typer.Option(help="Cohort to write (.h5ad).")],
    subject_phenotypes: Annotated[
        Path | None, typer.Option(help="Donor phenotypes, public or dbGaP.")
    ] = None,
    gene_table: Annotated[
        Path | None,
        typer.Option(help="GENCODE GTF, or a table with ENSEMBL, SYMBOL, ENTREZID, GENETYPE."),
    ] = None,
    gene_type: Annotated[
        str | None, typer.Option(help="Use only genes of this type, such as protein_coding.")
    ] = None,
    genes: Annotated[
        Path | None, typer.Option(help="Use only these gene ids, one per line.")
    ] = None,
    normalise: Annotated[Normalisation, typer.Option(help="How samples are normalised.")] = "none",
    minimum_samples: Annotated[
        int, typer.Option(help="Minimum number of samples of a tissue.", min=2)
    ] = MINIMUM_SAMPLES,
    minimum_tissues: Annotated[
        int, typer.Option(help="Minimum number of these tissues per donor.", min=1)
    ] = MINIMUM_TISSUES,
    overwrite: OverwriteOption = False,
) -> None:
    """Read GTEx files, apply the paper's filters, and write a cohort.

    **Example:** `mtm data prepare --expression gene_tpm.gct.gz --sample-attributes
    SampleAttributesDS.txt --subject-phenotypes SubjectPhenotypesDS.txt --gene-table
    gencode.v26.GRCh38.genes.gtf --gene-type protein_coding --output cohort.h5ad`
    """
    began = time.perf_counter()
    check_files(
        expression=expression,
        sample_attributes=sample_attributes,
        subject_phenotypes=subject_phenotypes,
        gene_table=gene_table,
        genes=genes,
    )
    options = PrepareOptions(
        expression,
        sample_attributes,
        output,
        subject_phenotypes=subject_phenotypes,
        gene_table=gene_table,
        gene_type=gene_type,
        genes=genes,
        normalise=normalise,
        minimum_samples=minimum_samples,
        minimum_tissues=minimum_tissues,
        overwrite=overwrite,
    )
    with _gene_bar() as show:
        cohort = prepare_cohort(options, show)
    _print_summary(cohort, str(output))
    err.print(f"Wrote {output} in {time.perf_counter() - began:.1f} s.")


@data_app.command("store")
def store(
    table: Annotated[Path, typer.Argument(metavar="GCT", help="GCT or GCT.gz, of any size.")],
    output: Annotated[Path, typer.Option(help="Store to write (.zarr).")],
    overwrite: OverwriteOption = False,
) -> None:
    """Store a GCT file so that 'mtm predict' can read it in chunks.

    **Example:** `mtm data store biobank.gct.gz --output biobank.zarr`
    """
    check_files(input=table)
    if output.suffix != ".zarr":
        raise InputFileError(f"--output: expected a name that ends in .zarr, got {output.name!r}.")
    with _gene_bar() as show:
        n_samples, n_genes = gct_to_zarr(table, output, show, overwrite=overwrite)
    err.print(f"Wrote {output}: {n_samples:,} samples x {n_genes:,} genes.")


@contextmanager
def _gene_bar() -> Iterator[Callable[[int, int], None]]:
    """Show how many genes are read, at a terminal."""
    with Progress(console=err, transient=True, disable=not err.is_terminal) as bars:
        tasks: list[TaskID] = []  # none before reading: what is wrong with the options comes first

        def show(done: int, total: int) -> None:
            if not tasks:
                tasks.append(bars.add_task("Reading genes", total=None))
            bars.update(tasks[0], completed=done, total=total if total > 0 else None)

        yield show


@data_app.command("describe")
def describe(
    cohort: Annotated[Path, typer.Argument(metavar="COHORT", help="Cohort (.h5ad).")],
) -> None:
    """Say what a cohort holds.

    **Example:** `mtm data describe cohort.h5ad`
    """
    check_files(cohort=cohort)
    _print_summary(read_cohort(cohort), str(cohort))


def _print_summary(cohort: ad.AnnData, title: str) -> None:
    summary = summarise(cohort)
    rows = [
        ("tissues", f"{summary.n_tissues:,}"),
        ("samples", f"{summary.n_samples:,}"),
        ("donors", f"{summary.n_donors:,}"),
        ("donors with whole blood", f"{summary.n_donors_with_blood:,}"),
        ("ordered same-donor pairs", f"{summary.n_pairs:,}"),
        ("genes", f"{summary.n_genes:,}"),
        ("unit", summary.unit),
    ]
    if is_simulated(cohort):
        rows.append(("simulated", "yes"))
    print_table(title, (), rows)
