"""A prediction as one zip: values, settings, what was found in the table, how to repeat it.

The zip holds::

    README.txt              what each file is
    predicted.parquet       one row a sample, tissue and gene
    predicted.csv           the same, to six figures
    samples.csv             distance from the reference; whether age and sex were read
    age_and_sex.csv         as the model read them; only where it did
    metadata.csv            in its place, where samples were aligned by batch: the batches, too
    alignment.json          what samples were aligned by: later samples can be read by it
    held_out_accuracy.csv   rho of each gene in each predicted tissue; only where it was evaluated
    settings.json           model, file and options, with their SHA-256; versions
    reproduce.sh            the command line that makes predicted.parquet again
    ingest.json, ingest.txt what was found in the table and done about it
    methods.txt             a Methods paragraph
    checked_*               a check against measured tissue; only where it was made
    repeat_check.sh         the command line that makes that check again
    linear_model*           a linear model of a study; only where it was fitted last
    repeat_comparison.sh    the command line that fits it again
    ro-crate-metadata.json  what each file is, for repositories (RO-Crate 1.1)

The same prediction gives the same bytes.
"""

from __future__ import annotations

import json
import platform
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import PurePosixPath
from typing import Any

import pandas as pd
import xarray as xr

from mtm_core.data.notes import Note
from mtm_core.data.people.metadata_options import AS_FOUND
from mtm_core.data.tables.ingest_report import IngestReport
from mtm_core.escaping import in_cells
from mtm_core.inference.export import file_bytes, write_prediction
from mtm_core.inference.options import PredictionOptions
from mtm_core.inference.prepared import Prepared
from mtm_core.inference.saved_alignment import FILE_NAME, alignment_bytes
from mtm_core.inference.together import Together, tissues_given
from mtm_core.reporting.command_line import in_shell, predict_arguments
from mtm_core.reporting.command_words import InputFiles
from mtm_core.reporting.ro_crate import FILE_NAME as CRATE
from mtm_core.reporting.ro_crate import ro_crate
from mtm_core.safe_output import scratch_folder

FORMAT = "mtm-bundle"
FORMAT_VERSION = 1
MoreFiles = Mapping[str, tuple[str, bytes]]
"""Files beside those of a prediction, by name: what each is, and its bytes."""
_COPIED_AT_ONCE = 1 << 20
REPRODUCED = "reproduced.parquet"
AGE_AND_SEX = "age_and_sex.csv"
METADATA = "metadata.csv"
_BATCH = "batch"
_DATE = (1980, 1, 1, 0, 0, 0)
"""The date of every file in the zip: the earliest possible, so that bytes do not change."""
_LIBRARIES = ("numpy", "pandas", "pyarrow", "scikit-learn", "scipy", "torch", "xarray")
_DESCRIPTIONS = {
    "predicted.parquet": "Predicted values, one row per sample, tissue and gene.",
    "predicted.csv": "The same, to six significant digits.",
    "samples.csv": "Distance of each sample from the GTEx donors (root mean square of its "
    "z-scores; 1 is typical) before and after alignment, and whether its age and sex were used.",
    AGE_AND_SEX: "Age and sex as the model used them. These are personal data: think before you "
    "share the file.",
    METADATA: "Batch, age and sex of each sample, as the model used them. These are personal "
    "data: think before you share the file.",
    FILE_NAME: "Alignment of the samples, gene by gene, to read later samples in the same way: "
    "--alignment-from, or on the page Upload.",
    "held_out_accuracy.csv": "Correlation of predicted and measured expression over held-out "
    "GTEx donors, for each gene in each predicted tissue. Check it before you use a value.",
    "settings.json": "Model, file, options and versions, with SHA-256.",
    "reproduce.sh": "The command that makes predicted.parquet from your file.",
    "ingest.json": "What was found in your table and what was done about it.",
    "ingest.txt": "The same as text.",
    "methods.txt": "A paragraph for the Methods section of a paper.",
    CRATE: "What each file is, for repositories and programs: an RO-Crate.",
}


