"""Several quantities of one sample, or of each of several samples, side by side in a table.

Programs that quantify expression write counts beside TPM, FPKM and lengths. One of them is read:
the counts, or what the user names. Quantities are known by the words that programs use, as a whole
name (``expected_count``) or joined to that of a sample (``counts.PT01``, ``PT01_TPM``). Other words
are taken for quantities where the values show it: of two quantities of the same samples, one is the
other but for a factor of each gene and a factor of each sample.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from mtm_core.data.layout.column_names import is_annotation, normalised
from mtm_core.data.notes import Choice, Note, name_some
from mtm_core.data.units import UNIT_TABLE
from mtm_core.errors import ExpressionError

_COUNTS = UNIT_TABLE["counts"].columns
_SCALED = (
    *(name for unit, kind in UNIT_TABLE.items() if unit != "counts" for name in kind.columns),
    "avgsignal",
)
_OTHERS = (
    *("fpkmuq", "fpkmuqunstranded", "strandedfirst", "strandedsecond", "posteriormeancount"),
    *("posteriorstandarddeviationofcount", "pmetpm", "pmefpkm", "coverage", "cov", "isopct"),
    *("normcounts", "normalizedcounts", "normalisedcounts", "normalized", "normalised", "norm"),
    *("logcpm", "logtpm", "log2tpm", "log2cpm", "log2fpkm", "vst", "rlog", "scaledtpm"),
)
_LENGTHS = ("length", "effectivelength", "efflength", "effectivegenelength")
_NO_EXPRESSION = (
    *_LENGTHS,
    *("conflo", "confhi", "fpkmconflo", "fpkmconfhi", "detectionpval", "detectionpvalue"),
    *("beadstderr", "avgnbeads", "nobeads"),
)
"""Quantities that programs write beside the expression of a sample."""
QUANTITIES = (*_COUNTS, *_SCALED, *_OTHERS)
"""Quantities of expression, counts first, normalised as by :func:`column_names.normalised`."""
_INTERVALS = re.compile(r"(tpm|fpkm)(ci(lower|upper)bound|coefficientofquartilevariation)")
_JOINT = re.compile(r"[-._:/| ()\[\]]+")
_LEAST_SAMPLES = 3
_SAME_RANKS = 0.9995
_LITTLE_LEFT = 0.05
"""Share of the variance between samples that is left when two quantities of them are compared."""
_CLC = " (GE)"
"""Ending that CLC adds to the name of every sample of gene expression."""
_PLAIN = "plain"
"""The quantity of samples whose names have nothing added, beside the same names with more."""
_BY_CHANCE = 0.35
"""Share of the variance between two Poisson counts, from which two columns of counts are of two
runs. Of one run, where one has a share p of the other's reads, they have (1 - p) / (1 + p)."""
_MOST_LABELS = 8

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Chosen:
    """The columns of one quantity.

    Attributes
    ----------
    columns
        Its columns, in order, by the name of their sample.
    aside
        The columns of the others, and why.
    note, choice
        The choice that was made, and its alternatives.
    """

    columns: dict[int, str]
    aside: dict[int, str]
    note: Note
    choice: Choice


def choose_quantity(
    names: dict[int, str],
    wanted: str,
    sample: str,
    values: Callable[[Sequence[int]], Floats],
) -> Chosen | None:
    """Choose a quantity among the columns ``names``, ``None`` if there are not several.

    Parameters
    ----------
    names
        Names of the columns of numbers, by position.
    wanted
        Quantity that the user asks for, '' for none.
    sample
        Name for the sample of a table that names none.
    values
        Gives columns as (rows, columns).

    Raises
    ------
    ExpressionError
        If there are several quantities and none is known to be the counts, or not the one wanted.
    """
    found = _of_one_sample(names, sample) or _of_samples(names) or _by_values(names, values)
    if found is None:
        if wanted and wanted not in names.values():
            raise ExpressionError(
                f"--quantity {wanted!r}: there are not several quantities of one sample among the"
                f" columns ({name_some(names.values())}). Leave it out."
            )
        return None
    quantity = _choose(found, wanted, values)
    columns = {column: name for name, column in found[quantity].items()}
    aside = {
        column: f"another quantity ({shown}) of samples whose {quantity or 'values'} was read"
        for shown, others in found.items()
        if shown != quantity
        for column in others.values()
    }
    others = [shown or "no word" for shown in found if shown != quantity]
    how_many = "one sample" if len(columns) == 1 else f"{len(columns)} samples"
    return Chosen(
        dict(sorted(columns.items())),
        aside,
        Note(
            "warning",
            f"The columns hold {len(found)} quantities of {how_many}: {name_some(found, 8)}.",
            f"{quantity!r} was read, as {name_some(columns.values(), 3)}.",
            f"To read another: --quantity {others[0]} (Quantity, on the Upload page)."
            if others
            else "",
        ),
        Choice("quantity", quantity, tuple(found)),
    )


