"""An HTTP server on this machine, in the layout of the official one of GTEx."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

GCT_PATH = "/bulk-gex/v8/rna-seq/GTEx_Analysis_2017-06-05_v8_RNASeQCv1.1.9_gene_tpm.gct.gz"
GCT_NAME = GCT_PATH.rsplit("/", 1)[-1]
SUBJECTS_PATH = (
    "/annotations/v8/metadata-files/GTEx_Analysis_v8_Annotations_SubjectPhenotypesDS.txt"
)
ATTRIBUTES_PATH = (
    "/annotations/v8/metadata-files/GTEx_Analysis_v8_Annotations_SampleAttributesDS.txt"
)
GENES_PATH = "/references/v8/reference-tables/gencode.v26.GRCh38.genes.gtf"


class Server(ThreadingHTTPServer):
    """Serves ``files``; sends at most ``cut_after`` bytes of the next ``n_cuts`` answers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.headers: dict[str, str] = {}
        self.status = 200
        self.heeds_if_range = True
        self.redirects: dict[str, str] = {}
        self.cut_after = 0
        self.n_cuts = 0
        self.requests: list[tuple[str, str | None]] = []  # path, Range

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def cut(self, after: int, times: int) -> None:
        self.cut_after, self.n_cuts = after, times


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.requests.append((self.path, wanted))
        if self.server.status != 200:
            return self.answer(self.server.status, b"")
        if self.path in self.server.redirects:
            return self.answer(302, b"", Location=self.server.redirects[self.path])
        content = self.server.files.get(self.path)
        if content is None:
            return self.answer(404, b"")
        tag = '"' + hashlib.md5(content).hexdigest() + '"'
        same = self.headers.get("If-Range") == tag or not self.server.heeds_if_range
        if wanted is None or not same:
            return self.answer(200, content, ETag=tag)
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
        if start >= len(content):
            return self.answer(416, b"", **{"Content-Range": f"bytes */{len(content)}"})
        span = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return self.answer(206, content[start:], ETag=tag, **{"Content-Range": span})

    def do_HEAD(self) -> None:
        content = self.server.files.get(self.path)
        self.send_response(self.server.status if content is not None else 404)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in (
            {"Content-Length": str(len(body))} | headers | self.server.headers
        ).items():
            self.send_header(name, value)
        self.end_headers()
        if body and self.server.n_cuts:
            self.server.n_cuts -= 1
            body = body[: self.server.cut_after]
            self.close_connection = True
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[Server]:
    """Serve ``files``, by path, as long as the block runs."""
    with Server() as server:
        server.files = files
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
