"""Checkpoints in one safetensors file, replaced in one move: a kill leaves the old or the new."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mtm_core.errors import TrainingError

CHECKPOINT_NAME = "checkpoint.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """A run between two epochs.

    Attributes
    ----------
    tensors
        Weights, averaged weights, best weights and optimiser moments, by dotted names.
    state
        JSON values: epochs done, history, best epoch and score, config and data hash.
    """

    tensors: dict[str, Tensor]
    state: dict[str, Any]

    def save(self, folder: Path) -> None:
        """Write into ``folder``; at any moment the last one or this one is there, whole."""
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f"{CHECKPOINT_NAME}.partial"
        tensors = {name: tensor.detach().cpu().clone() for name, tensor in self.tensors.items()}
        save_file(tensors, partial, metadata={"state": json.dumps(self.state)})
        with partial.open("r+b") as file:
            os.fsync(file.fileno())
        partial.replace(folder / CHECKPOINT_NAME)

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
                f"{path} is no checkpoint of this program, or damaged ({error})."
                " Delete it, or train into another folder."
            ) from error
        return cls(tensors, state)


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Give the moments and step counts of ``optimiser`` as ``{"<parameter>.<name>": tensor}``."""
    states = optimiser.state_dict()["state"]
    return {f"{i}.{name}": value for i, state in states.items() for name, value in state.items()}


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what :func:`optimiser_tensors` gave."""
    states: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, _, key = name.partition(".")
        states.setdefault(int(index), {})[key] = tensor
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": states, "param_groups": groups})


def with_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Put ``prefix.`` before every name."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def under_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give the tensors whose names begin with ``prefix.``, without it."""
    start = f"{prefix}."
    return {n.removeprefix(start): tensor for n, tensor in tensors.items() if n.startswith(start)}
