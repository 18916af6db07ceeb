"""Tables that come with a model in its folder, all checked by its manifest.

Tables are checked for what they must be to be shown: their columns, numbers that are numbers, and
tissues and genes that are the model's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mtm_core.artefact import Artefact
from mtm_core.errors import InputFileError, MTMError
from mtm_core.evaluation.combinations import COMBINATION_KEYS, INTERVAL_COLUMNS, SOURCES
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.grouped_table import TableOnDisk, as_grouped
from mtm_core.model_folder import ModelFolder
from mtm_core.studies.reference import ReferenceAssociations
from mtm_core.studies.shipped import StudyTables

_MOST_ROWS, _MOST_COLUMNS = 50_000_000, 200
_MOST_CARD_BYTES = 2**22
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n+", re.DOTALL)
"""Metadata that a card on Hugging Face begins with."""
_TEXT = frozenset(
    {
        SOURCES,
        *("tissue", "other_tissue", "gene_id", "method", "other", "stratum", "trait", "test"),
        *("adjusted_for", "profile", "layer", "annotation", "sex", "age_band"),
    }
)
"""Columns of names; those of outcomes too. All others are numbers, or true and false."""
_GENES = ("tissue", "gene_id", "method", "rho_by_fold", "rho_pooled")
_TISSUES = ("tissue", "method", "n", "gene_rho_by_fold")
_IN_WORDS = {"gene_rows": "genes", "rows": "associations", "quantile_rows": "distributions"}
"""Names of tables whose field has another name."""
_MOST_SUMMED = 1_000_000
"""Rows of associations up to which all are looked at when a model is loaded."""
Read = TypeVar("Read")


def evaluation_of(files: ModelFolder, artefact: Artefact) -> EvaluationTables | None:
    """Return the evaluation of a model; ``None`` if it was not evaluated.

    Raises
    ------
    ArtefactError, InputFileError
        If it is not what was sealed, or no evaluation of this model.
    """

    def load(folder: Path) -> EvaluationTables:
        tables = EvaluationTables.load(folder)
        for name, columns, there in (
            ("genes", _GENES, tables.gene_columns),
            ("tissues", _TISSUES, tables.tissues.columns),
        ):
            lacking = set(columns) - set(there)
            if lacking:
                raise ValueError(f"the table of {name} has no {', '.join(sorted(lacking))}")
        check_tables(tables, artefact)
        _check_combinations(tables, artefact)
        tables.summary()
        return tables

    return _read(files, "evaluation", load)


def _check_combinations(tables: EvaluationTables, artefact: Artefact) -> None:
    """Check that predictions from several tissues are from those of the model."""
    there = tables.combinations
    if there.empty:
        return
    for what, columns in (
        ("combinations", there.columns),
        ("combinations' genes", as_grouped(tables.combination_rows, COMBINATION_KEYS).columns),
    ):
        wanted = {*COMBINATION_KEYS, "n"}
        if lacking := wanted - set(columns):
            raise ValueError(f"the table of {what} has no {', '.join(sorted(lacking))}")
    _check_intervals(tables.combination_intervals)
    named = {
        name for method in tables.methods for c in tables.combinations_of(method) for name in c
    }
    if foreign := named - set(artefact.tissues.index):
        raise ValueError(f"{min(foreign)[:80]!r} is not a tissue of the model")


def _check_intervals(intervals: pd.DataFrame) -> None:
    """Check that a combination and method have one row at most."""
    if intervals.empty:
        return
    if lacking := {SOURCES, "method", *INTERVAL_COLUMNS} - set(intervals.columns):
        raise ValueError(f"the intervals of combinations have no {', '.join(sorted(lacking))}")
    if intervals.duplicated([SOURCES, "method"]).any():
        raise ValueError("the intervals of a combination are there twice")


def associations_of(files: ModelFolder, artefact: Artefact) -> ReferenceAssociations | None:
    """Return the associations in a model's cohort; ``None`` if they were not made.

    Raises
    ------
    ArtefactError, InputFileError
        If they are not what was sealed, or not of this model.
    """

    def load(folder: Path) -> ReferenceAssociations:
        associations = ReferenceAssociations.load(folder)
        check_tables(associations, artefact)
        if len(associations.by_group) <= _MOST_SUMMED:
            associations.summary()
        return associations

    return _read(files, "associations", load)


def studies_of(files: ModelFolder, artefact: Artefact) -> StudyTables:
    """Return the studies of a model's predictions.

    Raises
    ------
    ArtefactError, InputFileError
        If one is not what was sealed, or not of this model.
    """

    def load(folder: Path) -> StudyTables:
        studies = StudyTables.load(folder)
        for member in fields(studies):
            shipped = getattr(studies, member.name)
            if shipped is not None:
                check_tables(shipped.study, artefact)
                _check_settings(shipped.settings)
        if studies.disease is not None:
            _check_settings(studies.disease.settings, ("minimum_degs", "repeats"), ("source",))
        return studies

    return _read(files, "studies", load) or StudyTables()


def history_of(files: ModelFolder) -> pd.DataFrame | None:
    """Return a model's training, one row an epoch; ``None`` if it was not stored.

    Raises
    ------
    ArtefactError, InputFileError
        If it is not what was sealed, or no such table.
    """
    path = files.file("history.csv")
    if path is None:
        return None
    try:
        history = pd.read_csv(path)
        if "epoch" not in history:
            raise ValueError("it has no column epoch")
        _check_columns(history, "history")
    except Exception as error:
        raise InputFileError(f"{path} is not the history of a training ({error}).") from error
    return history


def card_of(files: ModelFolder) -> str:
    """Return a model's card, Markdown; nothing if there is none.

    Raises
    ------
    ArtefactError
        If it is not what was sealed.
    """
    if files.file("README.md") is None:
        return ""
    card = files.read("README.md", _MOST_CARD_BYTES).decode("utf-8", errors="replace")
    return _FRONT_MATTER.sub("", card)


def check_tables(tables: object, artefact: Artefact) -> None:
    """Check every table that is a field of ``tables``.

    Raises
    ------
    ValueError
        If a column is not what its name says, or a tissue or gene is not the model's.
    """
    assert is_dataclass(tables)
    known = {
        "tissue": set(artefact.tissues.index),
        "other_tissue": set(artefact.tissues.index),
        "gene_id": set(artefact.genes.index),
    }
    for member in fields(tables):
        table = getattr(tables, member.name)
        what = _IN_WORDS.get(member.name, member.name)
        if isinstance(table, TableOnDisk):
            _check_stored(table, what, known)
            continue
        if not isinstance(table, pd.DataFrame) or table.empty:
            continue
        _check_columns(table, what)
        for column in set(known) & set(table.columns):
            foreign = set(table[column].unique()) - known[column]
            if foreign:
                raise ValueError(
                    f"{str(min(foreign, key=str))[:80]!r} is not a {column} of the model"
                )


def _check_stored(table: TableOnDisk, what: str, known: Mapping[str, set[str]]) -> None:
    """Check a table that stays on disk by its footer; its rows are held to that as they are read.

    Columns of numbers cannot be read as anything else.
    """
    if len(set(table.columns)) < len(table.columns):
        raise ValueError(f"the table of {what} has a column twice")
    for part in table.schema:
        coded = pa.types.is_dictionary(part.type) and part.type.value_type == pa.string()
        is_name = part.name in _TEXT or part.name.startswith("outcome")
        is_number = pa.types.is_floating(part.type) or pa.types.is_integer(part.type)
        if is_name and not (coded or part.type == pa.string()):
            raise ValueError(f"{part.name!r} of the table of {what} holds no names")
        if not is_name and not (is_number or pa.types.is_boolean(part.type)):
            raise ValueError(f"{part.name!r} of the table of {what} holds no numbers")
    names = {"gene_id": table.genes} | {name: table.groups()[name] for name in table.keys}
    for name in set(known) & set(names):
        foreign = set(names[name]) - known[name]
        if foreign:
            raise ValueError(f"{str(min(foreign))[:80]!r} is not a {name} of the model")


def _check_columns(table: pd.DataFrame, what: str) -> None:
    if table.columns.has_duplicates:
        raise ValueError(f"the table of {what} has a column twice")
    for name in table.columns:
        column = table[name]
        if name in _TEXT or str(name).startswith("outcome"):
            values = column.cat.categories if column.dtype == "category" else column
            if pd.api.types.infer_dtype(values, skipna=True) not in ("string", "empty"):
                raise ValueError(f"{name!r} of the table of {what} holds no names")
        elif not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_complex_dtype(column):
            raise ValueError(f"{name!r} of the table of {what} holds no numbers")


def _check_settings(
    settings: object, numbers: tuple[str, ...] = (), names: tuple[str, ...] = ()
) -> None:
    """Check what pages print of a study's settings."""
    if not isinstance(settings, dict):
        raise ValueError("the settings are not an object")
    counts = [settings.get("n_pairs", 0), *(settings.get(name) for name in numbers)]
    if any(type(count) is not int or count < 0 for count in counts):
        raise ValueError(f"the settings have no {' and '.join(numbers) or 'n_pairs'}")
    if not all(isinstance(settings.get(name), str) for name in names):
        raise ValueError(f"the settings have no {' and '.join(names)}")


def _check_parquet(paths: Iterable[Path]) -> None:
    """Look at sizes before anything is read: rows that repeat take no room in a file."""
    for path in paths:
        size = pq.ParquetFile(path).metadata
        if size.num_rows > _MOST_ROWS or size.num_columns > _MOST_COLUMNS:
            raise ValueError(
                f"{path.name} has {size.num_rows:,} rows and {size.num_columns:,} columns"
            )


def _read(files: ModelFolder, name: str, load: Callable[[Path], Read]) -> Read | None:
    """Read a part of the model's folder; all that can be wrong with it is one error."""
    folder = files.part(name)
    if folder is None:
        return None
    try:
        _check_parquet(folder.rglob("*.parquet"))
        return load(folder)
    except MTMError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise InputFileError(
            f"{folder} does not belong to the model beside it, or is damaged"
            f" ({type(error).__name__}: {reason}). Copy the model's folder again, or make it again."
        ) from error
