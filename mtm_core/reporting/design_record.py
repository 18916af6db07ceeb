"""The linear model of a study, to be put into a bundle: what it is, and how to repeat it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from mtm_core.reporting.command_line import in_shell

MODEL, METHODS, SCRIPT = "linear_model.json", "linear_model_methods.txt", "repeat_comparison.sh"


@dataclass(frozen=True)
class DesignRecord:
    """A linear model that was fitted to the samples of a prediction. It holds no row of a person.

    Attributes
    ----------
    settings
        Formula, contrasts, blocks and columns of the metadata, as JSON values.
    methods
        Paragraph for a Methods section.
    commands
        Words of the commands that fit it again, one after the other.
    """

    settings: dict[str, Any]
    methods: str
    commands: tuple[tuple[str, ...], ...]

    @property
    def key(self) -> str:
        """What distinguishes it from other models."""
        return json.dumps([self.settings, self.commands], sort_keys=True)

    def files(self) -> dict[str, tuple[str, bytes]]:
        """Return its files: a description and the bytes of each."""
        formula = self.settings["formula"]
        given = self.settings.get("metadata", {})
        lines = [
            "#!/bin/sh",
            "# Fits the linear model again. Run it beside your table and your file of metadata,",
            f"# whose SHA-256 was {given.get('sha256', 'not known')}.",
            "set -eu",
            *(in_shell(words) for words in self.commands),
        ]
        settings = json.dumps(self.settings, indent=1, ensure_ascii=False) + "\n"
        return {
            MODEL: (f"Linear model {formula}: contrasts, blocks and columns.", settings.encode()),
            METHODS: ("Methods text on the linear model.", (self.methods + "\n").encode()),
            SCRIPT: (
                "The command that fits the linear model again.",
                ("\n".join(lines) + "\n").encode(),
            ),
        }
