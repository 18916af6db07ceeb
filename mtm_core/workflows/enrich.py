"""Enrichment of gene sets in a table of results, from a file to files."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pandas as pd

from mtm_core.artefact import Artefact
from mtm_core.data.gene_sets.gmt import GeneSets, find_sets
from mtm_core.errors import SelectionError
from mtm_core.evaluation.predictability import out_of_fold_rho
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
from mtm_core.workflows.enrich_options import EnrichOptions
from mtm_core.workflows.enrich_tables import tables_of
from mtm_core.workflows.input_files import check_files
from mtm_core.workflows.own_samples import Say, StepProgress, say_nothing, tell_nobody
from mtm_core.workflows.table_parts import TableInParts, write_csv, write_settings

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
    check_files(table=options.table)
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
