"""A user's table of sample metadata: age, sex, groups, anything known of the samples.

As with expression tables nothing is mended in silence: names that do not match are shown, codes
that may mean two things are asked for, and what cannot be used is said.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd

from mtm_core.data.isolated import read_isolated
from mtm_core.data.metadata_columns import MetadataColumn, as_labels, read_column
from mtm_core.data.phenotypes import AGE_NAMES, SEX_NAMES, Sex, plain_name, read_age, read_sex
from mtm_core.data.raw_table import MAX_BYTES, RawTable
from mtm_core.data.reading_options import ANY_TABLE
from mtm_core.data.reading_turns import Turn
from mtm_core.data.report import Note, name_some
from mtm_core.data.sample_names import SampleMatch, match_samples
from mtm_core.data.tables import Source, name_of, read_bytes, read_table
from mtm_core.errors import InputFileError, SelectionError

_MOST_COLUMNS = 1_000
_SAMPLE_NAMES = frozenset(
    {"sample", "sample_id", "sampleid", "sample_name", "id", "name", "subject", "sampid"}
)
_TEMPLATE = ("age", "sex", "group")


@dataclass(frozen=True)
class SampleMetadata:
    """What is known of the samples of an expression table.

    Attributes
    ----------
    file, sha256
        Name of the file and hash of its bytes.
    samples
        Of the expression table.
    values
        The file's rows by sample name; numbers as float64, all else as text, NaN where blank.
    columns
        What they hold, in the order of the file.
    age_column, sex_column
        Columns that tell the model age and sex; ``None`` where there is none.
    sex_codes
        What the user has said that codes of ``sex_column`` mean.
    reading_notes
        How the file was read.
    """

    file: str
    sha256: str
    samples: tuple[str, ...]
    values: pd.DataFrame
    columns: tuple[MetadataColumn, ...]
    age_column: str | None
    sex_column: str | None
    sex_codes: Mapping[str, Sex] = field(default_factory=dict)
    reading_notes: tuple[Note, ...] = ()

    @cached_property
    def match(self) -> SampleMatch:
        """The file's samples against those of the expression table."""
        return match_samples(list(self.values.index), self.samples)

    @property
    def notes(self) -> tuple[Note, ...]:
        """How the file was read, which samples match, and what the model is told."""
        return (
            *self.reading_notes,
            *_describe_match(self.match),
            *self._age[1],
            *self._sex[1],
        )

    @property
    def roles(self) -> tuple[str | None, str | None, dict[str, Sex]]:
        """What the user can say: column of ages, column of sexes, meaning of codes."""
        return self.age_column, self.sex_column, dict(self.sex_codes)

    @property
    def state(self) -> tuple[str, tuple[str, ...], str]:
        """What tells these metadata from others, or from what they were before the user spoke."""
        return self.sha256, self.match.matched, str(self.roles)

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
        for column in self.columns:
            if column.name == name:
                return column
        raise SelectionError.unknown("metadata column", [name], [c.name for c in self.columns])

    def numbers(self, name: str) -> pd.Series:
        """Give a column of numbers by sample of the expression table, NaN where not known.

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
        return self._of_samples(name)

    def groups(self, name: str) -> pd.Series:
        """Give the group of each sample of the expression table as text, NaN where not known.

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
        return as_labels(self._of_samples(name))

    def phenotypes(self) -> pd.DataFrame:
        """Give what the model may be told of each sample of the expression table.

        Returns
        -------
        pandas.DataFrame
            Indexed by sample: ``age`` in years and ``sex`` ("female" or "male"), as
            :func:`mtm_core.data.gtex.read_subject_phenotypes` gives them; NaN where not known.
        """
        return pd.DataFrame({"age": self._age[0], "sex": self._sex[0]})

    def with_near_matches(self) -> SampleMetadata:
        """Take every near match for the sample of the expression table: the user has agreed."""
        names = {near.metadata: near.expression for near in self.match.near}
        note = Note(
            "info",
            f"{len(names)} names differed from the expression table's in writing alone, such as"
            f" {name_some(names, 1)}.",
            "The expression table's names were put in their place, as you agreed.",
        )
        return replace(
            self,
            values=self.values.rename(index=names),
            reading_notes=(*self.reading_notes, note) if names else self.reading_notes,
        )

    def with_roles(
        self,
        *,
        age_column: str | None,
        sex_column: str | None,
        sex_codes: Mapping[str, Sex] | None = None,
    ) -> SampleMetadata:
        """Say which columns are age and sex, and what unclear codes of sex mean.

        Raises
        ------
        SelectionError
            If a column does not exist.
        """
        for name in (age_column, sex_column):
            if name is not None:
                self.column(name)
        return replace(
            self, age_column=age_column, sex_column=sex_column, sex_codes=dict(sex_codes or {})
        )

    @cached_property
    def _age(self) -> tuple[pd.Series, tuple[Note, ...]]:
        return read_age(self._of_samples(self.age_column), self.age_column)

    @cached_property
    def _sex(self) -> tuple[pd.Series, tuple[Note, ...], tuple[str, ...]]:
        return read_sex(
            as_labels(self._of_samples(self.sex_column)), self.sex_column, self.sex_codes
        )

    def _of_samples(self, name: str | None) -> pd.Series:
        index = pd.Index(self.samples, name="sample", dtype=object)
        if name is None:
            return pd.Series(np.nan, index=index)
        return self.values[name].reindex(index)


