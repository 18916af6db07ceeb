"""Enrichment of gene sets in a table of results, from a file to files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import pandas as pd
import pyarrow.parquet as pq

from mtm_core.artefact import Artefact
from mtm_core.data.files.table_bytes import GZIP
from mtm_core.data.gene_sets.gmt import BUNDLED_SETS, GeneSets, find_sets
from mtm_core.errors import InputFileError, SelectionError
from mtm_core.evaluation.predictability import out_of_fold_rho
from mtm_core.grouped_table import TableOnDisk
from mtm_core.model_folder import ModelFolder
from mtm_core.model_places import find_model
from mtm_core.safe_output import check_output, writing
from mtm_core.studies.beside_model import evaluation_of
from mtm_core.studies.enrichment import EITHER as EITHER
from mtm_core.studies.enrichment import FDR as FDR
from mtm_core.studies.enrichment import HIGHER as HIGHER
from mtm_core.studies.enrichment import LOWER as LOWER
from mtm_core.studies.enrichment import Background as Background
from mtm_core.studies.enrichment import EnrichedPart as EnrichedPart
from mtm_core.studies.enrichment import EnrichmentOptions as EnrichmentOptions
from mtm_core.studies.enrichment import enrich_part as enrich_part
from mtm_core.studies.enrichment import parts_of as parts_of
from mtm_core.studies.result_table import Question as Question
from mtm_core.studies.result_table import ResultTable as ResultTable
from mtm_core.workflows.input_files import check_there
from mtm_core.workflows.own_samples import Say, StepProgress, say_nothing, tell_nobody
from mtm_core.workflows.plain_values import PlainValues
from mtm_core.workflows.table_parts import TableFormat, TableInParts, write_csv, write_settings

Tests = Literal["both", "over-representation", "pre-ranked"]
QUESTIONS: dict[Question, str] = {
    "tissue": "Linear models: tests of the tissue's expression, allowing for prediction error.",
    "prediction": "Linear models: tests of predicted expression, not allowing for its error.",
}
INDEPENDENT = (
    "Both tests treat genes as independent. Genes of a set are expressed together, and predicted"
    " genes depend on the same few factors, so p and FDR are too small: shuffle the labels to see"
    " what chance gives. For two groups of your samples, mtm compare --groups --gene-sets allows"
    " for the correlation."
)
MOST_ROWS = 3_000_000
"""Rows of a table that are read at a time: 48 tissues x 19,291 genes are 926,000."""
_ROWS_LOOKED_AT = 1_000
_COMMA = r"-?\d+,\d+(?:[eE][+-]?\d+)?"
"""A number with a decimal comma."""
_SELECTED_BY = ("tissue", "trait", "method", "contrast")


@dataclass(frozen=True)
class EnrichOptions(PlainValues):
    """Which table and sets, and where to write what is found.

    Attributes
    ----------
    table
        Table of results by gene: csv, tsv (also gzipped) or parquet.
    output
        Folder.
    gene_sets
        Names of bundled collections, or GMT files.
    model
        Name or folder of the model that the results are of: for its Entrez ids and, where the table
        does not say it, for which genes are predictable. Empty: none.
    source
        Tissue that predictions are made from.
    tissues, traits, methods, contrasts
        Rows to look at; empty: all.
    question
        Of a table of linear models: the tests of the ``"tissue"``, allowing for prediction error,
        or of the ``"prediction"``.
    rank_by
        Column to rank by; empty: the signed evidence.
    tests
        Tests to run.
    enrichment
        Background and thresholds.
    table_format
        Format of the tables.
    overwrite
        Replace what is there.
    """

    table: Path
    output: Path
    gene_sets: tuple[str, ...] = ("go_biological_process",)
    model: str = ""
    source: str = "Whole Blood"
    tissues: tuple[str, ...] = ()
    traits: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    rank_by: str = ""
    tests: Tests = "both"
    enrichment: EnrichmentOptions = field(default_factory=EnrichmentOptions)
    table_format: TableFormat = "csv"
    overwrite: bool = False
    contrasts: tuple[str, ...] = ()
    question: Question = "tissue"

    def inputs(self) -> list[Path]:
        """Name the files that are read."""
        return [self.table, *(Path(n) for n in self.gene_sets if n not in BUNDLED_SETS)]


@dataclass(frozen=True)
class Enriched:
    """Summary of what was written: the tables, and the findings, one row a collection and part."""

    output: Path
    tables: tuple[str, ...]
    summary: pd.DataFrame


def enrich_results(
    options: EnrichOptions, say: Say = say_nothing, on_progress: StepProgress = tell_nobody
) -> Enriched:
    r"""Test gene sets in every tissue of a table of results, and write what is found.

    Parameters
    ----------
    options
        Options of the tests.
    say
        Called with what was found and done: ``say(text)``, of warnings ``level="warning"``.
    on_progress
        Called with each tissue.

    Raises
    ------
    SelectionError
        If options do not fit the table, or no set is of a size to be tested.
    InputFileError, ArtefactError
        If the table, the sets or the model cannot be used.
    OutputError
        If the output is something else, or cannot be written.

    Examples
    --------
    >>> from pathlib import Path
    >>> import pandas as pd
    >>> from mtm_core import EnrichmentOptions, EnrichOptions, enrich_results
    >>> genes = [f"GENE{i}" for i in range(200)]
    >>> _ = pd.DataFrame(
    ...     {"gene": genes, "logFC": range(-100, 100), "P.Value": 0.01, "adj.P.Val": 0.04}
    ... ).to_csv("limma.csv", index=False)
    >>> _ = Path("own.gmt").write_text("last\t\t" + "\t".join(genes[180:]))
    >>> enriched = enrich_results(
    ...     EnrichOptions(
    ...         "limma.csv",
    ...         "enriched",
    ...         gene_sets="own.gmt",
    ...         enrichment=EnrichmentOptions(background="tested"),
    ...     )
    ... )
    >>> enriched.summary[["n_background", "n_over_represented", "n_ranked"]].values.tolist()
    [[200, 1, 1]]
    """
    if not options.gene_sets:
        raise SelectionError(
            "no gene sets are given. Name a bundled collection or a GMT file (--gene-sets)."
        )
    check_output(options.output, overwrite=options.overwrite, inputs=options.inputs(), folder=True)
    check_there(table=options.table)
    folder = find_model(options.model) if options.model else None
    collections = [find_sets(given) for given in options.gene_sets]
    with writing(
        options.output,
        overwrite=options.overwrite,
        inputs=options.inputs(),
        folder=True,
        kind="an enrichment",
    ) as place:
        model = None if folder is None else _Model.open(folder, options.source)
        with ExitStack() as tables:
            run = _Run(options, place, tables, say, on_progress)
            for table in tables_of(options):
                run.table(table, collections, model)
        return run.end()


@dataclass
class _Run:
    """Writes the tables as parts are tested."""

    options: EnrichOptions
    place: Path
    tables: ExitStack
    say: Say
    on_progress: StepProgress
    summary: list[dict[str, object]] = field(default_factory=list)
    written: dict[str, TableInParts] = field(default_factory=dict)
    ranked_by: str = ""

    def table(
        self, table: pd.DataFrame, collections: Sequence[GeneSets], model: _Model | None
    ) -> None:
        """Test every collection in every part of ``table``."""
        entrez = None if model is None else model.genes["entrez"]
        result = ResultTable.read(
            table, entrez=entrez, rank_by=self.options.rank_by, question=self.options.question
        )
        if "p_tissue" in table and not self.options.rank_by:
            self.say(QUESTIONS[self.options.question])
        if model is not None:
            result = model.judged(result)
        self.ranked_by = result.ranked_by
        parts = parts_of(result)
        for sets in collections:
            matched = sets.match(result.index)
            self.say(matched.in_words())
            for i, (labels, rows) in enumerate(parts):
                self.on_progress(f"Testing {sets.name}", i, len(parts))
                self._add(sets, enrich_part(result, labels, rows, matched, self._tests()))

    def _tests(self) -> EnrichmentOptions:
        tests = self.options.tests
        return EnrichmentOptions(
            **{
                **asdict(self.options.enrichment),
                "over_represented": tests != "pre-ranked",
                "ranked": tests != "over-representation",
            }
        )

    def _add(self, sets: GeneSets, part: EnrichedPart) -> None:
        self.summary.append({"collection": sets.name, **part.labels, **part.counts})
        for name, table in (
            ("over_representation", part.over_represented),
            ("preranked", part.ranked),
        ):
            if not len(table):
                continue
            labelled = table.copy(deep=False)
            for column, value in reversed(({"collection": sets.name} | part.labels).items()):
                labelled.insert(0, column, value)
            if name not in self.written:
                form = self.options.table_format
                opened = TableInParts(self.place / f"{name}.{form}", form)
                self.written[name] = self.tables.enter_context(opened)
            self.written[name].add(labelled)

    def end(self) -> Enriched:
        """Write summary and settings, say what was found."""
        if not self.summary:
            raise SelectionError("the table has none of the requested rows.")
        summary = pd.DataFrame(self.summary)
        asked = self.options.enrichment
        if not summary["n_sets"].any():
            most = int(summary["n_background"].max())
            raise SelectionError(
                f"no set has {asked.minimum_size} to {asked.maximum_size} genes in the background"
                f" ({most:,} genes at most). Choose sets of other sizes (--min-size, --max-size),"
                " or a wider background (--background tested)."
            )
        for line in difference_in_words(summary, asked):
            self.say(line)
        self.say(INDEPENDENT, level="warning")
        write_csv(summary, self.place / "summary.csv")
        settings = {
            "table": self.options.table.name,
            "gene_sets": [Path(name).name for name in self.options.gene_sets],
            "model": Path(self.options.model).name,
            "tests": self.options.tests,
            "question": self.options.question,
            "ranked_by": self.ranked_by,
            **{k: v for k, v in asdict(asked).items() if k not in ("ranked", "over_represented")},
            "note": "The tests treat genes as independent; genes of a set are not, least of all "
            "in predictions. Compare with shuffled labels.",
        }
        write_settings(settings, self.place)
        return Enriched(self.options.output, tuple(self.written), summary)


def difference_in_words(summary: pd.DataFrame, options: EnrichmentOptions) -> list[str]:
    """Say how many genes each background has, and what over-representation finds with either."""
    lines = []
    n = summary[["n_tested", "n_background"]].median()
    if (
        options.background == "predictable"
        and (summary["n_tested"] > summary["n_background"]).any()
    ):
        lines.append(
            f"Background: predictable genes, {n['n_background']:,.0f} of {n['n_tested']:,.0f}"
            " tested ones (medians over tissues)."
        )
    else:
        lines.append(f"Background: every tested gene, {n['n_background']:,.0f} (median).")
    if "n_over_represented" in summary:
        found = int(summary["n_over_represented"].sum())
        line = f"Over-represented at FDR {FDR:g}: {found:,} sets, summed over tissues"
        if "n_over_represented_tested" in summary:
            other = int(summary["n_over_represented_tested"].fillna(0).sum())
            line += f"; with every tested gene as background it would be {other:,}"
        lines.append(line + ".")
    if "n_ranked" in summary:
        found = int(summary["n_ranked"].sum())
        lines.append(f"Pre-ranked, at FDR {FDR:g}: {found:,} sets, summed over tissues.")
    return lines


@dataclass(frozen=True)
class _Model:
    """Genes of a model and their accuracy."""

    genes: pd.DataFrame
    rho: pd.Series

    @classmethod
    def open(cls, folder: Path, source: str) -> _Model:
        files = ModelFolder.open(folder)
        artefact = Artefact.load(files)
        held_out = out_of_fold_rho(evaluation_of(files, artefact), artefact.method.name, source)
        return cls(artefact.genes, held_out["rho_pooled"])

    def judged(self, result: ResultTable) -> ResultTable:
        return result.with_accuracy(self.rho)


def tables_of(options: EnrichOptions) -> Iterator[pd.DataFrame]:
    """Read the rows that are asked for; of a table in groups, a trait at a time.

    Raises
    ------
    InputFileError
        If it is no table, or has too many rows to be read at a time.
    SelectionError
        If it has no row of what is asked for.
    """
    where = {
        name: list(names)
        for name, names in zip(
            _SELECTED_BY,
            (options.tissues, options.traits, options.methods, options.contrasts),
            strict=True,
        )
        if names
    }
    path = options.table
    try:
        with path.open("rb") as file:
            start = file.read(4)
        stored = TableOnDisk.open(path) if start == b"PAR1" else None
        if stored is not None:
            yield from _stored(stored, where)
            return
        table = _parquet(path, where) if start == b"PAR1" else _text(path, start)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputFileError(
            f"{path.name} cannot be read as a table of results ({reason}). Expected csv, tsv or"
            " parquet."
        ) from error
    yield _chosen(table, where)


def _stored(stored: TableOnDisk, where: Mapping[str, list[str]]) -> Iterator[pd.DataFrame]:
    outer = [name for name in stored.keys if name != "tissue"]
    groups = stored.groups()
    for name, names in where.items():
        _check_known(groups, name, names)
        groups = groups[groups[name].isin(names)]
    for key in dict.fromkeys(groups[outer].itertuples(index=False, name=None)):
        named = dict(zip(outer, key, strict=True))
        inner = {name: where[name] for name in where if name not in named}
        yield stored.read({**named, **inner})


def _parquet(path: Path, where: Mapping[str, list[str]]) -> pd.DataFrame:
    n_rows = pq.read_metadata(path).num_rows
    if n_rows > MOST_ROWS and not where:
        raise InputFileError(
            f"{path.name} has {n_rows:,} rows; at most {MOST_ROWS:,} are read at a time. Choose"
            " tissues, traits or a method (--tissues, --traits, --methods)."
        )
    names = pq.read_schema(path).names
    filters = [(name, "in", values) for name, values in where.items() if name in names]
    return pq.read_table(path, filters=filters or None).to_pandas(ignore_metadata=True)


def _text(path: Path, start: bytes) -> pd.DataFrame:
    compression = "gzip" if start.startswith(GZIP) else None
    head = pd.read_csv(path, sep="\x01", header=None, nrows=1, dtype=str, compression=compression)
    line = str(head.iloc[0, 0])
    separator = max("\t,;", key=line.count)
    if not line.count(separator):
        raise ValueError("its first line has one column")
    read = partial(pd.read_csv, path, sep=separator, compression=compression, low_memory=False)
    first = read(nrows=_ROWS_LOOKED_AT, dtype=str)
    has_commas = first.apply(lambda column: column.str.fullmatch(_COMMA, na=False).any())
    table = read(
        decimal="," if separator != "," and has_commas.any() else ".",
        nrows=MOST_ROWS + 1,
        dtype=dict.fromkeys(
            ("tissue", "gene_id", "gene", "contrast", "origin", "scale"), "category"
        ),
    )
    if len(table) > MOST_ROWS:
        raise ValueError(f"it has more than {MOST_ROWS:,} rows: give one trait or method")
    if not isinstance(table.index, pd.RangeIndex):  # R's write.table: no name above the genes
        return table.reset_index(names="gene_id")
    if str(table.columns[0]).startswith("Unnamed"):  # R's write.csv
        return table.rename(columns={table.columns[0]: "gene_id"})
    return table


def _chosen(table: pd.DataFrame, where: Mapping[str, list[str]]) -> pd.DataFrame:
    for name, names in where.items():
        _check_known(table, name, names)
        table = table[table[name].isin(names)]
    if "method" in table and len(table["method"].unique()) > 1:
        known = [str(method) for method in table["method"].unique()]
        raise SelectionError(
            f"the table has results of several methods ({', '.join(known[:6])}). Name one"
            " (--methods)."
        )
    return table


def _check_known(table: pd.DataFrame, name: str, names: Sequence[str]) -> None:
    if name not in table:
        raise SelectionError(f"rows cannot be chosen by {name}: the table has no such column.")
    known = [str(value) for value in table[name].unique()]
    unknown = [value for value in names if value not in known]
    if unknown:
        raise SelectionError.unknown(name, unknown, known)
