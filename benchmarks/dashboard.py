"""Time what a user of the dashboard waits for, on the real server.

With the example loaded: the switch to each page. With 100 simulated samples of 19,291 genes: upload
to first figure and a selection in the volcano, both in a real browser, and the page switches again.
The latter is done with the model that is served by default, which reads 59 of the genes, and with a
simulated one of all 19,291 genes and 49 tissues (``wide_model.py``), made anew in minutes unless
``MTM_WIDE_MODEL`` names its folder: in "screens" every tissue is predicted there and the widgets
of each page are used, by one user and then by two more at once, and the server's memory is printed.

    python benchmarks/dashboard.py [--rounds 5] [--port 8620] [--only example|upload|wide|screens]

Needs Chromium (``MTM_CHROMIUM``, by default /usr/bin/chromium) and ``requirements-dev.txt``.
Times are medians. A page switch takes from the message that a browser would send to the server's
word that the page is whole; the others until it is on the screen. "CPU" is what the server's
process used meanwhile: what others do on the machine is in the wall time, not in this.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
from dashboard_client import Client, Server, serve
from measuring import Row
from playwright.sync_api import Browser, Page, expect, sync_playwright
from wide_model import make_wide_model

from mtm_core.artefact import Artefact
from mtm_core.dashboard.serving.freeing import SWEEP_SECONDS
from mtm_core.dashboard.state.work import Work
from mtm_core.dashboard.state.workspace import WorkspaceStore
from mtm_core.dashboard.state.workspace_settings import DEFAULT_HOURS
from mtm_core.data.gtex.annotations import WHOLE_BLOOD
from mtm_core.data.people.metadata_file import read_metadata
from mtm_core.data.tables.expression import read_expression
from mtm_core.inference.predictor import Predictor
from mtm_core.model_places import DEFAULT_MODEL, find_model
from mtm_core.model_reference import QUANTILE_LEVELS

COMMAND = "python benchmarks/dashboard.py"
N_SAMPLES, N_GENES = 100, 19_291
PATIENCE = 120_000
_SCREENS = ("page: ", "screen: ")
SETTLED = "[data-testid=stApp][data-test-script-state=notRunning]"


@dataclass
class Timings:
    """Seconds by what was done: wall time, CPU time of the server, bytes sent to the browser."""

    rows: dict[str, list[tuple[float, float, int]]] = field(default_factory=dict)

    def add(self, what: str, wall: float, cpu: float, size: int) -> None:
        """Add one measurement; tell it on standard error, as a run is long."""
        line = f"{what:<44}{wall:>7.2f}s{cpu:>7.2f}s{size / 1e3:>8,.0f} kB"
        print(line, file=sys.stderr, flush=True)
        self.rows.setdefault(what, []).append((wall, cpu, size))

    @contextmanager
    def of(self, what: str, server: Server, client: Client) -> Iterator[None]:
        """Measure what is done in the block."""
        cpu, began = server.cpu_seconds(), time.perf_counter()
        yield
        wall = time.perf_counter() - began
        self.add(what, wall, server.cpu_seconds() - cpu, client.received)

    def show(self, aim: Callable[[str], float]) -> None:
        """Print medians beside the aims."""
        print(f"{'':<44}{'wall':>8}{'CPU':>8}{'most':>8}{'kB':>8}{'aim':>7}")
        for what, values in self.rows.items():
            walls, cpus, sizes = zip(*values, strict=True)
            wall, cpu = median(walls), median(cpus)
            met = "" if wall <= aim(what) else "  missed" if cpu > aim(what) else "  missed (wall)"
            print(
                f"{what:<44}{wall:>7.2f}s{cpu:>7.2f}s{max(walls):>7.2f}s"
                f"{median(sizes) / 1e3:>8,.0f}{aim(what):>6.1f}s{met}"
            )

    def as_rows(self, of: str, aim: Callable[[str], float]) -> list[Row]:
        """Return median wall times as rows; of the pages, the slowest."""
        walls = {what: median(wall for wall, _, _ in values) for what, values in self.rows.items()}
        pages = {what: wall for what, wall in walls.items() if what.startswith(_SCREENS)}
        slowest = max(pages, key=pages.__getitem__)
        others = {what: wall for what, wall in walls.items() if what not in pages}
        slowest_of = (
            f"the slowest of the {len(pages)} pages there were then, {slowest.split(': ', 1)[1]}"
        )
        return [
            {
                "what": f"{what}; {of}",
                "value": wall,
                "unit": "s",
                "against": "the aim",
                "floor": limit,
                "ratio": wall / limit,
                "command": COMMAND,
            }
            for what, wall, limit in (
                (slowest_of, pages[slowest], aim(slowest)),
                *((what, wall, aim(what)) for what, wall in others.items()),
            )
        ]


def switch_pages(client: Client, server: Server, timings: Timings, rounds: int) -> None:
    """Go through the pages; the first visit, which computes what others find, does not count."""
    for name in client.pages:
        client.open_whole(name)
        for _ in range(rounds):
            with timings.of(f"page: {name.replace('_', ' ')}", server, client):
                client.open(name)


def all_tissues(client: Client, timings: Timings, server: Server) -> None:
    """Predict every tissue."""
    client.open_whole("predicted")
    tissues = client.options("Tissues to predict")
    client.set("Tissues to predict", tissues)
    cpu, began = server.cpu_seconds(), time.perf_counter()
    client.press("Predict")
    while client.is_busy:
        time.sleep(0.2)
        client.again()
    wall = time.perf_counter() - began
    timings.add(f"work: predict {len(tissues)} tissues", wall, server.cpu_seconds() - cpu, 0)


def use_pages(client: Client, timings: Timings, server: Server, rounds: int) -> None:
    """Go through the pages and use what is on them, as a user would.

    What a page computes on a first visit, some of it in the background, is counted as work.
    """
    for name in sorted(client.pages, key=lambda page: page == "traits"):  # its work is the longest
        memory = server.memory()["held"] / 1e6
        print(f"{time.strftime('%X')} {memory:,.0f} MB held; {name}", file=sys.stderr, flush=True)
        cpu, began = server.cpu_seconds(), time.perf_counter()
        client.open_whole(name)
        wall, used = time.perf_counter() - began, server.cpu_seconds() - cpu
        if wall > 1:
            timings.add(f"work: first visit, {name.replace('_', ' ')}", wall, used, 0)
        for _ in range(rounds):
            with timings.of(f"screen: {name.replace('_', ' ')}", server, client):
                client.open(name)
        for label, values in _USED.get(name, ()):
            for value in values:
                with timings.of(f"  {name}: {label}", server, client):
                    client.set(label, value)


_SEARCHES = ("TP53", "ABCA", "ENSG00000012048", "MLL2")
_USED: dict[str, tuple[tuple[str, Sequence[str | bool]], ...]] = {
    "predicted": (
        ("Tissue", ("Lung", "Liver")),
        ("View", (["One gene"],)),
        ("Gene", _SEARCHES),
        ("View", (["Table"],)),
        ("Sort by", ("z",)),
    ),
    "reference": (("Gene", _SEARCHES), ("Tissue", ("Lung", "Liver"))),
    "traits": (("Tissue", ("Lung", "Liver")), ("Gene", _SEARCHES), ("Sort by", ("rho",))),
    "differential": (("Tissue", ("Lung", "Liver")), ("Gene", _SEARCHES), ("Sort by", ("auc",))),
    "external": (("Tissue", ("Lung", "Liver")), ("Gene", _SEARCHES)),
    "predictability": (
        ("View", (["Genes"],)),
        ("Tissue", ("Lung", "Liver")),
        ("Gene", _SEARCHES),
        ("Sort by", ("p",)),
        ("Search", ("GSTM, ENSG000000120",)),
        ("View", (["Distributions"],)),
    ),
    "methods": (("View", (["Predictable genes"], ["Shared genes"], ["Wins and losses"])),),
    "latent": (("View", (["Predictable genes"],)),),
}
"""Widgets of each page and what they are set to, one after the other."""


def settle(page: Page) -> None:
    """Wait until the page is whole."""
    page.wait_for_selector(SETTLED)
    page.wait_for_selector("[data-testid=stSkeleton]", state="detached")


def open_link(page: Page, name: str) -> None:
    """Go to a page by the menu."""
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=name).click()
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()


def appears(page: Page, selector: str, words: str = "") -> None:
    """Wait until an element has been drawn, looked for at each frame.

    Playwright's ``expect`` looks a few times a second, and takes the browser's time to describe the
    whole page each time.
    """
    page.wait_for_function(
        "([selector, words]) => [...document.querySelectorAll(selector)]"
        ".some(element => element.textContent.includes(words))",
        arg=[selector, words],
        polling="raf",
        timeout=PATIENCE,
    )


def upload(page: Page, path: Path) -> None:
    """Give a file to the page."""
    uploader = page.get_by_test_id("stFileUploader").first  # of Upload's two, that of one table
    uploader.locator("input[type=file]").set_input_files(path)


def write_tables(folder: Path, model: Artefact) -> None:
    """Write 100 samples of 19,291 genes, those of ``model`` first, and their groups.

    The model's genes are drawn about the median of its blood, so that they can be blood.
    """
    rng = np.random.default_rng(0)
    genes = [str(gene) for gene in model.genes.index]
    others = [f"ENSG{90_000_000_000 + i}" for i in range(N_GENES - len(genes))]
    samples = pd.Index([f"S{i:03d}" for i in range(N_SAMPLES)], name="sample")
    is_case = np.arange(N_SAMPLES) < N_SAMPLES // 2
    log2 = rng.normal(3, 2, N_GENES)
    quantiles = model.reference.expression[:, list(model.tissues.index).index(WHOLE_BLOOD)]
    log2[: len(genes)] = quantiles[QUANTILE_LEVELS.index(0.5)]
    values = np.exp2(log2 + rng.normal(0, 0.5, (N_SAMPLES, N_GENES))) - 1
    values[is_case, :1000:2] *= 3
    table = pd.DataFrame(np.maximum(values, 0), samples, [*genes, *others]).T
    table.to_csv(folder / "wide.csv", float_format="%.4f", index_label="gene_id")
    people = {"group": np.where(is_case, "case", "control"), "age": 30 + np.arange(N_SAMPLES) % 40}
    pd.DataFrame(people, samples).to_csv(folder / "people.csv")


def wide_model(folder: Path) -> Path:
    """Return the wide model: the one that ``MTM_WIDE_MODEL`` names, else made now, in minutes."""
    made = os.environ.get("MTM_WIDE_MODEL")
    return Path(made) if made else make_wide_model(folder)


def select_points(page: Page) -> float:
    """Drag a box over the right of the measured blood's panel; tell when it was let go."""
    panel = page.locator("[class*=st-key-figure_volcano] .js-plotly-plot .nsewdrag").nth(1)
    panel.evaluate("element => element.scrollIntoView({block: 'center'})")
    box = panel.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.02 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.99 * box["width"], box["y"] + 0.9 * box["height"], steps=4)
    began = time.perf_counter()
    page.mouse.up()
    return began


