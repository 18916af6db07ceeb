"""Folder of an evaluation: its tables, folds, fits and scores, of one set of settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mtm_core.errors import OutputError
from mtm_core.evaluation.results import EVALUATION, TABLES, EvaluationTables
from mtm_core.safe_output import OwnFolder
from mtm_core.workflows.evaluate_options import EvaluateOptions, given_files


def claim_folder(options: EvaluateOptions, what: dict[str, Any]) -> OwnFolder:
    """Take the folder; tables of other settings in it are replaced only when asked."""
    output = options.output
    own = OwnFolder.claim(output, EVALUATION, inputs=given_files(options))
    own.own("folds/", "fits/", "scores/", "together/")
    own.check("folds.json", *TABLES, *(f"{name}.nc" for name in options.methods))
    if not options.overwrite and (output / "settings.json").exists():
        before, now = EvaluationTables.load(output).settings, json.loads(json.dumps(what))
        other = [name for name in now if before.get(name) != now[name]]
        if other:
            raise OutputError(
                f"{output} holds an evaluation of other settings ({', '.join(other)}). Name another"
                " folder, or replace its tables with --overwrite; cached fits stay."
            )
    return own


def together_folder(options: EvaluateOptions) -> Path:
    """Return the folder of predictions from several tissues together, until they are scored."""
    return options.output / "together"


def fits_folder(options: EvaluateOptions) -> Path:
    """Return the folder of cached fits."""
    return options.output / "fits"
