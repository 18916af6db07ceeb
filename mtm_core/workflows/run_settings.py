"""Settings of a run: a preset, with single ones changed."""

from __future__ import annotations

from collections.abc import Sequence

from mtm_core.config import PresetName, RunConfig, preset, with_changes
from mtm_core.errors import SelectionError


def run_config(
    preset_name: PresetName, settings: Sequence[str] | None, n_genes: int, n_tissues: int
) -> RunConfig:
    """Take the preset, with ``settings`` such as ``"training.epochs=20"`` changed.

    Raises
    ------
    SelectionError
        If one is not ``section.name=value``, or does not fit.
    """
    changes = {}
    for setting in settings or []:
        path, equals, value = setting.partition("=")
        if not equals:
            raise SelectionError(f"--set expects section.name=value, got {setting!r}.")
        changes[path] = value
    try:
        return with_changes(preset(preset_name, n_genes, n_tissues), changes)
    except ValueError as error:
        raise SelectionError(f"--set: {error}.") from error