def with_example(server: Server, rounds: int) -> Timings:
    """Switch pages with the example loaded."""
    timings, client = Timings(), Client(server)
    client.press("Try it with the example")
    switch_pages(client, server, timings, rounds)
    return timings


def with_upload(browser: Browser, server: Server, folder: Path, rounds: int) -> Timings:
    """Upload, each time in a session of its own; go on with the last one."""
    timings = Timings()
    for _ in range(rounds):
        page = browser.new_context(viewport={"width": 1360, "height": 900}).new_page()
        page.goto(f"{server.url}/upload")
        settle(page)
        cpu, began = server.cpu_seconds(), time.perf_counter()
        upload(page, folder / "wide.csv")
        appears(page, ".st-key-figure_distance .main-svg")
        wall = time.perf_counter() - began
        timings.add("upload to first figure, on screen", wall, server.cpu_seconds() - cpu, 0)
    settle(page)
    open_link(page, "Metadata")
    expect(page.get_by_text("No metadata yet")).to_be_visible()
    upload(page, folder / "people.csv")
    expect(page.get_by_role("heading", name="What was found in people.csv")).to_be_visible()
    open_link(page, "Differential expression")
    expect(page.locator("[class*=st-key-figure_volcano] .js-plotly-plot")).to_be_visible()
    for _ in range(rounds):
        settle(page)
        cpu, began = server.cpu_seconds(), select_points(page)
        appears(page, "[data-testid=stCaptionContainer]", "genes selected in the figure")
        wall = time.perf_counter() - began
        timings.add("volcano: select points, on screen", wall, server.cpu_seconds() - cpu, 0)
        page.get_by_role("button", name="Show all genes").click()
        expect(page.get_by_text("All genes. Select a row")).to_be_visible()
    settle(page)
    page.get_by_text("Save my session").click()
    expect(page).to_have_url(re.compile("work="))
    query = page.url.split("?", 1)[1]
    page.context.close()
    switch_pages(Client(server, query), server, timings, rounds)
    return timings


