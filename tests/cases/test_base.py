"""The base of the cases: what a case is compared with must itself be right."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.cases import base


def test_clean_table_is_read_as_written_and_differs_between_people(tmp_path: Path) -> None:
    path = base.write(base.counts(), tmp_path / "counts.csv")
    base.same_z(base.z_of(path), base.clean_z(), 0)
    people = base.clean_z().to_numpy()
    assert np.abs(np.diff(people, axis=0)).max(axis=1).min() > 0.5
    assert base.counts().shape == (200, base.N_PEOPLE)
