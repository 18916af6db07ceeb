"""The report of the proof at full size, as a section of docs/genome.md."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtm_core.safe_output import replacing

HEADING = "## Proof at full size"


@dataclass(frozen=True)
class Budget:
    """What steps whose name has one of ``words`` may take together."""

    what: str
    words: tuple[str, ...]
    seconds: float
    gigabytes: float | None = None


BUDGETS = (
    Budget("download", ("ownload",), float("nan")),
    Budget("prepare", ("repar",), 75, 3),
    Budget("fit, settings chosen", ("Fit", "Train"), 300),
    Budget("nested evaluation, all methods", ("valuat", "fold", "Score", "Compare"), 45 * 60),
    Budget("GTEx's own associations", ("ssociat",), 300),
)
WHOLE_GIGABYTES, MODEL_MEGABYTES = 12, 400
SEVERAL = "several tissues"
"""What is in the name of a step that evaluates combinations of tissues."""
PREDICTION_BUDGETS = {
    "100 people, in a program: load the model": 2.0,
    "1,000 people, in a program: load the model": 2.0,
    "1,000 people, in a program: predict all tissues (codes)": 3.0,
}
"""Seconds that a measured step of predicting may take."""


def render(report: dict[str, Any]) -> str:
    """Write the section."""
    what = report["what"]
    parts = [
        HEADING,
        f"Written by `python benchmarks/genome_wide.py` on {what['date']}; {what['machine']}."
        f" Simulated files, not real people: {what['genes']:,} genes x {what['samples']:,} samples"
        f" of {what['donors']:,} donors ({what['gigabytes']:.2f} GB), {what['modelled']:,} of the"
        " genes protein-coding. What was planted is said in `benchmarks/planted_cohort.py`; real"
        " data will differ: the accuracy shows that the command finds the effects that were planted"
        " and none where none were, not how accurate predictions are in real people.",
    ]
    if "build" in report:
        parts += _time_and_memory(report)
    parts += _accuracy(report) + _genes(report) + _associations(report) + _predictions(report)
    return "\n\n".join(parts) + "\n"


def _time_and_memory(report: dict[str, Any]) -> list[str]:
    build = report["build"]
    commands = "\n".join(map(_without_folders, build["commands"]))
    rows = []
    for budget, steps in assigned(build["steps"]):
        if not steps:
            continue
        seconds = sum(step["seconds"] for step in steps)
        peak = max(step["peak_bytes"] for step in steps) / 1e9
        further = sum(step["seconds"] for step in steps if SEVERAL in step["name"])
        rows.append(_row(budget.what, seconds - further, "s", budget.seconds))
        if further:
            what = "the same, and from combinations of several tissues"
            rows.append(_row(what, seconds, "s", budget.seconds))
        rows.append(_row(f"{budget.what}: most memory", peak, "GB", budget.gigabytes))
    for step in build.get("further", ()):
        rows.append(_row(step["name"], step["seconds"], "s", BUDGETS[-1].seconds))
    rows.append(_row("the whole", build["seconds"], "s", None))
    rows.append(_row("the whole: most memory", build["peak_bytes"] / 1e9, "GB", WHOLE_GIGABYTES))
    rows.append(_row("weights on disk", build["weights_bytes"] / 1e6, "MB", MODEL_MEGABYTES))
    rows.append(_row("the model's folder, with all tables", build["model_bytes"] / 1e6, "MB", None))
    measured = {row["what"]: row["seconds"] for row in report.get("predictions") or ()}
    for what, budget_seconds in PREDICTION_BUDGETS.items():
        if what in measured:
            rows.append(_row(what, measured[what], "s", budget_seconds))
    steps = [
        [step["name"], f"{step['seconds']:.1f} s", f"{step['peak_bytes'] / 1e9:.2f} GB"]
        for step in (*build["steps"], *build.get("further", ()))
    ]
    return [
        f"```\n{commands}\n```",
        _table(["", "measured", "budget", "ratio"], rows),
        "Step by step, with the most memory that all processes held:",
        _table(["step", "time", "memory"], steps),
    ]


def _without_folders(command: str) -> str:
    return " ".join(Path(part).name if part.startswith("/") else part for part in command.split())


def assigned(steps: list[dict[str, Any]]) -> list[tuple[Budget, list[dict[str, Any]]]]:
    """Return the steps of each budget; a step counts for the first whose words it has."""
    taken: dict[str, list[dict[str, Any]]] = {budget.what: [] for budget in BUDGETS}
    order = [BUDGETS[i] for i in (4, 3, 0, 1, 2)]
    for step in steps:
        for budget in order:
            if any(word in step["name"] for word in budget.words):
                taken[budget.what].append(step)
                break
    return [(budget, taken[budget.what]) for budget in BUDGETS]


def _row(what: str, value: float, unit: str, budget: float | None) -> list[str]:
    if budget is None or budget != budget:
        return [what, f"{_number(value)} {unit}", "", ""]
    return [what, f"{_number(value)} {unit}", f"{_number(budget)} {unit}", f"{value / budget:.2f}"]


def _accuracy(report: dict[str, Any]) -> list[str]:
    columns = ("rho", "share_of_ceiling", "rho_adjusted", "adjusted_share", "sample_rho")
    rows = [
        [name, *(_number(row.get(column)) for column in (*columns, "predictable_genes"))]
        for name, row in report["accuracy"].items()
    ]
    head = ["method", "rho by fold", "of the ceiling", "adjusted", "of the ceiling", "sample-wise"]
    parts = [
        "Out-of-fold accuracy from blood, mean over tissues and all genes. The ceiling is the"
        " planted factors, own effects and traits themselves; adjusted is without age, sex and "
        "Hardy scale.",
        _table([*head, "predictable genes"], rows),
    ]
    if report["coverage"]:
        rows = [
            [level, *(f"{100 * row[name]:.1f} %" for name in row)]
            for level, row in report["coverage"].items()
        ]
        parts += [
            f"Held-out values inside the intervals of {report['method']}:",
            _table(["interval", *next(iter(report["coverage"].values()))], rows),
        ]
    return parts


def _genes(report: dict[str, Any]) -> list[str]:
    rows = [[name, _number(value)] for name, value in report["genes"].items()]
    return [f"Genes, over all tissues, by {report['method']}:", _table(["", "value"], rows)]


def _associations(report: dict[str, Any]) -> list[str]:
    if not report.get("associations"):
        return []
    rows = [
        [
            row["trait"],
            row["adjusted_for"],
            *(f"{row[name]:,}" for name in ("tests", "found")),
            *(
                _number(row[name])
                for name in (
                    "recall",
                    "recall_clear",
                    "found_without_effect",
                    "share_of_null_tests_found",
                )
            ),
        ]
        for row in report["associations"]
    ]
    head = ["trait", "adjusted for", "tests", "FDR <= 5 %", "recall", "recall, effect >= 0.5 SD"]
    return [
        "Associations with traits, over all tissues. Recall is of expressed genes with a planted"
        " effect; *nothing planted* is the share of findings without one, and what part of the"
        " tests of genes without one is found. Age and Hardy scale are correlated in the donors, so"
        " that one's unadjusted findings are partly the other's.",
        _table([*head, "found, nothing planted", "of those with nothing planted"], rows),
    ]


def _predictions(report: dict[str, Any]) -> list[str]:
    if not report.get("predictions"):
        return []
    rows = [
        [
            row["what"],
            f"{row['seconds']:.2f} s" if row["seconds"] else "",
            f"{row['processor_seconds']:.2f} s" if row.get("processor_seconds") else "",
            f"{row['peak_bytes'] / 1e9:.2f} GB" if row["peak_bytes"] else "",
            row["size"],
        ]
        for row in report["predictions"]
    ]
    return [
        "Prediction by the built model:",
        _table(["", "time", "of processors", "most memory", "output or result"], rows),
    ]


def _number(value: object) -> str:
    if not isinstance(value, int | float) or value != value:
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.4g}" if 0.995 <= value < 1 else f"{value:.3g}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def replace_section(path: Path, text: str) -> None:
    """Put ``text`` in place of the section of its heading, or at the end."""
    page = path.read_text(encoding="utf-8") if path.exists() else "# Genome width\n"
    before, found, after = page.partition(HEADING)
    rest = after[after.index("\n## ") + 1 :] if found and "\n## " in after else ""
    with replacing(path) as place:
        place.write_text(before.rstrip() + "\n\n" + text + ("\n" + rest if rest else ""), "utf-8")
