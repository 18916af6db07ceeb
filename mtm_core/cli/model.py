"""``mtm model``: what a trained model, or a preset, is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from mtm_core.artefact import MODEL_FILES, Artefact, WeightFormat, seal_model
from mtm_core.cli.model_sharing import get_command, install_command, list_command, push_command
from mtm_core.cli.output import OverwriteOption, print_table, say
from mtm_core.config import PresetName, preset, to_json
from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.errors import ArtefactError
from mtm_core.inference.verification import verify, write_verification
from mtm_core.model.mtm import MTM, count_parameters
from mtm_core.model_description import read_description
from mtm_core.model_folder import MANIFEST, MODEL, VERIFICATION, ModelFolder
from mtm_core.model_places import DEFAULT_MODEL, bundled_models, find_model
from mtm_core.reporting.model_card import FIGURES
from mtm_core.safe_output import check_output, writing

model_app = typer.Typer(
    help="List, get, install and describe models; verify, seal, pack and share them.\n\n"
    "**Example:** `mtm model describe gtex_v8_acmg59`",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
_BY_TISSUE = "gene_rho_by_fold"
model_app.command("list")(list_command)
model_app.command("get")(get_command)
model_app.command("install")(install_command)
model_app.command("push")(push_command)


@model_app.command("describe")
def describe(
    model: Annotated[
        str | None,
        typer.Argument(metavar="MODEL", help="Name of a bundled model, or a model's folder."),
    ] = None,
    preset_name: Annotated[
        PresetName | None,
        typer.Option("--preset", help="Describe a preset instead of a model."),
    ] = None,
    genes: Annotated[int, typer.Option(help="Genes, for --preset.", min=1)] = 19291,
    tissues: Annotated[int, typer.Option(help="Tissues, for --preset.", min=2)] = 49,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what a model is and how accurate, or how large a preset's networks are.

    **Example:** `mtm model describe gtex_v8_acmg59 --json`

    **Example:** `mtm model describe --preset paper --genes 19291 --tissues 49`
    """
    if (model is None) == (preset_name is None):
        bundled = ", ".join(bundled_models()) or "none"
        raise typer.BadParameter(
            f"give either a model's folder or name (bundled: {bundled}), or --preset."
        )
    if preset_name is not None:
        _describe_preset(preset_name, genes, tissues, as_json=as_json)
        return
    folder = find_model(model or "")
    description = read_description(folder)
    if as_json:
        # Means over tissues are beside the tables, without a level of their own.
        accuracy = dict(description["accuracy"])
        summary = accuracy.pop("summary", {})
        say(json.dumps(description | {"accuracy": summary | accuracy}, indent=1))
        return
    Artefact.load(folder)  # a damaged folder is not described as if it were whole
    provenance, accuracy = description["provenance"], description["accuracy"]
    rows = {
        "model": description["name"],
        "method": description["method"],
        "genes": f"{len(description['genes']):,}",
        "tissues": f"{len(description['tissues']):,}",
        "unit": description["unit"],
        "trained on": f"{provenance.get('n_donors', 0):,} donors,"
        f" {provenance.get('n_samples', 0):,} samples",
        "weights of networks": description.get("weights", "fp32"),
        "sha256": description["sha256"],
    }
    summary = accuracy.get("summary", {})
    rows["accuracy"] = "on donors not seen in training, means over tissues" if summary else "-"
    for name, words in FIGURES.items():
        value = summary.get(f"{name}_mean", summary.get(name))
        if value is not None:
            rows[words] = f"{value:.3f}"
    print_table("", (), list(rows.items()))
    by_tissue = {row["tissue"]: f"{row[_BY_TISSUE]:.3f}" for row in accuracy.get("tissues", [])}
    print_table(
        "Tissues",
        ("tissue", "samples", FIGURES[_BY_TISSUE]),
        [
            (row["tissue"], f"{row['n_samples']:,}", by_tissue.get(row["tissue"], "-"))
            for row in description["tissues"]
        ],
    )


@model_app.command("pack")
def pack(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Name of a bundled model, or a model's folder.")
    ],
    output: Annotated[Path, typer.Option(help="Folder to write.")],
    weights: Annotated[
        WeightFormat,
        typer.Option(
            help="Precision of the networks: bf16 takes half the space, with 8 binary digits."
        ),
    ] = "bf16",
    overwrite: OverwriteOption = False,
) -> None:
    """Copy a model with its networks' weights in another format.

    Scalers, reference distributions and whatever is not a network stay as they are. What bf16 costs
    in accuracy is in docs/scale.md.

    **Example:** `mtm model pack gtex_v8_acmg59 --output small --weights bf16`
    """
    folder = find_model(model)
    check_output(output, overwrite=overwrite, inputs=[folder], folder=True)
    artefact = Artefact.load(folder)
    files = ModelFolder.open(folder)
    with writing(output, overwrite=overwrite, inputs=[folder], folder=True, kind=MODEL) as place:
        for name in files.seals:
            if name not in (*MODEL_FILES, VERIFICATION) and (path := files.file(name)) is not None:
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, place / name)
        artefact.save(place, weights=weights)
        if VERIFICATION in files.seals:
            write_verification(place)
    before, after = (sum((f / name).stat().st_size for name in MODEL_FILES) / 1e6
                     for f in (folder, output))  # fmt: skip
    say(f"{output}: {after:,.1f} MB, {before:,.1f} MB before")


@model_app.command("seal")
def seal(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A model's folder.")],
) -> None:
    """Seal a model's folder as it is now, after you changed it or to bring it to this version.

    Its manifest holds the SHA-256 of every file, and a file that differs is refused. Seal only what
    you trust: the check is then of what you sealed.

    **Example:** `mtm model seal trained_models/mine`
    """
    seal_model(folder)
    say(f"{folder / MANIFEST}: {len(ModelFolder.open(folder).seals)} files")


@model_app.command("verify")
def verify_model(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Name of a model, or a model's folder.")
    ] = DEFAULT_MODEL,
    write: Annotated[
        bool,
        typer.Option("--write", help="Store this machine's predictions as the expected ones."),
    ] = False,
) -> None:
    """Predict the simulated samples stored beside a model, and compare with what is stored.

    Exit code 0 where they agree within rounding, 1 where they do not.

    **Example:** `mtm model verify gtex_v8_acmg59_stack`
    """
    folder = find_model(model)
    if write:
        say(f"{write_verification(folder)}: written")
        return
    found = verify(folder)
    if not found.agrees:
        raise ArtefactError(f"{folder}: {found.in_words()}")
    say(found.in_words())


def _describe_preset(name: PresetName, n_genes: int, n_tissues: int, *, as_json: bool) -> None:
    config = preset(name, n_genes, n_tissues)
    blank = np.zeros((n_tissues, n_genes), dtype=np.float32)
    scaler = TissueScaler(blank, blank + 1, config.scaling.scale)
    with torch.device("meta"):
        model = MTM(config.model, scaler)
    sizes = {
        network: count_parameters(getattr(model, network))
        for network in ("encoder", "generator", "discriminator", "mapping")
    }
    total = count_parameters(model)
    if as_json:
        say(
            json.dumps(
                {"config": to_json(config), "parameters": sizes | {"total": total}}, indent=1
            )
        )
        return
    rows = [(network, f"{size:,}") for network, size in (sizes | {"total": total}).items()]
    print_table(
        f"Preset {name}: parameters for {n_genes:,} genes and {n_tissues} tissues", (), rows
    )
