"""Names of the steps of an evaluation, in their order."""

from __future__ import annotations

from mtm_core.methods.registry import takes_several


def predicting(method: str) -> str:
    """Name the step that predicts the folds by ``method``."""
    return f"Predict donors out of fold by {method}"


def scoring(method: str) -> str:
    """Name the step that scores ``method``."""
    return f"Score {method}"


def combining(method: str) -> str:
    """Name the step that evaluates ``method`` from several tissues together."""
    return f"Evaluate {method} from several tissues"


COMPARING = "Compare the methods and write the tables"


def evaluation_steps(
    methods: tuple[str, ...], combinations: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """Name the steps of an evaluation of ``methods``, in their order."""
    steps = [
        step
        for name in methods
        for step in (
            predicting(name),
            scoring(name),
            *([combining(name)] if combinations and takes_several(name) else []),
        )
    ]
    return (*steps, COMPARING)
