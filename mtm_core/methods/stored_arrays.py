"""Arrays of fitted methods in a safetensors file, memory-mapped when read.

Loadings, weights and noise of a factor model of many genes are stored as bfloat16 (8 bits of
precision): a prediction sums many of them and agrees to three digits. They remain bfloat16 in
memory, and one tissue at a time is converted to float32
(:func:`mtm_core.methods.factors.upcast_half`).
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
"""Above this, factors are float32 in memory and bfloat16 on disk; else float64 and float32."""
_BY_TISSUE = {"loadings": 3, "weights": 3, "noise": 2}
"""Arrays of a factor model by tissue and gene, and their numbers of dimensions."""


def is_of_wide_factors(name: str, shape: tuple[int, ...]) -> bool:
    """Tell whether an array is the loadings, weights or noise of a factor model of many genes."""
    dimensions = _BY_TISSUE.get(name.rpartition(".")[2])
    return dimensions == len(shape) and shape[1] > MANY_GENES


def write_arrays(
    arrays: Arrays,
    path: Path,
    *,
    halve: Callable[[str, tuple[int, ...]], bool] = is_of_wide_factors,
    about: dict[str, str] | None = None,
) -> None:
    """Write arrays as safetensors.

    Parameters
    ----------
    arrays
        Arrays by name.
    path
        File to write.
    halve
        Predicate on name and shape: which arrays are stored as bfloat16.
    about
        Metadata of the file.
    """
    tensors = {}
    for name, array in arrays.items():
        tensor = _tensor(array)
        tensors[name] = tensor.bfloat16() if halve(name, array.shape) else tensor
    save_file(tensors, path, metadata=about)


def map_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Map the arrays of a file into memory: read when used, and shared between processes."""
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def to_arrays(tensors: Mapping[str, torch.Tensor]) -> dict[str, NDArray[Any]]:
    """Convert tensors to arrays; two-byte floats become float32, but for those of wide factors."""
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
