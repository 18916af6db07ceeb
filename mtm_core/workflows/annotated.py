"""Annotation of a prediction: accuracy, samples, notes, options."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from mtm_core.data.notes import Note
from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.evaluation.accuracy import PREDICTABLE_RHO
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.inference.options import PredictionOptions
from mtm_core.inference.write_blocks import (
    ADJUSTED,
    OF_SAMPLE,
    OUT_OF_FOLD,
    OWN_COLUMNS,
    PREDICTABLE,
)

ANNOTATED = (".h5ad", ".h5mu")
"""Endings of the formats that have a slot for what is known beside a prediction."""
_FIGURES = {OUT_OF_FOLD: "rho_pooled", ADJUSTED: "adjusted_rho_pooled"}


@dataclass(frozen=True)
class Beside:
    """Annotations of a prediction.

    Attributes
    ----------
    evaluation, method
        Evaluation of the model, and the model's method in it; ``None`` if it was not evaluated.
    people
        Age, sex and other metadata by sample; ``None`` if unknown (:func:`people_and_metadata`).
    notes
        Findings in the table, and what was done about them.
    options
        The user's options.
    """

    evaluation: EvaluationTables | None
    method: str
    people: pd.DataFrame | None
    notes: Sequence[Note]
    options: PredictionOptions


def people_and_metadata(
    people: pd.DataFrame | None, metadata: SampleMetadata | None
) -> pd.DataFrame | None:
    """Join age and sex with the columns of the metadata.

    Parameters
    ----------
    people
        Age and sex by sample, as the model may read them; they precede columns of these names.
    metadata
        Metadata of the samples.

    Returns
    -------
    pandas.DataFrame or None
        One row for each sample. A column whose name the file of a prediction uses itself, or that
        HDF5 would split at a slash, has another name: ``metadata_tissue``, ``mg|dl``.
    """
    if metadata is None:
        return people
    columns = metadata.all_columns()
    joined = pd.DataFrame(index=columns.index) if people is None else people.reindex(columns.index)
    for name, values in columns.items():
        own = str(name).replace("/", "|")
        own = f"metadata_{own}" if own in OWN_COLUMNS else own
        if own not in joined:
            joined[own] = values
    return joined


def annotated_for(path: Path, blocks: Iterable[xr.Dataset], beside: Beside) -> Iterator[xr.Dataset]:
    """Lay ``beside`` into each block where the format of ``path`` has a slot for it."""
    return annotated(blocks, beside) if path.suffix in ANNOTATED else iter(blocks)


def annotated(blocks: Iterable[xr.Dataset], beside: Beside) -> Iterator[xr.Dataset]:
    """Lay what ``.h5ad`` and ``.h5mu`` have a slot for into each block of a prediction."""
    accuracy: xr.Dataset | None = None
    attrs: dict[str, str] = {}
    for block in blocks:
        if accuracy is None:
            accuracy = _accuracy(block, beside)
            attrs = {
                "notes": "\n".join(map(str, beside.notes)),
                "options": json.dumps(beside.options.as_used(block).to_json()),
            }
        of_samples = {}
        if beside.people is not None:
            rows = beside.people.reindex(block["sample"].to_numpy().astype(str))
            of_samples = {
                f"{OF_SAMPLE}{name}": ("sample", values.to_numpy())
                for name, values in rows.items()
                if values.notna().any()
            }
        filled = block.assign({**accuracy.data_vars, **of_samples})
        yield filled.assign_attrs(attrs)


def _accuracy(block: xr.Dataset, beside: Beside) -> xr.Dataset:
    """Return the accuracy of each gene, read a tissue at a time; nothing if it is not known."""
    evaluation = beside.evaluation
    if evaluation is not None:
        evaluation = evaluation.from_sources(beside.options.sources, beside.method)
    if evaluation is None or beside.method not in evaluation.methods:
        return xr.Dataset()
    tissues, genes = (block[name].to_numpy().astype(str) for name in ("tissue", "gene"))
    found = {name: column for name, column in _FIGURES.items() if column in evaluation.gene_columns}
    values = {name: np.empty((len(tissues), len(genes)), np.float32) for name in found}
    for i, tissue in enumerate(tissues):
        own = evaluation.genes_of(beside.method, str(tissue), columns=list(found.values()))
        rows = own.set_index("gene_id")[list(found.values())].reindex(genes)
        for name, column in found.items():
            values[name][i] = rows[column]
    dims = ("tissue", "gene")
    return xr.Dataset(
        {
            **{name: (dims, array) for name, array in values.items()},
            PREDICTABLE: (dims, values[OUT_OF_FOLD] > PREDICTABLE_RHO),
        }
    )