def with_every_tissue(server: Server, folder: Path, model: Path, rounds: int) -> Timings:
    """Have users use every page of a wide model, without a browser, from a saved session."""
    predictor = Predictor.load(model)
    table, people = ((folder / name).read_bytes() for name in ("wide.csv", "people.csv"))
    work = Work(
        read_expression(BytesIO(table), "wide.csv", known_genes=predictor.genes),
        hashlib.sha256(table).hexdigest(),
        WHOLE_BLOOD,
        "tpm",
        "auto",
        None,
    )
    samples = [str(name) for name in work.table.values.index]
    work = replace(work, metadata=read_metadata(BytesIO(people), "people.csv", samples=samples))
    store = WorkspaceStore(folder / "workspaces", DEFAULT_HOURS)
    identifier = store.create()
    store.save(identifier, work)
    timings = Timings()
    several_users(server, f"work={identifier}", timings, rounds)
    return timings


def several_users(server: Server, query: str, timings: Timings, rounds: int) -> None:
    """Have one user, then two at once, predict every tissue and go through every page.

    Prints the server's memory before, between and after: what a session holds is the difference.
    """
    memory = [server.memory()]
    clients = []
    for n_users in (1, 2):
        joining = [Client(server, query) for _ in range(n_users)]
        timings_of_users = [timings if i + n_users == 1 else Timings() for i in range(n_users)]

        def use(client: Client, own: Timings) -> None:
            all_tissues(client, own, server)
            use_pages(client, own, server, rounds)

        with ThreadPoolExecutor(n_users) as pool:
            list(pool.map(use, joining, timings_of_users))
        if n_users == 1:
            timings.rows |= timings_of_users[0].rows
        else:
            timings.rows["of two users at once: the slowest of all"] = [
                max(
                    (
                        row
                        for own in timings_of_users
                        for what, rows in own.rows.items()
                        for row in rows
                        if not what.startswith("work")
                    ),
                    key=lambda row: row[0],
                )
            ]
        clients += joining
        time.sleep(2 * SWEEP_SECONDS)
        memory.append(server.memory())
    for what, at in zip(("before", "one user", "two more at once"), memory, strict=True):
        print(what + ": " + ", ".join(f"{name} {n / 1e6:,.0f} MB" for name, n in at.items()))
    for what, first, last, n in (("first", 0, 1, 1), ("each of two more", 1, 2, 2)):
        held = (memory[last]["held"] - memory[first]["held"]) / n
        print(f"a session after all screens, {what}: {held / 1e6:,.0f} MB held")
    for client in clients:
        client.close()


