"""Further tissues of the same people: how options name them, and what is said of their predictions.

The command line and the endpoint take the same words: ``TISSUE=FILE`` or ``TISSUE=PART`` for a
table, ``TISSUE=UNIT`` and ``TISSUE=COLUMN`` for its unit and batches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import cast, get_args

from mtm_core.data.notes import Note, counted
from mtm_core.data.units import UnitChoice
from mtm_core.errors import SelectionError
from mtm_core.evaluation.predictability import accuracy_in_words
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.inference.options import FurtherTissue
from mtm_core.inference.predictor import Predictor
from mtm_core.inference.together import BETWEEN, Together, tissues_given


@dataclass(frozen=True)
class OptionNames:
    """Names of the options that name further tissues, and of what a table is in.

    Attributes
    ----------
    tables, units, batches
        Names of the options.
    what, example
        What a table is in, and an example of it.
    """

    tables: str
    units: str
    batches: str
    what: str
    example: str


COMMAND_LINE = OptionNames("--and", "--and-unit", "--and-batch", "FILE", "muscle.tsv")
_MOST_SHOWN = 3


@dataclass(frozen=True)
class SeveralInWords:
    """Description of a prediction from several tissues.

    Attributes
    ----------
    tissues_given
        How many people were predicted from which tissues.
    interval, accuracy
        Data that the intervals were calibrated on, and the accuracy, in words.
    """

    tissues_given: dict[str, int]
    interval: str
    accuracy: str

    @property
    def notes(self) -> list[Note]:
        """The description as notes."""
        shares = [
            f"from {given.replace(BETWEEN, ' and ')}: {counted(n, 'person', 'people')}"
            for given, n in list(self.tissues_given.items())[:_MOST_SHOWN]
        ]
        more = len(self.tissues_given) - len(shares)
        shares += [f"from {counted(more, 'other combination', 'other combinations')}"] * bool(more)
        found = f"Predicted {'; '.join(shares)}."
        return [Note("info", found, f"Interval: {self.interval}. {self.accuracy}")]


def further_tissues(
    tables: Sequence[str] | None,
    units: Sequence[str] | None,
    batches: Sequence[str] | None = None,
    names: OptionNames = COMMAND_LINE,
) -> tuple[tuple[FurtherTissue, ...], tuple[str, ...]]:
    """Read options that name further tissues: return the tissues, and where their tables are.

    Parameters
    ----------
    tables
        ``TISSUE=FILE``, in order.
    units, batches
        ``TISSUE=UNIT`` and ``TISSUE=COLUMN``.
    names
        Names of the options, for messages.

    Raises
    ------
    SelectionError
        If one is not TISSUE=..., a tissue is given twice, or a unit is of none of them or unknown.
    """
    places = _by_tissue(names.tables, tables, names.what, names.example)
    known = _by_tissue(names.units, units, "UNIT", "tpm")
    _check_known("tissue", known, places)
    _check_known("unit", known.values(), get_args(UnitChoice))
    columns = _by_tissue(names.batches, batches, "COLUMN", "plate")
    _check_known("tissue", columns, places)
    further = tuple(
        FurtherTissue(
            tissue, cast("UnitChoice", known.get(tissue, "auto")), columns.get(tissue, "")
        )
        for tissue in places
    )
    return further, tuple(places.values())


def describe_several(
    predictor: Predictor,
    people: Together,
    targets: Sequence[str],
    evaluation: EvaluationTables | None,
) -> SeveralInWords:
    """Count people by the tissues that they give; say what intervals there are, and how accurate.

    Parameters
    ----------
    predictor, people, targets
        The model, the samples and the tissues to predict.
    evaluation
        Accuracy of the model on held-out donors; ``None`` if it was not evaluated.
    """
    some = predictor.predict_prepared(people, targets[:1], at_once=0)
    method = predictor.artefact.method.name
    accuracy = accuracy_in_words(evaluation, method, people.sources, targets)
    return SeveralInWords(dict(Counter(tissues_given(some))), str(some.attrs["interval"]), accuracy)


def _check_known(kind: str, names: Collection[str], known: Collection[str]) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SelectionError.unknown(kind, unknown, list(known))


def _by_tissue(option: str, given: Sequence[str] | None, what: str, example: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for text in given or []:
        tissue, equals, value = text.partition("=")
        tissue = tissue.strip()
        if not (tissue and equals and value):
            raise SelectionError(
                f"{option}: expected TISSUE={what}, as 'Muscle - Skeletal={example}', got {text!r}."
            )
        if tissue in values:
            raise SelectionError(f"{option}: {tissue!r} is given more than once.")
        values[tissue] = value
    return values