def read_metadata(
    source: Source,
    name: str | None = None,
    *,
    samples: Sequence[str],
    max_bytes: int = MAX_BYTES,
    isolated: bool = False,
    turn: Turn | None = None,
) -> SampleMetadata:
    """Read a table of metadata, samples in rows.

    Parameters
    ----------
    source
        csv, tsv or txt (also gzipped), xlsx or parquet; told apart by content.
    name
        Of the file, for messages; by default its own.
    samples
        Of the expression table: the column that has most of them names the samples.
    max_bytes
        Cap on the decompressed size.
    isolated
        Read in a process of its own (:mod:`mtm_core.data.isolated`), as a server must: a file may
        hang, crash or bloat what reads it.
    turn
        Whose file it is, and what may end that process.

    Raises
    ------
    InputFileError
        If the file cannot be read as a table, lies the other way, names a sample twice or a column
        twice, or is an expression table.
    """
    name = name or name_of(source, "metadata")
    try:
        data = read_bytes(source, max_bytes)
        raw = (
            read_isolated(data, max_bytes, ANY_TABLE, turn=turn)
            if isolated
            else read_table(data, max_bytes, ANY_TABLE)
        )
        _check_shape(raw, samples)
        label = _sample_column(raw, samples)
        index = pd.Index(raw.labels(label), name="sample", dtype=object)
        _check_names(index, raw, label)
        typed = [read_column(raw, i) for i in range(len(raw.header)) if i != label]
    except InputFileError as error:
        raise InputFileError(f"{name}: {error}") from error
    empty = [values.name for values, column, _ in typed if column.n_known == 0]
    kept = [part for part in typed if part[1].n_known]
    notes = [*raw.notes, *(note for _, _, notes in kept for note in notes)]
    if empty:
        notes.append(Note("info", f"No value in {name_some(empty)}.", "They were set aside."))
    if not kept:
        notes.append(Note("warning", "No column holds a value.", "", "Fill in age, sex or groups."))
    columns = tuple(column for _, column, _ in kept)
    return SampleMetadata(
        file=name,
        sha256=hashlib.sha256(data).hexdigest(),
        samples=tuple(samples),
        values=pd.DataFrame(
            {column.name: values.to_numpy() for values, column, _ in kept}, index=index
        ),
        columns=columns,
        age_column=_named(columns, AGE_NAMES),
        sex_column=_named(columns, SEX_NAMES),
        reading_notes=tuple(notes),
    )


