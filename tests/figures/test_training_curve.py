from __future__ import annotations

import pandas as pd

from mtm_core.figures.training_curve import training_curve


def test_every_recorded_quantity_is_a_line_of_its_own_look() -> None:
    history = pd.DataFrame(
        {"epoch": [1, 2], "individual": [0.9, 0.8], "held_out_rho": [0.1, 0.2], "seconds": [3, 3]}
    )
    loss, rho = training_curve(history).data
    assert (loss.name, rho.name) == ("individual", "held out rho")
    assert list(loss.y) == [0.9, 0.8]
    assert list(rho.x) == [1, 2]
    assert loss.line.dash != rho.line.dash


def test_one_epoch_is_a_point_that_can_be_seen() -> None:
    (loss,) = training_curve(pd.DataFrame({"epoch": [1], "total": [0.9]})).data
    assert "markers" in loss.mode
