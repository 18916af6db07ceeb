"""``mtm serve``: predictions over HTTP."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from mtm_core.cli.extras import needs
from mtm_core.cli.output import err
from mtm_core.cli.ports import HIGHEST_PORT, THIS_MACHINE, Address, choose_port
from mtm_core.errors import InputFileError
from mtm_core.model_places import DEFAULT_MODEL

TOKEN_VARIABLE = "MTM_SERVE_TOKEN"
"""Environment variable: the token that requests must have."""
DEFAULT_SERVE_PORT = 8600


def serve_command(
    model: Annotated[
        list[str] | None,
        typer.Option(help="Name of a model, or its folder; repeatable."),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            help=f"Port to listen on; by default {DEFAULT_SERVE_PORT}, or the next free one.",
            min=1,
            max=HIGHEST_PORT,
        ),
    ] = None,
    address: Address = THIS_MACHINE,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Another name that the server answers to; repeatable."),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(help=f"File with the token that requests must have; or set {TOKEN_VARIABLE}."),
    ] = None,
    max_mb: Annotated[int, typer.Option(help="Largest size of a table.", min=1, max=2000)] = 200,
    most: Annotated[int, typer.Option(help="Predictions stored at a time.", min=1, max=1000)] = 16,
    keep_minutes: Annotated[
        float, typer.Option(help="Time that a result is stored.", min=0.1, max=1440)
    ] = 10.0,
) -> None:
    """Serve predictions to other programs, such as R: POST a table, GET the result.

    Nothing that is sent outlives the server; results are deleted after some minutes, or when asked.

    **Example:** `mtm serve --port 8600`
    """
    needs("serve", "the endpoint")
    from mtm_core.endpoint.serving import ServeOptions, serve

    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if token_file is not None:
        try:
            token = token_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InputFileError(f"--token-file: cannot read {token_file}: {error}.") from error
        if not token:
            raise InputFileError(f"--token-file: {token_file} is empty.")
    chosen, note = choose_port(address, port, otherwise=DEFAULT_SERVE_PORT)
    if note:
        err.print(note)
    serve(
        ServeOptions(
            tuple(model or [DEFAULT_MODEL]),
            address,
            chosen,
            tuple(allow_host or ()),
            token,
            max_mb,
            most,
            keep_minutes,
        )
    )
