"""Which samples of two tables are of the same people, by name.

A laboratory names a sample after its person and, often, its tissue: ``GTEX-1117F-0226-SM-5GZZ7``,
``P01_skin``. Names that are the same match. Names that may be one person's are proposed, and taken
for it only where the user says so.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from mtm_core.data.people.sample_names import RULES, NearMatch, SampleMatch, match_samples

_DONOR = re.compile(r"^(gtex-[0-9a-z]+|tcga-[0-9a-z]{2}-[0-9a-z]{4})(?=-|$)")
_LAST_PART = re.compile(r"[-_. ][^-_. ]+$")


def _donor(name: str) -> str:
    """Return the donor of a GTEx or TCGA sample; "" of any other name."""
    found = _DONOR.match(name.casefold())
    return found.group() if found else ""


def _without_last_part(name: str) -> str:
    """Return the name up to its last separator, as ``P01`` of ``P01_skin``."""
    return _LAST_PART.sub("", name.casefold())


_PERSON_RULES = (
    *RULES,
    ("the part after the donor", _donor),
    ("the last part of the name", _without_last_part),
)


@dataclass(frozen=True)
class TableMatch:
    """Samples of a further table against those of the first.

    Attributes
    ----------
    in_both
        Names in both, in the order of the first; those of ``near`` too, by the first's name, where
        they are taken for the same.
    only_first, only_further
        Names in one of them, in its order.
    near
        Pairs that may be one person; ``metadata`` is the name in the further table.
    is_near_taken
        Whether the user has said that they are.
    """

    in_both: tuple[str, ...]
    only_first: tuple[str, ...]
    only_further: tuple[str, ...]
    near: tuple[NearMatch, ...]
    is_near_taken: bool = False

    @property
    def names(self) -> Mapping[str, str]:
        """The first table's name by the further table's, of near matches that are taken."""
        return {n.metadata: n.expression for n in self.near} if self.is_near_taken else {}

    def as_table(self) -> pd.DataFrame:
        """Return a row a person: ``first``, ``further`` (names, blank where not there), ``where``.

        ``where`` is ``both``, ``first only``, ``second only`` or ``perhaps the same``, and
        ``difference`` says what names that may be the same differ in.
        """
        near = {n.expression: n for n in self.near}
        taken = {n.metadata for n in self.near}
        rows = [
            (name, near[name].metadata if name in near else name, "both", "")
            for name in self.in_both
        ]
        if not self.is_near_taken:
            rows += [
                (n.expression, n.metadata, "perhaps the same", n.difference) for n in self.near
            ]
        rows += [(name, "", "first only", "") for name in self.only_first if name not in near]
        rows += [("", name, "second only", "") for name in self.only_further if name not in taken]
        return pd.DataFrame(rows, columns=["first", "further", "where", "difference"])


def _with_a_part_more(match: SampleMatch) -> list[NearMatch]:
    """Pair names left over of which one is the other with a part more, as ``P-01`` and ``P-01_a``.

    Only where neither may be another's, too.
    """
    taken = {n.expression for n in match.near}, {n.metadata for n in match.near}
    first = {name.casefold(): name for name in match.expression_only if name not in taken[0]}
    further = {name.casefold(): name for name in match.metadata_only if name not in taken[1]}
    pairs = [
        (first[a], further[b])
        for long, short, is_first in ((first, further, True), (further, first, False))
        for name in long
        if (cut := _without_last_part(name)) in short
        for a, b in [(name, cut) if is_first else (cut, name)]
    ]
    n_first, n_further = (Counter(pair[i] for pair in pairs) for i in range(2))
    return [
        NearMatch(b, a, "a last part that one of them has")
        for a, b in pairs
        if n_first[a] == n_further[b] == 1
    ]


def match_people(
    first: Sequence[str], further: Sequence[str], *, take_near: bool = False
) -> TableMatch:
    """Compare the sample names of two tables of the same people.

    Parameters
    ----------
    first, further
        Names, without duplicates.
    take_near
        Match similar names as those of the same person.
    """
    match = match_samples(further, first, rules=_PERSON_RULES)
    near = (*match.near, *_with_a_part_more(match))
    paired = {n.expression for n in near} if take_near else set()
    matched = {*match.matched, *paired}
    return TableMatch(
        in_both=tuple(name for name in first if name in matched),
        only_first=tuple(name for name in match.expression_only if name not in paired),
        only_further=tuple(
            name
            for name in match.metadata_only
            if not (take_near and name in {n.metadata for n in near})
        ),
        near=near,
        is_near_taken=take_near,
    )
