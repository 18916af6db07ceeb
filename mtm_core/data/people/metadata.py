"""A user's table of sample metadata: age, sex, groups, anything known of the samples.

As with expression tables nothing is mended in silence: names that do not match are shown, codes
that may mean two things are asked for, and what cannot be used is said.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from mtm_core.data.notes import Note, name_some
from mtm_core.data.people.metadata_columns import (
    ColumnValues,
    MetadataColumn,
    level_named,
    read_column,
)
from mtm_core.data.people.metadata_notes import (
    describe_columns,
    describe_match,
    describe_missing,
    describe_no_roles,
)
from mtm_core.data.people.metadata_options import MetadataOptions
from mtm_core.data.people.phenotypes import Sex, read_age, read_sex
from mtm_core.data.people.sample_names import SampleMatch, match_samples
from mtm_core.errors import SelectionError


@dataclass(frozen=True)
class SampleMetadata:
    """Metadata of the samples of an expression table.

    Attributes
    ----------
    file, sha256
        Name of the file and hash of its bytes.
    samples
        Samples of the expression table.
    values
        The file's rows by sample name: text as it is written, NaN where blank.
    age_column, sex_column
        Columns of age and sex that the model reads; ``None`` if there is none.
    sex_codes
        Meaning of the codes of ``sex_column``, as the user stated it.
    unknown
        Words that the user has said mean no value, in every column.
    near_names
        Whether names that differ in writing alone were taken for the same.
    sheet
        Sheet of the workbook, if the user named one.
    reading_notes
        How the file was read.
    added
        Hash of columns that were added to those of the file; empty if there are none.
    """

    file: str
    sha256: str
    samples: tuple[str, ...]
    values: pd.DataFrame
    age_column: str | None = None
    sex_column: str | None = None
    sex_codes: Mapping[str, Sex] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    near_names: bool = False
    sheet: str = ""
    reading_notes: tuple[Note, ...] = ()
    added: str = ""

    @cached_property
    def _read(self) -> dict[str, ColumnValues]:
        """Values of every column, empty ones included, by name."""
        return {
            str(name): read_column(str(name), self.values[name], self.unknown)
            for name in self.values.columns
        }

    @cached_property
    def columns(self) -> tuple[MetadataColumn, ...]:
        """The columns that have a value, in the order of the file."""
        return tuple(read.column for read in self._read.values() if read.column.n_known)

    @cached_property
    def match(self) -> SampleMatch:
        """The file's samples against those of the expression table."""
        return match_samples(list(self.values.index), self.samples)

    @property
    def notes(self) -> tuple[Note, ...]:
        """How the file was read, which samples match, and what the model is given."""
        return (
            *self.reading_notes,
            *describe_columns(self._read),
            *describe_match(self.match),
            *describe_missing(self._read, self.match.matched),
            *self._age[1],
            *self._sex[1],
            *describe_no_roles(
                {"age": self.age_column, "sex": self.sex_column},
                [column.name for column in self.columns],
            ),
        )

    @property
    def roles(self) -> tuple[str | None, str | None, dict[str, Sex], tuple[str, ...]]:
        """The user's choices: columns of age and sex, meaning of codes, missing values."""
        return self.age_column, self.sex_column, dict(self.sex_codes), self.unknown

    @property
    def state(self) -> tuple[str, tuple[str, ...], str]:
        """Key of these metadata; it changes with the user's choices."""
        return f"{self.sha256}{self.added}", self.match.matched, str(self.roles)

    @property
    def unclear_sex_codes(self) -> tuple[str, ...]:
        """Codes of ``sex_column``, such as 1 and 2, that may mean either sex; to be asked for."""
        return self._sex[2]

    def column(self, name: str) -> MetadataColumn:
        """Describe the column ``name``.

        Raises
        ------
        SelectionError
            If there is none.
        """
        read = self._read.get(name)
        if read is None or not read.column.n_known:
            raise SelectionError.unknown("metadata column", [name], [c.name for c in self.columns])
        return read.column

    def numbers(self, name: str) -> pd.Series:
        """Return a column of numbers by sample of the expression table, NaN where not known.

        Raises
        ------
        SelectionError
            If there is no such column, or it holds no numbers.
        """
        if self.column(name).kind != "number":
            raise SelectionError(
                f"column {name!r} holds {self.column(name).kind}, not numbers. Choose a column of"
                f" numbers{_listed([c.name for c in self.columns if c.kind == 'number'])}."
            )
        return self._numbers_of(name)

    def groups(self, name: str) -> pd.Series:
        """Return the group of each sample of the expression table as text, NaN where not known.

        Raises
        ------
        SelectionError
            If there is no such column, or it does not name two groups or more.
        """
        if not self.column(name).has_groups:
            raise SelectionError(
                f"column {name!r} holds {self.column(name).kind}: there are no groups to compare."
                f" Choose a column of groups"
                f"{_listed([c.name for c in self.columns if c.has_groups])}."
            )
        return self._text_of(name)

    def text(self, name: str) -> pd.Series:
        """Return any column by sample of the expression table as text, NaN where not known.

        Raises
        ------
        SelectionError
            If there is no such column.
        """
        self.column(name)
        return self._text_of(name)

    def all_columns(self) -> pd.DataFrame:
        """Return all columns by sample of the expression table: numbers, or text as it is written.

        NaN where not known; columns without a value are left out.
        """
        return pd.DataFrame(
            {
                one.name: self._numbers_of(one.name)
                if one.kind == "number"
                else self._text_of(one.name)
                for one in self.columns
            },
            index=pd.Index(self.samples),
        )

    def level(self, name: str, asked: str) -> str:
        """Return the group of column ``name`` that ``asked`` names, as the file writes it.

        Raises
        ------
        SelectionError
            As :meth:`groups`, and :func:`mtm_core.data.people.metadata_columns.level_named`.
        """
        return level_named(asked, [str(level) for level in self.groups(name).dropna().unique()])

    def phenotypes(self) -> pd.DataFrame:
        """Return what the model may read of each sample of the expression table.

        Returns
        -------
        pandas.DataFrame
            Indexed by sample: ``age`` in years and ``sex`` ("female" or "male"), as
            :func:`mtm_core.data.gtex.annotations.read_subject_phenotypes` gives them; NaN where
            not known.
        """
        return pd.DataFrame({"age": self._age[0], "sex": self._sex[0]})

    @property
    def options(self) -> MetadataOptions:
        """Options that read these metadata from their file again."""
        return MetadataOptions(
            self.age_column or "",
            self.sex_column or "",
            tuple(sorted(self.sex_codes.items())),
            self.unknown,
            self.near_names,
            self.sheet,
        )

    def of_samples(self, samples: Sequence[str]) -> SampleMetadata:
        """Match the same rows to the samples of another table."""
        return self._with(samples=tuple(samples))

    def read_by(self, options: MetadataOptions) -> SampleMetadata:
        """Take what the user has said; the sheet is chosen where the file is read.

        Raises
        ------
        SelectionError
            If a column does not exist.
        """
        named = replace(
            self.with_near_matches() if options.near_names else self, unknown=options.unknown
        )
        roles = {
            role: found if said is None else (said or None)
            for role, found, said in (
                ("age_column", named.age_column, options.age_column),
                ("sex_column", named.sex_column, options.sex_column),
            )
        }
        return named.with_roles(**roles, sex_codes=dict(options.sex_codes))

    def with_near_matches(self) -> SampleMetadata:
        """Take every near match for the sample of the expression table: the user has agreed."""
        names = {near.metadata: near.expression for near in self.match.near}
        note = Note(
            "info",
            f"{len(names)} names differed from those of the expression table only in spelling, "
            f"such as"
            f" {name_some(names, 1)}.",
            "They were matched with the names of the expression table, as you confirmed.",
        )
        return replace(
            self,
            values=self.values.rename(index=names),
            near_names=bool(names),
            reading_notes=(*self.reading_notes, note) if names else self.reading_notes,
        )

    def with_roles(
        self,
        *,
        age_column: str | None,
        sex_column: str | None,
        sex_codes: Mapping[str, Sex] | None = None,
        unknown: Sequence[str] | None = None,
    ) -> SampleMetadata:
        """Say which columns are age and sex, what unclear codes of sex mean, and what means none.

        Parameters
        ----------
        unknown
            Words that mean no value; ``None`` leaves those that were said.

        Raises
        ------
        SelectionError
            If a column does not exist.
        """
        said = self._with(unknown=self.unknown if unknown is None else tuple(unknown))
        for name in (age_column, sex_column):
            if name is not None:
                said.column(name)
        return said._with(
            age_column=age_column, sex_column=sex_column, sex_codes=dict(sex_codes or {})
        )

    def shares(self, names: Sequence[str]) -> pd.DataFrame:
        """Return columns of numbers by sample as fractions of one: per cent where some exceed 1.

        Raises
        ------
        SelectionError
            As :meth:`numbers`.
        """
        table = pd.DataFrame({name: self.numbers(name) for name in names})
        return table / 100 if (table > 1).any(axis=None) else table

    def with_numbers(self, columns: pd.DataFrame, where_from: str) -> SampleMetadata:
        """Add columns of numbers by sample of the expression table, in place of any of their names.

        Parameters
        ----------
        columns
            NaN where not known.
        where_from
            Origin of the values, for the notes.
        """
        index = self.values.index.append(columns.index.difference(self.values.index, sort=False))
        text = columns.reindex(index).map(lambda value: f"{value:.6g}").astype(object)
        known = columns.reindex(index).notna()
        remaining = self.values.drop(columns=list(columns.columns), errors="ignore").reindex(index)
        values = pd.concat([remaining, text.where(known)], axis=1).astype(object)
        digest = hashlib.sha256(f"{self.added} {columns.to_csv()}".encode()).hexdigest()
        added = Note("info", where_from, f"Added: {name_some(columns.columns, 10)}.")
        notes = (*(note for note in self.reading_notes if note.found != where_from), added)
        return replace(self, added=digest, values=values, reading_notes=notes)

    def without_numbers(self, columns: Sequence[str], where_from: str) -> SampleMetadata:
        """Remove columns that :meth:`with_numbers` added, and their note."""
        notes = tuple(note for note in self.reading_notes if note.found != where_from)
        values = self.values.drop(columns=list(columns), errors="ignore")
        return replace(self, added="", values=values, reading_notes=notes)

    @classmethod
    def of_numbers(
        cls, columns: pd.DataFrame, samples: Sequence[str], file: str, where_from: str
    ) -> SampleMetadata:
        """Make metadata of columns of numbers alone, of samples without a file of metadata."""
        index = pd.Index(list(samples), name="sample", dtype=object)
        digest = hashlib.sha256(columns.to_csv().encode()).hexdigest()
        empty = cls(file, digest, tuple(samples), pd.DataFrame(index=index, dtype=object))
        return empty.with_numbers(columns, where_from)

    def _with(self, **changes: Any) -> SampleMetadata:  # noqa: ANN401 - of any field
        """Change fields; columns are not looked at again where they read the same."""
        changed = replace(self, **changes)
        if changed.unknown == self.unknown and changed.values is self.values:
            changed.__dict__["_read"] = self._read
        return changed

    @cached_property
    def _age(self) -> tuple[pd.Series, tuple[Note, ...]]:
        if self.age_column is None:
            return read_age(self._blank(), None)
        is_number = self.column(self.age_column).kind == "number"
        values = (self._numbers_of if is_number else self._text_of)(self.age_column)
        return read_age(values, self.age_column)

    @cached_property
    def _sex(self) -> tuple[pd.Series, tuple[Note, ...], tuple[str, ...]]:
        if self.sex_column is None:
            return read_sex(self._blank(), None, self.sex_codes)
        markers = self.column(self.sex_column).markers
        labels = self._text_of(self.sex_column)
        return read_sex(labels.mask(labels.isin(markers)), self.sex_column, self.sex_codes)

    def _blank(self) -> pd.Series:
        return pd.Series(np.nan, index=self._index)

    def _text_of(self, name: str) -> pd.Series:
        return self._read[name].text.reindex(self._index)

    def _numbers_of(self, name: str) -> pd.Series:
        numbers = self._read[name].numbers
        assert numbers is not None
        return numbers.reindex(self._index)

    @property
    def _index(self) -> pd.Index:
        return pd.Index(self.samples, name="sample", dtype=object)


def _listed(names: Sequence[str]) -> str:
    return f": {name_some(names)}" if names else "; the metadata has none"
