"""A long table in parts: a folder of files that each can be opened.

Of 100 samples x 48 tissues x 19,291 genes a long table has 92 million rows. Each part holds whole
samples, and no more than ``ROWS_OF_A_PART`` rows unless one sample has more::

    part-00001.csv
    part-00002.csv
    parts.csv              file, its first and last sample, rows

pandas, R's arrow and DuckDB read all parts of parquet as one table by the folder's name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pandas as pd
import xarray as xr

from mtm_core.errors import SelectionError
from mtm_core.escaping import in_cells
from mtm_core.inference.write_blocks import write_csv, write_parquet
from mtm_core.safe_output import writing

FILES = (".csv", ".csv.gz", ".parquet")
ROWS_OF_A_PART = 4_000_000


def check_parts(files: str) -> None:
    """Refuse an ending that no part can have.

    Raises
    ------
    SelectionError
        If it is none of ``FILES``.
    """
    if files not in FILES:
        raise SelectionError.unknown("kind of file", [files], FILES)


def write_parts(
    blocks: Iterable[xr.Dataset],
    samples: Sequence[str],
    folder: Path,
    *,
    files: str = ".csv",
    rows: int = ROWS_OF_A_PART,
    overwrite: bool = False,
    inputs: Iterable[Path] = (),
) -> int:
    """Write a prediction as long tables of at most ``rows``; return the number of files.

    Parameters
    ----------
    blocks, samples, folder, overwrite, inputs
        As :func:`mtm_core.inference.export.write_blocks`.
    files
        Ending of the files: one of ``FILES``.

    Raises
    ------
    SelectionError
        As :func:`check_parts`.
    OutputError
        As :func:`mtm_core.safe_output.writing`.
    """
    check_parts(files)
    write = write_parquet if files == ".parquet" else write_csv
    with writing(
        folder, overwrite=overwrite, inputs=inputs, folder=True, kind="a prediction"
    ) as place:
        table = []
        for number, part in enumerate(_parts(blocks, rows), start=1):
            file = f"part-{number:05d}{files}"
            write(iter([part]), tuple(samples), place / file)
            names = part["sample"].to_numpy().astype(str)
            first, last = (names[0], names[-1]) if len(names) else ("", "")
            n_rows = int(part["z"].size)
            table.append({"file": file, "first_sample": first, "last_sample": last, "rows": n_rows})
        in_cells(pd.DataFrame(table)).to_csv(place / "parts.csv", index=False)
    return len(table)


def _parts(blocks: Iterable[xr.Dataset], rows: int) -> Iterator[xr.Dataset]:
    """Cut blocks into parts of whole samples; what of a block is left over joins the next."""
    left: list[xr.Dataset] = []
    for block in blocks:
        left.append(block)
        of_sample = max(block["z"][0].size if block.sizes["sample"] else 1, 1)
        size = max(1, rows // of_sample)
        whole = _joined(left)
        n_samples, start = whole.sizes["sample"], 0
        while n_samples - start >= size:
            yield whole.isel(sample=slice(start, start + size))
            start += size
        left = [whole.isel(sample=slice(start, None))] if start < n_samples else []
    if left:
        yield _joined(left)


def _joined(parts: list[xr.Dataset]) -> xr.Dataset:
    if len(parts) == 1:
        return parts[0]
    return xr.concat(
        parts, "sample", data_vars="minimal", coords="minimal", compat="override", join="exact"
    )
