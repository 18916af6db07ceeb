"""A server on this machine that speaks as those that offer models."""

from __future__ import annotations

import json
import zipfile
from io import BytesIO
from pathlib import Path

from tests.gtex_server import Server


def files_of(folder: Path, at: str = "") -> dict[str, bytes]:
    """Return a folder's files by the path that they are served under."""
    return {
        f"{at}/{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def zip_of(folder: Path, top: str = "") -> bytes:
    """Pack a folder's files."""
    data = BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files_of(folder).items():
            file.writestr(top + name.removeprefix("/"), content)
    return data.getvalue()


def put_on_zenodo(server: Server, record: int, files: dict[str, bytes]) -> None:
    """Serve a record as Zenodo does: a list of its files, and each file's content."""
    base = f"/api/records/{record}"
    listed = [
        {
            "key": name,
            "size": len(data),
            "checksum": "md5:0",
            "links": {"self": f"{server.url}{base}/files/{name}/content"},
        }
        for name, data in files.items()
    ]
    server.files[base] = json.dumps({"id": record, "files": listed}).encode()
    server.files |= {f"{base}/files/{name}/content": data for name, data in files.items()}
