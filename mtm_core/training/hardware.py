"""Devices and processes of training, which all take the same steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor

from mtm_core.errors import TrainingError

Accelerator = Literal["auto", "cpu", "cuda"]
Precision = Literal["32-true", "bf16-mixed"]


@dataclass(frozen=True)
class Hardware:
    """Hardware to train on.

    Attributes
    ----------
    accelerator
        Kind of device.
    devices
        Number of GPUs, or of processes on the CPU, on each node.
    nodes
        Number of nodes.
    precision
        Full or mixed precision.
    cuda_graph
        Whether to replay each step as one CUDA graph; requires a single GPU.
    """

    accelerator: Accelerator = "auto"
    devices: int = 1
    nodes: int = 1
    precision: Precision = "32-true"
    cuda_graph: bool = False


def check_hardware(hardware: Hardware) -> None:
    """Check, before any work, that the hardware is available.

    Raises
    ------
    TrainingError
        If there are fewer GPUs than asked for, or a CUDA graph is asked for without one GPU.
    """
    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    on_gpu = hardware.accelerator == "cuda" or (hardware.accelerator == "auto" and n_gpus > 0)
    if hardware.accelerator == "cuda" and n_gpus < hardware.devices:
        raise TrainingError(
            f"--accelerator cuda needs {hardware.devices} GPU{'s' * (hardware.devices != 1)}; there"
            f" are {n_gpus} here. Use --accelerator cpu or auto, or fewer --devices."
        )
    if hardware.cuda_graph and (not on_gpu or hardware.devices * hardware.nodes > 1):
        raise TrainingError(
            "--cuda-graph needs one GPU: leave it out, or run where there is one, with --devices 1."
        )


def launch(hardware: Hardware) -> Fabric:
    """Start the processes. After this call the program runs once in each of them.

    Raises
    ------
    TrainingError
        If the hardware is not available, or a CUDA graph is asked for without one GPU.
    """
    processes = hardware.devices * hardware.nodes
    try:
        fabric = Fabric(
            accelerator=hardware.accelerator,
            devices=hardware.devices,
            num_nodes=hardware.nodes,
            strategy="ddp" if processes > 1 else "auto",
            precision=hardware.precision,
        )
        fabric.launch()
    except (RuntimeError, ValueError) as error:
        raise TrainingError(f"cannot train on {hardware}: {error}") from error
    if hardware.cuda_graph and (processes > 1 or fabric.device.type != "cuda"):
        raise TrainingError(
            f"a CUDA graph needs one GPU; got {processes} of {fabric.device.type!r}. Leave it out,"
            " or choose one GPU."
        )
    return fabric


def any_process(fabric: Fabric, flag: bool) -> bool:
    """Tell whether ``flag`` is true in any process, so that all stop at the same step."""
    if fabric.world_size == 1:
        return flag
    value = torch.tensor(float(flag), device=fabric.device)
    return bool(mean_over_processes(fabric, value) > 0)


def average_gradients(fabric: Fabric, gradients: Sequence[Tensor]) -> None:
    """Average gradients over the processes, in place, in one all-reduce."""
    if fabric.world_size == 1:
        return
    flat = mean_over_processes(fabric, torch.cat([g.flatten() for g in gradients]))
    start = 0
    for gradient in gradients:
        gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
        start += gradient.numel()


def mean_over_processes(fabric: Fabric, tensor: Tensor) -> Tensor:
    """Return the mean of ``tensor`` over the processes."""
    return cast("Tensor", fabric.all_reduce(tensor, reduce_op="mean"))
