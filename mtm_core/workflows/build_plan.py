"""Plan of a build: its steps and needs, known before any work begins."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mtm_core.data.cohort.cohort import look_at_cohort
from mtm_core.data.gtex.annotations import (
    read_sample_attributes,
    read_subject_phenotypes,
    tissue_table,
)
from mtm_core.data.gtex.download import bytes_to_come
from mtm_core.data.gtex.gct import gct_size
from mtm_core.errors import DownloadError, InputFileError, SelectionError
from mtm_core.methods.protocol import tissue_index
from mtm_core.workflows.build_files import BuildFiles, files_in
from mtm_core.workflows.build_options import BuildOptions
from mtm_core.workflows.download import check_server
from mtm_core.workflows.ledger import Ledger
from mtm_core.workflows.needs import Needs

_BYTES_A_CELL = 1.5
"""Bytes of a gene in a sample, in GTEx's compressed expression files."""
_FEWEST_BYTES, _FEWEST_BYTES_OF_TEXT = 1.0, 2.0
"""Bytes of a value, in a file of any table of expression."""
_SHARE_CODING = 0.36
"""Share of the genes of GENCODE that are protein-coding: 19,291 of 56,200, 20,000 of 59,000."""
_BASE_MEMORY = 700 * 10**6
"""The program and its libraries."""
_MEMORY_A_COHORT = 6.0
"""Most that a step holds, in cohorts of float32: 5 in the fit of 19,291 genes in 4,162 simulated
samples of 49 tissues, less in the other steps; one to spare."""
_DISK_OF_COHORT = 1.0
"""A cohort's file, in cohorts of float32."""
_DISK_OF_METHOD = 2.0
"""Out-of-fold predictions of a method with intervals, in cohorts of float32."""
_DISK_OF_MODEL = 1.2
"""Two copies of the model with its tables, in cohorts of float32."""

_NO_FILE = "there is no such file. Check the name and the folder."


@dataclass(frozen=True)
class BuildPlan:
    """Steps of a build.

    Attributes
    ----------
    needs
        Disk, memory and network.
    has_phenotypes
        Whether donors' phenotypes are known.
    files
        Files that are given; ``None`` if they are downloaded, or a cohort is given.
    sizes
        Bytes of each file to download.
    is_finished
        Whether an earlier run has built the same model, and it is there.
    """

    needs: Needs
    has_phenotypes: bool
    files: BuildFiles | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)
    is_finished: bool = False
    given: tuple[Path, ...] = ()

    @property
    def files_step(self) -> str:
        """Name of the step that gets the files."""
        return "Check the files" if self.files is not None else "Download the files"


def plan_build(options: BuildOptions) -> BuildPlan:
    """Look at files, server, disk and memory; touch nothing.

    Raises
    ------
    SelectionError, InputFileError
        If options or files are not what they should be.
    """
    options.check()
    work = options.work_folder
    ledger = Ledger(work / "steps.json")
    files = None
    if options.cohort is not None:
        found = look_at_cohort(options.cohort)
        n_values, has_phenotypes = found.n_samples * found.n_genes, found.has_phenotypes
        check_data(options, found.tissues, found.n_donors)
        given: tuple[Path, ...] = (options.cohort,)
    elif options.release is None:
        files = _given_files(options)
        given = tuple(files.by_kind().values())
        n_values = _values_in(files.expression)
        samples = read_sample_attributes(files.sample_attributes)
        check_data(options, samples["tissue"].unique(), samples["donor"].nunique())
        has_phenotypes = files.subject_phenotypes is not None
        if files.gene_table is not None and options.genes is None:
            n_values = int(n_values * _SHARE_CODING) if options.gene_type != "all" else n_values
    else:
        given = ()
        n_values, has_phenotypes = 0, True
        tissue_index(tuple(tissue_table().index), options.source)
    for path in (options.genes, options.subject_phenotypes, options.gene_table):
        if path is not None and not path.is_file():
            raise InputFileError(f"{path}: {_NO_FILE}")
    if options.subject_phenotypes is not None:
        read_subject_phenotypes(options.subject_phenotypes)
    is_finished = not options.restart and _is_finished(options, ledger, has_phenotypes)
    sizes: dict[str, int] = {}
    to_come, server, error = 0, "", ""
    if options.release is not None and not is_finished:
        server = options.mirror
        check_server(server)
        try:
            files_to_come = bytes_to_come(work / "gtex", options.release, base_url=server)
            sizes = {kind: size for kind, (size, _) in files_to_come.items()}
            to_come = sum(left for _, left in files_to_come.values())
            if not to_come:
                server = ""
        except DownloadError as failed:
            error = f"cannot be used ({failed})".replace(".)", ")")
        n_cells = sizes.get("expression", 0) / _BYTES_A_CELL
        n_values = int(n_cells if options.gene_type == "all" else n_cells * _SHARE_CODING)
    cohort = 4 * n_values
    n_methods = len(options.evaluated(with_phenotypes=has_phenotypes))
    done = {name for name in ("cohort", "fit", "evaluation") if ledger.find(name) is not None}
    disk = {
        "downloads": to_come,
        "cohort": 0 if "cohort" in done or options.cohort else int(_DISK_OF_COHORT * cohort),
        "predictions of held-out donors": 0
        if "evaluation" in done
        else int(_DISK_OF_METHOD * (n_methods + bool(n_methods and options.combinations)) * cohort),
        "model": int(_DISK_OF_MODEL * cohort),
    }
    memory = _memory(options, cohort)
    needs = Needs({} if is_finished else disk, work, memory, server, error)
    return BuildPlan(needs, has_phenotypes, files, sizes, is_finished, given)