_Found = dict[str, dict[str, int]]
"""Column by sample by quantity."""


def _is_quantity(name: str) -> bool:
    short = normalised(name)
    return short in QUANTITIES or short in _NO_EXPRESSION or _INTERVALS.fullmatch(short) is not None


def is_expression(name: str) -> bool:
    """Tell whether ``name`` is that of expression, as a program that quantifies writes it."""
    return normalised(name) in QUANTITIES


def is_counts(name: str) -> bool:
    """Tell whether ``name`` is that of counts."""
    return normalised(name) in _COUNTS


def _of_one_sample(names: dict[int, str], sample: str) -> _Found | None:
    """Find names all of which are quantities, expression among them."""
    quantities = {name: column for column, name in names.items() if _is_quantity(name)}
    others = [name for name in names.values() if name not in quantities]
    expression = [name for name in quantities if is_expression(name)]
    if len(quantities) < 2 or not expression or not all(map(is_annotation, others)):
        return None
    return {name: {sample: column} for name, column in quantities.items()}


def _of_samples(names: dict[int, str]) -> _Found | None:
    """Find names that join a sample's to that of a quantity, for two quantities or more."""
    found: _Found = {}
    plain: dict[str, int] = {}
    for column, name in names.items():
        quantity, sample = _parts(name)
        if quantity:
            found.setdefault(quantity, {})[sample] = column
        else:
            plain[name] = column
    samples = set().union(*found.values()) if found else set()
    if samples & plain.keys() and not any(normalised(q) in _COUNTS for q in found):
        found[""] = {name: column for name, column in plain.items() if name in samples}
    shared = [
        name for name, columns in found.items() if 2 * len(columns.keys() & samples) > len(samples)
    ]
    if len(shared) < 2 or not any(not name or is_expression(name) for name in shared):
        return None
    return {name: found[name] for name in shared}


def _parts(name: str) -> tuple[str, str]:
    """Return quantity and sample of ``name``, '' and the name where it holds no quantity."""
    joints = list(_JOINT.finditer(name.rstrip(")] ")))
    bare = name.rstrip(")] ")
    for joint in reversed(joints):  # the longest quantity in front
        if joint.start() and _is_quantity(bare[: joint.start()]) and bare[joint.end() :]:
            return bare[: joint.start()], name[joint.end() :]
    for joint in joints:  # the longest one behind
        if joint.start() and _is_quantity(bare[joint.end() :]):
            sample = bare[: joint.start()]
            is_open = joint[0].startswith(")") and sample.count("(") > sample.count(")")
            sample = (sample + ")" * is_open).removesuffix(_CLC)
            return bare[joint.end() :], sample
    return "", name


def _by_values(names: dict[int, str], values: Callable[[Sequence[int]], Floats]) -> _Found | None:
    """Find names of two parts, one of which tells quantities by what the values show."""
    repeated = _Repeated(frozenset(names.values()))
    for of in (_first_part, _last_part, repeated):
        found: _Found = {}
        for column, name in names.items():
            label, sample = of(name)
            found.setdefault(label, {})[sample] = column
        sets = [set(columns) for columns in found.values()]
        if not 2 <= len(found) <= _MOST_LABELS or len(sets[0]) < _LEAST_SAMPLES:
            continue
        if ("" in found) != (of is repeated) or any(samples != sets[0] for samples in sets):
            continue
        first, *others = found.values()
        samples = list(first)[:20]
        one = values([first[sample] for sample in samples])
        if all(_are_one(one, values([other[sample] for sample in samples])) for other in others):
            return {label or _PLAIN: columns for label, columns in found.items()}
    return None


