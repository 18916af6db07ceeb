"""Dropout against what it promises: the share, the scale, independence, torch's seed."""

from __future__ import annotations

import pytest
import torch

from mtm_core.model.dropout import Dropout


@pytest.mark.parametrize("p", [0.1, 0.3, 0.5, 0.9])
def test_a_share_p_is_dropped_and_the_mean_is_unchanged(p: float) -> None:
    torch.manual_seed(0)
    dropped = Dropout(p)(torch.ones(400, 1001))
    share = (dropped == 0).double().mean().item()
    assert share == pytest.approx(p, abs=4 * (p * (1 - p) / dropped.numel()) ** 0.5)
    assert dropped.max().item() == pytest.approx(1 / (1 - p), rel=2e-4)
    assert dropped.double().mean().item() == pytest.approx((1 - share) / (1 - p), rel=2e-4)


def test_units_are_dropped_independently() -> None:
    torch.manual_seed(0)
    remains = (Dropout(0.3)(torch.ones(64, 4096)) > 0).double().flatten()
    for lag in (1, 2, 3, 4, 8, 4096):  # four units share a draw
        pairs = torch.stack([remains[:-lag], remains[lag:]])
        assert abs(torch.corrcoef(pairs)[0, 1].item()) < 4 / len(remains) ** 0.5


def test_evaluation_and_p_0_change_nothing() -> None:
    x = torch.randn(5, 7)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0)(x) is x


def test_torchs_seed_decides() -> None:
    x, drop = torch.ones(9, 9), Dropout(0.3)
    torch.manual_seed(1)
    first, second = drop(x), drop(x)
    torch.manual_seed(1)
    assert torch.equal(drop(x), first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("shape", [(1,), (3, 5), (0, 4)])
def test_any_shape_and_float(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    out = Dropout(0.5)(torch.ones(shape, dtype=dtype))
    assert out.shape == shape
    assert out.dtype == dtype


def test_gradients_flow_through_the_remaining_units_alone() -> None:
    x = torch.ones(6, 6, requires_grad=True)
    out = Dropout(0.5)(x)
    out.sum().backward()
    torch.testing.assert_close(x.grad, out.detach())


@pytest.mark.parametrize("p", [-0.1, 1.0])
def test_an_impossible_share_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match=r"share of dropped units in \[0, 1\)"):
        Dropout(p)
