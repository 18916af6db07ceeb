"""``mtm model``: what a trained model, or a preset, is."""

from __future__ import annotations

import json
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from mtm_core.artefact import Artefact, read_description
from mtm_core.config import PresetName, preset, to_json
from mtm_core.data.scaling import TissueScaler
from mtm_core.errors import SelectionError
from mtm_core.inference.models import find_model
from mtm_core.model.mtm import MTM, count_parameters

model_app = typer.Typer(help="Describe models and presets.", no_args_is_help=True)
console = Console()


@model_app.callback()
def group() -> None:
    """Describe models and presets."""


@model_app.command("describe")
def describe(
    model: Annotated[
        str | None, typer.Argument(help="Name of a bundled model, or a model's folder.")
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

    **Examples:** `mtm model describe gtex_v8_acmg59 --json`,
    `mtm model describe --preset paper --genes 19291 --tissues 49`
    """
    if (model is None) == (preset_name is None):
        raise SelectionError("give a model's name or folder, or --preset: one of the two.")
    if preset_name is not None:
        _describe_preset(preset_name, genes, tissues, as_json=as_json)
        return
    folder = find_model(model or "")
    description = read_description(folder)
    if as_json:
        console.print_json(json.dumps(description))
        return
    Artefact.load(folder)  # a damaged folder is not described as if it were whole
    provenance = description["provenance"]
    rows = {
        "method": description["method"],
        "genes": f"{len(description['genes']):,}",
        "tissues": f"{len(description['tissues']):,}",
        "unit": description["unit"],
        "trained on": f"{provenance.get('n_donors', '?')} donors,"
        f" {provenance.get('n_samples', '?')} samples",
        "sha256": description["sha256"],
    }
    rows |= {
        name: f"{value:.3f}" for name, value in description["accuracy"].get("summary", {}).items()
    }
    _print(description["name"], rows)


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
    if as_json:
        total = count_parameters(model)
        console.print_json(
            json.dumps({"config": to_json(config), "parameters": sizes | {"total": total}})
        )
        return
    rows = {network: f"{size:,}" for network, size in sizes.items()}
    _print(
        f"preset {name}: {n_genes:,} genes, {n_tissues} tissues",
        rows | {"total": f"{count_parameters(model):,} parameters"},
    )


def _print(title: str, rows: dict[str, str]) -> None:
    table = Table(show_header=False, title=title, title_justify="left")
    for label, value in rows.items():
        table.add_row(label, value)
    console.print(table)