def _first_part(name: str) -> tuple[str, str]:
    joint = _JOINT.search(name)
    return (name[: joint.start()], name[joint.end() :]) if joint and joint.start() else ("", name)


def _last_part(name: str) -> tuple[str, str]:
    joints = list(_JOINT.finditer(name))
    if not joints or joints[-1].end() == len(name):
        return "", name
    return name[joints[-1].end() :], name[: joints[-1].start()]


@dataclass(frozen=True)
class _Repeated:
    """Takes off what joins a name to another that is there: of ``PT01.1`` beside ``PT01``."""

    names: frozenset[str]

    def __call__(self, name: str) -> tuple[str, str]:
        """Return what was taken off, '' if nothing, and the other name."""
        for joint in _JOINT.finditer(name):
            before, after = name[: joint.start()], name[joint.end() :]
            for label, sample in ((after, before), (before, after)):
                if label and sample in self.names:
                    return label, sample
        return "", name


def _are_one(a: Floats, b: Floats) -> bool:
    """Tell whether ``a`` and ``b`` (rows, samples) are two quantities of the same samples."""
    complete = ~(np.isnan(a) | np.isnan(b)).any(axis=1)
    a, b = a[complete], b[complete]
    if len(a) < 20:
        return False
    ranks = [rankdata(x, axis=0) for x in (a, b)]
    same = [np.corrcoef(x, y)[0, 1] for x, y in zip(ranks[0].T, ranks[1].T, strict=True)]
    if np.nanmin(same) > _SAME_RANKS:
        return True
    if (a < 0).any() or (b < 0).any():
        return False
    expressed = ((a > 0) & (b > 0)).all(axis=1)
    if expressed.sum() < 20:
        return False
    x, y = np.log(a[expressed]), np.log(b[expressed])
    left, whole = _centred(x - y), _centred(x)
    by_chance = 1 / a[expressed] + 1 / b[expressed]
    if _are_whole(a) and _are_whole(b) and (left**2).mean() > _BY_CHANCE * by_chance.mean():
        return False  # counts of two runs; of one run they would go together more closely
    return bool(np.median(left**2) < _LITTLE_LEFT * np.median(whole**2))


def _centred(x: Floats) -> Floats:
    """Take the mean of each row and of each column away."""
    result: Floats = x - x.mean(axis=1, keepdims=True) - x.mean(axis=0) + x.mean()
    return result


def _choose(found: _Found, wanted: str, values: Callable[[Sequence[int]], Floats]) -> str:
    if wanted:
        for name in found:
            if normalised(name) == normalised(wanted):
                return name
        raise ExpressionError(
            f"--quantity {wanted!r}: expected one of {name_some(found, 20)}. Choose one of these."
        )
    rank = {name: place for place, name in enumerate(QUANTITIES)}
    known = sorted((rank[normalised(name)], name) for name in found if normalised(name) in rank)
    if known and known[0][0] < len(_COUNTS):
        return known[0][1]
    whole = [name for name, columns in found.items() if _are_whole(values(list(columns.values())))]
    whole = [name for name in whole if normalised(name) not in _NO_EXPRESSION]
    if len(whole) == 1:
        return whole[0]
    if known and known[0][0] < len(_COUNTS) + len(_SCALED):
        return known[0][1]
    raise ExpressionError(
        f"the columns hold several quantities of the same samples: {name_some(found, 20)}, and none"
        " is known to be the counts. Say which to read: --quantity and its name (Quantity, on the"
        " Upload page)."
    )


def _are_whole(x: Floats) -> bool:
    return bool((x[~np.isnan(x)] % 1 == 0).all())
