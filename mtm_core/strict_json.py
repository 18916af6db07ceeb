"""JSON that others wrote: read exactly, or refused."""

from __future__ import annotations

import json
import math
from typing import Any

_DEEPEST = 50


def read_strict_json(data: bytes) -> dict[str, Any]:
    """Read an object.

    Raises
    ------
    ValueError
        If it is no JSON in UTF-8 or no object; if a name is there twice, a number is not finite, or
        text is not one that can be written; if it is nested deeper than anything of ours.
    """
    try:
        values = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_once,
            parse_constant=_refuse,
            parse_float=_finite,
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(values, dict):
        raise ValueError("it is not an object")
    _check(values, 0)
    return values


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} is there twice")
    return values


def _refuse(text: str) -> float:
    raise ValueError(f"{text} is not a finite number")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


def _check(value: object, depth: int) -> None:
    if depth > _DEEPEST:
        raise ValueError("it is nested too deeply")
    if isinstance(value, str):
        value.encode("utf-8")  # half a surrogate pair is no text
    elif isinstance(value, dict):
        for name, item in value.items():
            _check(name, depth)
            _check(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth + 1)
