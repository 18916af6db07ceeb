"""``mtm study``: what the cohort shows, and what predictions keep of it (paper, 3.3 to 3.5)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import anndata as ad
import typer

from mtm_core.cli.output import err, print_table
from mtm_core.data.cohort import read_cohort
from mtm_core.data.dbgap import with_dbgap_phenotypes
from mtm_core.studies.reference import ReferenceAssociations

study_app = typer.Typer(
    help="Study what the cohort shows, and what predictions keep of it.\n\n"
    "**Example:** `mtm study reference cohort.h5ad --output associations`",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

CohortArgument = Annotated[
    Path, typer.Argument(metavar="COHORT", help="Cohort (.h5ad) of 'mtm data prepare'.")
]
OutputOption = Annotated[Path, typer.Option(help="Folder for the tables.")]
DbgapOption = Annotated[
    Path | None,
    typer.Option(help="Subject phenotypes of dbGaP phs000424: exact age, BMI, medical history."),
]


def _read(cohort: Path, dbgap: Path | None) -> ad.AnnData:
    """Read the cohort, with the phenotypes of the dbGaP file where there is one."""
    data = read_cohort(cohort)
    if dbgap is not None:
        data.uns["donors"] = with_dbgap_phenotypes(data.uns["donors"], dbgap)
    return data


@study_app.callback()
def group() -> None:
    """Keep ``reference`` a command of its own."""


@study_app.command("reference")
def reference(cohort: CohortArgument, output: OutputOption, dbgap: DbgapOption = None) -> None:
    """Associate every gene of every tissue with the donors' traits.

    Sex, age, and death on a ventilator; with a dbGaP file also BMI and diseases with 50 cases and
    controls. Only aggregates are written.

    **Example:** `mtm study reference cohort.h5ad --output trained_models/mine/associations`
    """
    associations = ReferenceAssociations.of(_read(cohort, dbgap))
    associations.save(output)
    found = associations.table.assign(significant=associations.table["fdr"] <= 0.05)
    keys = ["trait", "adjusted_for"]
    rows = [
        (
            str(trait),
            str(adjusted_for) or "nothing",
            str(part.loc[part["outcome"] == "tested", "tissue"].nunique()),
            f"{int((part['outcome'] == 'tested').sum()):,}",
            f"{int(part['significant'].sum()):,}",
        )
        for (trait, adjusted_for), part in found.groupby(keys, observed=True)
    ]
    header = ("trait", "adjusted for", "tissues", "gene-tissue pairs tested", "with FDR 5 %")
    print_table("Associations in the cohort", header, rows)
    err.print(f"Wrote {output}.")
