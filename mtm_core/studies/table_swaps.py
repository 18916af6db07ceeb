"""Two tables of the same people: samples that were exchanged, and sexes that disagree.

Profiles are compared by :func:`mtm_core.studies.sample_swaps.match_tables`. Sex by XIST and the Y
genes needs few genes and no other people, so it also finds what profiles cannot: a table in which
most samples are shifted by one name.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mtm_core.data.notes import Note, counted, name_some
from mtm_core.data.people.same_people import TableMatch, match_people
from mtm_core.data.tables.expression import ExpressionTable
from mtm_core.errors import SelectionError
from mtm_core.inference.measured import linear_levels
from mtm_core.inference.predictor import Predictor
from mtm_core.inference.prepared import Prepared
from mtm_core.studies.sample_review import log2_levels
from mtm_core.studies.sample_sex import BOTH, FEMALE, MALE, sex_of_samples
from mtm_core.studies.sample_swaps import (
    EXCHANGED,
    FEWEST_PEOPLE,
    SUSPECTED,
    UNCLEAR,
    match_tables,
    swaps_in_words,
)

SEXES = ("sex_first", "sex_second", "sex_stated")


@dataclass(frozen=True)
class OneTable:
    """A table of samples, as read and as the model reads it.

    Attributes
    ----------
    read, prepared
        Result of :func:`mtm_core.data.tables.expression.read_expression` and of
        :meth:`mtm_core.inference.predictor.Predictor.prepare`.
    """

    read: ExpressionTable
    prepared: Prepared

    def log2(self) -> pd.DataFrame:
        """Return every gene (N, genes) as log2(1 + x), in single precision."""
        prepared = self.prepared
        linear = linear_levels(self.read.values, prepared.unit, prepared.match)
        levels = log2_levels(linear, prepared.unit)
        return pd.DataFrame(
            levels.to_numpy(np.float32), list(prepared.samples), [str(name) for name in levels]
        )


@dataclass(frozen=True)
class TableSwaps:
    """Comparison of the samples of two tables of the same people.

    Attributes
    ----------
    people
        By person in both: the columns of :func:`mtm_core.studies.sample_swaps.match_tables`;
        ``sex_first``, ``sex_second`` (by genes) and ``sex_stated``, if they are known;
        ``is_suspicious`` and ``reasons``.
    match
        Names in both tables, and in only one.
    tissues
        Tissue of the first table, and of the second.
    notes
        Findings in words.
    """

    people: pd.DataFrame
    match: TableMatch
    tissues: tuple[str, str]
    notes: tuple[Note, ...]

    @property
    def suspicious(self) -> pd.DataFrame:
        """Rows of people with a reason to look at them."""
        return self.people[self.people["is_suspicious"]]


def compare_tables(
    predictor: Predictor,
    first: OneTable,
    second: OneTable,
    *,
    stated: pd.Series | None = None,
    near_people: bool = False,
) -> TableSwaps:
    """Look for samples that were exchanged between two tables of the same people.

    Parameters
    ----------
    predictor
        Model: a second table of another tissue is compared with its prediction from the first.
    first, second
        The tables.
    stated
        Sex by sample, from the metadata.
    near_people
        Match similar names as those of the same person.

    Raises
    ------
    SelectionError
        If too few people are in both tables, and their sexes are not known by genes.

    Examples
    --------
    >>> from mtm_core import SAMPLES, OneTable, Predictor, compare_tables, read_expression
    >>> predictor = Predictor.load("gtex_v8_acmg59_stack")
    >>> read = read_expression(SAMPLES / "blood_tpm.tsv", known_genes=predictor.genes)
    >>> table = OneTable(read, predictor.prepare(read, unit="tpm"))
    >>> found = compare_tables(predictor, table, table)  # a table against itself
    >>> len(found.people), len(found.suspicious)
    (40, 0)
    """
    tissues = first.prepared.source, second.prepared.source
    match = match_people(first.prepared.samples, second.prepared.samples, take_near=near_people)
    people = list(match.in_both)
    own, other = first.log2(), second.log2()
    sexes = _sexes(own, other, match, stated)
    if len(people) < FEWEST_PEOPLE and (not people or not {*SEXES[:2]} <= {*sexes}):
        raise SelectionError(_describe_few(match))
    if tissues[0] == tissues[1]:
        profiles = own.loc[people], other
    else:
        profiles = _predicted(predictor, first.prepared, second.prepared, people)
    del own, other
    if len(people) >= FEWEST_PEOPLE:
        renamed = profiles[1].rename(index=dict(match.names))
        table = match_tables(profiles[0], renamed)
    else:
        table = pd.DataFrame(
            {
                "own_rho": np.nan,
                "rank": -1,
                "nearest": "",
                "nearest_rho": np.nan,
                "other_rho": np.nan,
                "verdict": UNCLEAR,
            },
            index=people,
        )
    table = table.join(sexes).rename_axis("sample")
    reasons = [_reasons(str(name), row, tissues) for name, row in table.iterrows()]
    table["reasons"] = ["; ".join(words) for words in reasons]
    table["is_suspicious"] = [bool(words) for words in reasons]
    return TableSwaps(table, match, tissues, tuple(_describe(table, match, tissues)))


def _predicted(
    predictor: Predictor, first: Prepared, second: Prepared, people: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return z-scores of the second tissue: as predicted from the first, and as measured."""
    z = predictor.predict_prepared(first, [second.source])["z"].isel(tissue=0)
    names = [str(name) for name in z["sample"].to_numpy()]
    own = [names.index(name) for name in people]
    found = second.aligned.found
    genes = z["gene"].to_numpy().astype(str)[found]
    predicted = z.transpose("sample", "gene").to_numpy()[own][:, found]
    measured = second.aligned.z[:, found].astype(np.float32)
    return (
        pd.DataFrame(predicted, people, genes),
        pd.DataFrame(measured, list(second.samples), genes),
    )


