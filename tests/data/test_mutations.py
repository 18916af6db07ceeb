"""A few of the damaged and hostile files of benchmarks/mutations.py, whose whole run is by hand."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import h5py
import pytest

from benchmarks.mutated_files import CANARY, mutant
from benchmarks.mutations import canary, read_one, run

ROOT = Path(__file__).parents[2]
ONCE_FAILED = (1044, 1118, 1286, 2686, 3378, 5629, 5823, 6683, 7329, 10034, 10804)
"""Seeds: parquet with columns of bytes, with damaged histograms, of a period (which imports late);
a GCT with a header of few fields; cells as large as numbers can be; STAR without a strand; a short
line in a member of an archive."""


def test_mutated_files_are_read_or_refused_safely() -> None:
    found = run(first=20_000, n=150)
    assert (found.n, found.read + found.refused + len(found.stopped)) == (150, 150)
    assert found.read > 10
    assert found.refused > 60
    assert len(found.bases) == 24
    assert not found.failed, found
    assert found.parent_after < found.parent_before + 500


def test_seeds_that_once_failed() -> None:
    with canary() as (path, guard):
        guard()
        for seed in ONCE_FAILED:
            how, words = read_one(mutant(seed, path))
            assert how in ("read", "refused"), words


def test_a_seed_makes_the_same_file_again() -> None:
    script = """
import hashlib, pathlib, sys
from benchmarks.mutated_files import mutant
made = [mutant(seed, pathlib.Path("/tmp/canary.h5")) for seed in range(20_000, 20_060)]
# HDF5 leaves what it does not use as it was in memory.
print([(m.base, hashlib.sha256(m.data).hexdigest()) for m in made if "h5ad" not in m.base])
"""
    reported = set()
    for _ in range(2):
        reported.add(subprocess.check_output([sys.executable, "-c", script], cwd=ROOT))
        time.sleep(1.1)  # some formats have the time in them
    assert len(reported) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who opens a file")
def test_a_reader_that_opens_the_canary_is_found_out(tmp_path: Path) -> None:
    """What a run would have found before files were checked and the process was sealed."""
    with canary() as (path, guard):
        with h5py.File(tmp_path / "t.h5", "w") as file:
            file.create_dataset("names", (1,), f"S{len(CANARY)}", external=[(str(path), 0, 999)])
        count = guard()
        assert count() == 0
    with canary() as (path, guard):
        with h5py.File(tmp_path / "t.h5", "w") as file:
            file.create_dataset("names", (1,), f"S{len(CANARY)}", external=[(str(path), 0, 999)])
        count = guard()
        with h5py.File(tmp_path / "t.h5") as file:
            assert file["names"][0] == CANARY.encode()
        assert count() > 0
