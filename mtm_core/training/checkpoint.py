"""Checkpoints in one safetensors file that is replaced atomically, so that a kill is harmless."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mtm_core.errors import TrainingError
from mtm_core.safe_output import OwnFolder, replacing

CHECKPOINT_NAME = "checkpoint.safetensors"
HISTORY_NAME = "history.csv"
MODEL_NAMES = ("model.json", "model.safetensors", "README.md", "manifest.json")
"""Files that are written into the folder when training has finished."""
RUN = "a model"
"""Kind of folder in its mark: a model is trained in the folder it is saved in."""


@dataclass(frozen=True)
class Checkpoint:
    """State of a training run between two epochs.

    Attributes
    ----------
    tensors
        Weights, averaged weights, best weights and optimiser moments, by dotted names.
    state
        Everything else as JSON values: epochs done, history, best epoch and score, configuration,
        cohort and donors.
    """

    tensors: dict[str, Tensor]
    state: dict[str, Any]

    def save(self, folder: Path) -> None:
        """Write the checkpoint into ``folder``, replacing the last one atomically."""
        tensors = {name: tensor.detach().cpu().clone() for name, tensor in self.tensors.items()}
        with replacing(folder / CHECKPOINT_NAME) as place:
            save_file(tensors, place, metadata={"state": json.dumps(self.state)})

    @classmethod
    def load(cls, folder: Path) -> Checkpoint | None:
        """Read the checkpoint of ``folder``; ``None`` if there is none yet.

        Raises
        ------
        TrainingError
            If the file is damaged.
        """
        path = folder / CHECKPOINT_NAME
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                state = json.loads((file.metadata() or {})["state"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, KeyError, ValueError, OSError) as error:
            raise TrainingError(
                f"{path} is not a checkpoint of this program, or damaged ({error})."
                " Delete it, or train into another folder."
            ) from error
        return cls(tensors, state)


def claim_run(folder: Path) -> OwnFolder:
    """Claim a folder for a run: a new or empty one, or one of an earlier run.

    Raises
    ------
    OutputError
        If it holds files that are not ours, or cannot be written to.
    """
    check_run(folder)
    own = OwnFolder.claim(folder, RUN, known=_known(folder))
    own.own(CHECKPOINT_NAME, HISTORY_NAME)
    return own


def check_run(folder: Path, inputs: Iterable[Path] = ()) -> None:
    """Check that a folder can be claimed, without changing it.

    Parameters
    ----------
    folder
        Folder of the run.
    inputs
        Input files, none of which may be in the folder.

    Raises
    ------
    OutputError
        If :func:`claim_run` would, or an input is in the folder.
    """
    own = OwnFolder.to_be(folder, RUN, inputs=inputs, known=_known(folder))
    own.check(CHECKPOINT_NAME, HISTORY_NAME, *MODEL_NAMES)


def _known(folder: Path) -> list[str]:
    """Return the files of a run in a folder of an earlier version, which has no mark."""
    with suppress(SafetensorError, OSError), safe_open(folder / CHECKPOINT_NAME, "pt") as file:
        if "state" in (file.metadata() or {}):
            return [CHECKPOINT_NAME, HISTORY_NAME]
    return []


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the moments and step counts of ``optimiser`` as ``{"<parameter>.<name>": tensor}``."""
    states = optimiser.state_dict()["state"]
    return {f"{i}.{name}": value for i, state in states.items() for name, value in state.items()}


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Restore the state that :func:`optimiser_tensors` returned."""
    states: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, _, key = name.partition(".")
        states.setdefault(int(index), {})[key] = tensor
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": states, "param_groups": groups})


def with_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Prepend ``prefix.`` to every name."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def under_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names start with ``prefix.``, with it removed."""
    start = f"{prefix}."
    return {n.removeprefix(start): tensor for n, tensor in tensors.items() if n.startswith(start)}
