"""``mtm model list``, ``get``, ``install``, ``push``: models that are here, to have, to share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mtm_core.cli.data import download_bars
from mtm_core.cli.output import OverwriteOption, err, print_table, say
from mtm_core.model_places import (
    DEFAULT_MODEL,
    MODELS_VARIABLE,
    find_model,
    models_folder,
)
from mtm_core.reporting.model_card import FIGURES
from mtm_core.sharing.getting import Installed, get_model, install_model
from mtm_core.sharing.licence import PROGRAM_LICENCE
from mtm_core.sharing.listing import ADJUSTED_RHO, RHO, ListedModel, list_models
from mtm_core.sharing.registry import BUILD_COMMAND, published_models
from mtm_core.sharing.upload import Target, make_upload

_HEADER = (
    "model",
    "method",
    "genes",
    "tissues",
    FIGURES["gene_rho_by_fold"],
    FIGURES["gene_adjusted_rho_by_fold"],
    "MB",
    "where",
)


def list_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the models that come with the program, and those you installed.

    **Example:** `mtm model list`
    """
    models = list_models()
    if as_json:
        say(json.dumps([_as_json(model) for model in models], indent=1))
        return
    print_table("Models", _HEADER, [_row(model) for model in models])
    for model in models:
        if model.problem:
            err.print(f"{model.name} cannot be used: {model.problem}")
    place = models_folder()
    err.print(
        f"There is no folder for models, because this user has no home folder. Set "
        f"{MODELS_VARIABLE} to one."
        if place is None
        else f"Installed models are in {place} (set {MODELS_VARIABLE} for another folder)."
    )
    names = ", ".join(published_models())
    err.print(
        f"Published models, for 'mtm model get NAME': {names}."
        if names
        else f"No model of all genes is published yet. To build it: {BUILD_COMMAND}"
    )


def get_command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="Name of a published model; https address of a model's folder, manifest.json or"
            " zip; DOI of Zenodo; or hf:OWNER/NAME@REVISION.",
        ),
    ],
    sha256: Annotated[
        str | None,
        typer.Option(help="Expected SHA-256 of its manifest.json, as stated by its publisher."),
    ] = None,
    unverified: Annotated[
        bool,
        typer.Option(
            "--unverified",
            help="Trust the server alone, if no SHA-256 is known.",
        ),
    ] = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Download a model, check every file, and install it.

    The manifest holds the SHA-256 of every file; its own is pinned by `--sha256` or by the list of
    published models. A download that breaks off goes on when the command is run again.

    **Example:** `mtm model get hf:owner/gtex_v8@main --sha256 0123...`
    """
    with download_bars() as show:
        done = get_model(
            source, sha256=sha256, unverified=unverified, overwrite=overwrite, progress=show
        )
    _report(done)


def install_command(
    path: Annotated[
        Path, typer.Argument(metavar="FOLDER|ZIP", help="A model's folder, or a zip of one.")
    ],
    sha256: Annotated[
        str | None, typer.Option(help="Expected SHA-256 of its manifest.json.")
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Install a model from a folder or a zip, so that it is found by its name.

    **Example:** `mtm model install trained_models/gtex_v8`
    """
    _report(install_model(path, sha256=sha256, overwrite=overwrite), by_hand=True)


def push_command(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Name of a model, or a model's folder.")
    ],
    output: Annotated[Path, typer.Option(help="Folder to write.")],
    target: Annotated[
        Target,
        typer.Option(
            "--for", help="Where you will upload it: Hugging Face (or any server), or Zenodo."
        ),
    ] = "hugging-face",
    licence: Annotated[
        str, typer.Option(help="SPDX id of the model's licence, such as CC-BY-4.0.")
    ] = PROGRAM_LICENCE,
    licence_file: Annotated[
        Path | None, typer.Option(help=f"Text of the licence, unless it is {PROGRAM_LICENCE}.")
    ] = None,
    creator: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Who made it; repeatable."),
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Write the folder to upload, and print the commands that upload it.

    It holds the model with a card, its licence and figures, sealed anew. A model that holds
    anything that may be of single donors is refused. Nothing is sent by this command.

    **Example:** `mtm model push trained_models/gtex_v8 --output upload --for zenodo`
    """
    done = make_upload(
        find_model(model),
        output,
        target=target,
        licence=licence,
        licence_file=licence_file,
        creators=creator or ("The MTM developers",),
        overwrite=overwrite,
    )
    err.print(f"Wrote {done.folder} ({done.n_bytes / 1e6:,.1f} MB). To upload it:")
    for command in done.commands:
        say(command)
    err.print("Others can check it with the SHA-256 of its manifest.json:")
    say(done.manifest_sha256)


def _report(done: Installed, *, by_hand: bool = False) -> None:
    say(f"Installed {done.name} ({done.n_bytes / 1e6:,.1f} MB) in {done.folder}")
    say(f"SHA-256 of its manifest.json: {done.manifest_sha256}")
    if not done.is_pinned and not by_hand:
        err.print(
            "Only the server vouches for this model: its SHA-256 was not compared with one from "
            "elsewhere."
        )
    err.print(
        done.verified
        or "It has no stored samples, so its predictions on this machine were not checked."
    )
    err.print(f"Use it: mtm predict INPUT --model {done.name} --output OUTPUT")


def _row(model: ListedModel) -> tuple[str, ...]:
    default = " (default)" if model.name == DEFAULT_MODEL else ""
    if model.problem:
        return (model.name, *("-",) * 6, model.where)
    return (
        f"{model.name}{default}",
        model.method,
        f"{model.n_genes:,}",
        f"{model.n_tissues:,}",
        *(
            "-" if (rho := model.accuracy(figure)) is None else f"{rho:.3f}"
            for figure in (RHO, ADJUSTED_RHO)
        ),
        f"{model.n_bytes / 1e6:,.1f}",
        model.where,
    )


def _as_json(model: ListedModel) -> dict[str, object]:
    return {
        "name": model.name,
        "where": model.where,
        "folder": str(model.folder),
        "method": model.method,
        "genes": model.n_genes,
        "tissues": model.n_tissues,
        RHO: model.accuracy(),
        ADJUSTED_RHO: model.accuracy(ADJUSTED_RHO),
        "bytes": model.n_bytes,
        "licence": model.licence,
        "problem": model.problem,
    }
