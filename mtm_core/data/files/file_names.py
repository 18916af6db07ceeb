"""Name samples by their files: ``quants/PT01_quant/quant.sf`` and ``PT01.counts.txt`` are PT01."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from mtm_core.data.notes import name_some
from mtm_core.errors import InputFileError

_ALIKE = frozenset(
    {"quant.sf", "quant.genes.sf", "abundance.tsv", "readspergene.out.tab", "counts.txt"}
    | {"genes.results", "isoforms.results", "gene_abund.tab", "gene_abundances.tsv"}
    | {"counts.tsv", "counts.csv", "genes.fpkm_tracking", "featurecounts.txt", "htseq.txt"}
    | {"augmented_star_gene_counts.tsv"}
    | {"gene_abund.tsv", "gene_counts.txt", "gene_counts.tsv", "abundance.txt", "counts.tab"}
)
"""Names, in lower case, that a program gives to the file of every sample: the folder tells them."""
_DECORATION = re.compile(
    r"([._-]|(?=ReadsPerGene))(ReadsPerGene|out|tab|genes?|isoforms|results|quants?|sf|tsv|csv|txt"
    r"|abundances?|abund|counts?|htseq|featurecounts?|star|salmon|kallisto|rsem|stringtie|tpm|fpkm"
    r"|rna_seq|augmented_star_gene_counts|bam|sorted|aligned|sortedByCoord|fpkm_tracking|gz)$",
    re.IGNORECASE,
)
"""Endings that programs and people add to the name of a sample."""
_PARTS = re.compile(r"(?=[._])")


def sample_name(path: str) -> str:
    """Return the name of the sample that a single file holds."""
    (name,) = sample_names([path])
    return name


def sample_names(paths: Sequence[str]) -> tuple[str, ...]:
    """Name each file's sample, without the ending that all names share.

    Raises
    ------
    InputFileError
        If names cannot be distinguished.
    """
    files = [PurePosixPath(path.replace("\\", "/")) for path in paths]
    depth = max(len(file.parts) for file in files)
    for level in range(depth):
        whole = [_named_by(file, level) for file in files]
        if len(set(whole)) == len(whole):
            break
    else:
        twice = sorted({name for name in whole if whole.count(name) > 1})
        raise InputFileError(
            f"several files are named {name_some(twice, 3)}: nothing tells their samples apart."
            " Name each file after its sample, or keep each in a folder of the sample's name, and"
            " give the folders (as a zip)."
        )
    for names in (_without_common_end([_undecorated(name) for name in whole]), whole):
        if len(set(names)) == len(names):
            return tuple(names)
    return tuple(whole)


def _named_by(file: PurePosixPath, level: int) -> str:
    """Return the part of a path that names the sample: the file's, or a folder's above it."""
    own = file.name.removesuffix(".gz")
    folders = [part for part in reversed(file.parts[:-1]) if part not in ("/", ".", "..")]
    is_alike = own.lower() in _ALIKE
    above = folders[level if is_alike else level - 1 :][:1] if is_alike or level else []
    if not above:
        return own
    return above[0] if is_alike else f"{above[0]}_{own}"


def _undecorated(name: str) -> str:
    while True:
        shorter = _DECORATION.sub("", name)
        if not shorter.strip("._-") or shorter == name:
            return name
        name = shorter


def _without_common_end(names: list[str]) -> list[str]:
    """Take off the parts, from a dot or an underscore on, that all names end with."""
    parts = [_PARTS.split(name) for name in names]
    while len(parts) > 1 and min(map(len, parts)) > 1 and len({part[-1] for part in parts}) == 1:
        parts = [part[:-1] for part in parts]
    return ["".join(part) for part in parts]
