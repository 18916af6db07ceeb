"""Designs of studies: a formula over sample metadata becomes a matrix and contrasts, or an error.

Groups are coded against a reference group, numbers are centred; so a difference within an
interaction is one at the reference group, and at the mean, of what it interacts with. A sample that
lacks a value is left out and counted. Designs from which a contrast cannot be estimated are
refused, by the names of the columns that coincide.

Letters: N samples that take part, P columns, K rows of a contrast.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.data.notes import Note, name_some
from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.data.people.metadata_columns import in_order, level_named
from mtm_core.data.people.sample_names import with_sample_column
from mtm_core.errors import SelectionError
from mtm_core.statistics.block_correlation import can_correlate
from mtm_core.studies.coincidence import check_separable
from mtm_core.studies.contrasts import (
    Asked,
    Contrast,
    ContrastText,
    contrast_of,
    read_contrast,
)
from mtm_core.studies.formula import Factor, Term, formula_text, parse_formula, term_text
from mtm_core.studies.sample_labels import reference_group, reference_of

BlockAs = Literal["random", "fixed"]
INTERCEPT = "intercept"
LEAST_FREEDOM = 2
"""Samples that a design must have beyond its coefficients."""
LEAST_GROUP = 2
"""Samples of each group that is compared."""


@dataclass(frozen=True)
class StudyDesign:
    """A linear model: samples, design matrix and contrasts.

    Attributes
    ----------
    terms
        Terms of the formula.
    values
        (N, columns) of the metadata, by name: numbers, or text of groups.
    matrix
        (N, P), with the intercept first.
    places
        Columns of ``matrix`` of each term.
    levels
        Groups of each column that is read as groups, the reference first.
    contrasts
        Contrasts to test.
    block, block_as
        Column whose samples go together, empty for none; as a random intercept or a fixed effect.
    blocks
        Block of each sample, if blocks are random.
    dropped
        By sample that is left out, the column whose value it lacks.
    """

    terms: tuple[Term, ...]
    values: pd.DataFrame
    matrix: pd.DataFrame
    places: Mapping[Term, tuple[int, ...]]
    levels: Mapping[Factor, tuple[str, ...]]
    contrasts: tuple[Contrast, ...]
    block: str
    block_as: BlockAs
    blocks: pd.Series | None
    dropped: pd.Series

    @property
    def samples(self) -> pd.Index:
        """Names of the samples that take part."""
        return self.matrix.index

    @property
    def formula(self) -> str:
        """The formula, with a block that is fixed."""
        return formula_text(self.terms)

    @property
    def notes(self) -> tuple[Note, ...]:
        """Say how many samples take part, and what to be careful about."""
        n, n_all = len(self.matrix), len(self.matrix) + len(self.dropped)
        found = []
        if len(self.dropped):
            counts = self.dropped.value_counts()
            lacking = ", ".join(f"{column} ({count})" for column, count in counts.items())
            found.append(
                Note(
                    "warning",
                    f"{len(self.dropped)} of {n_all} samples lack a value: {lacking}.",
                    f"They are not used; {n} are.",
                )
            )
        for factor, levels in self.levels.items():
            counts = self.values[factor.column].value_counts()
            lone = [level for level in levels if counts.get(level, 0) == 1]
            if lone:
                found.append(
                    Note(
                        "warning",
                        f"{name_some(lone)} of column {factor.column!r} has one sample.",
                        "That sample contributes nothing else.",
                    )
                )
        return tuple(found)

    def as_table(self) -> pd.DataFrame:
        """Return the matrix with the names of the samples, and of random blocks where there are."""
        table = self.matrix
        if self.blocks is not None:
            own = "block" if "block" not in table else f"block: {self.block}"
            table = table.assign(**{own: self.blocks})
        return with_sample_column(table)

    def summary(self) -> pd.DataFrame:
        """Return a row a coefficient: its term, what it is and how many samples estimate it."""
        rows = [{"coefficient": INTERCEPT, "term": "", "meaning": self._baseline(), "samples": ""}]
        for term, places in self.places.items():
            for place in places:
                name = str(self.matrix.columns[place])
                rows.append(
                    {
                        "coefficient": name,
                        "term": term_text(term),
                        "meaning": self._meaning(term),
                        "samples": self._counts(term, name),
                    }
                )
        return pd.DataFrame(rows)

    def shuffled(self, seed: int) -> StudyDesign:
        """Deal the columns that are compared out anew; what is found with these is chance.

        Within blocks, where the column varies within them; among blocks where it does not.
        """
        rng = np.random.default_rng(seed)
        values = self.values.copy()
        for column in dict.fromkeys(c for contrast in self.contrasts for c in contrast.columns):
            values[column] = _dealt(values[column], self._block_values(), rng)
        asked = [contrast.text for contrast in self.contrasts]
        main = tuple(term for term in self.terms if not self._is_block(term))
        first = {factor.column: levels[0] for factor, levels in self.levels.items()}
        built = _built(values, main, asked, self.block, self.block_as, first)
        return replace(built, dropped=self.dropped)

    def _is_block(self, term: Term) -> bool:
        return self.block_as == "fixed" and term == (Factor(self.block, as_groups=True),)

    def _block_values(self) -> pd.Series | None:
        return self.values[self.block] if self.block else None

    def _baseline(self) -> str:
        at = [f"{f.column} {levels[0]}" for f, levels in self.levels.items()]
        means = [
            f"{f.column} {self.values[f.column].mean():.4g}"
            for f in dict.fromkeys(f for term in self.terms for f in term)
            if f not in self.levels
        ]
        return "mean at " + ", ".join([*at, *means])

    def _meaning(self, term: Term) -> str:
        if len(term) > 1:
            return "how one changes with the other"
        factor = term[0]
        if factor in self.levels:
            return f"difference from {self.levels[factor][0]}"
        return f"change for 1 of {factor.column}"

    def _counts(self, term: Term, name: str) -> str:
        column = self.matrix[name]
        if all(factor in self.levels for factor in term):
            return f"{int((column != 0).sum())} of {len(column)}"
        return str(len(column))


def make_design(
    metadata: SampleMetadata,
    formula: str,
    *,
    contrasts: Sequence[Asked] = (),
    block: str = "",
    block_as: BlockAs = "random",
    references: Mapping[str, str] | None = None,
) -> StudyDesign:
    """Make the design of ``formula`` over the columns of ``metadata``.

    Parameters
    ----------
    formula
        See :mod:`mtm_core.studies.formula`.
    contrasts
        Contrasts to test: column, cases and controls for two groups of it, a term (``"age"``,
        ``"group:sex"``) for all its coefficients together. The first term where empty.
    block
        Column of which samples with one value go together: a person, a pair.
    block_as
        ``"random"``: samples of one block correlate (a random intercept). ``"fixed"``: each block
        has its own level, so that only differences within blocks count.
    references
        By column, the group that the others are compared with; by default the controls of its
        contrast, else that of :func:`mtm_core.studies.sample_labels.reference_of`.

    Raises
    ------
    SelectionError
        If the formula or a contrast cannot be read, too few samples take part, or they cannot tell
        the terms apart.

    Examples
    --------
    >>> from mtm_core import SAMPLES, make_design, read_metadata
    >>> names = [f"SIM-{i:03}" for i in range(1, 41)]
    >>> people = read_metadata(SAMPLES / "metadata.tsv", samples=names)
    >>> design = make_design(people, "group + age", contrasts=[("group", "case", "control")])
    >>> list(design.matrix.columns)
    ['intercept', 'group[case]', 'age']
    """
    if block_as not in get_args(BlockAs):
        raise SelectionError.unknown("kind of block", [block_as], get_args(BlockAs))
    columns = [column.name for column in metadata.columns]
    terms = parse_formula(formula, columns)
    if block:
        metadata.column(block)
        if any(factor.column == block for term in terms for factor in term):
            raise SelectionError(
                f"{block!r} is both in the formula and the block. Remove it from one of them."
            )
    asked = [read_contrast(text, columns) for text in contrasts]
    factors = dict.fromkeys(factor for term in terms for factor in term)
    named: dict[str, Factor] = {}
    for factor in factors:
        if named.setdefault(factor.column, factor) != factor:
            raise SelectionError(
                f"{factor.column!r} is in the formula both as numbers and as groups. Choose one."
            )
    values = pd.DataFrame({f.column: _read(metadata, f) for f in factors})
    if block:
        values[block] = metadata.text(block)
    lacking = values.isna()
    known = ~lacking.any(axis=1)
    dropped = lacking[~known].idxmax(axis=1) if not known.all() else pd.Series(dtype=object)
    if not known.any():
        raise SelectionError(
            f"no sample has a value in all of {name_some(list(values.columns))}: see the notes on"
            " the metadata."
        )
    first = dict(references or {})
    by_contrast = {one.term[0].column for one in asked if one.groups is not None}
    sex = metadata.sex_column
    if sex in {factor.column for factor in factors} - first.keys() - by_contrast:
        usual = reference_of(metadata, str(sex))
        first |= {str(sex): usual} if (values.loc[known, sex] == usual).any() else {}
    built = _built(values[known], terms, asked, block, block_as, first)
    for column in references or ():
        if column not in {factor.column for factor in built.levels}:
            raise SelectionError(
                f"a reference group is named for {column!r}, which the formula does not read as"
                f" groups. Write C({column}) to compare its groups, or leave the reference out."
            )
    return replace(built, dropped=dropped)


def _read(metadata: SampleMetadata, factor: Factor) -> pd.Series:
    """Return a column by sample, NaN where not known: float64, or text of groups."""
    name = factor.column
    if factor.as_groups:
        return metadata.text(name)
    if name == metadata.age_column:
        return metadata.phenotypes()["age"]
    if metadata.column(name).kind == "number":
        return metadata.numbers(name)
    return metadata.text(name)


def _built(
    values: pd.DataFrame,
    terms: tuple[Term, ...],
    asked: Sequence[ContrastText],
    block: str,
    block_as: BlockAs,
    references: Mapping[str, str],
) -> StudyDesign:
    asked = asked or [ContrastText(terms[0])]
    if block and block_as == "fixed":
        terms = (*terms, (Factor(block, as_groups=True),))
    levels: dict[Factor, tuple[str, ...]] = {}
    for factor in dict.fromkeys(factor for term in terms for factor in term):
        column = values[factor.column]
        if len(column.unique()) < 2:
            raise SelectionError(
                f"{factor.column!r} is {column.iloc[0]!r} in all {len(column)} samples used: "
                f"there is nothing to compare. Leave it out of the formula."
            )
        if not pd.api.types.is_numeric_dtype(column):
            levels[factor] = _ordered(factor, column, asked, references)
    _check_blocks(values, block)
    codes = {factor: _coded(values[factor.column], levels.get(factor)) for factor in _of(terms)}
    parts, places, names = [np.ones((len(values), 1))], {}, [INTERCEPT]
    for term in terms:
        coded, own = _product([codes[factor] for factor in term])
        places[term] = tuple(range(len(names), len(names) + len(own)))
        parts.append(coded)
        names += own
    matrix = pd.DataFrame(np.hstack(parts), values.index, names)
    design = StudyDesign(
        terms,
        values,
        matrix,
        places,
        levels,
        (),
        block,
        block_as,
        values[block] if block and block_as == "random" else None,
        pd.Series(dtype=object),
    )
    check_separable(matrix, places, block if block_as == "fixed" else "")
    freedom = len(matrix) - matrix.shape[1]
    if freedom < LEAST_FREEDOM:
        raise SelectionError(
            f"{len(matrix)} samples are used and the formula {design.formula!r} has"
            f" {matrix.shape[1]} coefficients; at least {matrix.shape[1] + LEAST_FREEDOM} samples"
            " are needed. Leave terms out."
        )
    if block and block_as == "random" and not can_correlate(matrix, values[block]):
        raise SelectionError(
            f"the blocks of {block!r} follow from the formula {design.formula!r}: how much samples"
            " of one block resemble each other cannot be estimated. Choose the column that names"
            " the person or the pair, or leave the block out."
        )
    found = tuple(contrast_of(text, terms, places, names, levels, values) for text in asked)
    return replace(design, contrasts=found)


def _of(terms: Sequence[Term]) -> list[Factor]:
    return list(dict.fromkeys(factor for term in terms for factor in term))


def _ordered(
    factor: Factor,
    column: pd.Series,
    asked: Sequence[ContrastText],
    references: Mapping[str, str],
) -> tuple[str, ...]:
    """Return the groups of a column, first that which others are compared with."""
    counts = column.value_counts()
    levels = in_order(str(level) for level in counts.index)
    if len(levels) > max(2, len(column) / 2):
        raise SelectionError(
            f"column {factor.column!r} has {len(levels)} values in {len(column)} samples: names"
            " rather than groups. Leave it out of the formula; if it names people or pairs, use "
            "it as the block."
        )
    first = reference_group(levels)
    for text in asked:
        pair = levels if text.groups is None and text.term == (factor,) else []
        if text.groups is not None and text.term[0].column == factor.column:
            pair = [level_named(name, levels) for name in text.groups]
            first = pair[-1]
        if len(pair) == 2:  # of more groups without names, all are tested together
            for level in pair:
                if counts[level] < LEAST_GROUP:  # before a lone sample is fitted exactly
                    raise SelectionError(
                        f"{level!r} of column {factor.column!r} has one sample, which does not "
                        f"show how much such samples vary. Each group that is compared needs "
                        f"{LEAST_GROUP}."
                    )
    if factor.column in references:
        first = level_named(references[factor.column], levels)
    return (first, *(level for level in levels if level != first))


def _check_blocks(values: pd.DataFrame, block: str) -> None:
    if not block:
        return
    sizes = values[block].value_counts()
    if sizes.max() < 2:
        raise SelectionError(
            f"no two samples have the same {block!r}: there are no blocks. Leave the block out, or"
            " choose the column that names the person or the pair."
        )
    if len(sizes) < 2:
        raise SelectionError(f"all samples have the same {block!r}: leave the block out.")


def _coded(
    column: pd.Series, levels: tuple[str, ...] | None
) -> tuple[NDArray[np.float64], list[str]]:
    """Return columns of a factor (N, C), and their names."""
    if levels is None:
        numbers = column.to_numpy(dtype=np.float64)
        return (numbers - numbers.mean())[:, None], [str(column.name)]
    coded = np.column_stack([(column == level).to_numpy(float) for level in levels[1:]])
    return coded, [f"{column.name}[{level}]" for level in levels[1:]]


def _product(
    factors: Sequence[tuple[NDArray[np.float64], list[str]]],
) -> tuple[NDArray[np.float64], list[str]]:
    coded, names = factors[0]
    for more, others in factors[1:]:
        coded = np.column_stack([a * b for a in coded.T for b in more.T])
        names = [f"{a}:{b}" for a in names for b in others]
    return coded, names


def _dealt(column: pd.Series, blocks: pd.Series | None, rng: np.random.Generator) -> pd.Series:
    if blocks is None:
        return pd.Series(rng.permutation(column.to_numpy()), column.index, name=column.name)
    if column.groupby(blocks, observed=True).nunique().max() > 1:
        return column.groupby(blocks, observed=True, group_keys=False).transform(
            lambda part: rng.permutation(part.to_numpy())
        )
    by_block = column.groupby(blocks, observed=True).first()
    dealt = pd.Series(rng.permutation(by_block.to_numpy()), by_block.index)
    return blocks.map(dealt).rename(column.name)
