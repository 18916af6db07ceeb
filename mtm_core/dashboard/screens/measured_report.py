"""A check against measured tissue, as report and bundle have it."""

from __future__ import annotations

from dataclasses import dataclass

from mtm_core.dashboard.screens.measured import judge_command, last_check
from mtm_core.dashboard.state.resources import ServedModel
from mtm_core.dashboard.state.session import Session
from mtm_core.figures.accuracy.measured_check import rho_histogram
from mtm_core.reporting.bundle import MoreFiles
from mtm_core.reporting.command_line import in_shell
from mtm_core.reporting.report import ReportFigure, Section
from mtm_core.workflows.judge import Judged, files_of, in_lines


@dataclass(frozen=True)
class Checked:
    """A check that the session has made.

    Attributes
    ----------
    judged
        What came out.
    command
        Words of the command that makes it again.
    """

    judged: Judged
    command: tuple[str, ...]

    @classmethod
    def of(cls, session: Session, model: ServedModel) -> Checked | None:
        """Return the check of the session's samples as they are now; ``None`` without one."""
        judged = last_check(session, model.predictor)
        if judged is None:
            return None
        return cls(judged, tuple(judge_command(session, model.predictor, judged)))

    @property
    def key(self) -> str:
        """What tells it from other checks."""
        return f"{self.judged.settings['measured_sha256']} {in_shell(self.command)}"

    def section(self) -> Section:
        """Return its part of the report."""
        found, settings = self.judged.found, self.judged.settings
        figures: tuple[ReportFigure, ...] = ()
        if found.genes["rho"].notna().any():
            figures = (
                ReportFigure(
                    "Rho of each gene",
                    rho_histogram(found.rho_counts),
                    "Distribution over genes of rho between predicted and measured expression in "
                    "these people. The line is the mean of shuffles, in which measured profiles "
                    "are assigned to other people.",
                ),
            )
        return Section(
            f"Checked against measured {found.tissue}",
            tuple(f"{line[:1].upper()}{line[1:]}." for line in in_lines(found.summary)),
            {
                "Measured table": settings["measured"],
                "SHA-256": settings["measured_sha256"],
                "Unit, alignment": f"{settings['measured_unit']}, {settings['measured_alignment']}",
                "People in both": f"{len(found.people):,}",
            },
            found.notes,
            figures=figures,
            verbatim=in_shell(self.command),
        )

    def files(self) -> MoreFiles:
        """Return its files for the bundle: a description and the bytes of each."""
        words = {
            "summary.csv": "figures, beside the model card and chance",
            "genes.csv": "rho, error and coverage of each gene",
            "people.csv": "the same of each person",
            "rho_counts.csv": "genes by rho, and the mean of shuffles",
            "names.csv": "names in both tables and in only one",
            "settings.json": "what the check depends on",
        }
        tissue = self.judged.found.tissue
        files = {
            f"checked_{name}": (f"Check against measured {tissue}: {words[name]}.", data)
            for name, data in files_of(self.judged).items()
        }
        script = f"#!/bin/sh\nset -eu\n{in_shell(self.command)}\n".encode()
        return files | {"repeat_check.sh": ("The command that makes the check again.", script)}