@dataclass(frozen=True)
class PredictionRecord:
    """A prediction with all that is needed to tell where it came from.

    Attributes
    ----------
    prediction
        Result of :meth:`mtm_core.inference.predictor.Predictor.predict_prepared`.
    ingest, prepared
        How the table was read, and how it was brought to the model's genes and scale.
    phenotypes
        ``age`` and ``sex`` by sample, as the model read them; ``None`` if it did not.
    simulated
        Whether the samples are simulated, not of real people.
    options
        The user's options.
    people
        All tables of a prediction from several tissues, matched by person.
    further_given
        File and SHA-256 of each further table.
    """

    prediction: xr.Dataset
    ingest: IngestReport
    prepared: Prepared
    phenotypes: pd.DataFrame | None = None
    simulated: bool = False
    options: PredictionOptions = field(default_factory=PredictionOptions)
    people: Prepared | Together | None = None
    further_given: tuple[tuple[str, str], ...] = ()

    @property
    def further_tables(self) -> tuple[Prepared, ...]:
        """Tables of further tissues, as the model used them."""
        return self.people.tables[1:] if isinstance(self.people, Together) else ()

    @property
    def further_files(self) -> tuple[str, ...]:
        """Names of their files."""
        return tuple(PurePosixPath(file).name for file, _ in self.further_given)

    @property
    def command(self) -> list[str]:
        """The words of the command line that makes the prediction again."""
        used = self.options.as_used(self.prediction)
        tables, transcripts = self.ingest.given
        of_saved = FILE_NAME if self.prepared.from_saved else ""
        return predict_arguments(
            # Names of files and columns are the bundle's own.
            replace(
                used,
                metadata=AS_FOUND,
                batch=_BATCH if used.batch else "",
                further=tuple(
                    replace(one, batch=_further_batch(i) if one.batch else "")
                    for i, one in enumerate(used.further)
                ),
                alignment_from=of_saved,
            ),
            InputFiles(
                tuple(PurePosixPath(table).name for table in tables)
                if len(tables) == 1
                else tables,
                self.metadata_file,
                transcripts,
                self.further_files,
            ),
            model=self.prediction.attrs["model"],
            output=REPRODUCED,
        )

    @property
    def metadata_file(self) -> str:
        """Name of the file that says what was read of each sample; empty if nothing was."""
        if self._names_batches:
            return METADATA
        return "" if self.phenotypes is None else AGE_AND_SEX

    @property
    def metadata(self) -> pd.DataFrame:
        """Age, sex and batch of each sample, as they were read."""
        samples = pd.Index(list(self.prepared.samples), name="sample")
        known = pd.DataFrame(index=samples) if self.phenotypes is None else self.phenotypes
        if not self._names_batches:
            return known
        columns = {}
        if self.options.batch:
            columns[_BATCH] = pd.Series(self.prepared.aligned.batches, samples)
        for i, (one, table) in enumerate(
            zip(self.options.further, self.further_tables, strict=True)
        ):
            if one.batch:
                own = pd.Index(list(table.samples), name="sample")
                columns[_further_batch(i)] = pd.Series(table.aligned.batches, own)
        for column in columns.values():
            known = known.reindex(known.index.union(column.index, sort=False))
        return known.assign(**columns).rename_axis("sample")

    @property
    def _names_batches(self) -> bool:
        """Whether the samples of any table were aligned by batches of the metadata."""
        return bool(self.options.batch or any(one.batch for one in self.options.further))

    @property
    def findings(self) -> tuple[Note, ...]:
        """Everything found in the table and done about it, but the guess of a unit since given."""
        found = (note for note in self.ingest.notes if note.found != self.ingest.unit_reason)
        further = self.people.notes if isinstance(self.people, Together) else ()
        return (*found, *self.prepared.notes, *further)


