"""Columns of a table on their way to be taken as samples or genes, or to be set aside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.data.files.raw_table import RawTable, to_numbers
from mtm_core.data.files.reading_options import ReadingOptions
from mtm_core.data.genes.index import GeneIndex
from mtm_core.data.genes.names import genes_named
from mtm_core.data.layout.annotation_columns import FEWEST_ROWS, judge_columns, sample_rows
from mtm_core.data.layout.column_names import METADATA, is_metadata, most_written_alike, normalised
from mtm_core.data.layout.column_notes import (
    EMPTY,
    LEFT_OUT,
    NUMBERS,
    WORDS,
    check_any_taken,
    describe_columns,
    first_cell,
)
from mtm_core.data.layout.orientation import is_gene, is_run, look_like_ensembl
from mtm_core.data.layout.quantities import Chosen, choose_quantity
from mtm_core.data.notes import Choice, Note, name_some
from mtm_core.errors import ExpressionError

Floats = NDArray[np.float64]
_FEW_NUMBERS = 0.1
"""Share of cells that are numbers, up to which a column is one of words."""


@dataclass
class Taken:
    """Result of taking the expression out of a table.

    Attributes
    ----------
    values
        (samples, genes).
    aside
        Columns that were set aside and why, in the table's order.
    doubted
        Columns that were taken for samples and may be none, and why.
    notes
        Findings.
    choices
        Quantity that was read, where there are several.
    """

    values: pd.DataFrame
    aside: dict[str, str]
    doubted: dict[str, str] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    choices: tuple[Choice, ...] = ()


@dataclass
class ColumnSorting:
    """Columns of a table on their way to be taken or set aside, by place."""

    raw: RawTable
    options: ReadingOptions
    names: dict[int, str]
    aside: dict[int, str]
    doubted: dict[int, str] = field(default_factory=dict)
    chosen: Chosen | None = None

    @classmethod
    def of(cls, raw: RawTable, label: int | None, options: ReadingOptions) -> ColumnSorting:
        """Begin with all columns but ``label``; those that the user leaves out go first."""
        names = {i: raw.header[i] for i in range(len(raw.header)) if i != label}
        out = {i: LEFT_OUT for i in names if raw.name_of(i) in options.leave_out}
        return cls(raw, options, names, out)

    @property
    def taken(self) -> list[int]:
        """Columns that are not set aside."""
        return [i for i in self.names if i not in self.aside]

    def _is_taken_back(self, column: int) -> bool:
        return self.raw.name_of(column) in self.options.take_back

    def judge(
        self, rows: NDArray[np.int64], genes: pd.Series, known: GeneIndex | None, sample: str
    ) -> None:
        """Sort columns of a table with genes in ``rows``."""
        raw = self.raw
        places = (
            np.full(len(genes), -1, dtype=np.int64) if known is None else known.find(genes.tolist())
        )
        some = rows[sample_rows(len(rows), len(self.names), places[rows] >= 0)]
        few = len(some) < FEWEST_ROWS
        candidates: dict[int, Floats] = {}
        cells = raw.cells.iloc[some] if len(some) < len(raw.cells) else raw.cells
        for column in self.taken:
            if self._is_taken_back(column):
                continue
            numbers = _floats(cells[column])
            share = np.isfinite(numbers).sum() / max(int(cells[column].notna().sum()), 1)
            if raw.cells[column].isna().all():
                self.aside[column] = EMPTY
            elif raw.is_words(column) if few else share <= _FEW_NUMBERS:
                self.aside[column] = WORDS
            elif column == 0 and is_run(raw.labels(0)):
                self.aside[column] = NUMBERS
            else:
                candidates[column] = numbers
        is_chosen = any(choice.option == "quantity" for choice in raw.choices)
        self.chosen = choose_quantity(
            {column: self.names[column] for column in candidates},
            "" if is_chosen else self.options.quantity,
            sample,
            lambda wanted: np.column_stack([candidates[column] for column in wanted]),
        )
        if self.chosen is not None:
            self.aside |= self.chosen.aside
            self.names |= self.chosen.columns
            left_out = [i for i, name in self.names.items() if name in self.options.leave_out]
            self.aside |= dict.fromkeys(left_out, LEFT_OUT)
            candidates = {c: x for c, x in candidates.items() if c not in self.aside}
        if not candidates:
            return
        order = list(candidates)
        verdict = judge_columns(
            np.column_stack([candidates[column] for column in order]),
            [self.names[column] for column in order],
            tissue_profiles(known, places[some]),
        )
        self.aside |= {order[i]: why for i, why in verdict.aside.items()}
        self.doubted |= {order[i]: why for i, why in verdict.doubted.items()}
        if self.chosen is not None and not (self.chosen.columns.keys() - self.aside.keys()):
            for column in self.chosen.columns:  # what is read by its name is not judged
                if self.aside.get(column) != LEFT_OUT:
                    self.aside.pop(column, None)

    def check(self, taken: Sequence[int]) -> None:
        """Refuse a table without samples, or one of which a sample would be lost unsaid."""
        raw = self.raw
        if not taken:
            check_any_taken(raw, self.names, self.aside)
        usual = set(most_written_alike([raw.header[i] for i in taken]))
        for column, why in self.aside.items():
            name = raw.header[column]
            if why not in (WORDS, EMPTY) or name not in most_written_alike([*usual, name]):
                continue
            cell = f", such as {first_cell(raw, column)!r}" if why == WORDS else ""
            raise ExpressionError(
                f"column {name!r} is named as the samples are, and {why}{cell}. Give its values, or"
                f" leave it out: --leave-out {name!r} (Columns, on the Upload page)."
            )

    def sort_genes(self, known: GeneIndex | None) -> None:
        """Sort columns of a table with genes in its header."""
        raw = self.raw
        only_ensembl = look_like_ensembl([name for name in raw.header if name])
        for column in self.taken:
            name = raw.header[column]
            if self._is_taken_back(column) or is_gene(name, known):
                continue
            if not name or only_ensembl:
                self.aside[column] = WORDS if raw.is_words(column) else "it has no gene name"
            elif raw.is_words(column):
                self.aside[column] = EMPTY if raw.cells[column].isna().all() else WORDS
            elif (is_metadata(name) and not genes_named(name)) or normalised(name) in METADATA:
                self.aside[column] = "its name is that of metadata"

    def result(self, values: pd.DataFrame, notes: list[Note], samples: Sequence[str] = ()) -> Taken:
        """Return what was taken, with notes on columns; ``samples`` are rows that have names.

        Raises
        ------
        ExpressionError
            If an option names neither a column nor a sample.
        """
        there = {self.raw.name_of(i) for i in self.names} | set(self.names.values()) | set(samples)
        for option, wanted in (
            ("--leave-out", self.options.leave_out),
            ("--take-back", self.options.take_back),
        ):
            unknown = [name for name in wanted if name not in there]
            if unknown:
                raise ExpressionError(
                    f"{option} names {name_some(unknown)}, and no column of the table is called so."
                    f" Its columns are {name_some(self.names.values(), 8)}."
                )
        aside = {self.raw.name_of(i): self.aside[i] for i in sorted(self.aside)}
        doubted = {self.names[i]: why for i, why in sorted(self.doubted.items())}
        if self.chosen is not None:
            notes = [*notes, self.chosen.note]
        return Taken(
            values,
            aside,
            doubted,
            [*notes, *describe_columns(aside, doubted)],
            () if self.chosen is None else (self.chosen.choice,),
        )


def _floats(cells: pd.Series) -> Floats:
    """Return a column as numbers, NaN where a cell is none."""
    numbers: Floats = to_numbers(cells).to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def tissue_profiles(known: GeneIndex | None, places: NDArray[np.int64]) -> Floats | None:
    """Return the mean of each tissue (rows, tissues), NaN where the model lacks the gene."""
    if known is None or known.profiles is None:
        return None
    profiles = known.profiles.T[np.maximum(places, 0)].astype(np.float64)
    profiles[places < 0] = np.nan
    return profiles
