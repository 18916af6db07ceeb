"""Runs of a build in processes of their own, which end themselves as a power cut would."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Sequence

from mtm_core.workflows.build import build_model
from mtm_core.workflows.build_options import BuildOptions
from mtm_core.workflows.progress import StepProgress


def run_and_kill(options: BuildOptions, step: str, after: float, detail: str) -> None:
    """Build; at the step ``step``, once it is so far, kill this process."""

    def show(steps: Sequence[StepProgress]) -> None:
        for now in steps:
            is_at = now.name == step and now.state == "running"
            if is_at and now.done >= after and detail in now.detail:
                os.kill(os.getpid(), signal.SIGKILL)

    build_model(options, show)


def killed_at(options: BuildOptions, step: str, after: float = 0, detail: str = "") -> bool:
    """Tell whether a build was killed at ``step``."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "mtm_core.methods.registry"])
    process = context.Process(target=run_and_kill, args=(options, step, after, detail))
    process.start()
    process.join(60)
    return process.exitcode == -signal.SIGKILL
