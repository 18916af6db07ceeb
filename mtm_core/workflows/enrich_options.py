"""Options of enrichment: which table and gene sets, and where the findings go."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mtm_core.data.gene_sets.gmt import BUNDLED_SETS
from mtm_core.studies.enrichment import EnrichmentOptions
from mtm_core.studies.result_table import Question
from mtm_core.workflows.plain_values import PlainValues
from mtm_core.workflows.table_parts import TableFormat

Tests = Literal["both", "over-representation", "pre-ranked"]


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
