"""A run of a build: its steps, each done once, and the ledger of those that are done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mtm_core.errors import OutputError
from mtm_core.workflows.associations import ASSOCIATING
from mtm_core.workflows.build_options import FIRST_STEP_OF, BuildOptions
from mtm_core.workflows.build_plan import BuildPlan
from mtm_core.workflows.evaluate_steps import evaluation_steps
from mtm_core.workflows.ledger import DoneStep, Ledger
from mtm_core.workflows.progress import OnProgress, Steps

PREPARE, WRITE = "Prepare the cohort", "Write the model"


class BuildRun:
    """One run of a build.

    Attributes
    ----------
    options, plan
        Options of the build, and what was planned of them.
    work
        Folder of what is made on the way.
    ledger
        Record of the steps that are done.
    methods
        Methods to evaluate.
    files_step, evaluating
        Names of the step of the files, and of those of the evaluation.
    steps
        All steps, as they are shown.
    """

    def __init__(
        self, options: BuildOptions, plan: BuildPlan, on_progress: OnProgress | None
    ) -> None:
        self.options, self.work = options, options.work_folder
        self.ledger = Ledger(self.work / "steps.json")
        self.methods = options.evaluated(with_phenotypes=plan.has_phenotypes)
        self.evaluating = (
            evaluation_steps(self.methods, options.combinations) if self.methods else ()
        )
        self.files_step = plan.files_step
        self.plan = plan
        names = [
            *([] if options.cohort else [self.files_step, PREPARE]),
            f"Fit {options.method}",
            *self.evaluating,
            *([ASSOCIATING] if plan.has_phenotypes else []),
            WRITE,
        ]
        self.steps = Steps(names, on_progress)

    def step(
        self,
        entry: str,
        names: tuple[str, ...],
        of: Mapping[str, Any],
        work: Callable[[], Mapping[str, Any]],
    ) -> Mapping[str, Any]:
        """Do a step, shown under ``names``, unless the ledger has it of the same."""
        done = self.ledger.find(entry)
        if done is not None and dict(done.of) == dict(of) and self._is_there(entry, done):
            for name in names:
                seconds, peak, detail = done.result["took"].get(name, (0.0, 0, ""))
                self.steps.was_done(name, seconds=seconds, peak_bytes=peak, detail=detail)
            return done.result
        if entry in ("fit", "evaluation", "associations"):
            self.ledger.forget("model")
        self.ledger.forget(entry)
        result = dict(work())
        took = {
            step.name: (step.seconds, step.peak_bytes, step.detail)
            for step in self.steps.all
            if step.name in names
        }
        seconds = sum(part[0] for part in took.values())
        peak = max(part[1] for part in took.values())
        self.ledger.enter(entry, DoneStep(dict(of), result | {"took": took}, seconds, peak))
        return result

    def _is_there(self, entry: str, done: DoneStep) -> bool:
        """Tell whether what a step made is there as it was made, or in the finished model."""
        if self.plan.is_finished or entry == "model":
            return self.plan.is_finished
        made: Mapping[str, str] = done.result.get("made", {})
        return all(
            Path(path).is_file() and self.ledger.sha256(Path(path)) == sha256
            for path, sha256 in made.items()
        )

    def made(self, *paths: Path) -> dict[str, Any]:
        """Get what a step made, for the ledger: each file's hash, by its path."""
        return {"made": {str(path.absolute()): self.ledger.sha256(path) for path in paths}}


def check_same(ledger: Ledger, options: BuildOptions) -> None:
    """Refuse to go on with steps that were done under other options.

    Raises
    ------
    OutputError
        If there are such steps: which options changed, and what to do.
    """
    now, before = options.identity(), ledger.options
    changed = [
        f"--{name.replace('_', '-')} {_shown(before[name])}, now {_shown(now[name])}"
        for name, step in FIRST_STEP_OF.items()
        if name in before and before[name] != now[name] and ledger.find(step) is not None
    ]
    if changed:
        raise OutputError(
            f"{options.work_folder} holds a build with other options: {'; '.join(changed)}. Give "
            f"the same options to continue, start again with --restart, or name another --output."
        )


def _shown(value: object) -> str:
    if value is None or value == []:
        return "not given"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
