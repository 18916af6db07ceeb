"""Serve a folder on this machine with byte ranges, as the server of GTEx's files does."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    root: Path


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        path = (self.server.root / self.path.lstrip("/")).resolve()
        if not path.is_file() or not path.is_relative_to(self.server.root.resolve()):
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        size = path.stat().st_size
        tag = f'"{size:x}-{path.stat().st_mtime_ns:x}"'
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(wanted[1]) if wanted and self.headers.get("If-Range", tag) == tag else 0
        if start >= size > 0:
            self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            self.send_header("Content-Range", f"bytes */{size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(HTTPStatus.PARTIAL_CONTENT if start else HTTPStatus.OK)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.send_header("ETag", tag)
        self.send_header("Content-Length", str(size - start))
        self.end_headers()
        # Whoever looks at the size alone hangs up.
        with path.open("rb") as file, suppress(BrokenPipeError, ConnectionResetError):
            file.seek(start)
            shutil.copyfileobj(file, self.wfile, 1 << 20)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serving(root: Path) -> Iterator[str]:
    """Serve ``root`` on a free port as long as the block runs: gives the address."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.root = root
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
