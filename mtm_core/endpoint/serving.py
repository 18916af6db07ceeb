"""The endpoint as ``mtm serve`` runs it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn

from mtm_core.artefact import Artefact
from mtm_core.data.isolation.isolated import reader_server
from mtm_core.data.isolation.reader_server import Dead
from mtm_core.endpoint.api import Settings, create_api
from mtm_core.endpoint.jobs import Jobs
from mtm_core.errors import SelectionError
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.inference.predictor import Predictor
from mtm_core.model_folder import ModelFolder
from mtm_core.model_places import find_model
from mtm_core.safe_output.writing import scratch_folder
from mtm_core.studies.beside_model import evaluation_of
from mtm_core.workflows.server_limits import max_jobs, multiply_in_one_thread

HERE = frozenset({"localhost", "127.0.0.1", "::1"})
_MOST_CONNECTIONS = 64


@dataclass(frozen=True)
class ServeOptions:
    """Address, models and limits of a server.

    Attributes
    ----------
    models
        Names or folders; the first is the default.
    address, port
        Address and port to listen on.
    hosts
        Further names that the server answers to.
    token
        Token that requests must have; needed where others can reach the server.
    max_megabytes
        Largest table, in MB.
    most
        Predictions that wait, run or are stored.
    keep_minutes
        Minutes that a result is stored.
    """

    models: tuple[str, ...]
    address: str = "127.0.0.1"
    port: int = 8600
    hosts: tuple[str, ...] = ()
    token: str = field(default="", repr=False)
    max_megabytes: int = 200
    most: int = 16
    keep_minutes: float = 10.0

    def __post_init__(self) -> None:
        if self.address not in HERE and len(self.token) < 16:
            raise SelectionError(
                f"other machines can reach a server at {self.address}: give a token of 16 "
                f"characters or more"
                " (--token-file, or MTM_SERVE_TOKEN), or listen on 127.0.0.1."
            )


def serve(options: ServeOptions) -> None:
    """Serve until it is ended.

    Raises
    ------
    ArtefactError
        If a model cannot be used.
    """
    models, evaluations = load_models(options.models)
    multiply_in_one_thread()
    try:
        reader_server().start()
    except Dead as error:
        print(f"  Tables cannot be read: {error}.", file=sys.stderr, flush=True)
    with (
        scratch_folder("serve") as folder,
        server_of(options, models, folder, evaluations) as server,
    ):
        print(
            f"\n  The endpoint is at http://{_host(options.address)}:{options.port}/v1/models."
            " Ctrl-C ends it.\n",
            flush=True,
        )
        server.run()


@contextmanager
def server_of(
    options: ServeOptions,
    models: Mapping[str, Predictor],
    folder: Path,
    evaluations: Mapping[str, EvaluationTables | None] | None = None,
) -> Iterator[uvicorn.Server]:
    """Make the server, whose results lie in ``folder``; what it has begun ends with it."""
    jobs = Jobs(
        folder,
        at_once=max_jobs(),
        most=options.most,
        keep_seconds=60 * options.keep_minutes,
    )
    own = {options.address} if options.address not in ("0.0.0.0", "::") else set()
    settings = Settings(
        models,
        jobs,
        options.max_megabytes * 1_000_000,
        HERE | own | {name.lower() for name in options.hosts},
        evaluations or {},
        options.token,
    )
    config = uvicorn.Config(
        create_api(settings),
        host=options.address,
        port=options.port,
        log_level="warning",
        access_log=False,  # addresses hold ids, and names of files
        server_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=5,
    )
    try:
        yield uvicorn.Server(config)
    finally:
        jobs.close()


def load_models(
    given: Sequence[str],
) -> tuple[dict[str, Predictor], dict[str, EvaluationTables | None]]:
    """Load each model and its evaluation, by the model's name.

    Raises
    ------
    ArtefactError, SelectionError
        If one cannot be used; if two have one name.
    """
    models: dict[str, Predictor] = {}
    evaluations: dict[str, EvaluationTables | None] = {}
    for name in given:
        files = ModelFolder.open(find_model(name))
        predictor = Predictor(Artefact.load(files))
        if predictor.artefact.name in models:
            raise SelectionError(f"two models are called {predictor.artefact.name!r}.")
        models[predictor.artefact.name] = predictor
        evaluations[predictor.artefact.name] = evaluation_of(files, predictor.artefact)
    return models, evaluations


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address
