"""Read GCT files (the format of GTEx) one line at a time, keeping only what is asked for.

The GTEx v8 matrix is 56,200 genes by 17,382 samples: 7.8 GB as float64. Here a gene's line is
parsed, cut to the chosen samples and dropped, so memory is that of the chosen block alone.

Format: https://www.genepattern.org/file-formats-guide/#GCT
"""

from __future__ import annotations

import gzip
import logging
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.errors import InputFileError

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with (genes read so far, genes that the file declares)."""


def strip_version(gene_id: str) -> str:
    """Give an Ensembl id without its version: ``ENSG00000141510.16`` -> ``ENSG00000141510``.

    The pseudo-autosomal copies on Y keep their mark (``ENSG00000182378.13_PAR_Y`` ->
    ``ENSG00000182378_PAR_Y``): they are other rows of the same file.
    """
    stem, dot, rest = gene_id.partition(".")
    if not dot or not stem.startswith("ENSG"):
        return gene_id
    return stem + ("_PAR_Y" if rest.endswith("_PAR_Y") else "")


@contextmanager
def open_text(path: Path) -> Iterator[IO[str]]:
    """Open a text file, gzipped or not, by its first bytes rather than by its name.

    Raises
    ------
    InputFileError
        On opening, if there is no such file; on reading, if its compression is damaged or ends
        early, or it is not UTF-8.
    """
    try:
        with path.open("rb") as raw:
            gzipped = raw.read(2) == b"\x1f\x8b"
    except OSError as error:
        raise InputFileError(f"cannot open {path}: {error.strerror or error}") from error
    try:
        with (
            cast("IO[str]", gzip.open(path, "rt", encoding="utf-8"))
            if gzipped
            else path.open(encoding="utf-8")
        ) as file:
            yield file
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputFileError(
            f"{path.name}: the compressed file ends early or is damaged ({error})."
            " Download it again."
        ) from error
    except UnicodeDecodeError as error:
        raise InputFileError(f"{path.name}: expected UTF-8 text, got {error}") from error


def read_gct(
    path: Path | str,
    *,
    genes: Collection[str] | None = None,
    samples: Collection[str] | None = None,
    progress: Progress | None = None,
) -> ad.AnnData:
    """Read a GCT or GCT.gz file, whole or in part.

    Parameters
    ----------
    path
        File to read.
    genes
        Gene ids to keep, with or without version; ``None`` keeps all.
    samples
        Sample ids to keep; ``None`` keeps all.
    progress
        Told how far reading is, every 200 genes.

    Returns
    -------
    anndata.AnnData
        ``X`` (samples, genes), float32, in the unit of the file; ``var`` indexed by gene id as in
        the file, with ``symbol``. Only ids that the file has are there, in the file's order.

    Raises
    ------
    InputFileError
        If the file is not GCT, a line is short, a value is no number, a gene or sample stands
        twice, or nothing asked for is in it.
    """
    path = Path(path)
    wanted = None if genes is None else {strip_version(gene) for gene in genes}
    with open_text(path) as file:
        n_declared, columns = _read_header(file, path)
        keep = _columns_to_keep(columns, samples, path)
        names, rows = _read_rows(
            file, path, wanted, keep, len(columns), n_declared, progress or _no_progress
        )
    if not names and genes is None:
        raise InputFileError(f"{path.name}: the file has a header, but no genes.")
    if not names:
        raise InputFileError(
            f"{path.name}: none of the genes asked for is in the file. Expected ids such as"
            f" {next(iter(genes or ['ENSG00000141510.16']))!r} in its first column."
        )
    ids = pd.Index([gene_id for gene_id, _ in names], name="gene_id")
    if ids.has_duplicates:
        raise InputFileError(f"{path.name}: gene {ids[ids.duplicated()][0]!r} stands twice.")
    kept_columns = columns if keep is None else [columns[i] for i in keep]
    return ad.AnnData(
        X=rows.T,
        obs=pd.DataFrame(index=pd.Index(kept_columns, name="sample")),
        var=pd.DataFrame({"symbol": [symbol for _, symbol in names]}, index=ids),
    )


def write_gct(expression: ad.AnnData, path: Path) -> None:
    """Write ``expression`` (samples, genes; ``var`` has ``symbol``) as GCT, values to 6 digits."""
    symbols = expression.var["symbol"]
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(f"#1.2\n{expression.n_vars}\t{expression.n_obs}\n")
        file.write("\t".join(["Name", "Description", *expression.obs_names]) + "\n")
        for gene, symbol, values in zip(
            expression.var_names, symbols, np.asarray(expression.X).T, strict=True
        ):
            file.write("\t".join([gene, symbol, *(f"{value:.6g}" for value in values)]) + "\n")


def _no_progress(done: int, total: int) -> None:
    """Ignore how far reading is."""


def _read_header(file: IO[str], path: Path) -> tuple[int, list[str]]:
    """Read the three header lines: version, dimensions, column names."""
    version = file.readline().strip()
    if not version.startswith("#1."):
        raise InputFileError(
            f"{path.name}: expected a GCT file, whose first line is '#1.2'; got {version[:40]!r}."
        )
    dimensions = file.readline().split()
    header = file.readline().rstrip("\r\n").split("\t")
    if len(header) < 3 or header[0].lower() not in {"name", "id"}:
        raise InputFileError(
            f"{path.name}: expected columns 'Name', 'Description', then one a sample on line 3;"
            f" got {header[:3]}."
        )
    columns = header[2:]
    if len(set(columns)) < len(columns):
        twice = pd.Index(columns)[pd.Index(columns).duplicated()][0]
        raise InputFileError(f"{path.name}: sample {twice!r} stands twice in the header.")
    declared = [int(value) if value.isdecimal() else -1 for value in [*dimensions, "", ""][:2]]
    if declared[1] != len(columns):
        logger.warning(
            "%s: the dimension line says %s, the header has %d samples; the header is believed.",
            path.name,
            " x ".join(dimensions) or "nothing",
            len(columns),
        )
    return declared[0], columns


def _columns_to_keep(
    columns: list[str], samples: Collection[str] | None, path: Path
) -> NDArray[np.intp] | None:
    if samples is None:
        return None
    wanted = set(samples)
    keep = np.array([i for i, name in enumerate(columns) if name in wanted], dtype=np.intp)
    if not keep.size:
        raise InputFileError(
            f"{path.name}: none of the {len(wanted)} samples asked for is in the file. It has"
            f" {len(columns)}, such as {columns[0]!r}."
        )
    return keep


def _read_rows(
    file: IO[str],
    path: Path,
    wanted: set[str] | None,
    keep: NDArray[np.intp] | None,
    n_columns: int,
    n_declared: int,
    progress: Progress,
) -> tuple[list[tuple[str, str]], NDArray[np.float32]]:
    """Read the gene lines into one block that grows by doubling: (names, (genes, samples))."""
    expected = n_declared if wanted is None else len(wanted)
    n_kept = n_columns if keep is None else len(keep)
    # The declared number is believed only up to a point: files that were cut keep the old one.
    block = np.empty((max(min(expected, 1024), 16), n_kept), dtype=np.float32)
    names: list[tuple[str, str]] = []
    n_read = 0
    for n_read, (gene_id, symbol, values) in enumerate(_gene_lines(file, path), start=1):
        if n_read % 200 == 0:
            progress(n_read, n_declared)
        if wanted is not None and strip_version(gene_id) not in wanted:
            continue
        row = _parse_numbers(values, n_columns, gene_id, path)
        if len(names) == len(block):
            block = np.concatenate([block, np.empty_like(block)])
        block[len(names)] = row if keep is None else row[keep]
        names.append((gene_id, symbol))
    if n_read != n_declared:
        logger.warning(
            "%s: the dimension line says %s genes, %d are there; what is there is read.",
            path.name,
            n_declared if n_declared >= 0 else "no number of",
            n_read,
        )
    progress(n_read, n_read)
    block.resize((len(names), n_kept), refcheck=False)  # in place: no second copy of the matrix
    return names, block


def _gene_lines(file: IO[str], path: Path) -> Iterator[tuple[str, str, str]]:
    for line in file:
        if not line.strip():
            continue
        parts = line.split("\t", 2)
        if len(parts) < 3:
            raise InputFileError(
                f"{path.name}: expected tab-separated gene id, description and values;"
                f" got {line[:60].strip()!r}."
            )
        yield parts[0], parts[1], parts[2]


def _parse_numbers(values: str, n_columns: int, gene_id: str, path: Path) -> NDArray[np.float64]:
    """Parse one gene's tab-separated values; empty fields and words are errors, not zeros."""
    try:
        row = np.array(values.rstrip("\r\n").split("\t"), dtype=np.float64)
    except ValueError as error:
        raise InputFileError(f"{path.name}: gene {gene_id}: {error}") from error
    if row.size != n_columns:
        raise InputFileError(
            f"{path.name}: gene {gene_id}: expected {n_columns} values, got {row.size}."
        )
    if not np.isfinite(row).all():
        raise InputFileError(
            f"{path.name}: gene {gene_id}: expected finite numbers,"
            f" got {row[~np.isfinite(row)][0]}."
        )
    return row
