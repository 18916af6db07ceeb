"""The endpoint's addresses, and what they answer.

====================================  ==========================================================
``GET /v1/health``                    that it runs
``GET /v1/models``                    models, their tissues, sizes and limits
``POST /v1/predictions``              a table, or a form with metadata too: says where it will be
``GET /v1/predictions/ID``            how far it is, or why it failed
``GET /v1/predictions/ID/result``     the prediction, as a file
``DELETE /v1/predictions/ID``         ends or forgets it
``GET /openapi.json``                 the same for programs
====================================  ==========================================================

Errors are JSON: ``{"error": {"type": ..., "message": ...}}``.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit
from uuid import uuid4

from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from starlette.requests import ClientDisconnect

from mtm_core import __version__
from mtm_core.data.notes import Note
from mtm_core.endpoint.jobs import FaultError, FullError, Job, Jobs, UnknownJobError
from mtm_core.endpoint.options import OptionsOfRequest, PartsOfRequest, check_names
from mtm_core.endpoint.prediction import (
    MEDIA,
    Asked,
    Ending,
    Given,
    TooLargeError,
    check_asked,
    maker,
)
from mtm_core.endpoint.received import ALIGNMENT, METADATA, PARTS, TABLE, Part, receive
from mtm_core.errors import MTMError, OverBudgetError, SelectionError
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.inference.predictor import Predictor

MOST_WAIT_SECONDS = 30
_FILE = {"type": "string", "format": "binary"}
_BODY = {
    "required": True,
    "content": {
        "application/octet-stream": {"schema": _FILE},
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": [TABLE],
                "properties": dict.fromkeys(PARTS, _FILE),
                "additionalProperties": _FILE,
            }
        },
    },
}
"""What a prediction is made from, for ``openapi.json``."""
_MOST_UPLOADS = 4
"""Tables that are taken up at a time."""
_STATUS: Mapping[type[MTMError], int] = {
    UnknownJobError: 404,
    TooLargeError: 413,
    FullError: 429,
    OverBudgetError: 503,
    FaultError: 500,
}
_RETRY_SECONDS = 10
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """Settings of a server.

    Attributes
    ----------
    models
        By name; the first is the default.
    jobs
        Its predictions.
    max_bytes
        Most bytes of a table.
    hosts
        Names that it answers to, without port.
    evaluations
        Accuracy of each model on held-out donors, by its name, if it was evaluated.
    token
        Token that requests must have; empty for none.
    """

    models: Mapping[str, Predictor]
    jobs: Jobs
    max_bytes: int
    hosts: frozenset[str]
    evaluations: Mapping[str, EvaluationTables | None] = field(default_factory=dict, repr=False)
    token: str = field(default="", repr=False)


def create_api(settings: Settings) -> FastAPI:
    """Make the application."""
    api = FastAPI(
        title="MTM",
        version=__version__,
        description="Predicted expression of other tissues. For research use, not for diagnosis.",
        docs_url=None,  # its page would be fetched from elsewhere
        redoc_url=None,
    )
    uploads = asyncio.Semaphore(_MOST_UPLOADS)
    _answer_errors_in_json(api)
    _guard(api, settings)

    @api.get("/v1/health")
    async def health() -> dict[str, Any]:
        """Say that the server runs, and how many predictions it holds."""
        return {"status": "ok", "version": __version__, "predictions": len(settings.jobs)}

    @api.get("/v1/models")
    async def models() -> dict[str, Any]:
        """List the models, the default first, and what the server takes."""
        return {
            "models": [
                {
                    "name": name,
                    "n_genes": len(predictor.artefact.genes),
                    "tissues": list(predictor.tissues),
                    "unit": predictor.artefact.unit,
                    "reads": list(predictor.covariates),
                    "sha256": predictor.artefact.sha256,
                }
                for name, predictor in settings.models.items()
            ],
            "max_table_bytes": settings.max_bytes,
            "max_predictions": settings.jobs.most,
            "keep_seconds": settings.jobs.keep_seconds,
        }

    @api.post(
        "/v1/predictions",
        status_code=202,
        openapi_extra={"requestBody": _BODY},
        dependencies=[Depends(check_names)],
    )
    async def predict(
        request: Request,
        options: OptionsOfRequest,
        further: PartsOfRequest,
        model: Annotated[str, Query(max_length=100)] = "",
        ending: Annotated[Ending, Query(alias="format")] = "csv",
        name: Annotated[str, Query(max_length=200)] = "",
    ) -> JSONResponse:
        """Take up a table: csv, tsv, gct (also gzipped), xlsx, parquet or h5ad.

        It is the body, or the part ``table`` of a form (multipart/form-data) that may also have
        ``metadata`` (a file, or JSON) and ``alignment`` (of an earlier prediction), and tables of
        further tissues of the same people in parts that ``and=TISSUE=PART`` names. Options are
        those of ``mtm predict``; ``targets`` may be repeated, and are all by default.
        """
        chosen = _model(settings, model)
        predictor = settings.models[chosen]
        # A wrong name is said before the table comes.
        predictor.targets_of(options.sources, options.targets)
        settings.jobs.check_room()
        async with uploads:
            parts = await receive(request, settings.max_bytes, further.parts)
        has_alignment = ALIGNMENT in parts
        check_asked(options, has_metadata=METADATA in parts, has_alignment=has_alignment)
        owner = request.client.host if request.client else ""
        given = _given(parts, further.parts, Path(name).name, owner)
        del parts
        if has_alignment:
            options = replace(options, alignment_from=given.alignment_name)
        asked = Asked(predictor, options, ending, settings.evaluations.get(chosen))
        job = settings.jobs.start(maker(given, asked))
        return JSONResponse(_state(job), 202, {"Location": f"/v1/predictions/{job.id}"})

    @api.get("/v1/predictions/{name}")
    async def state(
        name: str, wait: Annotated[float, Query(ge=0, le=MOST_WAIT_SECONDS)] = 0
    ) -> dict[str, Any]:
        """Say how far a prediction is, after it ended or ``wait`` seconds."""
        return _state(await _ended(settings.jobs.find(name), wait))

    @api.get("/v1/predictions/{name}/result")
    async def result(
        name: str, wait: Annotated[float, Query(ge=0, le=MOST_WAIT_SECONDS)] = 0
    ) -> Response:
        """Return the file of a prediction; 202 while it is not ready, its error if it failed."""
        job = await _ended(settings.jobs.find(name), wait)
        if job.error is not None:
            raise job.error
        if job.result is None:
            return JSONResponse(_state(job), 202, {"Retry-After": "1"})
        kind = job.result.suffix[1:]
        return FileResponse(job.result, media_type=MEDIA[kind], filename=job.result.name)

    @api.delete("/v1/predictions/{name}", status_code=204)
    async def delete(name: str) -> None:
        """End a prediction, or forget its result."""
        settings.jobs.delete(name)

    return api


def _model(settings: Settings, name: str) -> str:
    known = settings.models
    if name and name not in known:
        raise SelectionError.unknown("model", [name], list(known))
    return name or next(iter(known))


def _given(parts: Mapping[str, Part], further: Sequence[str], name: str, owner: str) -> Given:
    nothing = Part()
    table, people = parts[TABLE], parts.get(METADATA, nothing)
    alignment = parts.get(ALIGNMENT, nothing)
    return Given(
        bytes(table.data),
        name or table.name("table"),
        owner,
        bytes(people.data),
        people.name("metadata"),
        people.is_json,
        bytes(alignment.data),
        alignment.name("alignment.json"),
        [(bytes(parts[part].data), parts[part].name(part)) for part in further],
    )


async def _ended(job: Job, wait: float) -> Job:
    """Wait for the end of a job, at most so long; ``wait`` of 0 does not."""
    loop = asyncio.get_running_loop()
    until = loop.time() + wait
    while not job.finished.is_set() and loop.time() < until:
        await asyncio.sleep(0.05)
    return job


def _state(job: Job) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "id": job.id,
        "state": job.state,
        "samples_done": job.done,
        "samples": job.total,
        "notes": [_note(note) for note in job.notes],
    }
    if job.state == "done":
        answer["result"] = f"/v1/predictions/{job.id}/result"
    if job.error is not None:
        answer["error"] = _error(job.error)
    return answer


def _note(note: Note) -> dict[str, str]:
    return {"level": note.level, "message": str(note)}


def _error(error: MTMError) -> dict[str, str]:
    return {"type": type(error).__name__, "message": str(error)}


def _answer_errors_in_json(api: FastAPI) -> None:
    @api.exception_handler(MTMError)
    async def known(_: Request, error: MTMError) -> JSONResponse:
        status = _STATUS.get(type(error), 400)
        headers = {"Retry-After": str(_RETRY_SECONDS)} if status in (429, 503) else None
        return JSONResponse({"error": _error(error)}, status, headers)

    @api.exception_handler(RequestValidationError)
    async def wrong(_: Request, error: RequestValidationError) -> JSONResponse:
        words = "; ".join(
            f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in error.errors()
        )
        return _refusal(400, "SelectionError", words)

    @api.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> JSONResponse:
        return _refusal(error.status_code, "RequestError", str(error.detail))

    @api.exception_handler(404)
    async def nowhere(request: Request, _: Exception) -> JSONResponse:
        return _refusal(404, "RequestError", f"this address does not support {request.method}.")

    @api.exception_handler(ClientDisconnect)
    async def gone(_: Request, error: ClientDisconnect) -> JSONResponse:
        return _refusal(400, "RequestError", "the connection ended early.")

    @api.exception_handler(Exception)
    async def fault(_: Request, error: Exception) -> JSONResponse:
        number = uuid4().hex[:8]
        _log.error("Fault %s", number, exc_info=error)
        return _refusal(
            500,
            "FaultError",
            f"an error in the program (fault {number}). The server's log has the details.",
        )


def _guard(api: FastAPI, settings: Settings) -> None:
    """Refuse who uses another name of the server, comes from a website, or lacks the token."""

    @api.middleware("http")
    async def check(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        host = _name_of(request.headers.get("host", ""))
        if host not in settings.hosts:
            answer: Response = _refusal(
                403, "RequestError", "the server does not answer to this name."
            )
        elif "origin" in request.headers:
            answer = _refusal(403, "RequestError", "this server does not answer websites.")
        elif settings.token and not _has_token(request, settings.token):
            answer = _refusal(
                401, "RequestError", "a token is needed: the header 'Authorization: Bearer TOKEN'."
            )
            answer.headers["WWW-Authenticate"] = "Bearer"
        else:
            answer = await go_on(request)
        answer.headers["Cache-Control"] = "no-store"
        answer.headers["X-Content-Type-Options"] = "nosniff"
        return answer


def _has_token(request: Request, token: str) -> bool:
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    return kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())


def _name_of(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _refusal(status: int, kind: str, message: str) -> JSONResponse:
    return JSONResponse({"error": {"type": kind, "message": message}}, status)
