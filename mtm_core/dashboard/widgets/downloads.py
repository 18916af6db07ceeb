"""Bytes to download, each file named so that its use is not forgotten."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO
from typing import cast
from zipfile import ZIP_DEFLATED, ZipFile

import pandas as pd
import xarray as xr

from mtm_core.dashboard.state.held import hold_result
from mtm_core.escaping import in_cells
from mtm_core.inference.export import INTERVAL, blocks_in, file_bytes, write_blocks
from mtm_core.inference.wide import wide_bytes, write_tissue, write_wide
from mtm_core.memory_budget import shared_budget
from mtm_core.safe_output import scratch_folder
from mtm_core.workflows.annotated import Beside, annotated_for
from mtm_core.workflows.server_limits import WORK_BYTES

_PATIENCE_SECONDS = 10.0
_CELL_BYTES = 24
RESEARCH_USE = "For research use, not for diagnosis."


def file_name(stem: str, ending: str) -> str:
    """Return ``stem`` as the name of a file that says what it is for."""
    safe = "".join(c if c.isalnum() or c in "-." else "_" for c in stem)
    while "__" in safe:
        safe = safe.replace("__", "_")
    return f"{safe.strip('_')}.research_use_only{ending}"


def table_file_bytes(table: pd.DataFrame) -> int:
    """Estimate what :func:`csv_bytes` gives: names of tissues are the longest that cells hold."""
    return int(_CELL_BYTES * len(table) * (table.shape[1] + 1))


def csv_bytes(table: pd.DataFrame, *, index: bool = False) -> bytes:
    """Return ``table`` as CSV, to six figures.

    Raises
    ------
    OverBudgetError
        If the server has not so much memory.
    """

    def write() -> bytes:
        text: str = in_cells(table).to_csv(index=index, float_format="%.6g")
        return text.encode()

    return _within_budget(WORK_BYTES + 3 * table_file_bytes(table), write)


def parquet_bytes(table: pd.DataFrame, *, index: bool = False) -> bytes:
    """Return ``table`` as parquet; its pandas attributes say what it is for.

    Raises
    ------
    OverBudgetError
        If the server has not so much memory.
    """

    def write() -> bytes:
        marked = table.copy(deep=False)
        marked.attrs = {"use": RESEARCH_USE}
        buffer = BytesIO()
        marked.to_parquet(buffer, index=index)
        return buffer.getvalue()

    return _within_budget(WORK_BYTES + 3 * table_file_bytes(table), write)


def prediction_file_bytes(prediction: xr.Dataset, ending: str) -> int:
    """Estimate, from above, what :func:`prediction_bytes` gives."""
    n_samples, n_tissues, n_genes = prediction["z"].shape
    n_values = sum(name in prediction for name in ("z", "expression", *INTERVAL))
    return file_bytes((n_samples, n_tissues, n_genes), ending, n_values=n_values)


def prediction_bytes(prediction: xr.Dataset, ending: str, beside: Beside | None = None) -> bytes:
    """Return the whole prediction as the command line writes it: .csv, .parquet or .h5ad.

    It is written to the disk block by block, and is in memory once, within the server's budget.

    Parameters
    ----------
    prediction, ending
        What to write, and as what.
    beside
        What is known beside the values: an .h5ad has slots for it.

    Raises
    ------
    OverBudgetError
        If the server has not so much memory.
    OutputError
        If there is no room on the disk for temporary files.
    """

    def write() -> bytes:
        with scratch_folder("download") as folder:
            path = folder / f"prediction{ending}"
            blocks = blocks_in(prediction)
            samples = prediction["sample"].to_numpy().astype(str).tolist()
            if beside is not None:
                blocks = annotated_for(path, blocks, beside)
            write_blocks(blocks, samples, path)
            return path.read_bytes()

    memory = WORK_BYTES + 2 * prediction_file_bytes(prediction, ending)
    return _within_budget(memory, write)


def tissue_file_bytes(prediction: xr.Dataset, ending: str) -> int:
    """Estimate, from above, what :func:`tissue_bytes` gives."""
    n_samples, _, n_genes = prediction["expression"].shape
    return wide_bytes((n_samples, 1, n_genes), ending)


def tissue_bytes(prediction: xr.Dataset, tissue: str, ending: str) -> bytes:
    """Return the expression of one tissue, genes in rows and samples in columns: .csv or .parquet.

    Raises
    ------
    OverBudgetError, OutputError
        As :func:`prediction_bytes`.
    """

    def write() -> bytes:
        with scratch_folder("download") as folder:
            path = folder / f"tissue{ending}"
            write_tissue(prediction, tissue, path)
            return path.read_bytes()

    return _within_budget(WORK_BYTES + 3 * tissue_file_bytes(prediction, ending), write)


def by_tissue_file_bytes(prediction: xr.Dataset) -> int:
    """Estimate, from above, what :func:`by_tissue_bytes` gives; packed text is as .csv.gz."""
    n_samples, n_tissues, n_genes = prediction["expression"].shape
    return wide_bytes((n_samples, n_tissues, n_genes), ".csv.gz")


def by_tissue_bytes(prediction: xr.Dataset) -> bytes:
    """Return the folder of ``mtm predict --format wide``, a CSV a tissue, packed as a zip.

    Raises
    ------
    OverBudgetError, OutputError
        As :func:`prediction_bytes`.
    """

    def write() -> bytes:
        with scratch_folder("download") as folder:
            write_wide(prediction, folder / "wide")
            path = folder / "wide.zip"
            with ZipFile(path, "w", ZIP_DEFLATED, compresslevel=1) as packed:
                for file in sorted((folder / "wide").glob("[!.]*")):
                    packed.write(file, file.name)
                    file.unlink()
            return path.read_bytes()

    return _within_budget(WORK_BYTES + 2 * by_tissue_file_bytes(prediction), write)


def zip_bytes(files: Mapping[str, bytes]) -> bytes:
    """Return ``files``, by name, as a zip.

    Raises
    ------
    OverBudgetError
        If the server has not so much memory.
    """

    def write() -> bytes:
        buffer = BytesIO()
        with ZipFile(buffer, "w", ZIP_DEFLATED) as packed:
            for name, data in files.items():
                packed.writestr(name, data)
        return buffer.getvalue()

    return _within_budget(WORK_BYTES + 2 * sum(map(len, files.values())), write)


def _within_budget(memory: int, write: Callable[[], bytes]) -> bytes:
    """Return what ``write`` gives, ``memory`` being held for it; the file holds its own part on."""
    hold = shared_budget().hold(memory, "This file", patience=_PATIENCE_SECONDS)
    try:
        return cast("bytes", hold_result(hold, write()))
    except BaseException:
        hold.release()
        raise