def metadata_template(samples: Sequence[str]) -> pd.DataFrame:
    """Give an empty table to fill in: ``sample`` as in the expression table, age, sex, group."""
    return pd.DataFrame({"sample": list(samples), **dict.fromkeys(_TEMPLATE, "")})


def _check_shape(raw: RawTable, samples: Sequence[str]) -> None:
    if raw.format.removesuffix(".gz") in ("gct", "h5ad") or len(raw.header) > _MOST_COLUMNS:
        raise InputFileError(
            f"a {raw.format} with {len(raw.header):,} columns looks like an expression table."
            " Expected metadata: one row a sample, columns such as age, sex and group, as csv, tsv,"
            " xlsx or parquet."
        )
    if len(raw.header) < 2:
        raise InputFileError(
            f"the table has one column, {raw.name_of(0)!r}. Expected a column with the samples'"
            " names and at least one with what is known of them."
        )
    known = set(samples)
    across = sum(name in known for name in raw.header)
    down = max(sum(label in known for label in raw.labels(i)) for i in range(len(raw.header)))
    if across > max(1, down):
        raise InputFileError(
            f"samples stand in the columns ({across} names of the expression table are in the"
            " header). Turn the table, so that each row is a sample."
        )


def _sample_column(raw: RawTable, samples: Sequence[str]) -> int:
    """Give the column with most of ``samples``, near matches counted; else one so named."""

    def evidence(column: int) -> tuple[int, int, int]:
        labels = list(dict.fromkeys(raw.labels(column)))
        match = match_samples(labels, samples)
        return (
            len(match.matched),
            len(match.near),
            plain_name(raw.header[column]) in _SAMPLE_NAMES,
        )

    return max(range(len(raw.header)), key=lambda i: (*evidence(i), -i))


def _check_names(index: pd.Index, raw: RawTable, label: int) -> None:
    if (index == "").any():
        raise InputFileError(
            f"row {int(np.argmax(index == '')) + 1} has no name in column {raw.name_of(label)!r}."
            " Name every sample."
        )
    if index.has_duplicates:
        twice = index[index.duplicated()].unique()
        raise InputFileError(
            f"{len(twice)} samples stand more than once in column {raw.name_of(label)!r}:"
            f" {name_some(twice)}. Keep one row a sample."
        )
    names = pd.Index([raw.name_of(i) for i in range(len(raw.header))])
    if names.has_duplicates:
        raise InputFileError(
            f"two columns are named {names[names.duplicated()][0]!r}. Give each its own name."
        )


def _describe_match(match: SampleMatch) -> list[Note]:
    n = len(match.matched) + len(match.expression_only)
    found = f"{len(match.matched)} of {n} samples of the expression table have metadata."
    if not match.matched:
        return [
            Note(
                "warning",
                f"No sample of the metadata is in the expression table:"
                f" {name_some(match.metadata_only, 3)} against"
                f" {name_some(match.expression_only, 3)}.",
                "Nothing is known of any sample.",
                "Agree to the proposed names, or write the expression table's names into the file.",
            )
        ]
    if not match.expression_only and not match.metadata_only:
        return [Note("info", found, "")]
    return [
        Note(
            "warning" if match.expression_only else "info",
            f"{found} Without: {name_some(match.expression_only)}."
            if match.expression_only
            else found,
            f"{len(match.metadata_only)} rows of the metadata are of no sample and were set aside."
            if match.metadata_only
            else "Samples without metadata take no part in comparisons.",
        )
    ]


def _named(columns: Sequence[MetadataColumn], names: frozenset[str]) -> str | None:
    return next((c.name for c in columns if plain_name(c.name) in names), None)


def _listed(names: Sequence[str]) -> str:
    return f": {name_some(names)}" if names else "; the metadata has none"
