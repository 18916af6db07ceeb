"""``mtm enrich``: gene sets in a table of results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mtm_core.cli.output import OverwriteOption, err
from mtm_core.cli.own_samples import SourceOption, print_found
from mtm_core.cli.predict_chunked import progress_bar
from mtm_core.cli.study_options import print_study
from mtm_core.data.gene_sets.gmt import BUNDLED_SETS
from mtm_core.data.gtex.annotations import WHOLE_BLOOD
from mtm_core.reporting.name_lists import split_names
from mtm_core.statistics.enrichment import MAXIMUM_SIZE, MINIMUM_SIZE, N_PERMUTATIONS
from mtm_core.workflows.enrich import FDR, Background, EnrichmentOptions, Question, enrich_results
from mtm_core.workflows.enrich_options import EnrichOptions, Tests
from mtm_core.workflows.table_parts import TableFormat


def enrich_command(
    table: Annotated[
        Path,
        typer.Argument(
            metavar="TABLE",
            help="Table of results by gene: from 'mtm compare', 'mtm study', 'mtm evaluate', "
            "DESeq2, edgeR or limma; csv, tsv or parquet.",
        ),
    ],
    output: Annotated[Path, typer.Option(help="Folder for the tables.")],
    gene_sets: Annotated[
        list[str] | None,
        typer.Option(
            help="A GMT file, or one of the bundled collections: "
            + ", ".join(BUNDLED_SETS)
            + ". Repeatable; the first of these by default."
        ),
    ] = None,
    background: Annotated[
        Background,
        typer.Option(help="Background genes: the predictable ones, or all tested ones."),
    ] = "predictable",
    model: Annotated[
        str,
        typer.Option(
            help="Model of the results: needed for Entrez ids, and if the table does not say "
            "which genes are predictable."
        ),
    ] = "",
    source: SourceOption = WHOLE_BLOOD,
    tissues: Annotated[
        list[str] | None, typer.Option(help="Rows to use, by tissue, comma-separated or repeated.")
    ] = None,
    traits: Annotated[list[str] | None, typer.Option(help="Rows to use, by trait.")] = None,
    methods: Annotated[list[str] | None, typer.Option(help="Rows to use, by method.")] = None,
    contrasts: Annotated[
        list[str] | None, typer.Option(help="Rows to use, by contrast of a linear model.")
    ] = None,
    question: Annotated[
        Question,
        typer.Option(
            help="Tests of a linear model to use: of the tissue, allowing for prediction error, or "
            "of the prediction."
        ),
    ] = "tissue",
    rank_by: Annotated[
        str,
        typer.Option(help="Column to rank genes by; by default p with the sign of the effect."),
    ] = "",
    tests: Annotated[Tests, typer.Option(help="Tests to run.")] = "both",
    fdr: Annotated[
        float, typer.Option(help="FDR up to which a gene counts as found, for over-representation.")
    ] = FDR,
    min_size: Annotated[
        int, typer.Option(help="Minimum number of background genes in a set.")
    ] = MINIMUM_SIZE,
    max_size: Annotated[
        int, typer.Option(help="Maximum number of background genes in a set.")
    ] = MAXIMUM_SIZE,
    permutations: Annotated[
        int, typer.Option(help="Random sets of each size, for the pre-ranked test.")
    ] = N_PERMUTATIONS,
    seed: Annotated[int, typer.Option(help="Seed of the permutations.", min=0)] = 0,
    table_format: Annotated[
        TableFormat, typer.Option("--format", help="File type of the tables.")
    ] = "csv",
    overwrite: OverwriteOption = False,
) -> None:
    """Find gene sets among the results of each tissue.

    Over-representation among the genes that differ (hypergeometric test), and GSEA of all genes,
    ranked. Only predictable genes can come out of predictions, so that they are the background.
    Both tests take genes as independent, which they are not: the same on shuffled labels (`mtm
    compare --shuffle 1`) shows what chance gives.

    **Example:** `mtm enrich compared/differential_expression.csv --output enriched`
    """
    options = EnrichOptions(
        table,
        output,
        tuple(gene_sets or ["go_biological_process"]),
        model,
        source,
        tuple(split_names(tissues or [])),
        tuple(split_names(traits or [])),
        tuple(split_names(methods or [])),
        rank_by,
        tests,
        EnrichmentOptions(background, fdr, min_size, max_size, permutations, seed),
        table_format,
        overwrite,
        tuple(split_names(contrasts or [])),
        question,
    )
    with progress_bar(by_lines=False) as show:
        done = enrich_results(options, print_found, show)
    print_study("Sets found, by tissue", done.summary)
    err.print(f"Wrote {', '.join(done.tables)} to {output}. For research use, not for diagnosis.")