def aim(what: str) -> float:
    if what.startswith("page"):
        return 0.3
    if what.startswith("work"):
        return 30.0
    return 5.0 if what.startswith("upload") else 0.5


def timed(rounds: int, port: int, only: str | None = None) -> Iterator[tuple[str, Timings]]:
    """Time each setting , or ``only`` one, and say what it is."""
    expect.set_options(timeout=PATIENCE)
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("MTM_CHROMIUM", "/usr/bin/chromium"),
            # WebGL without a graphics card: many points are drawn by it.
            args=["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
        )
        default = find_model(DEFAULT_MODEL)
        if only in (None, "example"):
            with serve(default, port, folder) as server:
                yield f"40 samples x 59 genes, {default.name}", with_example(server, rounds)
        for setting, name, find in (
            ("upload", default.name, lambda: default),
            ("wide", "a model of as many", lambda: wide_model(folder / "wide")),
        ):
            if only in (None, setting):
                model = find()
                write_tables(folder, Artefact.load(model))
                with serve(model, port, folder) as server:
                    timings = with_upload(browser, server, folder, rounds)
                    yield f"{N_SAMPLES} samples x {N_GENES:,} genes, {name}", timings
        browser.close()
        if only in (None, "screens"):
            model = wide_model(folder / "wide")
            write_tables(folder, Artefact.load(model))
            with serve(model, port, folder) as server:
                timings = with_every_tissue(server, folder, model, rounds)
                yield f"{N_SAMPLES} samples x every tissue x {N_GENES:,} genes", timings


def measure() -> list[Row]:
    """Return what a user waits for in each setting; of the pages, the slowest."""
    return [row for what, timings in timed(5, 8620) for row in timings.as_rows(what, aim)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--port", type=int, default=8620)
    parser.add_argument("--only", choices=("example", "upload", "wide", "screens"))
    options = parser.parse_args()
    for what, timings in timed(options.rounds, options.port, options.only):
        print(f"\n{what}")
        timings.show(aim)


if __name__ == "__main__":
    main()
