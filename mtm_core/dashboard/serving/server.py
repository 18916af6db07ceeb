"""The server: Streamlit's, with a door of its own, that frees what visitors leave behind.

Everything that reaches into Streamlit beyond what it documents is here, in ``hosts``, in
``freeing`` and in ``offered_files``.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit import cli_util, config, file_util
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.runtime import Runtime, RuntimeConfig
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.session_manager import SessionClient
from streamlit.web.cache_storage_manager_config import create_default_cache_storage_manager
from streamlit.web.cli import main_run
from streamlit.web.server import server_util
from streamlit.web.server.starlette.starlette_app import App

from mtm_core.dashboard.serving.freeing import (
    SWEEP_SECONDS,
    ClosedTabs,
    Uploads,
    files_in_use,
    give_memory_back,
)
from mtm_core.dashboard.serving.guard import show_fault
from mtm_core.dashboard.serving.hosts import Door, Hosts, look_nothing_up, security_headers
from mtm_core.dashboard.serving.offered_files import OfferedFiles
from mtm_core.escaping import keep_records_plain
from mtm_core.places import place_of

APP = place_of("app.py")
"""The router that every page goes through."""
_UPLOADS = "/_stcore/upload_file"
_UNUSED_UPLOADS, _ALL_UPLOADS = 2, 8
"""Limits of uploads, in sizes of the largest file: unused ones of a session; those of all."""
# What a visitor may ask for. Not: to empty the caches of all, to run when the program's files
# change, and what Streamlit tells a programmer of the repository.
_ANSWERED = frozenset(
    {
        *("rerun_script", "stop_script", "app_heartbeat"),
        *("file_urls_request", "backend_operation_request"),
    }
)
_WORK_SECONDS = 0.05
"""Processor time after which there may be something to free: a page has run."""
_log = logging.getLogger(__name__)


class DashboardRuntime(Runtime):
    """Streamlit's, deaf to what visitors need not ask for; its files to download outlive a run."""

    def __init__(self, config: RuntimeConfig) -> None:
        super().__init__(config)
        self.offered_files = OfferedFiles(config.media_file_storage)
        self._media_file_mgr = self.offered_files

    def handle_backmsg(
        self, session_id: str, msg: BackMsg, *, client: SessionClient | None = None
    ) -> None:
        """Answer a browser's message, if it is one of those that pages send."""
        kind = msg.WhichOneof("type")
        if kind in _ANSWERED:
            super().handle_backmsg(session_id, msg, client=client)
        else:
            _log.warning("a browser's message was not answered: %s", kind)