def _sexes(
    first: pd.DataFrame, second: pd.DataFrame, match: TableMatch, stated: pd.Series | None
) -> pd.DataFrame:
    """Return the sex of each person in both tables by genes, and as stated, if known."""
    people = list(match.in_both)
    known = pd.DataFrame(index=people)
    for column, log2 in (("sex_first", first), ("sex_second", second)):
        sexes = sex_of_samples(log2)
        if sexes is not None:
            by_person = sexes["sex_by_genes"].rename(index=dict(match.names))
            known[column] = by_person.reindex(people)
    if stated is not None and stated.reindex(people).notna().any():
        known["sex_stated"] = stated.reindex(people)
    return known


def _reasons(name: str, row: pd.Series, tissues: tuple[str, str]) -> list[str]:
    """Say in words why a person's two samples should be looked at."""
    found = []
    first, second = _in_order(tissues)
    if row["verdict"] in SUSPECTED:
        words = (
            f"in {second} most like {row['nearest']} (rho {row['nearest_rho']:.2f}, own"
            f" {row['own_rho']:.2f})"
        )
        if row["verdict"] == EXCHANGED:
            words += f", and {row['nearest']} there most like {name}"
        found.append(words)
    sexes = {column: row[column] for column in SEXES if column in row.index}
    sure = {column: sex for column, sex in sexes.items() if sex in (FEMALE, MALE)}
    a, b, stated = (sure.get(column) for column in SEXES)
    if a and b and a != b:
        found.append(f"{a} by genes in {first}, {b} in {second}")
    if stated:
        wrong = [place for place, sex in ((first, a), (second, b)) if sex and sex != stated]
        if wrong:
            other = MALE if stated == FEMALE else FEMALE
            found.append(f"{stated} in the metadata, {other} by genes in {' and '.join(wrong)}")
    mixed = [
        place
        for place, column in zip((first, second), SEXES, strict=False)
        if sexes.get(column) == BOTH
    ]
    if mixed:
        found.append(f"genes of both sexes in {' and '.join(mixed)}")
    return found


def _in_order(tissues: tuple[str, str]) -> tuple[str, str]:
    """Name the tables in a sentence."""
    if tissues[0] != tissues[1]:
        return tissues
    return "the first table", "the second table"


def _describe(table: pd.DataFrame, match: TableMatch, tissues: tuple[str, str]) -> list[Note]:
    notes = []
    if len(table) >= FEWEST_PEOPLE:
        suspected = bool(table["verdict"].isin(SUSPECTED).any())
        notes.append(Note("warning" if suspected else "info", swaps_in_words(table), ""))
    else:
        notes.append(
            Note(
                "info",
                f"{counted(len(table), 'person is', 'people are')} in both tables, fewer than the"
                f" {FEWEST_PEOPLE} that a comparison of profiles needs.",
                "Only sexes are compared.",
            )
        )
    notes += _describe_sexes(table, tissues)
    n_near = 0 if match.is_near_taken else len(match.near)
    if n_near:
        notes.append(
            Note(
                "info",
                f"{counted(n_near, 'more person', 'more people')} may be in both tables: their"
                f" names differ slightly.",
                "They are not compared.",
                "If they are the same people, match similar names (--near-people).",
            )
        )
    return notes


def _describe_sexes(table: pd.DataFrame, tissues: tuple[str, str]) -> list[Note]:
    lacking = [
        place
        for place, column in zip(_in_order(tissues), SEXES, strict=False)
        if column not in table
    ]
    if lacking:
        return [
            Note(
                "info",
                f"Neither XIST nor genes of the Y chromosome are in {' or '.join(lacking)}.",
                "Sex by expression is not compared between the tables.",
                "Use tables from before genes were filtered out.",
            )
        ]
    both = table[["sex_first", "sex_second"]].isin([FEMALE, MALE]).all(axis=1)
    wrong = table.index[both & (table["sex_first"] != table["sex_second"])]
    if not len(wrong):
        found = f"Sex by genes agrees between the tables in all {int(both.sum()):,} people."
        return [Note("info", found, "")]
    return [
        Note(
            "warning",
            f"The two samples of {counted(len(wrong), 'person', 'people')} show different sexes by"
            f" their genes: {name_some(wrong)}.",
            "Nothing was changed.",
            "Samples may be exchanged or under the wrong name.",
        )
    ]


def _describe_few(match: TableMatch) -> str:
    words = (
        f"{counted(len(match.in_both), 'person is', 'people are')} in both tables; at least"
        f" {FEWEST_PEOPLE} people are needed. Samples of one person must have one name in both."
    )
    if match.near and not match.is_near_taken:
        one = match.near[0]
        words += (
            f" Names such as {one.expression} and {one.metadata} differ in {one.difference}: if"
            f" they are the same person's, match similar names (--near-people)."
        )
    return words
