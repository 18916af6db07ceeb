"""Time what a second user waits for while the first has every tissue compared.

    python benchmarks/two_users.py MODEL TABLE METADATA [--port 8640]

One real server, two connections without a browser, each with TABLE and METADATA and every tissue
predicted. The second user opens each screen and another tissue on it twice: with the server to
itself, and while "Compare every tissue" and gene sets in every tissue go on for the first. Times
are seconds of wall until the page is there; progress bars count as there, as the rest of the page
can be used.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
from dataclasses import replace
from io import BytesIO
from pathlib import Path

from dashboard_client import Client, serve

from mtm_core.dashboard.state.work import Work
from mtm_core.dashboard.state.workspace import WorkspaceStore
from mtm_core.dashboard.state.workspace_settings import DEFAULT_HOURS
from mtm_core.data.gtex.annotations import WHOLE_BLOOD
from mtm_core.data.people.metadata_file import read_metadata
from mtm_core.data.tables.expression import read_expression
from mtm_core.inference.predictor import Predictor

SCREENS = {"reference": "Tissue", "differential": "Tissue", "external": "Tissue"}
SCREENS |= {"traits": "Tissue", "enrichment": ""}


def saved_session(folder: Path, model: Path, table: Path, metadata: Path) -> str:
    """Save a session with the user's files, and return the query that opens it."""
    predictor, data = Predictor.load(model), table.read_bytes()
    read = read_expression(BytesIO(data), table.name, known_genes=predictor.genes)
    samples = [str(name) for name in read.values.index]
    people = read_metadata(BytesIO(metadata.read_bytes()), metadata.name, samples=samples)
    work = Work(read, hashlib.sha256(data).hexdigest(), WHOLE_BLOOD, "tpm", "auto", None)
    store = WorkspaceStore(folder / "workspaces", DEFAULT_HOURS)
    identifier = store.create()
    store.save(identifier, replace(work, metadata=people))
    return f"work={identifier}"


def predict_all(client: Client) -> None:
    """Predict every tissue."""
    client.open_whole("predicted")
    client.set("Tissues to predict", client.options("Tissues to predict"))
    client.press("Predict")
    while client.is_busy:
        time.sleep(0.1)
        client.again()


def look(client: Client, seen: list[str]) -> dict[str, float]:
    """Open each screen, then another tissue on it, not ``seen`` yet; return the seconds of each."""
    seconds = {}
    for screen, label in SCREENS.items():
        began = time.perf_counter()
        client.open(screen)
        seconds[screen] = time.perf_counter() - began
        if label:
            tissue = next(name for name in client.options(label)[::-1] if name not in seen)
            seen.append(tissue)
            began = time.perf_counter()
            client.set(label, tissue)
            seconds[f"{screen}, {tissue}"] = time.perf_counter() - began
    return seconds


def show(what: str, seconds: dict[str, float]) -> None:
    print(what)
    for screen, taken in seconds.items():
        print(f"  {screen:<30}{taken:>6.2f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("model", "table", "metadata"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--port", type=int, default=8640)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        query = saved_session(folder, options.model, options.table, options.metadata)
        with serve(options.model, options.port, folder) as server:
            first, second = Client(server, query), Client(server, query)
            for client in (first, second):
                predict_all(client)
            seen: list[str] = []
            show("alone, first visit", look(second, seen))
            while second.is_busy:
                time.sleep(0.1)
                second.again()
            show("alone, again", look(second, seen))
            began, cpu = time.perf_counter(), server.cpu_seconds()
            first.open_whole("external")
            first.open("traits")
            first.open("external")
            first.press("Compare every tissue")
            show("while the first compares every tissue", look(second, seen))
            show("again", look(second, seen))
            is_busy = first.is_busy
            while first.is_busy:
                time.sleep(0.1)
                first.again()
            print(
                f"every tissue of the first: {time.perf_counter() - began:.1f} s,"
                f" {server.cpu_seconds() - cpu:.1f} s of processor in all"
                f"{'' if is_busy else ' (done before the second had looked)'}"
            )
            for client in (first, second):
                client.close()


if __name__ == "__main__":
    main()
