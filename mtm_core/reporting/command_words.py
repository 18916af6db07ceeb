"""Words that several commands share: files, model, alignment, reading and metadata.

Whatever names hold (commas, quotes, ``$(...)``, line ends, a dash in front), the words mean the
same to a shell once they are joined by :func:`mtm_core.reporting.command_line.in_shell`.
"""

from __future__ import annotations

from dataclasses import dataclass

from mtm_core.data.files.reading_options import ReadingOptions
from mtm_core.data.people.metadata_options import MetadataOptions
from mtm_core.inference.options import PredictionOptions
from mtm_core.reporting.name_lists import join_names


@dataclass(frozen=True)
class InputFiles:
    """Names of the user's files, as they lie beside where the command is run.

    Attributes
    ----------
    tables
        Expression tables.
    metadata
        Empty if the command reads none.
    tx2gene
        Table of transcripts and their genes; empty if the tables are by gene.
    further
        Table of each further tissue of the same people, in order.
    """

    tables: tuple[str, ...] = ()
    metadata: str = ""
    tx2gene: str = ""
    further: tuple[str, ...] = ()

    @property
    def words(self) -> list[str]:
        """The words that name the expression."""
        transcripts = option("--tx2gene", as_path(self.tx2gene)) if self.tx2gene else []
        return [*map(as_path, self.tables), *transcripts]


def model_words(options: PredictionOptions, model: str) -> list[str]:
    """Return the options that name model, tissues, unit and alignment, and how files are read."""
    words = [*option("--model", as_path(model)), *option("--source", options.source)]
    if options.targets is not None:
        words += option("--targets", join_names(options.targets))
    words += option("--unit", options.unit)
    if options.alignment_from:
        words += option("--alignment-from", as_path(options.alignment_from))
        words += option("--as-batch", options.as_batch) if options.as_batch else []
    else:
        words += option("--alignment", options.alignment)
    words += option("--batch", options.batch) if options.batch else []
    return words + reading_words(options.reading)


def further_words(options: PredictionOptions, files: InputFiles) -> list[str]:
    """Return the options that name tables of further tissues, their units and batches."""
    words: list[str] = []
    for one, file in zip(options.further, files.further, strict=True):
        words += ["--and", f"{one.source}={file}"]
        words += ["--and-unit", f"{one.source}={one.unit}"] if one.unit != "auto" else []
        words += ["--and-batch", f"{one.source}={one.batch}"] if one.batch else []
    return words + (["--near-people"] if words and options.near_people else [])


def reading_words(reading: ReadingOptions) -> list[str]:
    """Return the options of reading that differ from the default."""
    words: list[str] = []
    default = ReadingOptions()
    for name in ("take_back", "leave_out", "numbers", "sheet", "quantity", "strand"):
        value = getattr(reading, name)
        if value == getattr(default, name):
            continue
        flag = "--" + name.replace("_", "-")
        if isinstance(value, tuple):
            for one in value:
                words += option(flag, join_names([one]))
        else:
            words += option(flag, value)
    return words


def metadata_words(metadata: MetadataOptions, file: str) -> list[str]:
    """Return the options that name the metadata and how they are read."""
    words = option("--metadata", as_path(file))
    for name, column in (
        ("--age-column", metadata.age_column),
        ("--sex-column", metadata.sex_column),
    ):
        words += [] if column is None else option(name, column)
    if metadata.sex_codes:
        words += option("--sex-codes", join_names(f"{a}={b}" for a, b in metadata.sex_codes))
    if metadata.unknown:
        words += option("--unknown", join_names(metadata.unknown))
    if metadata.sheet:
        words += option("--metadata-sheet", metadata.sheet)
    return words + (["--near-names"] if metadata.near_names else [])


def option(name: str, value: str) -> list[str]:
    """Return an option with its value; in one word where the value begins as an option does."""
    return [f"{name}={value}"] if value.startswith("-") else [name, value]


def as_path(name: str) -> str:
    """Return a file name that is not read as an option where it begins with a dash."""
    return f"./{name}" if name.startswith("-") else name
