from __future__ import annotations

import inspect

import pytest

from mtm_core import errors
from mtm_core.errors import MTMError, SelectionError

KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, Exception) and kind is not MTMError
]


def test_every_error_is_caught_as_one_family_and_drawn_in_the_tree() -> None:
    assert KINDS
    for kind in KINDS:
        assert kind.__bases__ == (MTMError,)
        assert f"── {kind.__name__} " in (errors.__doc__ or "")
    assert (errors.__doc__ or "").count("── ") == len(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_text_is_shown_as_it_is(kind: type[MTMError]) -> None:
    assert str(kind("expected TPM, got -1.")) == "expected TPM, got -1."


def test_nearest_known_name_is_offered() -> None:
    error = SelectionError.unknown("tissue", ["Lungs", "Qqq"], ["Liver", "Lung", "Spleen", "Ovary"])
    assert str(error) == (
        "unknown tissue: 'Lungs' (did you mean 'Lung'?), 'Qqq'."
        " There are 4, such as 'Liver', 'Lung', 'Spleen'."
    )


def test_long_lists_are_cut() -> None:
    error = SelectionError.unknown("gene", [f"xx{i}" for i in range(40)], ["TP53"])
    assert str(error) == (
        "unknown gene: 'xx0', 'xx1', 'xx2', 'xx3', 'xx4', …. There are 1, such as 'TP53'."
    )
