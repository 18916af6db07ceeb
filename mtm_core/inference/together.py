"""Several tissues of the same people, made ready to predict from.

Each table is brought to the model's genes and z-scores by itself, against the reference of its own
tissue. People are matched by the names of their samples; who is in some of the tables alone is
predicted from those.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mtm_core.data.notes import Note, counted, name_some
from mtm_core.data.people.same_people import TableMatch, match_people
from mtm_core.errors import SelectionError
from mtm_core.inference.prepared import Prepared
from mtm_core.inference.profiles import GIVEN_TISSUE, GivenTissue

BETWEEN = "; "
"""Between the names of several tissues."""


@dataclass(frozen=True)
class Together:
    """Samples of several tissues, by person.

    Attributes
    ----------
    tables
        Table of each tissue, the main one first.
    samples
        (N,) people: those of the first table in its order, then those of further ones.
    rows
        (N,) for each table: the row of each person in it, -1 where there is none.
    matches
        How the people of each further table match those before it.
    """

    tables: tuple[Prepared, ...]
    samples: tuple[str, ...]
    rows: tuple[NDArray[np.intp], ...]
    matches: tuple[TableMatch, ...]

    @property
    def source(self) -> str:
        """Tissue of the first table."""
        return self.tables[0].source

    @property
    def sources(self) -> tuple[str, ...]:
        """Tissues, the first of them the main one."""
        return tuple(table.source for table in self.tables)

    @property
    def notes(self) -> tuple[Note, ...]:
        """Notes on each further table: its people, then how it was read."""
        found: list[Note] = []
        for table, match in zip(self.tables[1:], self.matches, strict=True):
            found += describe_people(match, table.source)
            found += [replace(note, found=f"{table.source}: {note.found}") for note in table.notes]
        return tuple(found)

    @property
    def given(self) -> tuple[GivenTissue, ...]:
        """The z-scores, as a method takes them."""
        return tuple(
            GivenTissue(table.source, table.aligned.z, rows)
            for table, rows in zip(self.tables, self.rows, strict=True)
        )

    @property
    def found(self) -> NDArray[np.bool_]:
        """(G,) genes that any of the tables has."""
        found: NDArray[np.bool_] = np.any([t.aligned.found for t in self.tables], axis=0)
        return found

    @property
    def is_given(self) -> NDArray[np.bool_]:
        """(N, tissues): whether a person has the tissue."""
        return np.stack([rows >= 0 for rows in self.rows], axis=1)

    @property
    def attrs(self) -> dict[str, str]:
        """Attributes of a prediction about its further tissues; empty if there are none."""
        if len(self.tables) == 1:
            return {}
        return {
            "further_sources": BETWEEN.join(self.sources[1:]),
            "further_units": BETWEEN.join(table.unit for table in self.tables[1:]),
        }

    def distance(self, name: str) -> NDArray[np.float64]:
        """Return a column (N,) of the first table's distances; NaN where a person is not in it."""
        own = self.tables[0].aligned.distance[name].to_numpy(dtype=np.float64)
        return np.where(self.rows[0] >= 0, own[np.maximum(self.rows[0], 0)], np.nan)

    def part(self, start: int, stop: int) -> Together:
        """Return people ``start`` to ``stop``, prepared as among them all."""
        return replace(
            self,
            samples=self.samples[start:stop],
            rows=tuple(rows[start:stop] for rows in self.rows),
        )


def put_together(tables: Sequence[Prepared], *, near_people: bool = False) -> Together:
    """Match the people of ``tables``, each of another tissue.

    Parameters
    ----------
    tables
        Result of :meth:`mtm_core.inference.predictor.Predictor.prepare`; the first is the main one.
    near_people
        Take names that may be one person's (``P01_blood`` and ``P01_skin``) for the same.

    Raises
    ------
    SelectionError
        If a tissue is given twice, or a further table has none of the people before it.
    """
    check_each_once([table.source for table in tables])
    names = {table.source: table.samples for table in tables}
    people, rows, matches = matched_people(names, near_people=near_people)
    return Together(tuple(tables), people, rows, matches)


def matched_people(
    names: Mapping[str, Sequence[str]], *, near_people: bool = False
) -> tuple[tuple[str, ...], tuple[NDArray[np.intp], ...], tuple[TableMatch, ...]]:
    """Match the samples of several tables, by name, as :func:`people_of`.

    Parameters
    ----------
    names
        Names of the samples by tissue, the main one first.
    near_people
        As in :func:`put_together`.

    Raises
    ------
    SelectionError
        If a further table has none of the people before it.
    """
    sources = list(names)
    people, rows, matches = people_of(list(names.values()), near_people)
    for source, match in zip(sources[1:], matches, strict=True):
        if not match.in_both:
            raise SelectionError(_describe_none_in_both(match, names, sources[0], source))
    return people, rows, matches


def check_each_once(sources: Sequence[str]) -> None:
    """Refuse a tissue that is given twice.

    Raises
    ------
    SelectionError
        If one is.
    """
    twice = [source for source in sources if sources.count(source) > 1]
    if twice:
        raise SelectionError(f"{twice[0]!r} is given more than once. Give one table per tissue.")


