"""``mtm study``: what the cohort shows, and what predictions preserve of it (paper, 3.3 to 3.5)."""

from __future__ import annotations

import typer

from mtm_core.cli.output import OverwriteOption, err
from mtm_core.cli.own_samples import print_found
from mtm_core.cli.steps import step_display
from mtm_core.cli.study_external import external_command
from mtm_core.cli.study_model import latent_command, pgenes_command
from mtm_core.cli.study_options import (
    CohortArgument,
    DbgapOption,
    OutputOption,
    print_study,
)
from mtm_core.cli.study_predictions import disease_command, traits_command
from mtm_core.workflows.associations import AssociationOptions, associate

study_app = typer.Typer(
    help="Study associations in the cohort, and how far predictions preserve them.\n\n"
    "**Example:** `mtm study reference cohort.h5ad --output associations`",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@study_app.command("reference")
def reference_command(
    cohort: CohortArgument,
    output: OutputOption,
    dbgap: DbgapOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Associate every gene of every tissue with the donors' traits.

    Sex, age, and death on a ventilator; with a dbGaP file also BMI and diseases with 50 cases and
    controls. Only aggregates are written.

    **Example:** `mtm study reference cohort.h5ad --output trained_models/mine/associations`
    """
    options = AssociationOptions(cohort, output, dbgap, overwrite)
    with step_display() as show:
        associations = associate(options, show, print_found)
    print_study("Associations in the cohort", associations.summary().reset_index())
    err.print(f"Wrote {output}.")


study_app.command("traits")(traits_command)
study_app.command("disease")(disease_command)
study_app.command("pgenes")(pgenes_command)
study_app.command("latent")(latent_command)
study_app.command("external")(external_command)