def _further_batch(number: int) -> str:
    """Name the column of batches of the further table ``number``, from 0."""
    return f"{_BATCH}_{number + 2}"


def settings_of(record: PredictionRecord) -> dict[str, Any]:
    """Return what the prediction depends on, as JSON values."""
    attrs, ingest = record.prediction.attrs, record.ingest
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "model": {
            "name": attrs["model"],
            "method": attrs["method"],
            "sha256": attrs["model_sha256"],
        },
        "input": {"file": ingest.file, "sha256": ingest.sha256, "simulated": record.simulated},
        "source": attrs["source"],
        **_further_settings(record),
        "targets": [str(tissue) for tissue in record.prediction["tissue"].values],
        "unit": attrs["input_unit"],
        "alignment": attrs["alignment"],
        "age_and_sex": {
            "model_reads": [name for name in attrs["covariates"].split(", ") if name],
            "n_samples_read": int(record.prediction["used_age_sex"].sum()),
        },
        "options": record.options.as_used(record.prediction).to_json(),
        "expression_unit": attrs["unit"],
        "interval": attrs["interval"],
        "command": record.command,
        "versions": {
            "mtm": attrs["mtm_version"],
            "python": platform.python_version(),
            **{name: version(name) for name in _LIBRARIES},
        },
        "use": attrs["use"],
    }


def _further_settings(record: PredictionRecord) -> dict[str, Any]:
    """Return what there is of further tissues; nothing if there are none."""
    if not record.further_tables:
        return {}
    given = zip(record.further_tables, record.further_given, strict=True)
    return {
        "further": [
            {
                "tissue": table.source,
                "file": file,
                "sha256": sha256,
                "unit": table.unit,
                "alignment": table.aligned.how,
            }
            for table, (file, sha256) in given
        ]
    }


def ingest_json(record: PredictionRecord) -> dict[str, Any]:
    """Return what was found in the table, and what was then done, as JSON values."""
    prepared = record.prepared
    return {
        "file": record.ingest.to_json(),
        "prepared": {
            "unit": prepared.unit,
            "source": prepared.source,
            "alignment": prepared.aligned.how,
            "genes_found": int(prepared.match.found.sum()),
            "genes_missing": {str(k): str(v) for k, v in prepared.match.missing["symbol"].items()},
            "notes": [asdict(note) for note in prepared.notes],
        },
    }


def ingest_text(record: PredictionRecord) -> str:
    """Return the same to read, a line a finding."""
    ingest, prepared = record.ingest, record.prepared
    lines = [
        f"{ingest.file} (SHA-256 {ingest.sha256})",
        f"{ingest.size_in_words}; read as {ingest.format}"
        + (f", separated by {ingest.delimiter}." if ingest.delimiter else "."),
        f"Unit, judged by the values: {ingest.unit or 'not clear'}. {ingest.unit_reason}",
        f"Unit used: {prepared.unit}. Alignment: {prepared.aligned.how}.",
        *(f"{note.level.capitalize()}: {note}" for note in record.findings),
    ]
    return "\n".join(lines) + "\n"


def reproduce_script(record: PredictionRecord) -> str:
    """Return a shell script whose last line is the command; the name of the file is quoted."""
    attrs = record.prediction.attrs
    return (
        "#!/bin/sh\n"
        "# Makes the prediction again. Run it beside your file and the files of this folder.\n"
        f"# mtm {attrs['mtm_version']}; SHA-256 of the model {attrs['model_sha256']},\n"
        f"# of your file {record.ingest.sha256}.\n"
        "# If the model is not a bundled one, put its folder here or change the path.\n"
        "set -eu\n"
        f"{in_shell(record.command)}\n"
    )


