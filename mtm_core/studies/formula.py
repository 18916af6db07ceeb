"""A formula of a linear model, read without running anything of it.

``group + age + batch``, ``group * sex`` (both, and their interaction ``group:sex``), ``C(day)`` (a
column of numbers as groups), a leading ``~`` or ``1 +`` as R writes them. Names are columns of the
metadata; one that holds a sign of the grammar goes in backticks. There are no functions, so that a
formula from anybody can be read on a server.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from mtm_core.errors import SelectionError

_NEEDS_BACKTICKS = re.compile(r"[+:*~^|/()`,=-]|^\s|\s$|^[01]$")


@dataclass(frozen=True, order=True)
class Factor:
    """A column in a term.

    Attributes
    ----------
    column
        Column of the metadata.
    as_groups
        Whether numbers are to be read as names of groups.
    """

    column: str
    as_groups: bool = False

    def __str__(self) -> str:
        """Return it as a formula writes it."""
        name = self.column
        if _NEEDS_BACKTICKS.search(name):
            name = f"`{name}`"
        return f"C({name})" if self.as_groups else name


Term = tuple[Factor, ...]
"""Columns whose product it is."""


def term_text(term: Term) -> str:
    """Return a term as a formula writes it."""
    return ":".join(str(factor) for factor in term)


def formula_text(terms: Collection[Term]) -> str:
    """Return the formula of ``terms``."""
    return " + ".join(term_text(term) for term in terms)


def parse_formula(text: str, columns: Collection[str]) -> tuple[Term, ...]:
    """Read a formula.

    Parameters
    ----------
    text
        Formula as the user wrote it.
    columns
        Names that there are.

    Returns
    -------
    tuple
        Terms, main effects before interactions, each once.

    Raises
    ------
    SelectionError
        If it is no formula, or names no column.
    """
    body = text.strip().removeprefix("~").strip()
    if not body:
        raise SelectionError(
            "the formula is empty. Write columns of the metadata with + between them, such as"
            " 'group + age'."
        )
    found: dict[frozenset[Factor], Term] = {}
    for part in _split(body, "+", text, columns):
        if part == "1":
            continue
        if part == "0":
            raise SelectionError(
                f"the formula {text!r} removes the intercept. Keep it: contrasts say which"
                " groups are compared."
            )
        for term in _products(part, text, columns):
            found.setdefault(frozenset(term), term)
    if not found:
        raise SelectionError(f"the formula {text!r} names no column.")
    for term in found.values():
        lacking = [str(one) for one in term if len(term) > 1 and frozenset([one]) not in found]
        if lacking:
            raise SelectionError(
                f"the formula {text!r} has the interaction {term_text(term)} without"
                f" {' and '.join(lacking)}. Write {'*'.join(map(str, term))}, which includes it."
            )
    return tuple(sorted(found.values(), key=len))


def parse_term(text: str, columns: Collection[str]) -> Term:
    """Read one term: ``column``, ``C(column)`` or ``column:column``.

    Raises
    ------
    SelectionError
        If it is not one.
    """
    return tuple(_factor(part, text, columns) for part in _split(text, ":", text, columns))


def _products(part: str, text: str, columns: Collection[str]) -> list[Term]:
    """Read ``a:b`` as one term, ``a * b`` as all that can be made of them."""
    terms: list[Term] = [()]
    for crossed in _split(part, "*", text, columns):
        term = _term(crossed, text, columns)
        terms += [tuple(dict.fromkeys((*known, *term))) for known in terms]
    return terms[1:]


def _term(part: str, text: str, columns: Collection[str]) -> Term:
    """Read ``part`` of the formula ``text`` as one term."""
    factors = [_factor(name, text, columns) for name in _split(part, ":", text, columns)]
    return tuple(dict.fromkeys(factors))


def _factor(part: str, text: str, columns: Collection[str]) -> Factor:
    name = part.strip()
    if name in columns:
        return Factor(name)
    grouped = name.startswith("C(") and name.endswith(")")
    inner = name[2:-1].strip() if grouped else name
    if len(inner) > 1 and inner[0] == inner[-1] == "`":
        inner = inner[1:-1]
    if inner in columns:
        return Factor(inner, grouped)
    if not inner:
        raise SelectionError(f"the formula {text!r} has an operator without a column beside it.")
    if not grouped and re.search(r"[()^|/~-]", inner):
        raise SelectionError(
            f"the formula {text!r} has {inner!r}, which cannot be read. Use columns of the"
            " metadata with +, : and *, and C(column) for numbers that name groups; a column"
            " whose name holds such a sign goes in backticks."
        )
    raise SelectionError.unknown("metadata column", [inner], list(columns))


def _split(text: str, sign: str, whole: str, columns: Collection[str]) -> list[str]:
    """Split at ``sign``, but not within backticks or brackets, nor within the name of a column."""
    if text.strip() in columns:
        return [text.strip()]
    parts, start, depth, quoted = [], 0, 0, False
    for i, letter in enumerate(text):
        if letter == "`":
            quoted = not quoted
        elif not quoted:
            depth += (letter == "(") - (letter == ")")
            if letter == sign and depth == 0:
                parts.append(text[start:i].strip())
                start = i + 1
    if quoted or depth:
        raise SelectionError(
            f"the formula {whole!r} has an unpaired {'backtick' if quoted else 'bracket'}."
        )
    return [*parts, text[start:].strip()]