class RoomForUploads:
    """ASGI middleware: refuses an upload while all uploads together take too much memory."""

    def __init__(self, app: ASGIApp, uploads: Uploads, most_bytes: int) -> None:
        self._app, self._uploads, self._most_bytes = app, uploads, most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it before its body is read."""
        is_upload = scope["type"] == "http" and scope["method"] == "PUT"
        if is_upload and _UPLOADS in scope["path"]:
            lengths = [value for name, value in scope["headers"] if name == b"content-length"]
            asked = int(lengths[0]) if lengths and lengths[0].isdigit() else 0
            if self._uploads.total_bytes + asked > self._most_bytes:
                _log.warning("an upload was refused: all uploads together take too much memory")
                headers = [(b"content-type", b"text/plain"), (b"connection", b"close")]
                await send({"type": "http.response.start", "status": 503, "headers": headers})
                words = b"This server holds as many uploads as it can. Try again in a few minutes."
                await send({"type": "http.response.body", "body": words})
                return
        await self._app(scope, receive, send)


class Dashboard(App):
    """The dashboard as an ASGI application."""

    def __init__(self, script: Path = APP) -> None:
        largest = int(config.get_option("server.maxUploadSize")) * 2**20
        self._tabs = ClosedTabs(float(config.get_option("server.disconnectedSessionTTL")))
        self._uploads = Uploads(_UPLOADS, _UNUSED_UPLOADS * largest)
        index = Path(file_util.get_static_dir()) / "index.html"
        super().__init__(
            script,
            lifespan=_while_it_runs,
            middleware=[
                Middleware(Door, hosts=hosts_of_settings(), headers=security_headers(index)),
                Middleware(
                    RoomForUploads, uploads=self._uploads, most_bytes=_ALL_UPLOADS * largest
                ),
            ],
            on_script_error=show_fault,
        )

    def _create_runtime(self) -> Runtime:
        runtime = DashboardRuntime(
            RuntimeConfig(
                script_path=str(self._resolve_script_path()),
                media_file_storage=MemoryMediaFileStorage("/media"),
                uploaded_file_manager=self._uploads,
                cache_storage_manager=create_default_cache_storage_manager(),
                session_storage=self._tabs,
                on_script_error=self._on_script_error,
            )
        )

        def in_use(session_id: str) -> frozenset[str]:
            info = runtime._session_mgr.get_session_info(session_id)
            return frozenset() if info is None else files_in_use(info.session.session_state)

        self._uploads.in_use = in_use
        self._uploads.is_removed = runtime.offered_files.forget
        return runtime

    def free(self) -> int:
        """Free closed tabs and unused files; return how many. In the event loop's thread."""
        assert isinstance(self._runtime, DashboardRuntime)
        self._runtime.offered_files.free()
        return self._tabs.free(self._runtime.close_session) + self._uploads.free()

    async def free_for_ever(self) -> None:
        """Look for what can be freed, every few seconds."""
        worked = time.process_time()
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                has_freed = self.free() > 0
                if has_freed or time.process_time() > worked + _WORK_SECONDS:
                    await asyncio.to_thread(give_memory_back)
                    worked = time.process_time()
            except Exception:  # noqa: BLE001 - it must go on looking
                _log.exception("data that visitors left could not be freed")


def hosts_of_settings() -> Hosts:
    """Return the names that this server answers to, by Streamlit's settings and the environment."""
    origins = [str(origin) for origin in config.get_option("server.corsAllowedOrigins")]
    if config.is_manually_set("browser.serverAddress"):
        name, port = (config.get_option(f"browser.server{what}") for what in ("Address", "Port"))
        origins += [f"http://{name}:{port}", f"https://{name}:{port}", f"https://{name}"]
    return Hosts.of_server(
        str(config.get_option("server.address") or "0.0.0.0"),
        allowed=[str(name) for name in config.get_option("server.allowedHosts")],
        origins=origins,
    )


def serve(options: Sequence[str]) -> None:
    """Serve the dashboard until the process is ended.

    Parameters
    ----------
    options
        Options of ``streamlit run``: ``["--server.port=8600"]``.
    """
    settings = _settings(options)
    sys.argv = [str(APP)]  # Streamlit looks for its settings beside it
    look_nothing_up()
    keep_records_plain()
    PagesManager.uses_pages_directory = False
    config._main_script_path = str(APP)
    config.get_config_options(force_reparse=True, options_from_flags=dict(settings))
    Dashboard().run(config=settings)


def _settings(options: Sequence[str]) -> Mapping[str, Any]:
    """Read options as ``streamlit run`` does: ``{"server.port": 8600}``."""
    context = main_run.make_context("mtm app", [str(APP), *options])
    return {
        name.replace("_", "."): value
        for name, value in context.params.items()
        if "_" in name and value is not None and value != ()
    }


@asynccontextmanager
async def _while_it_runs(app: App) -> AsyncGenerator[dict[str, Any], None]:
    assert isinstance(app, Dashboard)
    freeing = asyncio.create_task(app.free_for_ever(), name="mtm-free")
    gc.freeze()  # what is there now stays: not to be looked through after each run of a page
    if not config.get_option("server.headless"):
        address = (
            config.get_option("browser.serverAddress")
            if config.is_manually_set("browser.serverAddress")
            else server_util.get_display_address(config.get_option("server.address"))
        )
        asyncio.get_running_loop().call_soon(cli_util.open_browser, server_util.get_url(address))
    try:
        yield {}
    finally:
        freeing.cancel()
