"""The numbers of fitted methods in a file: mapped when read, half the size where that tells.

Loadings and weights of a factor model of many genes are stored as bfloat16, 8 binary digits each: a
prediction adds up many of them, and is the same to three digits. They stay what they are in memory,
and a tissue at a time is brought to float32 (:func:`mtm_core.methods.factors.working`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file

Arrays = Mapping[str, NDArray[Any]]

MANY_GENES = 2000
"""Beyond it, factors are float32 in memory and bfloat16 on disk; up to it, float64 and float32."""
_BY_TISSUE = {"loadings": 3, "weights": 3, "noise": 2}
"""Arrays of a factor model that have a row for each tissue and gene, and their dimensions."""


def is_of_wide_factors(name: str, shape: tuple[int, ...]) -> bool:
    """Tell loadings, weights and noise of a factor model of many genes."""
    dimensions = _BY_TISSUE.get(name.rpartition(".")[2])
    return dimensions == len(shape) and shape[1] > MANY_GENES


def write_arrays(
    arrays: Arrays,
    path: Path,
    *,
    halve: Callable[[str, tuple[int, ...]], bool] = is_of_wide_factors,
    about: dict[str, str] | None = None,
) -> None:
    """Write arrays as safetensors; those that ``halve`` picks by name and shape as bfloat16."""
    tensors = {}
    for name, array in arrays.items():
        tensor = _tensor(array)
        tensors[name] = tensor.bfloat16() if halve(name, array.shape) else tensor
    save_file(tensors, path, metadata=about)


def map_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Map the arrays of a file into memory: pages are read when used, and shared by processes."""
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def to_arrays(tensors: Mapping[str, torch.Tensor]) -> dict[str, NDArray[Any]]:
    """Get mapped numbers as arrays; those of wide factors as they are, other halves as float32."""
    arrays: dict[str, NDArray[Any]] = {}
    for name, tensor in tensors.items():
        if tensor.dtype == torch.bfloat16 and is_of_wide_factors(name, tuple(tensor.shape)):
            arrays[name] = tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
        elif tensor.dtype in (torch.bfloat16, torch.float16):
            arrays[name] = tensor.float().numpy()
        else:
            arrays[name] = tensor.numpy()
    return arrays


def _tensor(array: NDArray[Any]) -> torch.Tensor:
    whole = np.require(array, None, ["C", "W"])  # arrays of a loaded model are read-only
    if whole.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(whole.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(whole)
