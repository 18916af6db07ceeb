"""Whatever in a model's folder may be of single donors: it is not to be shared.

A model holds what many donors have in common. Donors' names, a row or a number for each donor or
sample (out-of-fold predictions, latent codes, annotation) would tell who was in the cohort, or let
others look a person up. What is looked at: names of files, arrays, columns and JSON entries; ids of
known cohorts in every text; and sizes that are the number of donors or samples.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import safe_open

from mtm_core.model_folder import LICENCE, VERIFICATION, ModelFolder

_KINDS = (".json", ".csv", ".parquet", ".safetensors", ".md")
_IDS = re.compile(rb"GTEX-[A-Z0-9]{3,}|TCGA-[A-Z0-9]{2}-[A-Z0-9]{4}")
"""Donors of GTEx and of TCGA."""
_WORDS = frozenset(
    {
        *("donor", "donors", "subject", "subjects", "subjid", "sampid", "individual", "patient"),
        *("individuals", "participant", "participants", "person", "persons", "people", "barcode"),
        *("obs", "obs_names", "oof", "sample", "samples", "sample_id", "donor_id", "subject_id"),
    }
)
_PHRASES = ("out_of_fold", "held_out_predictions", "per_donor", "by_donor", "donor_codes")
_TEXT_BYTES = 1 << 24


@dataclass(frozen=True)
class Cohort:
    """Sizes that would show a row a donor.

    Attributes
    ----------
    people
        Numbers of donors, of samples, and of the samples of the largest tissue.
    tissues
        Numbers of samples of each tissue.
    harmless
        Sizes that are something else, such as the number of genes.
    """

    people: frozenset[int]
    tissues: frozenset[int]
    harmless: frozenset[int]

    @classmethod
    def of(cls, description: Mapping[str, Any]) -> Cohort:
        """Read them off ``model.json``."""
        counts = [int(row["n_samples"]) for row in description["tissues"]]
        provenance = description["provenance"]
        people = {int(provenance.get(name, 0)) for name in ("n_donors", "n_samples")}
        harmless = {len(description["genes"]), len(description["tissues"])}
        people |= {max(counts), sum(counts)}
        large = {count for count in counts if count >= 20}
        return cls(
            frozenset(n for n in people - harmless if n >= 20),
            frozenset(large - harmless),
            frozenset(harmless),
        )


def find_donor_rows(files: ModelFolder, description: Mapping[str, Any]) -> list[str]:
    """Say of every file what in it may be of single donors; nothing if all is well.

    Raises
    ------
    ArtefactError
        If a file is not what was sealed.
    """
    cohort = Cohort.of(description)
    found: list[str] = []
    for name in files.seals:
        path = files.file(name)
        assert path is not None
        found += [f"{name}: {what}" for what in _in_file(name, path, cohort)]
    return found


def _in_file(name: str, path: Path, cohort: Cohort) -> Iterator[str]:
    if name != LICENCE and path.suffix not in _KINDS:
        yield f"{path.suffix or 'no ending'} is not a kind of file that a model needs"
        return
    if (why := _means_people(path.stem)) is not None:
        yield f"its name has {why!r}"
    if path.suffix == ".safetensors":
        if name != VERIFICATION:  # simulated, and checked by the reader
            yield from _in_arrays(path, cohort)
    elif path.suffix == ".parquet":
        yield from _in_parquet(path, cohort)
    else:
        yield from _in_text(path)
        if path.suffix == ".csv" and path.name != "history.csv":
            yield from _in_csv(path, cohort)
        if path.suffix == ".json":
            yield from _in_json(json.loads(path.read_bytes()), cohort, "")


def _in_arrays(path: Path, cohort: Cohort) -> Iterator[str]:
    with safe_open(path, framework="np") as file:
        shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
        about = json.dumps(file.metadata() or {}).encode()
    if (found := _IDS.search(about)) is not None:
        yield f"its header names a donor ({found[0].decode()})"
    of_tissues: dict[int, str] = {}
    for name, shape in shapes.items():
        if (why := _means_people(name)) is not None:
            yield f"the array {name} has {why!r} in its name"
        for size in shape:
            if size in cohort.people:
                yield f"the array {name} of size {_size(shape)} is as long as donors or samples are"
                break
            if size in cohort.tissues:
                of_tissues.setdefault(size, name)
    if len(of_tissues) > 2:
        first = ", ".join(list(of_tissues.values())[:3])
        yield f"arrays are as long as there are samples of tissues: {first}"


def _in_parquet(path: Path, cohort: Cohort) -> Iterator[str]:
    file = pq.ParquetFile(path)
    names = file.schema_arrow.names
    yield from _in_columns(names)
    yield from _in_rows(file.metadata.num_rows, cohort)
    if (about := file.schema_arrow.metadata) and (found := _IDS.search(b" ".join(about.values()))):
        yield f"its header names a donor ({found[0].decode()})"
    text = [f.name for f in file.schema_arrow if not _is_number(f.type)]
    seen: set[str] = set()
    for batch in file.iter_batches(columns=text) if text else ():
        for column in batch.columns:
            values = column.dictionary if isinstance(column, pa.DictionaryArray) else column
            for value in set(map(str, values.unique().to_pylist())) - seen:
                seen.add(value)
                if (hit := _IDS.search(value.encode())) is not None:
                    yield f"it names a donor ({hit[0].decode()})"
                    return


def _in_csv(path: Path, cohort: Cohort) -> Iterator[str]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        yield from _in_columns(next(rows, []))
        yield from _in_rows(sum(1 for _ in rows), cohort)


def _in_text(path: Path) -> Iterator[str]:
    before = b""
    with path.open("rb") as file:
        while chunk := file.read(_TEXT_BYTES):
            if (found := _IDS.search(before + chunk)) is not None:
                yield f"it names a donor ({found[0].decode()})"
                return
            before = chunk[-40:]


def _in_json(value: object, cohort: Cohort, name: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, list | dict) and _means_people(key) is not None and item:
                yield f"the entry {key!r} lists something of donors or samples"
            else:
                yield from _in_json(item, cohort, str(key))
    elif isinstance(value, list):
        if len(value) in cohort.people:
            yield f"the list {name!r} is as long as donors or samples are ({len(value):,})"
        for item in value[:2] if value and isinstance(value[0], dict) else ():
            yield from _in_json(item, cohort, name)


def _in_columns(names: list[str]) -> Iterator[str]:
    for name in names:
        if name.strip().lower() in _WORDS:
            yield f"it has a column {name!r}"


def _in_rows(n_rows: int, cohort: Cohort) -> Iterator[str]:
    if n_rows in cohort.people:
        yield f"it has {n_rows:,} rows, as many as there are donors or samples"


def _means_people(name: str) -> str | None:
    """Return the part of a name that refers to single people; ``None`` if none does."""
    lower = name.lower()
    for phrase in _PHRASES:
        if phrase in lower:
            return phrase
    return next((word for word in re.split(r"[^a-z0-9]+|_", lower) if word in _WORDS), None)


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    )


def _size(shape: list[int]) -> str:
    return " x ".join(f"{size:,}" for size in shape)
