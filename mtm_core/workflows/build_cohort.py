"""The first steps of a build: the files, downloaded or looked at, and the cohort made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mtm_core.data.cohort.cohort import summarise, tissue_names
from mtm_core.errors import OutputError
from mtm_core.memory_budget import in_words
from mtm_core.workflows.build_files import BuildFiles
from mtm_core.workflows.build_plan import check_data
from mtm_core.workflows.build_run import PREPARE, BuildRun
from mtm_core.workflows.download import DownloadOptions, download_release
from mtm_core.workflows.prepare import PrepareOptions, prepare_cohort
from mtm_core.workflows.progress import Advance


def get_files(run: BuildRun) -> BuildFiles:
    """Download the files, or look at those that are there."""
    options, of = run.options, {"release": run.options.release}

    def download() -> Mapping[str, Any]:
        with run.steps.running(run.files_step, unit="bytes") as advance:
            where = DownloadOptions(
                run.work / "gtex", options.release or "v8", base_url=options.mirror
            )
            shown = _Downloads(advance, run.plan.sizes)
            paths = download_release(where, shown)
            advance(*shown.ended())
            return run.made(*paths.values()) | {
                "files": {kind: str(path) for kind, path in paths.items()}
            }

    if options.release is None:
        files = run.plan.files
        assert files is not None
        with run.steps.running(run.files_step) as advance:
            for path in files.by_kind().values():
                advance(0, detail=path.name)
                run.ledger.sha256(path)
            advance(0, detail=f"{len(files.by_kind())} files")
        return files
    result = run.step("files", (run.files_step,), of, download)
    files = BuildFiles.of({kind: Path(path) for kind, path in result["files"].items()})
    changed = {
        "subject_phenotypes": options.subject_phenotypes,
        "gene_table": options.gene_table,
    }
    return replace(files, **{name: path for name, path in changed.items() if path is not None})


def make_cohort(run: BuildRun, files: BuildFiles) -> str:
    """Make the cohort; return the SHA-256 of its file."""
    options, output = run.options, run.work / "cohort.h5ad"
    gene_type = options.type_of_genes(has_gene_table=files.gene_table is not None)
    genes = {} if options.genes is None else {"genes-to-keep": options.genes}
    inputs = {kind: run.ledger.sha256(path) for kind, path in (files.by_kind() | genes).items()}
    chosen = {
        "gene_type": gene_type,
        "normalise": options.normalise,
        "minimum_samples": options.minimum_samples,
        "minimum_tissues": options.minimum_tissues,
    }
    _check_same_inputs(run, inputs)

    def prepare() -> Mapping[str, Any]:
        with run.steps.running(PREPARE, unit="genes") as advance:
            cohort = prepare_cohort(
                PrepareOptions(
                    files.expression,
                    files.sample_attributes,
                    output,
                    subject_phenotypes=files.subject_phenotypes,
                    gene_table=files.gene_table,
                    gene_type=gene_type,
                    genes=options.genes,
                    normalise=options.normalise,
                    minimum_samples=options.minimum_samples,
                    minimum_tissues=options.minimum_tissues,
                    overwrite=True,
                ),
                lambda done, total: advance(done, max(total, 0)),
            )
            found = summarise(cohort)
            check_data(options, tissue_names(cohort), found.n_donors)
            advance(
                found.n_genes,
                found.n_genes,
                f"{found.n_genes:,} genes, {found.n_samples:,} samples of {found.n_donors:,}"
                f" donors, {found.n_tissues} tissues",
            )
        return run.made(output)

    run.step("cohort", (PREPARE,), {"inputs": inputs} | chosen, prepare)
    return run.ledger.sha256(output)


def _check_same_inputs(run: BuildRun, inputs: Mapping[str, str]) -> None:
    """Refuse files of other content than those that the build began with."""
    before = run.ledger.find("cohort")
    if before is None:
        return
    known: Mapping[str, str] = before.of["inputs"]
    changed = sorted(kind for kind in {*known, *inputs} if known.get(kind) != inputs.get(kind))
    if changed:
        raise OutputError(
            f"{run.work} holds a build of other files: {', '.join(changed)} changed since "
            f"(by SHA-256). Give the same files to continue, start again with --restart, or "
            f"name another --output."
        )


class _Downloads:
    """Adds up files that come one after the other, for one step."""

    def __init__(self, advance: Advance, sizes: Mapping[str, int]) -> None:
        self._advance, self._total = advance, sum(sizes.values())
        self._done: dict[str, int] = {}

    def __call__(self, name: str, done: int, total: int) -> None:
        """Say that of the file ``name`` so much is there."""
        self._done[name] = done
        self._advance(sum(self._done.values()), max(self._total, total), name)

    def ended(self) -> tuple[int, int, str]:
        """Say what came."""
        n_bytes = sum(self._done.values())
        return n_bytes, n_bytes, in_words(n_bytes) if n_bytes else "files that were there"