def _memory(options: BuildOptions, cohort: int) -> int:
    """Return the most memory that a step takes; ``cohort`` is that of a cohort's values."""
    of_a_fit = int(_BASE_MEMORY + _MEMORY_A_COHORT * cohort)
    jobs = (os.cpu_count() or 1) if options.jobs == -1 else options.jobs
    at_a_time = min(jobs, options.folds) if options.evaluate else 1
    if at_a_time == 1:
        return of_a_fit
    # Each fold in a process of its own, beside this one, which holds the cohort.
    return _BASE_MEMORY + cohort + at_a_time * of_a_fit


def _is_finished(options: BuildOptions, ledger: Ledger, has_phenotypes: bool) -> bool:
    """Tell whether the model that is there is the one that this build wrote."""
    done = ledger.find("model")
    path = options.output / "model.json"
    return (
        done is not None
        and ledger.options == options.identity()
        and done.of["evaluated"] == list(options.evaluated(with_phenotypes=has_phenotypes))
        and path.is_file()
        and ledger.sha256(path) == done.result["sha256"]
    )


def _values_in(expression: Path) -> int:
    """Count the values of a GCT file: as many as it says, and no more than it has room for.

    A file that was cut down to a few genes may still say how many there were.
    """
    n_genes, n_samples = gct_size(expression)
    is_compressed = expression.suffix == ".gz"
    most = expression.stat().st_size / (_FEWEST_BYTES if is_compressed else _FEWEST_BYTES_OF_TEXT)
    return min(n_genes * n_samples, int(most))


def _given_files(options: BuildOptions) -> BuildFiles:
    """Find the files that are there already."""
    if options.folder is not None and not options.names_files:
        files = files_in(options.folder).by_kind()
    else:
        files = {}
    named = {
        "expression": options.expression,
        "sample-attributes": options.sample_attributes,
        "subject-phenotypes": options.subject_phenotypes,
        "genes": options.gene_table,
    }
    files |= {kind: path for kind, path in named.items() if path is not None}
    for kind, path in files.items():
        if not path.is_file():
            raise InputFileError(
                f"--{kind}: cannot open {path}: "
                + ("it is a folder; name the file." if path.is_dir() else _NO_FILE)
            )
    return BuildFiles.of(files)  # type: ignore[arg-type]


def check_data(options: BuildOptions, tissues: Collection[str], n_donors: int) -> None:
    """Refuse what does not fit the data that a model is built of, before it is fitted.

    Parameters
    ----------
    options
        Options of the build.
    tissues, n_donors
        Tissues and donors of the cohort, or of its files as far as known.

    Raises
    ------
    SelectionError
        If the source is not one of the tissues, or there are more folds than donors.
    """
    tissue_index(tuple(tissues), options.source)
    if options.evaluate and options.folds > n_donors:
        raise SelectionError(
            f"--folds: expected 2 to {n_donors} for {n_donors} donors, got {options.folds}."
        )