def bundle_bytes(
    record: PredictionRecord,
    *,
    methods: str,
    accuracy: pd.DataFrame | None = None,
    more: MoreFiles | None = None,
) -> bytes:
    """Return the zip.

    Parameters
    ----------
    record
        The prediction and where it came from.
    methods
        Result of :func:`mtm_core.reporting.methods_text.methods_text`.
    accuracy
        Held-out accuracy, one row a gene and predicted tissue; ``None`` if there is none.
    more
        Files of studies of the same samples.
    """
    prediction = record.prediction
    columns = ["distance_before", "distance_after", "used_age_sex"]
    given = {"tissues_given": tissues_given(prediction)} if record.further_tables else {}
    samples = pd.DataFrame(
        {name: prediction[name].to_numpy() for name in columns} | given,
        index=pd.Index(prediction["sample"].to_numpy().astype(str), name="sample"),
    )
    contents: dict[str, bytes] = {}
    contents["samples.csv"] = _csv(samples.reset_index())
    if record.metadata_file:
        # With every digit: the prediction is to come out the same.
        people = in_cells(record.metadata).to_csv(index_label="sample")
        contents[record.metadata_file] = people.encode()
    tables = (record.prepared, *record.further_tables)
    contents[FILE_NAME] = alignment_bytes([table.alignment for table in tables])
    if accuracy is not None:
        contents["held_out_accuracy.csv"] = _csv(accuracy)
    settings = settings_of(record)
    contents["settings.json"] = _json(settings)
    contents["reproduce.sh"] = reproduce_script(record).encode()
    contents["ingest.json"] = _json(ingest_json(record))
    contents["ingest.txt"] = ingest_text(record).encode()
    contents["methods.txt"] = methods.encode()
    values = ("predicted.parquet", "predicted.csv")
    described = {name: _DESCRIPTIONS[name] for name in (*values, *contents)}
    for name, (words, data) in (more or {}).items():
        described[name], contents[name] = words, data
    contents[CRATE] = ro_crate(settings, {"README.txt": "What each file is.", **described})
    readme = _readme(record, described | {CRATE: _DESCRIPTIONS[CRATE]}).encode()
    with scratch_folder("bundle") as folder:  # values are the most of it, and may be large
        whole = folder / "bundle.zip"
        with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(_entry("README.txt"), readme)
            for name in values:
                write_prediction(prediction, folder / name)
                with (folder / name).open("rb") as file, archive.open(_entry(name), "w") as into:
                    shutil.copyfileobj(file, into, _COPIED_AT_ONCE)
                (folder / name).unlink()
            for name, data in contents.items():
                archive.writestr(_entry(name), data)
        return whole.read_bytes()


def bundle_size(prediction: xr.Dataset) -> int:
    """Estimate, from above, the bytes of the bundle of ``prediction``."""
    n_samples, n_tissues, n_genes = prediction["z"].shape
    shape = (n_samples, n_tissues, n_genes)
    return file_bytes(shape, ".parquet") + file_bytes(shape, ".csv") // 2


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _DATE)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = (0o755 if name.endswith(".sh") else 0o644) << 16
    return entry


def _readme(record: PredictionRecord, described: Mapping[str, str]) -> str:
    attrs = record.prediction.attrs
    simulated = "THE SAMPLES ARE SIMULATED: not real people.\n\n" if record.simulated else ""
    width = max(len(name) for name in described) + 2
    files = "\n".join(f"{name:<{width}}{words}" for name, words in described.items())
    return (
        f"Predicted by MTM {attrs['mtm_version']}, model {attrs['model']}.\n{attrs['use']}\n\n"
        f"{simulated}{files}\n\n"
        "Your own table is not included; settings.json has its SHA-256. To repeat the prediction,\n"
        "put reproduce.sh beside your table, with age_and_sex.csv, metadata.csv and\n"
        "alignment.json if they are here, and run it.\n"
    )


def _csv(table: pd.DataFrame) -> bytes:
    text: str = in_cells(table).to_csv(index=False, float_format="%.6g")
    return text.encode()


def _json(values: dict[str, Any]) -> bytes:
    return (json.dumps(values, indent=1, ensure_ascii=False) + "\n").encode()
