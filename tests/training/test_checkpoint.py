"""Checkpoints come back as they were, and a damaged one is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mtm_core.errors import TrainingError
from mtm_core.training.checkpoint import (
    CHECKPOINT_NAME,
    Checkpoint,
    optimiser_tensors,
    restore_optimiser,
    under_prefix,
    with_prefix,
)


@pytest.fixture
def checkpoint() -> Checkpoint:
    tied = torch.randn(3, 4)
    return Checkpoint(
        {
            "model.weight": tied,
            "best.weight": tied,  # shared memory, which safetensors refuses
            "optimiser.0.step": torch.tensor(7.0),
            "counts": torch.tensor([1, 2**40]),
        },
        {"epochs_done": 3, "best_score": 0.1 + 0.2, "names": ["a", "é"], "none": None},
    )


def assert_same(first: Checkpoint, second: Checkpoint) -> None:
    assert first.state == second.state
    assert first.tensors.keys() == second.tensors.keys()
    for name, tensor in first.tensors.items():
        assert tensor.dtype == second.tensors[name].dtype
        torch.testing.assert_close(tensor, second.tensors[name], rtol=0, atol=0)


def test_comes_back_as_it_was(checkpoint: Checkpoint, tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "new" / "folder")
    loaded = Checkpoint.load(tmp_path / "new" / "folder")
    assert loaded is not None
    assert_same(loaded, checkpoint)
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == [CHECKPOINT_NAME]


def test_the_next_checkpoint_replaces_the_last(checkpoint: Checkpoint, tmp_path: Path) -> None:
    checkpoint.save(tmp_path)
    later = Checkpoint({"weight": torch.ones(2)}, {"epochs_done": 4})
    later.save(tmp_path)
    loaded = Checkpoint.load(tmp_path)
    assert loaded is not None
    assert_same(loaded, later)


def test_without_a_checkpoint_nothing_is_loaded(tmp_path: Path) -> None:
    assert Checkpoint.load(tmp_path) is None
    assert Checkpoint.load(tmp_path / "nowhere") is None


def test_a_checkpoint_cut_short_by_a_kill_is_ignored(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    partial = tmp_path / f"{CHECKPOINT_NAME}.partial"
    partial.write_bytes(b"half a file")
    assert Checkpoint.load(tmp_path) is None
    checkpoint.save(tmp_path)
    partial.write_bytes(b"half a file")
    loaded = Checkpoint.load(tmp_path)
    assert loaded is not None
    assert_same(loaded, checkpoint)


@pytest.mark.parametrize("damage", ["empty", "cut", "foreign", "no state"])
def test_a_damaged_file_is_named(checkpoint: Checkpoint, tmp_path: Path, damage: str) -> None:
    checkpoint.save(tmp_path)
    path = tmp_path / CHECKPOINT_NAME
    if damage == "no state":
        from safetensors.torch import save_file

        save_file({"weight": torch.ones(2)}, path)
    else:
        whole = path.read_bytes()
        path.write_bytes({"empty": b"", "cut": whole[:-8], "foreign": b"PK\x03\x04" * 50}[damage])
    with pytest.raises(TrainingError, match=rf"{CHECKPOINT_NAME} is not a checkpoint .* Delete it"):
        Checkpoint.load(tmp_path)


def test_names_under_a_prefix() -> None:
    tensors: dict[str, Tensor] = {"a": torch.ones(1), "b.c": torch.zeros(1)}
    both = with_prefix("model", tensors) | with_prefix("model_averaged", tensors)
    assert set(both) == {"model.a", "model.b.c", "model_averaged.a", "model_averaged.b.c"}
    assert under_prefix("model", both) == tensors


@pytest.mark.parametrize("fused", [False, True])
def test_an_optimiser_resumes_where_it_was(fused: bool) -> None:
    def steps(network: nn.Module, optimiser: torch.optim.Optimizer, n: int) -> None:
        for i in range(n):
            optimiser.zero_grad()
            network(torch.full((1, 3), 1.0 + i)).pow(2).sum().backward()
            optimiser.step()

    network, idle = nn.Linear(3, 2), nn.Parameter(torch.ones(1))
    # A parameter without a gradient has no state: what follows it keeps its own.
    optimiser = torch.optim.Adam([idle, *network.parameters()], lr=0.1, fused=fused)
    steps(network, optimiser, 3)

    other = nn.Linear(3, 2)
    other.load_state_dict(network.state_dict())
    resumed = torch.optim.Adam([nn.Parameter(torch.ones(1)), *other.parameters()], lr=0.1,
                               fused=fused)  # fmt: skip
    saved = {name: tensor.clone() for name, tensor in optimiser_tensors(optimiser).items()}
    assert {name.split(".")[0] for name in saved} == {"1", "2"}
    restore_optimiser(resumed, saved)

    steps(network, optimiser, 2)
    steps(other, resumed, 2)
    for a, b in zip(network.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
