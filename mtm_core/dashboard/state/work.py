"""The part of a session that is saved: its tables, metadata and choices; as JSON but for tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cattrs
import pandas as pd

from mtm_core.dashboard.state.further import FurtherTable
from mtm_core.dashboard.state.workspace_files import expression_from_arrow, read_parquet
from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.data.tables.expression import ExpressionTable
from mtm_core.data.units import Unit
from mtm_core.inference.alignment import AlignmentMethod


@dataclass(frozen=True)
class Work:
    """The saved part of a session.

    Attributes
    ----------
    table, table_sha256
        The user's table, and the hash of the bytes it was read from.
    source, unit, alignment, targets
        How to read it and what to predict.
    metadata
        Metadata of its samples.
    model_sha256
        The model that has predicted from it; empty if none has. The prediction itself is made
        anew: from the same table the same model makes the same.
    choices
        Choices on the pages, by the names of their widgets.
    further, near_people
        Tables of further tissues of the same people, and whether names that may be one person's are
        taken for the same.
    batching
        How samples are aligned by batches or by a saved alignment
        (:meth:`mtm_core.dashboard.state.batching.Batching.from_text`).
    measured
        Table of a tissue that is predicted too, to compare predictions with.
    second
        Second table of the same people, to find swapped samples with.
    """

    table: ExpressionTable
    table_sha256: str
    source: str
    unit: Unit | None
    alignment: AlignmentMethod
    targets: tuple[str, ...] | None = None
    metadata: SampleMetadata | None = None
    model_sha256: str = ""
    choices: dict[str, Any] = field(default_factory=dict)
    further: tuple[FurtherTable, ...] = ()
    near_people: bool = False
    batching: str = ""
    measured: FurtherTable | None = None
    second: FurtherTable | None = None


def work_to_json(work: Work) -> Any:  # noqa: ANN401 - JSON
    """Return ``work`` as values of JSON, without the values of its tables."""
    return _converter.unstructure(work)


def work_from_json(values: Any) -> Work:  # noqa: ANN401 - JSON
    """Return the work of :func:`work_to_json`, its tables empty.

    Raises
    ------
    cattrs.BaseValidationError
        If it is damaged.
    """
    return _converter.structure(values, Work)


def tables_of(work: Work) -> list[tuple[str, ExpressionTable, str]]:
    """Return each table with its name in the manifest and the hash of its bytes."""
    others = [(f"further_{i}", one) for i, one in enumerate(work.further)]
    others += [] if work.measured is None else [("measured", work.measured)]
    others += [] if work.second is None else [("second", work.second)]
    tables = [(part, one.table, one.sha256) for part, one in others]
    return [("table", work.table, work.table_sha256), *tables]


def with_other_tables(folder: Path, files: Mapping[str, Mapping[str, str]], work: Work) -> Work:
    """Read the values of all tables but the first."""

    def read(part: str, one: FurtherTable) -> FurtherTable:
        values = expression_from_arrow(read_parquet(folder, files[part]))
        return replace(one, table=replace(one.table, values=values))

    return replace(
        work,
        further=tuple(read(f"further_{i}", one) for i, one in enumerate(work.further)),
        measured=None if work.measured is None else read("measured", work.measured),
        second=None if work.second is None else read("second", work.second),
    )


def _json_converter() -> cattrs.Converter:
    """Return a converter to JSON and back that leaves frames to parquet."""
    converter = cattrs.Converter(
        forbid_extra_keys=True, unstruct_collection_overrides={tuple: list}
    )
    converter.register_unstructure_hook(pd.DataFrame, lambda _: None)
    converter.register_structure_hook(pd.DataFrame, lambda _, __: pd.DataFrame())
    return converter


_converter = _json_converter()