def people_of(
    names: Sequence[Sequence[str]], near_people: bool = False
) -> tuple[tuple[str, ...], tuple[NDArray[np.intp], ...], tuple[TableMatch, ...]]:
    """Match the samples of several tables, by name.

    Returns
    -------
    tuple
        ``samples``, ``rows`` and ``matches`` of :class:`Together`.
    """
    people = list(names[0])
    own_names: list[dict[str, int]] = [{name: i for i, name in enumerate(people)}]
    matches = []
    for further in names[1:]:
        match = match_people(people, further, take_near=near_people)
        matches.append(match)
        own = {match.names.get(name, name): i for i, name in enumerate(further)}
        own_names.append(own)
        before = set(people)
        people += [name for name in own if name not in before]
    rows = tuple(
        np.array([own.get(name, -1) for name in people], dtype=np.intp) for own in own_names
    )
    return tuple(people), rows, tuple(matches)


def tissues_given(prediction: xr.Dataset) -> list[str]:
    """Name the tissues that each person of ``prediction`` was predicted from."""
    if "is_given" not in prediction:
        return [str(prediction.attrs["source"])] * prediction.sizes["sample"]
    names = [str(name) for name in prediction[GIVEN_TISSUE].to_numpy()]
    return [BETWEEN.join(compress(names, row)) for row in prediction["is_given"].to_numpy()]


def sources_of(prediction: xr.Dataset) -> tuple[str, ...]:
    """Return the tissues that ``prediction`` was made from, the main one first."""
    further = prediction.attrs.get("further_sources", "")
    return (str(prediction.attrs["source"]), *(further.split(BETWEEN) if further else ()))


def describe_people(match: TableMatch, tissue: str) -> list[Note]:
    """Say how the people of a further table of ``tissue`` match those of the first."""
    n_both, n_first, n_further = map(len, (match.in_both, match.only_first, match.only_further))
    notes = [
        Note(
            "info",
            f"{tissue}: {counted(n_both, 'person is', 'people are')} in both tables,"
            f" {n_first} only in the first, {n_further} only in this one.",
            "Each is predicted from the tissues available.",
        )
    ]
    if match.near and match.is_near_taken:
        first = match.near[0]
        notes.append(
            Note(
                "info",
                f"{counted(len(match.near), 'name was', 'names were')} matched as the same "
                f"person's, such as {first.metadata!r} for {first.expression!r}.",
                f"They differ in {first.difference}.",
            )
        )
    elif match.near:
        first = match.near[0]
        notes.append(
            Note(
                "warning",
                f"{counted(len(match.near), 'name', 'names')} may belong to the same person, "
                f"such as"
                f" {first.metadata!r} and {first.expression!r}: they differ in"
                f" {first.difference}.",
                "They were treated as different people.",
                "If they are the same people, confirm it (--near-people, near_people=True, or the"
                " switch on the Upload page).",
            )
        )
    return notes


def explain_sources(sources: Sequence[str]) -> str:
    """Name the tissues of a prediction inside of a sentence."""
    if len(sources) == 1:
        return sources[0]
    return f"{', '.join(sources[:-1])} and {sources[-1]}"


def interval_in_words(
    calibrated_from: str | None,
    further: Sequence[str],
    has_interval: NDArray[np.bool_],
    level: int,
) -> str:
    """Say for whom of people who give several tissues there are intervals.

    Parameters
    ----------
    calibrated_from, further
        Tissue that intervals were learnt from, and those that they were learnt with beside it.
    has_interval
        (N,).
    """
    n, n_all = int(has_interval.sum()), len(has_interval)
    if calibrated_from is None or not n:
        return "none: the error of predictions from these tissues together was not measured"
    learnt = f"from {calibrated_from}"
    if further:
        learnt += f" alone and with any of {explain_sources(further)}"
    words = f"{level} %, calibrated on donors held out, {learnt}"
    if n == n_all:
        return words
    return (
        f"{words}; for {n} of {n_all} people, none for the others, whose combination of tissues was"
        " not measured"
    )


def one_of_each(given: Mapping[str, object]) -> None:
    """Refuse a mapping of tables that is empty.

    Raises
    ------
    SelectionError
        If it is.
    """
    if not given:
        raise SelectionError("no table is given. Give at least one, by the name of its tissue.")


def _describe_none_in_both(
    match: TableMatch, names: Mapping[str, Sequence[str]], first: str, further: str
) -> str:
    words = (
        f"the tables of {first} and {further} have no sample name in common:"
        f" {name_some(names[first], 2)} in the first,"
        f" {name_some(names[further], 2)} in the second."
    )
    if match.near:
        near = match.near[0]
        return (
            f"{words} {len(match.near)} may belong to the same people, such as {near.metadata!r} "
            f"and"
            f" {near.expression!r}, which differ in {near.difference}. If they do, confirm it "
            f"(--near-people, near_people=True, or the switch on the Upload page)."
        )
    return f"{words} Use the same name for a person's samples in both."
