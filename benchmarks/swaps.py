"""Time and memory of ``mtm quality --also`` at genome width, with planted swaps.

Makes a cohort from a table of people (genes x samples, parquet): each new person is two of them
mixed, with noise of their own. The second table is of the same tissue on another day, or what the
model predicts of another tissue with noise. Two people are exchanged in it, and Y genes tell the
sexes apart.

    python benchmarks/swaps.py people.parquet --model gtex_wide --people 1000
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from measuring import Row, cost_of, print_rows

from mtm_core.inference.marker_genes import find_markers
from mtm_core.inference.predictor import Predictor
from mtm_core.model_places import find_model

EXCHANGED = ("N0003", "N0011")


def make_people(given: pd.DataFrame, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return ``n`` people (people, genes), each a mixture of two, with Y genes by sex."""
    log2 = np.log2(1 + given.to_numpy(np.float32).T)
    pairs = rng.integers(0, len(log2), (n, 2))
    share = rng.uniform(0.3, 0.7, (n, 1)).astype(np.float32)
    mixed = share * log2[pairs[:, 0]] + (1 - share) * log2[pairs[:, 1]]
    mixed += rng.normal(0, 0.4, mixed.shape).astype(np.float32)
    on_y = find_markers([str(gene) for gene in given.index])["Y"]
    mixed[:, on_y] = np.where(rng.random((n, 1)) < 0.5, 5.0, 0.05)
    names = [f"N{i:04}" for i in range(n)]
    return pd.DataFrame(np.maximum(np.exp2(mixed) - 1, 0), names, given.index)


def again(people: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Return the same people measured again, two of them exchanged."""
    log2 = np.log2(1 + people.to_numpy(np.float32))
    log2 += rng.normal(0, 0.3, log2.shape).astype(np.float32)
    a, b = EXCHANGED
    table = pd.DataFrame(np.maximum(np.exp2(log2) - 1, 0), people.index, people.columns)
    return table.rename(index={a: b, b: a})


def main() -> None:
    """Measure both cases, and check what was found."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("people", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--tissue", default="Lung")
    parser.add_argument("--people", dest="n", type=int, default=1000)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    command = " ".join(("python benchmarks/swaps.py", *sys.argv[1:]))
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        people = make_people(pd.read_parquet(arguments.people), arguments.n, rng)
        people.to_parquet(folder / "first.parquet")
        again(people, rng).to_parquet(folder / "same.parquet")
        predictor = Predictor.load(find_model(arguments.model))
        unit = "tpm"
        made = predictor.predict(people, targets=[arguments.tissue], unit=unit)
        other = made["expression"].sel(tissue=arguments.tissue).to_pandas()
        again(other, rng).to_parquet(folder / "other.parquet")
        del people, made, other, predictor
        for name, more in (("same", []), ("other", ["--also-tissue", arguments.tissue])):
            output = folder / f"quality_{name}"
            cost = cost_of(
                [
                    *("mtm", "quality", str(folder / "first.parquet"), "--unit", unit),
                    *("--model", arguments.model, "--also", str(folder / f"{name}.parquet")),
                    *(*more, "--output", str(output)),
                ]
            )
            found = pd.read_csv(output / "between_tables.csv", index_col="sample")
            suspected = found.index[found["verdict"] == "exchanged"]
            right = set(suspected) == set(EXCHANGED)
            what = f"mtm quality --also, {name} tissue, {arguments.n:,} people"
            rows += [
                {"what": what, "value": cost.seconds, "unit": "s", "command": command},
                {
                    "what": what,
                    "value": cost.processor_seconds,
                    "unit": "processor s",
                    "command": command,
                },
                {"what": what, "value": cost.peak_bytes / 1e9, "unit": "GB", "command": command},
                {"what": "exchanged found", "value": float(right), "unit": "", "command": command},
            ]
    print_rows(rows)


if __name__ == "__main__":
    main()
