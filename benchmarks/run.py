"""Run the benchmarks and write docs/performance.md, with a plot of what costs grow with.

pip install -r benchmarks/requirements.txt
python benchmarks/run.py [--only training,inference] [--gene-symbols F --gene-types F]

Each runs in a process of its own. What is measured replaces what docs/performance.json has of the
same benchmark and leaves the others, so that a long one need not be run again for a short one. The
two files of genes are GENCODE's of ``prepare.py``; without them preparation is left out. The last
one, of the dashboard, needs Chromium and ``requirements-dev.txt``.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from measuring import Row

DOCS = Path(__file__).resolve().parents[1] / "docs"
PLOT = "performance.svg"
TITLES = {
    "training": "Training",
    "inference": "Inference",
    "costs": "What costs grow with",
    "statistics_at_width": "Statistics at width",
    "prepare": "Preparation of a file of GTEx's shape",
    "predict_at_scale": "Prediction in chunks, past one machine's memory",
    "dashboard": "What a user of the dashboard waits for",
}
INTRODUCTION = """# Performance

Written by `python benchmarks/run.py`; do not edit by hand. A ratio is to the column
"against", measured in the same run by turns: of two speeds, above 1 is faster than the peer; of two
times, 1 is the floor. Seconds of one machine say little about another; ratios carry over.

"Plain PyTorch" is `benchmarks/plain_training.py`, MTM's step straight from the paper; a test
holds both to the same loss curves. "A square product" is the machine's own rate for one float32
product of 2,048 x 2,048; a step that were nothing but products at that rate is the most that any
program could reach.

Nothing here was measured on a GPU. `benchmarks/gpu.py` is prepared for one: MTM at the paper's
size, in under 8 minutes, with pairs a second, share of the card's peak, memory, the CPU's loss
curve, and the seconds of a fold beside the paper's 7.97 h. It has only run on a CPU, in small.
"""


def run_training() -> list[Row]:
    import training

    return training.measure([59, 19_291], "cpu", os.cpu_count() or 1, 15)


def run_inference() -> list[Row]:
    import inference

    return inference.measure(1000, 19_291, os.cpu_count() or 1, 1)


def run_costs() -> list[Row]:
    import costs

    rows = costs.measure(threads=os.cpu_count() or 1)
    costs.draw(rows, DOCS / PLOT)
    return rows


def run_statistics_at_width() -> list[Row]:
    import statistics_at_width

    return statistics_at_width.measure()


def run_predict_at_scale() -> list[Row]:
    import predict_at_scale

    return predict_at_scale.measure()


def run_dashboard() -> list[Row]:
    import dashboard

    return dashboard.measure()


def run_prepare(
    gene_symbols: Path, gene_types: Path, shares: tuple[float, ...], folder: Path | None
) -> list[Row]:
    import prepare

    return prepare.measure(gene_symbols, gene_types, shares=shares, folder=folder)


BENCHMARKS: dict[str, Callable[..., list[Row]]] = {
    "training": run_training,
    "inference": run_inference,
    "costs": run_costs,
    "statistics_at_width": run_statistics_at_width,
    "prepare": run_prepare,
    "predict_at_scale": run_predict_at_scale,
    "dashboard": run_dashboard,
}


def machine() -> dict[str, str]:
    """Say what the figures are of."""
    import torch

    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": f"{os.cpu_count()} cores, {platform.machine()}, {_instructions()}",
        "memory": f"{pages / 2**30:.0f} GiB",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def _instructions() -> str:
    """Name the widest instructions that torch uses."""
    import torch

    return str(torch.backends.cpu.get_cpu_capability())


def render(results: dict[str, Any]) -> str:
    """Return the page."""
    parts = [INTRODUCTION]
    for name, title in TITLES.items():
        if name not in results:
            continue
        of = results[name]["machine"]
        parts.append(
            f"## {title}\n\n{of['date']}; {of['processor']}, {of['memory']}, Python"
            f" {of['python']}, torch {of['torch']}.\n"
        )
        if name == "costs":
            parts.append(
                "MTM at the paper's widths: a step of 256 pairs and all six losses; a prediction of"
                " 200 samples to 48 tissues over 5,000 genes, but for the number that varies.\n\n"
                f"![Seconds against genes, samples and tissues]({PLOT})\n"
            )
        rows = results[name]["rows"]
        lines = ["| what | value | against | its value | ratio |", "|---|---|---|---|---|"]
        for row in rows:
            other = row.get("floor", row.get("peer"))
            beside = "" if other is None else f"{number(other)} {row['unit']}"
            ratio = "" if row.get("ratio") is None else number(row["ratio"])
            value = f"{number(row['value'])} {row['unit']}"
            lines.append(
                f"| {row['what']} | {value} | {row.get('against', '')} | {beside} | {ratio} |"
            )
        commands = dict.fromkeys(row["command"] for row in rows)
        measured = "; ".join(f"`{command}`" for command in commands)
        parts.append("\n".join(lines) + f"\n\nMeasured by {measured}.\n")
    return "\n".join(parts)


def number(value: float) -> str:
    """Return three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help=f"some of {','.join(BENCHMARKS)}")
    parser.add_argument("--gene-symbols", type=Path)
    parser.add_argument("--gene-types", type=Path)
    parser.add_argument("--shares", default="0.0625,0.25", help="of GTEx's samples, to prepare")
    parser.add_argument("--folder", type=Path, help="keep the files to prepare, and use them again")
    options = parser.parse_args()
    chosen = options.only.split(",") if options.only else list(BENCHMARKS)
    unknown = set(chosen) - set(BENCHMARKS)
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {list(BENCHMARKS)}")
    store = DOCS / "performance.json"
    results = json.loads(store.read_text()) if store.exists() else {}
    for name in chosen:
        arguments: tuple[object, ...] = ()
        if name == "prepare":
            if options.gene_symbols is None or options.gene_types is None:
                print("prepare: left out, for it needs --gene-symbols and --gene-types")
                continue
            shares = tuple(float(share) for share in options.shares.split(","))
            arguments = (options.gene_symbols, options.gene_types, shares, options.folder)
        print(name, flush=True)
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=spawn) as process:
            rows = process.submit(BENCHMARKS[name], *arguments).result()
        results[name] = {"machine": machine(), "rows": rows}
        store.write_text(json.dumps(results, indent=1) + "\n")
        (DOCS / "performance.md").write_text(render(results))


if __name__ == "__main__":
    main()
