"""The files that a model is built from: downloaded, in a folder, or named one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mtm_core.data.gtex.download import FILE_KINDS, FileKind, names_of
from mtm_core.errors import InputFileError, SelectionError

_ENDINGS: Mapping[FileKind, tuple[str, ...]] = {
    "expression": ("gene_tpm.gct.gz", "gene_tpm.gct", "gene_reads.gct.gz", "gene_reads.gct"),
    "sample-attributes": ("SampleAttributesDS.txt", "SampleAttributesDS.txt.gz"),
    "subject-phenotypes": ("SubjectPhenotypesDS.txt", "SubjectPhenotypesDS.txt.gz"),
    "genes": (".genes.gtf", ".genes.gtf.gz"),
}
"""How GTEx's names end."""
_NEEDED: tuple[FileKind, ...] = ("expression", "sample-attributes")


@dataclass(frozen=True)
class BuildFiles:
    """Path of each file, now or after the download; ``None`` for one that is not used."""

    expression: Path
    sample_attributes: Path
    subject_phenotypes: Path | None = None
    gene_table: Path | None = None

    @classmethod
    def of(cls, found: Mapping[FileKind, Path]) -> BuildFiles:
        """Take the files by their kind."""
        return cls(
            found["expression"],
            found["sample-attributes"],
            found.get("subject-phenotypes"),
            found.get("genes"),
        )

    def by_kind(self) -> dict[str, Path]:
        """List the files that there are."""
        named = {
            "expression": self.expression,
            "sample-attributes": self.sample_attributes,
            "subject-phenotypes": self.subject_phenotypes,
            "genes": self.gene_table,
        }
        return {kind: path for kind, path in named.items() if path is not None}


def files_in(folder: Path) -> BuildFiles:
    """Find GTEx's files in ``folder`` by their names.

    Raises
    ------
    InputFileError
        If there is no such folder, or it lacks expression or sample attributes.
    SelectionError
        If it has several of a kind.
    """
    if not folder.is_dir():
        raise InputFileError(f"--from: {folder} is not a folder. Name one that holds GTEx's files.")
    found: dict[FileKind, Path] = {}
    for kind in FILE_KINDS:
        there = _of_kind(folder, kind)
        if len(there) > 1:
            names = ", ".join(path.name for path in there)
            raise SelectionError(
                f"{folder} holds several files of {kind}: {names}. Name the one to use with"
                f" --{_option(kind)}, and the others by their options too."
            )
        if there:
            found[kind] = there[0]
    missing = [kind for kind in _NEEDED if kind not in found]
    if missing:
        expected = "; ".join(f"{kind}, such as {names_of(kind)[0]}" for kind in missing)
        raise InputFileError(f"{folder} lacks files that a model is built from: {expected}.")
    return BuildFiles.of(found)


def _of_kind(folder: Path, kind: FileKind) -> list[Path]:
    files = [path for path in sorted(folder.iterdir()) if path.is_file()]
    official = [path for path in files if path.name in names_of(kind)]
    return official or [path for path in files if path.name.endswith(_ENDINGS[kind])]


def _option(kind: FileKind) -> str:
    return "gene-table" if kind == "genes" else kind
