"""Read GCT files (the format of GTEx) in one pass, selecting only what is asked for.

The GTEx v8 matrix is 56,200 genes by 17,382 samples: 5 GB of text, 7.8 GB as float64. Here the
lines of genes that are not asked for are dropped before their numbers are read, the others are
parsed a few at a time, in two threads, cut to the chosen samples and put in their place: memory is
that of what is chosen, once.

Format: https://www.genepattern.org/file-formats-guide/#GCT
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import anndata as ad
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv

from mtm_core.data.files.open_file import not_utf8, open_bytes
from mtm_core.data.formats.gct_header import GctHeader, gct_version
from mtm_core.data.genes.ids import strip_version
from mtm_core.errors import InputFileError
from mtm_core.safe_output import writing

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with (genes read so far, genes that the file declares)."""

GeneRows = tuple[list[tuple[str, str]], NDArray[np.float32]]
"""Ids and symbols of a few genes, and their values (genes, samples)."""

_PARSE_BYTES = 4 << 20
"""Text that is parsed at once: enough to make the cost of a call small."""
_LEAST_GENES = 1024
"""Genes that there is room for, if so many are declared, however small the file is."""
_VALUES_A_BYTE = 4
"""Most values in a byte of a compressed file: GTEx's holds 0.7."""
_PARSERS = 2
"""Threads that parse while another decompresses: that takes about as long as both of them."""


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
        Called with how far reading is, every 200 genes.

    Returns
    -------
    anndata.AnnData
        ``X`` (samples, genes), float32, in the unit of the file; ``var`` indexed by gene id as in
        the file, with ``symbol``. Only ids that the file has are there, in the file's order.

    Raises
    ------
    InputFileError
        If the file is not GCT, a line is short, a value is not a number, a gene or sample is
        duplicated, or nothing asked for is in it.
    """
    path = Path(path)
    wanted = None if genes is None else {strip_version(gene) for gene in genes}
    with open_bytes(path) as file:
        header = _read_header(file, path)
        columns = list(header.samples)
        keep = _columns_to_keep(columns, samples, path)
        names, values = _read_values(file, path, wanted, keep, header, progress or _no_progress)
    if not names and genes is None:
        raise InputFileError(f"{path.name}: the file has a header, but no genes.")
    if not names:
        raise InputFileError(
            f"{path.name}: none of the genes asked for is in the file. Expected ids such as"
            f" {next(iter(genes or ['ENSG00000141510.16']))!r} in its first column."
        )
    taken_columns = columns if keep is None else [columns[i] for i in keep]
    return ad.AnnData(
        X=values,
        obs=pd.DataFrame(index=pd.Index(taken_columns, name="sample")),
        var=gene_frame(names, path),
    )


def gene_frame(names: Sequence[tuple[str, str]], path: Path) -> pd.DataFrame:
    """Return ``symbol`` by gene id.

    Raises
    ------
    InputFileError
        If a gene is duplicated.
    """
    ids = pd.Index([gene_id for gene_id, _ in names], name="gene_id")
    if ids.has_duplicates:
        raise InputFileError(f"{path.name}: gene {ids[ids.duplicated()][0]!r} is duplicated.")
    return pd.DataFrame({"symbol": [symbol for _, symbol in names]}, index=ids)


@contextmanager
def open_gct(
    path: Path, progress: Progress | None = None
) -> Iterator[tuple[tuple[str, ...], Iterator[GeneRows]]]:
    """Open a GCT file to be read a few genes at a time: its samples, and (names, rows) in order.

    Raises
    ------
    InputFileError
        As :func:`read_gct`, on opening or on reading.
    """
    with open_bytes(path) as file:
        header = _read_header(file, path)
        batches = _batches(file, path, None, header, progress or _no_progress)
        yield header.samples, _parsed_in_threads(batches, len(header.samples))


def write_gct(expression: ad.AnnData, path: Path, *, overwrite: bool = False) -> None:
    """Write ``expression`` (samples, genes; ``var`` has ``symbol``) as GCT, values to 6 digits.

    Raises
    ------
    OutputError
        As :func:`mtm_core.safe_output.writing`.
    """
    symbols = expression.var["symbol"]
    with (
        writing(path, overwrite=overwrite) as place,
        place.open("w", encoding="utf-8", newline="\n") as file,
    ):
        file.write(f"#1.2\n{expression.n_vars}\t{expression.n_obs}\n")
        file.write("\t".join(["Name", "Description", *expression.obs_names]) + "\n")
        for gene, symbol, values in zip(
            expression.var_names, symbols, np.asarray(expression.X).T, strict=True
        ):
            file.write("\t".join([gene, symbol, *(f"{value:.6g}" for value in values)]) + "\n")


def gct_size(path: Path) -> tuple[int, int]:
    """Read how many genes and samples a GCT file has: as its second line says, and its header.

    Raises
    ------
    InputFileError
        If the file is not GCT.
    """
    with open_bytes(path) as file:
        header = _read_header(file, path)
    return max(header.n_genes, 0), len(header.samples)


def _no_progress(done: int, total: int) -> None:
    """Ignore how far reading is."""


def _decoded(text: bytes, path: Path) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise not_utf8(path, error) from error


def _read_header(file: IO[bytes], path: Path) -> GctHeader:
    """Read the lines above the genes: version, dimensions, column names, rows about samples."""
    line = _decoded(file.readline(), path).strip()
    version = gct_version(line)
    if not version:
        raise InputFileError(
            f"{path.name}: expected a GCT file, whose first line is '#1.2'; got {line[:40]!r}."
        )
    dimensions = _fields(file.readline(), path)
    columns = _fields(file.readline(), path)
    if len(columns) == 1 and "," in columns[0]:
        raise InputFileError(
            f"{path.name}: a spreadsheet has saved the GCT with commas. Save it as text separated"
            " by tabs, or get it again."
        )
    try:
        header = GctHeader.of(version, dimensions, columns)
    except InputFileError as error:
        raise InputFileError(f"{path.name}: {error}") from error
    samples = pd.Index(header.samples)
    if samples.has_duplicates:
        twice = samples[samples.duplicated()][0]
        raise InputFileError(f"{path.name}: sample {twice!r} is duplicated in the header.")
    if header.n_samples != len(samples):
        logger.warning(
            "%s: the second line says %s, the header has %d samples; the header is used.",
            path.name,
            header.declared,
            len(samples),
        )
    for _ in range(header.n_sample_rows):
        file.readline()
    return header


def _fields(line: bytes, path: Path) -> list[str]:
    """Return the fields of a line above the genes, without quotes and empty ones at its end."""
    text = _decoded(line, path).rstrip("\t\r\n")
    return [field.strip().strip('"') for field in text.split("\t")]


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


def _read_values(
    file: IO[bytes],
    path: Path,
    wanted: set[str] | None,
    keep: NDArray[np.intp] | None,
    header: GctHeader,
    progress: Progress,
) -> tuple[list[tuple[str, str]], NDArray[np.float32]]:
    """Read the gene lines into their columns of one array: (names, (samples, genes))."""
    n_columns = len(header.samples)
    n_taken = n_columns if keep is None else len(keep)
    # The declared number is believed only up to a point: files that were cut keep the old one.
    credible = max(_LEAST_GENES, _VALUES_A_BYTE * path.stat().st_size // n_columns)
    room = min(max(header.n_genes, 1), credible)
    if wanted is not None:
        room = min(room, len(wanted))
    values = np.empty((n_taken, room), dtype=np.float32)
    names: list[tuple[str, str]] = []
    for genes, rows in _parsed_in_threads(
        _batches(file, path, wanted, header, progress), n_columns
    ):
        n = len(names) + len(genes)
        if n > values.shape[1]:
            _set_width(values, max(n, values.shape[1] * 5 // 4), len(names))
        values[:, len(names) : n] = rows.T if keep is None else rows[:, keep].T
        names += genes
    _set_width(values, len(names), len(names))
    return names, values


def _set_width(values: NDArray[np.float32], width: int, used: int) -> None:
    """Make ``values`` (samples, genes) ``width`` wide where it lies; ``used`` columns stay.

    In place: a second matrix of full size is more than there is room for.
    """
    n, before = values.shape
    if width == before:
        return
    if width > before:
        values.resize((n, width), refcheck=False)
    flat = values.reshape(-1)
    for row in range(n) if width < before else reversed(range(n)):
        flat[row * width : row * width + used] = flat[row * before : row * before + used]
    del flat
    values.resize((n, width), refcheck=False)


@dataclass(frozen=True)
class _Batch:
    """Lines of a few genes: their (id, symbol), and their values as text."""

    path: Path
    genes: list[tuple[str, str]]
    values: list[bytes]


def _batches(
    file: IO[bytes], path: Path, wanted: set[str] | None, header: GctHeader, progress: Progress
) -> Iterator[_Batch]:
    """Yield the lines of wanted genes, a few at a time, and say how far reading is."""
    batch, size, n_read = _Batch(path, [], []), 0, 0
    n_fields, n_declared, description = header.n_fields, header.n_genes, header.description
    line = b""
    for line in file:
        if line.isspace():
            continue
        fields = (_unquoted(line) if b'"' in line else line).split(b"\t", n_fields)
        if len(fields) <= n_fields:
            raise InputFileError(
                f"{path.name}: expected tab-separated gene id, description and values;"
                f" got {_decoded(line[:60], path).strip()!r}."
            )
        n_read += 1
        if n_read % 200 == 0:
            progress(n_read, n_declared)
        gene = _decoded(fields[header.name], path)
        if wanted is not None and strip_version(gene) not in wanted:
            continue
        symbol = "" if description is None else _decoded(fields[description], path)
        batch.genes.append((gene, symbol))
        batch.values.append(fields[-1].rstrip(b"\r\n"))
        size += len(fields[-1])
        if size > _PARSE_BYTES:
            yield batch
            batch, size = _Batch(path, [], []), 0
    if n_read < n_declared and line and not line.endswith(b"\n"):
        raise InputFileError(
            f"{path.name}: the second line says {n_declared:,} genes, {n_read:,} are there, and the"
            " last line has no end: the file is cut off. Get it again."
        )
    if batch.genes:
        yield batch
    if n_read != n_declared:
        logger.warning(
            "%s: the second line says %s genes, %d are there; what is there is read.",
            path.name,
            n_declared if n_declared >= 0 else "no number of",
            n_read,
        )
    progress(n_read, n_read)


def _unquoted(line: bytes) -> bytes:
    """Take the quotes from around fields."""
    fields = line.rstrip(b"\r\n").split(b"\t")
    return b"\t".join(
        field[1:-1].replace(b'""', b'"')
        if len(field) > 1 and field[:1] == field[-1:] == b'"'
        else field
        for field in fields
    )


def _parsed_in_threads(batches: Iterator[_Batch], n_columns: int) -> Iterator[GeneRows]:
    """Parse batches, in order, in threads of their own, a few ahead of what was asked for."""
    with ThreadPoolExecutor(_PARSERS) as pool:
        pending: deque[Future[GeneRows]] = deque()
        for batch in batches:
            pending.append(pool.submit(_parse_batch, batch, n_columns))
            if len(pending) > _PARSERS:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _parse_batch(batch: _Batch, n_columns: int) -> GeneRows:
    """Parse a batch with Arrow, which is fast; what it does not take, line by line, to name it."""
    if all(values.count(b"\t") == n_columns - 1 for values in batch.values):
        text = b"\n".join(batch.values).replace(b"\t", b"\n")
        try:
            column = csv.read_csv(pa.BufferReader(text), **_ONE_COLUMN).column(0)
        except pa.ArrowInvalid:
            column = pa.nulls(0)
        if len(column) == len(batch.values) * n_columns:
            rows = column.to_numpy().reshape(len(batch.values), n_columns)
            if np.isfinite(rows).all():
                return batch.genes, rows
    parsed = [
        _parse_numbers(values, n_columns, gene_id, batch.path)
        for (gene_id, _), values in zip(batch.genes, batch.values, strict=True)
    ]
    return batch.genes, np.array(parsed, dtype=np.float32)


_ONE_COLUMN = {
    "read_options": csv.ReadOptions(column_names=["value"], use_threads=False),
    "parse_options": csv.ParseOptions(quote_char=False, ignore_empty_lines=False),
    "convert_options": csv.ConvertOptions(column_types={"value": pa.float64()}, null_values=[]),
}
"""How Arrow reads numbers, one a line: nothing is taken for missing."""


def _parse_numbers(values: bytes, n_columns: int, gene_id: str, path: Path) -> NDArray[np.float64]:
    """Parse one gene's tab-separated values; empty fields and words are errors, not zeros."""
    try:
        row = np.array(_decoded(values, path).split("\t"), dtype=np.float64)
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
